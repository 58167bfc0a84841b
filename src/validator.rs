//! The handle that checkouts hold, and one validation from start to end.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::runtime::Handle;
use tokio::time::{Instant, timeout};
use tracing::{Instrument, Span};

use crate::deadline::{Deadline, is_recent};
use crate::error::{Kind, ValidateError};
use crate::facts::ProviderPayment;
use crate::facts_cache::{FactsCache, Kept, Proven, Stamp};
use crate::in_flight::{Boarding, Flight, Flights, Landing, Lead};
use crate::intent::{PaymentId, PaymentIntent};
use crate::judge::{Answered, Rules, VOLATILE_FRESH_FOR};
use crate::key_register::KeyRegister;
use crate::policy::WhenProviderIsDown;
use crate::provider;
use crate::retry::{Answer, Explanation, Retrier};
use crate::stats::Stats;
use crate::telemetry::Telemetry;
use crate::validation::Validation;
use crate::verdict::{Finding, Proof, Provenance, Verdict};

/// Validates payment intents with one provider account.
///
/// Clones share everything and cost one counter. Make one per provider account and keep it: it holds the facts in memory,
/// the flights, the breaker and the budget.
///
/// See [`builder`](Self::builder) for every setting and its default.
#[derive(Clone)]
pub struct Validator(pub(crate) Arc<Engine>);

/// Shows the provider, and nothing of what is held.
impl fmt::Debug for Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Validator").field("provider", &self.0.retrier.provider).finish_non_exhaustive()
    }
}

/// What a validator is made of.
pub(crate) struct Engine {
    pub(crate) rules: Rules,
    pub(crate) retention: Duration,
    pub(crate) total_deadline: Duration,
    pub(crate) when_provider_is_down: WhenProviderIsDown,
    pub(crate) facts: FactsCache,
    pub(crate) flights: Arc<Flights>,
    pub(crate) keys: KeyRegister,
    pub(crate) retrier: Retrier,
    pub(crate) telemetry: Telemetry,
}

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
    /// answer serves whoever asks next.
    ///
    /// # Panics
    /// In a tokio runtime without time enabled, which offers no way to ask beforehand.
    pub fn validate(&self, intent: impl Into<PaymentIntent>) -> Validate {
        Validate {
            engine: Arc::clone(&self.0),
            intent: Some(intent.into()),
            max_age: Duration::MAX,
            deadline: None,
            asking: None,
        }
    }

    /// Forgets what is known about a payment; the next validation asks the provider.
    ///
    /// A flight under way still answers those who wait for it, and leaves nothing behind. Call it from webhooks for
    /// refunds, disputes and cancellations. Without a shared store it reaches this process only.
    ///
    /// # Errors
    /// None at present: in one process there is nothing that could fail to confirm.
    ///
    /// # Cancel safety
    /// Nothing is forgotten until the future is awaited, and then it is all done in one step.
    pub fn forget(&self, payment: &PaymentId) -> impl Future<Output = Result<(), ValidateError>> + Send + use<> {
        let (engine, payment) = (Arc::clone(&self.0), payment.clone());
        async move {
            engine.flights.forget(&payment, || engine.facts.forget(&payment));
            Ok(())
        }
    }

    /// What happened since the validator was built.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            facts_in_memory: self.0.facts.len(),
            keys_held: self.0.keys.len(),
            in_flight: self.0.flights.len(),
            budget_level: self.0.retrier.budget_level(),
            breaker: self.0.retrier.breaker_state(),
            ..self.0.telemetry.stats(self.0.facts.valid_hits())
        }
    }

    /// The longest a validation can take: the total deadline.
    ///
    /// Attempts and waits alone may take less, but time in the queue and at the provider's rate limit counts too, and only
    /// the deadline bounds those.
    #[must_use]
    pub fn worst_case(&self) -> Duration {
        self.0.total_deadline
    }

    /// Explains what an HTTP answer would lead to: which rule decides, and how long the call would wait.
    ///
    /// Nothing is sent, counted or changed.
    ///
    /// ```
    /// # #[cfg(feature = "stripe")] {
    /// # let validator = payproof::Validator::builder(payproof::Stripe::new("sk_live_x")?).build()?;
    /// let explained = validator.explain(429, &[("Retry-After", "2")], b"");
    /// assert_eq!(
    ///     explained.to_string(),
    ///     "transient by status 429: retried after 2s to 2.4s; every call of this account waits",
    /// );
    /// # }
    /// # Ok::<(), payproof::BuildError>(())
    /// ```
    #[must_use]
    pub fn explain(&self, status: u16, headers: &[(&str, &str)], body: &[u8]) -> Explanation {
        self.0.retrier.explain(&provider::Answer { status, headers, body })
    }
}

/// A validation that starts when it is awaited. Made by [`Validator::validate`].
#[must_use = "a validation does nothing until it is awaited"]
pub struct Validate {
    engine: Arc<Engine>,
    /// Taken when the validation starts.
    intent: Option<PaymentIntent>,
    max_age: Duration,
    deadline: Option<Duration>,
    /// The rest of the way, when memory does not answer at once.
    asking: Option<Asking>,
}

type Asking = Pin<Box<dyn Future<Output = Result<Validation, ValidateError>> + Send>>;

impl Validate {
    /// Accepts facts from memory only if the provider stated them at most this long ago. Zero always asks.
    ///
    /// Unset, the validator's `fresh_for` decides alone; it holds in any case.
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = age;
        self
    }

    /// Waits at most this long. The provider call goes on without this caller.
    ///
    /// Unset, the validator's total deadline decides alone; it holds in any case.
    pub fn deadline(mut self, limit: Duration) -> Self {
        self.deadline = Some(limit);
        self
    }
}

impl Future for Validate {
    type Output = Result<Validation, ValidateError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Some(asking) = &mut this.asking {
            return asking.as_mut().poll(cx);
        }
        // Without an intent it has answered before, and has nothing more to say.
        let Some(intent) = this.intent.take() else { return Poll::Pending };
        let span = this.engine.telemetry.validation_span(intent.payment());
        if let Err(error) = this.engine.bind_key(&intent) {
            this.engine.telemetry.error(&span, error.code());
            return Poll::Ready(Err(error));
        }
        let intent = match this.engine.recall(intent, this.max_age) {
            Ok(validation) => {
                this.engine.telemetry.verdict(&span, &validation.verdict, Provenance::Replayed, true);
                return Poll::Ready(Ok(validation));
            }
            Err(intent) => intent,
        };
        let asking = ask(Arc::clone(&this.engine), intent, this.max_age, this.deadline);
        this.asking.insert(Box::pin(asking.instrument(span))).as_mut().poll(cx)
    }
}

impl fmt::Debug for Validate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Validate").field("intent", &self.intent).finish_non_exhaustive()
    }
}

/// One validation past the quick answer: recent facts, or a flight that this call leads or follows.
async fn ask(
    engine: Arc<Engine>,
    intent: PaymentIntent,
    max_age: Duration,
    deadline: Option<Duration>,
) -> Result<Validation, ValidateError> {
    let answer = engine.answer(&intent, max_age, deadline).await;
    let span = Span::current();
    match &answer {
        Ok(validation) => engine.telemetry.verdict(&span, &validation.verdict, validation.provenance, false),
        Err(error) => engine.telemetry.error(&span, error.code()),
    }
    answer
}

/// Asks the provider, in a task of its own, so that no caller's patience cuts it.
async fn fly(engine: Arc<Engine>, lead: Lead, now: Instant) {
    let deadline = Deadline::after(now, engine.total_deadline);
    let started = |at| lead.flight().attempt_started(at);
    let answer = engine.retrier.run(lead.payment(), now, deadline, &engine.telemetry, started).await;
    let landing = answer.map(|answer| engine.take_in(answer));
    let payment = lead.payment().clone();
    lead.land(landing, |landing, current| {
        if current {
            engine.settle(&payment, landing);
        } else {
            // It settles nothing, but what was known before it began is not to be believed over its answer either.
            engine.facts.forget_older(&payment, now);
        }
    });
}

impl Engine {
    /// Binds the intent's key to its claims, but never to claims that will be refused: those may be corrected.
    fn bind_key(&self, intent: &PaymentIntent) -> Result<(), ValidateError> {
        let Some(key) = intent.idempotency_key() else { return Ok(()) };
        self.rules.units.to_minor(intent.money())?;
        self.keys.bind(key, intent)
    }

    /// The quick answer: these very claims were found valid on facts that are still fresh. Else the intent comes back.
    fn recall(&self, intent: PaymentIntent, max_age: Duration) -> Result<Validation, PaymentIntent> {
        let now = Instant::now();
        let proven = self.facts.proven(intent.payment(), intent.fingerprint(), now, max_age);
        let Some(Proven { age, capture }) = proven else { return Err(intent) };
        let verdict = Verdict::Valid(Proof { intent, capture, age, seen_at: now });
        Ok(Validation { verdict, provenance: Provenance::Replayed, age, flight: None })
    }

    async fn answer(
        self: &Arc<Self>,
        intent: &PaymentIntent,
        max_age: Duration,
        deadline: Option<Duration>,
    ) -> Result<Validation, ValidateError> {
        self.rules.units.to_minor(intent.money())?;
        let now = Instant::now();
        let runtime = Handle::try_current().map_err(|_| ValidateError::new(Kind::NoRuntime));
        let recent = || self.recent(intent, now, max_age);
        let may_lead = || {
            runtime.as_ref().map_err(ValidateError::clone)?;
            self.check_gate(now, deadline)
        };
        let (flight, provenance) = match self.flights.board(intent.payment(), now, max_age, recent, may_lead) {
            Ok(Boarding::Recent(validation)) => return Ok(validation),
            Ok(Boarding::Leads(lead)) => {
                let flight = Arc::clone(lead.flight());
                let span = self.telemetry.flight_span(intent.payment(), &Span::current());
                flight.is_shown_as(&span);
                let flying = fly(Arc::clone(self), lead, now).instrument(span);
                runtime.as_ref().map_err(ValidateError::clone)?.spawn(flying);
                (flight, Provenance::Fresh)
            }
            Ok(Boarding::Follows(flight)) => {
                Span::current().follows_from(flight.span());
                (flight, Provenance::Coalesced)
            }
            Err(error) => return self.stale(intent, max_age, &error, None).ok_or(error),
        };
        // A leader's flight ends by itself, on this runtime. Another one may stand still, with its flights.
        let limit = match provenance {
            Provenance::Coalesced => Some(deadline.unwrap_or(self.total_deadline).min(self.total_deadline)),
            _ => deadline,
        };
        let landed = match limit.filter(|_| runtime.is_ok()) {
            None => Ok(flight.landed().await),
            Some(limit) => timeout(limit, flight.landed()).await.map_err(|_| limit),
        };
        let error = match landed {
            Ok(Ok(landing)) => {
                return Ok(self.judge(intent, &landing.facts, landing.stamp, provenance, Some(Arc::clone(&flight))));
            }
            Ok(Err(error)) => error.clone(),
            Err(limit) => ValidateError::new(Kind::Deadline { limit, last: None }),
        };
        self.stale(intent, max_age, &error, Some(flight)).ok_or(error)
    }

    /// Refuses a call that is sure to be over before the provider's rate limit is.
    fn check_gate(&self, now: Instant, deadline: Option<Duration>) -> Result<(), ValidateError> {
        match (self.retrier.gate_closed_for(now), deadline) {
            (Some(wait), Some(limit)) if wait >= limit => {
                Err(ValidateError::after_attempts(Kind::GateClosed { last: None }, Some(wait), Vec::new()))
            }
            _ => Ok(()),
        }
    }

    /// Older facts, where the provider cannot be asked and the settings allow it.
    fn stale(
        &self,
        intent: &PaymentIntent,
        max_age: Duration,
        error: &ValidateError,
        flight: Option<Arc<Flight>>,
    ) -> Option<Validation> {
        let WhenProviderIsDown::ServeStale { up_to } = self.when_provider_is_down else { return None };
        if !error.provider_was_silent() {
            return None;
        }
        let kept = self.kept(intent, Instant::now(), max_age.min(up_to))?;
        Some(self.judge(intent, &kept.facts, kept.stamp, Provenance::Degraded, flight))
    }

    /// A verdict on facts in memory, while they are fresh. What the merchant can still mend, such as metadata, is asked
    /// about again soon, however long the facts themselves stand.
    fn recent(&self, intent: &PaymentIntent, now: Instant, max_age: Duration) -> Option<Validation> {
        let kept = self.kept(intent, now, max_age).filter(|kept| kept.fresh)?;
        let validation = self.judge(intent, &kept.facts, kept.stamp, Provenance::Replayed, None);
        let stands = match &validation.verdict {
            Verdict::Invalid(findings) => findings.iter().any(Finding::is_lasting),
            _ => true,
        };
        (stands || validation.age < VOLATILE_FRESH_FOR).then_some(validation)
    }

    fn kept(&self, intent: &PaymentIntent, now: Instant, max_age: Duration) -> Option<Kept> {
        let kept = self.facts.get(intent.payment(), now, self.retention)?;
        is_recent(now.saturating_duration_since(kept.stamp.at), max_age).then_some(kept)
    }

    /// Judges by this call's own claims.
    fn judge(
        &self,
        intent: &PaymentIntent,
        facts: &ProviderPayment,
        stamp: Stamp,
        provenance: Provenance,
        flight: Option<Arc<Flight>>,
    ) -> Validation {
        let seen_at = Instant::now();
        let age = seen_at.saturating_duration_since(stamp.at);
        let verdict = self.rules.judge(intent, facts, Answered { age, seen_at });
        if verdict.is_valid() {
            self.facts.prove(intent.payment(), *intent.fingerprint(), stamp);
        }
        Validation { verdict, provenance, age, flight }
    }

    /// Makes an answer ready to be judged and kept.
    fn take_in(&self, answer: Answer) -> Landing {
        let Answer { mut facts, at, attempts } = answer;
        self.rules.prune(&mut facts);
        facts.as_of = facts.as_of.or_else(|| Some(SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs()));
        Landing { facts, stamp: self.facts.stamp(at), attempts }
    }

    /// Takes what a flight brought into memory.
    fn settle(&self, payment: &PaymentId, landing: &Landing) {
        let shelf_life = self.rules.shelf_life(&landing.facts);
        self.facts.keep(payment, &landing.facts, landing.stamp, shelf_life);
    }
}
