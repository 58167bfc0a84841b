//! The handle that checkouts hold, and one validation from start to end.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{Instrument, Span};

use crate::accessors::{partial_debug, setters};
use crate::account::StoreCheck;
use crate::call::retry::{Explanation, Traffic};
use crate::intent::payment_intent::{PaymentId, PaymentIntent};
use crate::lookup::error::ValidateError;
use crate::lookup::lookups::{Asked, Lookups, Terms};
use crate::lookup::shared_facts::StoredFacts;
use crate::lookup::validation::Validation;
use crate::payment::verdict::Provenance;
use crate::provider;
use crate::spread::{Handle, Spread};
use crate::telemetry::stats::Stats;
use crate::telemetry::{Stopwatch, record_verdict};

pub(crate) mod builder;
mod decisions;
mod many;

pub use many::{Prefetch, Prefetched, ValidateAll};

/// Validates payment intents with one provider account.
///
/// Clones share everything and cost one counter. Make one per provider account and keep it: it holds the facts in memory,
/// the flights, the breaker and the budget.
///
/// See [`builder`](Self::builder) for every setting and its default.
#[derive(Clone)]
pub struct Validator(pub(crate) Arc<Spread<Lookups>>);

// Shows the provider, and nothing of what is held.
partial_debug!(Validator, self => provider: self.0.account.retrier.provider);

impl Validator {
    /// Asks whether an intent is real, ours, and paid in full.
    ///
    /// Takes an owned intent or a reference; the future holds what it needs and can be spawned. It does nothing until it
    /// is awaited.
    ///
    /// # Errors
    /// When the intent is malformed or the truth could not be found out; see [`ValidateError`].
    ///
    /// # Cancel safety
    /// Dropping the future at any point loses nothing: a provider call under way goes on in a task of its own, and its
    /// answer serves the next caller. Once all callers of a payment have left, nothing further is sent for them: a retry or a
    /// place in line that they waited for is given up.
    ///
    /// # Panics
    /// In a tokio runtime without time enabled, which offers no way to ask beforehand.
    pub fn validate(&self, intent: impl Into<PaymentIntent>) -> Validate {
        Validate { start: Some((self.0.handle(), intent.into())), max_age: Duration::MAX, deadline: None, asking: None }
    }

    /// Forgets what is known about a payment; the next validation asks the provider.
    ///
    /// By an alias of it, as by its Checkout session, both are forgotten; where neither this process nor the store knows which
    /// payment the alias stands for, the provider is asked, for 10 s at most.
    ///
    /// A flight under way, in any process, still answers those who wait for it, and leaves nothing behind. Call it from
    /// webhooks for refunds, disputes and cancellations. Without a shared store it reaches this validator and its clones only;
    /// with one, other validators may serve what they have in memory for as long as
    /// [`facts_in_memory_for`](crate::ValidatorBuilder::facts_in_memory_for) says, and for 1 s where the store tells of changes.
    ///
    /// # Errors
    /// When the shared store did not confirm. This process has forgotten all the same; try again for the others. Also when the
    /// provider did not say which payment an alias stands for.
    ///
    /// # Cancel safety
    /// Nothing is forgotten until the future is awaited. Dropped, it may be done or not; asking again does it.
    pub fn forget(&self, payment: &PaymentId) -> impl Future<Output = Result<(), ValidateError>> + Send + use<> {
        let (lookups, payment) = (Arc::clone(&self.0), payment.clone());
        async move { lookups.forget(&payment).await }
    }

    /// What is kept about a payment: in the shared store, or without one in this process. The provider is not asked.
    ///
    /// For support and operations. A replica of the store may answer, so it can be behind by a moment. Of an alias that is not
    /// known nothing is kept.
    ///
    /// # Errors
    /// When the store does not answer or holds something unreadable.
    ///
    /// # Cancel safety
    /// It changes nothing, and may be dropped at any point.
    pub fn stored_facts(
        &self,
        payment: &PaymentId,
    ) -> impl Future<Output = Result<Option<StoredFacts>, ValidateError>> + Send + use<> {
        let (lookups, payment) = (Arc::clone(&self.0), payment.clone());
        async move { Ok(lookups.look_at(&payment).await?) }
    }

    /// Looks at the store: whether it answers, how fast, its version, what it evicts, whether it may be written to, and
    /// whether it keeps a record.
    ///
    /// That record is the canary: one for each prefix, which is kept for 24 h and says nothing. It is written and read, and
    /// the one that another process left there is read before. So a process with other
    /// [`record_keys`](crate::ValidatorBuilder::record_keys) is found before it meets a payment.
    ///
    /// Call it at start. What is found is data, with what to do; a store that does not answer is a finding too. The same look
    /// is made once by itself, when the store is first used, and by [`health`](Self::health), without the canary.
    ///
    /// # Cancel safety
    /// It changes nothing but the canary, and may be dropped at any point.
    pub fn check_store(&self) -> impl Future<Output = StoreCheck> + Send + use<> {
        let account = Arc::clone(&self.0.account);
        async move { account.check_store().await }
    }

    /// What happened since the validator was built.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let level = self.0.account.retrier.credit_level();
        let refused = self.0.account.retrier.refusals.now(Instant::now());
        Stats {
            credential_refused_for: refused.credential,
            forbidden_calls: refused.forbidden.len(),
            rate_limited_for: refused.limited.map(|(since, _)| since),
            facts_in_memory: self.0.cache.len(),
            facts_are_covered: self.0.cache.is_covering(Instant::now()),
            keys_held: self.0.keys.len(),
            in_flight: self.0.account.permits.held(),
            credit: level.credit,
            in_line: level.in_line,
            breaker: self.0.account.retrier.breaker_state(Traffic::LookUps),
            guarded_breaker: self.0.account.retrier.breaker_state(Traffic::Guarded),
            store_breaker: self.0.account.store_breaker(),
            ..self.0.account.telemetry.stats(self.0.cache.valid_hits())
        }
    }

    /// The longest a validation can take: the total deadline, and with a store the calls to it before and after.
    ///
    /// Attempts and waits alone may take less, but time in the queue and at the provider's rate limit counts too, and only
    /// the deadline bounds those.
    #[must_use]
    pub fn worst_case(&self) -> Duration {
        self.0.account.limits.worst_case
    }

    /// Explains what an HTTP answer would lead to: which rule decides, and how long the call would wait.
    ///
    /// Nothing is sent, counted or changed.
    ///
    /// ```
    /// # #[cfg(feature = "stripe")] {
    /// # let validator = payproof::Validator::builder(payproof::Stripe::new("sk_live_x")?).build()?;
    /// let headers = [("Retry-After", "2"), ("Stripe-Rate-Limited-Reason", "global-rate")];
    /// let explained = validator.explain(429, &headers, b"");
    /// assert_eq!(
    ///     explained.to_string(),
    ///     "transient by status 429: retried after 2s to 2.4s; every call of this account waits",
    /// );
    /// # }
    /// # Ok::<(), payproof::BuildError>(())
    /// ```
    #[must_use]
    pub fn explain(&self, status: u16, headers: &[(&str, &str)], body: &[u8]) -> Explanation {
        self.0.account.retrier.explain(&provider::Answer { status, headers, body })
    }
}

/// A validation that starts when it is awaited. Made by [`Validator::validate`].
#[must_use = "a validation does nothing until it is awaited"]
pub struct Validate {
    /// Taken when the validation starts.
    start: Option<(Arc<Handle<Lookups>>, PaymentIntent)>,
    max_age: Duration,
    deadline: Option<Duration>,
    /// The rest of the way, when memory does not answer at once.
    asking: Option<Asking>,
}

type Asking = Pin<Box<dyn Future<Output = Result<Validation, ValidateError>> + Send>>;

impl Validate {
    setters! {
        /// Accepts facts from memory only if the provider stated them at most this long ago. Zero always asks.
        ///
        /// Unset, the validator's `fresh_for` decides alone; it holds in any case.
        pub fn max_age(mut self, age: Duration) => self.max_age = age;

        /// Waits at most this long. A provider call under way goes on without this caller, and is not tried again for it.
        ///
        /// Unset, the validator's total deadline decides alone; it holds in any case.
        pub fn deadline(mut self, limit: Duration) => self.deadline = Some(limit);
    }
}

impl Future for Validate {
    type Output = Result<Validation, ValidateError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Some(asking) = &mut this.asking {
            let answer = asking.as_mut().poll(cx);
            if answer.is_ready() {
                this.asking = None;
            }
            return answer;
        }
        // Once it has answered, it has nothing more to say.
        let Some((lookups, intent)) = this.start.take() else { return Poll::Pending };
        let now = Instant::now();
        let span = lookups.account.telemetry.validation_span(intent.payment());
        let (lookups, intent, key) = match lookups.unknown_key(&intent) {
            Err(error) => {
                lookups.account.telemetry.error(&span, error.code());
                return Poll::Ready(Err(error));
            }
            // Not before the store has been asked about the key may anything be answered under it.
            Ok(Some(key)) => (lookups, intent, Some(key)),
            Ok(None) => match Lookups::recall(lookups, intent, this.max_age, now) {
                Ok(validation) => {
                    record_verdict(&span, &validation.verdict, Provenance::Replayed);
                    return Poll::Ready(Ok(validation));
                }
                Err((lookups, intent)) => {
                    if let Some(validation) = lookups.replay(&intent, this.max_age, now) {
                        let answer = Ok(validation);
                        tell(&lookups, &span, Stopwatch::since(now), &answer);
                        return Poll::Ready(answer);
                    }
                    (lookups, intent, None)
                }
            },
        };
        let terms = Terms { max_age: this.max_age, deadline: this.deadline, arrived: now };
        let asked = Asked { intent, key, terms };
        this.asking.insert(Box::pin(ask(lookups, asked).instrument(span))).as_mut().poll(cx)
    }
}

partial_debug!(Validate, self => intent: self.start.as_ref().map(|(_, intent)| intent));

/// One validation past the quick answer.
#[expect(clippy::manual_async_fn, reason = "an `async fn` has room for each argument twice")]
fn ask(lookups: Arc<Handle<Lookups>>, asked: Asked) -> impl Future<Output = Result<Validation, ValidateError>> + Send {
    async move {
        lookups.account.watch_store();
        let answer = lookups.answer(&asked).await;
        tell(&lookups, &Span::current(), Stopwatch::since(asked.terms.arrived), &answer);
        answer
    }
}

/// Counts and shows how a validation past the quick answer ended.
fn tell(lookups: &Lookups, span: &Span, watch: Stopwatch, answer: &Result<Validation, ValidateError>) {
    let telemetry = &lookups.account.telemetry;
    match answer {
        Ok(Validation { verdict, provenance, degraded, .. }) => {
            telemetry.verdict(span, verdict, *provenance, *degraded);
        }
        Err(error) => telemetry.error(span, error.code()),
    }
    telemetry.validation_took(watch, answer.as_ref().ok().map(Validation::provenance));
}
