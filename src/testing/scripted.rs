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
use crate::provider::{Call, Provider, ProviderError, ProviderIdentity, RelatedAnswer, RelatedObject};

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

    /// What the next look-ups of this payment, or of this object, do, in order; afterwards it is healthy again.
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

    async fn related(&self, object: &RelatedObject, _call: &Call) -> Result<RelatedAnswer, ProviderError> {
        self.answer(object.id()).await?;
        let Some(payment) = self.script.lock().related.get(object.id()).cloned() else {
            return Ok(RelatedAnswer::Gone);
        };
        let fields = json!({ "id": object.id(), "object": object.kind(), "payment_intent": payment });
        Ok(RelatedAnswer::Found { payment: PaymentId::parse(payment).ok(), object: fields })
    }
}
