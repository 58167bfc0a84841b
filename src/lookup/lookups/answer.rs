//! One validation past the quick answer, from its caller's side: joined flights, and what comes of them.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tracing::{Instrument, Span};

use crate::account::Limits;
use crate::call::error::{CallError, Cause, runtime};
use crate::call::retry::Traffic;
use crate::flight::{Joined, LeaderLost};
use crate::intent::payment_intent::PaymentId;
use crate::lookup::error::ValidateError;
use crate::lookup::facts_cache::Kept;
use crate::lookup::facts_flight::{FactsFlight, FactsOutcome, FactsWaiter, FlightNotes, LookedUp, Source};
use crate::lookup::validation::Validation;
use crate::payment::judge::VOLATILE_FRESH_FOR;
use crate::payment::verdict::{Degradation, Provenance};

use super::flight::fly;
use super::{Asked, LEADER_PATIENCE, Lookups, Terms, stands};

/// How a call goes on.
enum Begun {
    Answered(Validation),
    /// For a flight. Without a runtime there is no limit.
    Waits(FactsWaiter, Provenance, Option<Duration>),
}

impl Lookups {
    /// One validation past the quick answer: recent facts, or a flight that this call leads or follows.
    pub(crate) async fn answer(self: &Arc<Self>, asked: &Asked) -> Result<Validation, ValidateError> {
        let Asked { intent, key, terms } = asked;
        self.check(intent)?;
        let without_store = match (key, &self.shared) {
            (Some(digest), Some(shared)) => {
                runtime()?;
                // Boxed, so that what most validations do not do costs them nothing.
                let binding = Box::pin(self.bind_everywhere(shared, **digest, intent));
                within(terms.deadline, binding).await??
            }
            _ => None,
        };
        let (mut max_age, mut total) = (terms.max_age, None);
        loop {
            let (waiter, provenance, limit) = match self.join(asked, max_age, total) {
                Ok(Begun::Waits(waiter, provenance, limit)) => (waiter, provenance, limit),
                Ok(Begun::Answered(validation)) => return Ok(without(without_store, validation)),
                Err(error) => {
                    let answer = Box::pin(self.stale_for(asked, max_age, error, None)).await;
                    return answer.map(|validation| without(without_store, validation));
                }
            };
            // The first time a flight ends by itself; after that, what is left of the time counts.
            total = Some(self.account.limits.total_deadline);
            let flight = Arc::clone(waiter.flight());
            let outcome = flight.completed_within(limit).await;
            drop(waiter);
            match self.answered(asked, &flight, outcome, provenance) {
                // Facts from the store are judged here for the first time. What a merchant can still mend is asked about
                // again.
                Ok(Some(found)) if from_store(&found) && !stands(&found) && max_age > VOLATILE_FRESH_FOR => {
                    max_age = VOLATILE_FRESH_FOR;
                }
                Ok(Some(validation)) => return Ok(without(without_store, validation)),
                Ok(None) => {}
                Err(error) => {
                    let answer = Box::pin(self.stale_for(asked, max_age, error, Some(flight))).await;
                    return answer.map(|validation| without(without_store, validation));
                }
            }
        }
    }

    /// Answers from facts that are recent, or joins a flight.
    fn join(
        self: &Arc<Self>,
        asked: &Asked,
        max_age: Duration,
        total: Option<Duration>,
    ) -> Result<Begun, ValidateError> {
        let Asked { intent, terms: Terms { deadline, arrived, .. }, .. } = asked;
        let limit = deadline.map_or(total, |limit| Some(limit.min(total.unwrap_or(limit))));
        let deadline = limit.map(|limit| limit.saturating_sub(arrived.elapsed()));
        let now = Instant::now();
        let runtime = runtime();
        // What is known already is of no use to a call that accepts no age.
        let look = || if max_age.is_zero() { None } else { self.cache.get(intent.payment(), now) };
        let number = || if max_age.is_zero() { None } else { self.cache.number(intent.payment()) };
        let fits = |notes: &FlightNotes| notes.fit(now, max_age);
        let lead = || {
            runtime.as_ref().map_err(CallError::clone)?;
            if self.shared.is_some() {
                return Ok(FlightNotes::new(max_age));
            }
            self.check_waits(intent.payment(), now, deadline).map(|()| FlightNotes::new(Duration::ZERO))
        };
        // A flight ends by itself at the total deadline, unless its runtime stands still or the provider blocks its thread.
        let Limits { total_deadline, worst_case, .. } = self.account.limits;
        let (waiter, provenance, longest) = loop {
            // Facts are decoded and judged under no lock. What a flight brings after this look has another number.
            let kept = look();
            if let Some(validation) = kept.as_ref().and_then(|kept| self.recent(intent, kept, max_age, now)) {
                return Ok(Begun::Answered(validation));
            }
            let missed = || number() != kept.as_ref().map(Kept::number);
            match self.flights.join(intent.payment(), intent.tenant(), now, missed, fits, lead)? {
                Joined::Missed => {}
                Joined::Leader(leader, waiter) => {
                    let span = self.account.telemetry.flight_span(intent.payment(), &Span::current());
                    leader.flight().is_shown_as(&span);
                    let flying = fly(Arc::clone(self), leader).instrument(span);
                    runtime.as_ref().map_err(CallError::clone)?.spawn(flying);
                    // The flight began with this call, and what it says of its end is better than that it did not end.
                    break (waiter, Provenance::Fresh, worst_case.saturating_add(LEADER_PATIENCE));
                }
                Joined::Waiter(waiter) => {
                    Span::current().follows_from(waiter.flight().span());
                    break (waiter, Provenance::Coalesced, total_deadline);
                }
            }
        };
        let limit = runtime.is_ok().then(|| deadline.map_or(longest, |deadline| deadline.min(longest)));
        Ok(Begun::Waits(waiter, provenance, limit))
    }

    /// What a flight brought, judged by this call's own claims. None when it cannot answer for this call, which has to join
    /// anew.
    fn answered(
        self: &Arc<Self>,
        asked: &Asked,
        flight: &Arc<FactsFlight>,
        outcome: Option<&Result<FactsOutcome, LeaderLost>>,
        provenance: Provenance,
    ) -> Result<Option<Validation>, ValidateError> {
        match outcome {
            Some(Ok(Ok(looked_up))) => {
                // A caller that came after it was looked up may have come after it was forgotten.
                let is_coalesced = provenance == Provenance::Coalesced;
                if is_coalesced && looked_up.confirmed_at.is_some_and(|at| asked.terms.arrived >= at) {
                    return Ok(None);
                }
                let provenance = if is_coalesced { provenance } else { led(looked_up.source) };
                let flight = Some(Arc::clone(flight));
                let LookedUp { facts, stamp, .. } = &**looked_up;
                let mut validation = self.judge(&asked.intent, facts, *stamp, Instant::now(), provenance, flight);
                validation.degraded = looked_up.degraded;
                Ok(Some(validation))
            }
            Some(Ok(Err(error))) => Err(error.clone()),
            Some(Err(LeaderLost)) => Err(CallError::new(Cause::Interrupted).into()),
            None => {
                let total = self.account.limits.total_deadline;
                let limit = asked.terms.deadline.map_or(total, |said| said.min(total));
                let wait = self.asked_for(asked.intent.payment(), Instant::now());
                Err(CallError::after_attempts(Cause::Deadline { limit, last: None }, wait, Vec::new()).into())
            }
        }
    }

    /// How long the provider asks to wait: with all calls, or with this payment.
    fn asked_for(&self, payment: &PaymentId, now: Instant) -> Option<Duration> {
        let retrier = &self.account.retrier;
        let told = retrier.told_of(payment, now).map(|told| told.asked(now));
        told.max(retrier.gate_closed_for(Traffic::LookUps, now))
    }

    /// Refuses a call that is sure to be over before what the provider asked for is: of all calls, or of this payment.
    fn check_waits(&self, payment: &PaymentId, now: Instant, deadline: Option<Duration>) -> Result<(), CallError> {
        let (Some(limit), retrier) = (deadline, &self.account.retrier) else { return Ok(()) };
        if let Some(wait) = retrier.gate_closed_for(Traffic::LookUps, now).filter(|wait| *wait >= limit) {
            return Err(CallError::after_attempts(Cause::GateClosed { last: None }, Some(wait), Vec::new()));
        }
        match retrier.told_of(payment, now).filter(|told| told.left(now) >= limit) {
            Some(told) => Err(told.too_long(now)),
            None => Ok(()),
        }
    }
}

/// What it is to the one who led the flight.
fn led(source: Source) -> Provenance {
    match source {
        Source::Asked => Provenance::Fresh,
        Source::Stored => Provenance::Replayed,
        Source::Elsewhere => Provenance::Coalesced,
    }
}

fn from_store(validation: &Validation) -> bool {
    let outcome = validation.flight.as_ref().and_then(|flight| flight.outcome());
    matches!(outcome, Some(Ok(Ok(looked_up))) if looked_up.source != Source::Asked)
}

/// A validation, by a call that had to do without something on its way to it.
fn without(missing: Option<Degradation>, mut validation: Validation) -> Validation {
    validation.degraded = validation.degraded.or(missing);
    if validation.degraded == Some(Degradation::StoreDown) {
        validation.provenance = Provenance::Degraded;
    }
    validation
}

async fn within<T>(limit: Option<Duration>, work: impl Future<Output = T>) -> Result<T, CallError> {
    match limit {
        None => Ok(work.await),
        Some(limit) => timeout(limit, work).await.map_err(|_| CallError::new(Cause::Deadline { limit, last: None })),
    }
}
