//! A provider in this process that does what a test tells it.

use std::collections::{HashMap, VecDeque};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use crate::accessors::{getters, partial_debug};
use crate::intent::payment_intent::PaymentId;
use crate::lock::Lock;
use crate::payment::facts::{Mode, ProviderPayment};
use crate::provider::{
    Call, ChangeOf, ListCursor, ListOf, ListQuery, Listed, ListedItem, Provider, ProviderError, ProviderIdentity,
    RelatedAnswer, RelatedObject,
};

/// What a [`ScriptedProvider`] does on one look-up.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Step {
    /// States these facts.
    Facts(Box<ProviderPayment>),
    /// Fails like this.
    Fail(ProviderError),
    /// Waits, then does the next step.
    Wait(Duration),
    /// Never answers.
    Never,
    /// Panics.
    Panic,
}

impl From<ProviderPayment> for Step {
    fn from(facts: ProviderPayment) -> Self {
        Self::Facts(Box::new(facts))
    }
}

impl From<ProviderError> for Step {
    fn from(error: ProviderError) -> Self {
        Self::Fail(error)
    }
}

/// A provider without I/O: it holds payments, and misbehaves on script.
///
/// Clones share everything. Time is tokio's, so it works on a paused clock.
///
/// ```
/// use payproof::provider::ProviderError;
/// use payproof::testing::ScriptedProvider;
/// use payproof::{Currency, Mode, Money, PaymentIntent, PaymentStatus, ProviderPayment, Validator};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let provider = ScriptedProvider::new();
/// provider.put(
///     ProviderPayment::new("pi_1", PaymentStatus::Paid)
///         .with_mode(Mode::Live)
///         .with_amount(1999, Currency::USD)
///         .with_amount_received(1999)
///         .with_amount_refunded(0)
///         .with_created(1_767_225_600)
///         .with_as_of(1_767_225_660)
///         .with_metadata("store_id", "store_42"),
/// );
/// provider.script("pi_1", [ProviderError::refused("busy").with_status(503)]);
///
/// let validator = Validator::builder(provider.clone()).build()?;
/// let intent = PaymentIntent::new("store_42", "pi_1", Money::parse("19.99", Currency::USD)?)?;
/// let validation = validator.validate(&intent).await?;
/// assert!(validation.verdict().is_valid());
/// assert_eq!(provider.calls(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ScriptedProvider {
    identity: ProviderIdentity,
    script: Arc<Lock<Script>>,
}

#[derive(Default)]
struct Script {
    payments: HashMap<Box<str>, ProviderPayment>,
    /// Objects, and their payments.
    related: HashMap<Box<str>, Box<str>>,
    /// What happened to payments, and when.
    changes: Vec<(u64, PaymentId, ChangeOf)>,
    steps: HashMap<Box<str>, VecDeque<Step>>,
    always: Option<Step>,
    calls: u64,
    completed: u64,
    dropped: u64,
}

impl ScriptedProvider {
    /// A live provider named `scripted` that knows no payment. Its account is the only one.
    #[must_use]
    pub fn new() -> Self {
        Self::with_identity(ProviderIdentity::new("scripted").only_account())
    }

    /// A test-mode provider named `scripted`. Its account is the only one.
    #[must_use]
    pub fn test_mode() -> Self {
        Self::with_identity(ProviderIdentity::new("scripted").only_account().with_mode(Mode::Test))
    }

    /// A provider of this identity.
    #[must_use]
    pub fn with_identity(identity: ProviderIdentity) -> Self {
        Self { identity, script: Arc::default() }
    }

    /// Takes in a payment, in place of an earlier one of the same id.
    pub fn put(&self, facts: ProviderPayment) {
        self.script.lock().payments.insert(facts.id.clone(), facts);
    }

    /// Takes in an object that is no payment, such as `ch_1`, with the payment that it belongs to.
    pub fn relate(&self, object: impl Into<Box<str>>, payment: impl Into<Box<str>>) {
        self.script.lock().related.insert(object.into(), payment.into());
    }

    /// Tells of a payment in the list of changes, at a second since 1970.
    pub fn change(&self, payment: &PaymentId, what: ChangeOf, at: u64) {
        self.script.lock().changes.push((at, payment.clone(), what));
    }

    /// What the next look-ups of this payment, or of this object, do, in order; afterwards it is healthy again. The names of
    /// [lists](ListOf), `payments` and `changes`, stand for their pages.
    pub fn script<S: Into<Step>>(&self, payment: impl Into<Box<str>>, steps: impl IntoIterator<Item = S>) {
        self.script.lock().steps.entry(payment.into()).or_default().extend(steps.into_iter().map(Into::into));
    }

    /// What every look-up without a script does; `None` is healthy.
    pub fn always(&self, step: Option<Step>) {
        self.script.lock().always = step;
    }

    getters! {
        /// Look-ups that started.
        pub fn calls(&self) -> u64 => self.script.lock().calls;

        /// Look-ups that came to an answer.
        pub fn completed(&self) -> u64 => self.script.lock().completed;

        /// Look-ups that were dropped before they came to an answer.
        pub fn dropped(&self) -> u64 => self.script.lock().dropped;
    }

    /// Goes through the steps up to an answer: a payment's facts, or of another object that it is not there as a payment.
    #[allow(clippy::panic, reason = "a test asked for it")]
    async fn answer(&self, id: &str) -> Result<ProviderPayment, ProviderError> {
        {
            let mut script = self.script.lock();
            script.calls = script.calls.saturating_add(1);
        }
        let mut under_way = UnderWay { provider: self, completed: false };
        loop {
            let answer = match self.next_step(id) {
                Step::Facts(facts) => Ok(*facts),
                Step::Fail(error) => Err(error),
                Step::Wait(wait) => {
                    sleep(wait).await;
                    continue;
                }
                Step::Never => pending().await,
                Step::Panic => panic!("scripted panic"),
            };
            under_way.completed = true;
            return answer;
        }
    }

    fn next_step(&self, id: &str) -> Step {
        let mut script = self.script.lock();
        let Script { payments, steps, always, .. } = &mut *script;
        let step = steps.get_mut(id).and_then(VecDeque::pop_front).or_else(|| always.clone());
        step.unwrap_or_else(|| payments.get(id).cloned().unwrap_or_else(|| ProviderPayment::not_found(id)).into())
    }
}

impl Script {
    /// All that a list has, the newest first, each behind its second. A payment that does not say when it was created stands
    /// at 1970.
    fn listed(&self, what: ListOf) -> Vec<(u64, ListedItem)> {
        let mut all: Vec<(u64, ListedItem)> = match what {
            ListOf::Payments => {
                let payments = self.payments.values();
                payments
                    .map(|facts| (facts.created.unwrap_or_default(), ListedItem::Payment(Box::new(facts.clone()))))
                    .collect()
            }
            ListOf::Changes => {
                let changed = |(at, payment, what): &(u64, PaymentId, ChangeOf)| {
                    (*at, ListedItem::Changed { payment: payment.clone(), what: *what, at: *at })
                };
                self.changes.iter().map(changed).collect()
            }
        };
        let id = |item: &ListedItem| match item {
            ListedItem::Payment(facts) => facts.id.clone(),
            ListedItem::Changed { payment, .. } => payment.as_str().into(),
            ListedItem::Unreadable { .. } => Box::default(),
        };
        all.sort_by(|(at, one), (other_at, other)| (other_at, id(other)).cmp(&(at, id(one))));
        all
    }
}

impl Default for ScriptedProvider {
    fn default() -> Self {
        Self::new()
    }
}

partial_debug!(ScriptedProvider, self => identity: self.identity);

/// Counts how a look-up ends, also when it is dropped.
struct UnderWay<'p> {
    provider: &'p ScriptedProvider,
    completed: bool,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut script = self.provider.script.lock();
        let count = if self.completed { &mut script.completed } else { &mut script.dropped };
        *count = count.saturating_add(1);
    }
}

impl Provider for ScriptedProvider {
    fn identity(&self) -> &ProviderIdentity {
        &self.identity
    }

    async fn look_up(&self, payment: &PaymentId, _call: &Call) -> Result<ProviderPayment, ProviderError> {
        self.answer(payment.as_str()).await
    }

    /// The payments that were put in by when they were created, and the changes that were told; a cursor counts what came before.
    async fn list(&self, query: &ListQuery, _call: &Call) -> Result<Listed, ProviderError> {
        self.answer(query.what().as_str()).await?;
        let before = query.cursor().map_or(Ok(0), |cursor| cursor.as_str().parse());
        let before: usize =
            before.map_err(|_| ProviderError::not_sent("no cursor of this list").with_code("cursor"))?;
        let mut all = self.script.lock().listed(query.what());
        all.retain(|(at, _)| query.window().contains(at));
        let until = before.saturating_add(query.limit().into());
        let next = (until < all.len()).then(|| ListCursor::parse(until.to_string()).ok()).flatten();
        let items = all.into_iter().skip(before).take(query.limit().into()).map(|(_, item)| item);
        Ok(Listed { items: items.collect(), next, complete_since: None })
    }

    async fn related(&self, object: &RelatedObject, _call: &Call) -> Result<RelatedAnswer, ProviderError> {
        self.answer(object.id()).await?;
        let Some(payment) = self.script.lock().related.get(object.id()).cloned() else {
            return Ok(RelatedAnswer::Gone);
        };
        let fields = json!({ "id": object.id(), "object": object.kind(), "payment_intent": payment });
        Ok(RelatedAnswer::Found { payment: PaymentId::parse(payment).ok(), object: fields })
    }
}
