//! One validation past the quick answer, from its caller's side: joined flights, and what comes of them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
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
use crate::lookup::facts_flight::{
    Brought, FactsFlight, FactsFlights, FactsOutcome, FactsWaiter, FlightNotes, LookedUp, Source,
};
use crate::lookup::validation::Validation;
use crate::payment::alias::ResolvedAlias;
use crate::payment::judge::VOLATILE_FRESH_FOR;
use crate::payment::verdict::{Degradation, Provenance};

use super::alias_flight::fly_by_alias;
use super::flight::fly;
use super::target::LookUpTarget;
use super::{Asked, LEADER_PATIENCE, Lookups, Terms, stands};

/// How a call goes on.
enum Begun {
    Answered(Validation),
    /// For a flight. Without a runtime there is no limit.
    Waits(FactsWaiter, Provenance, Option<Duration>),
    /// An alias was resolved since this call looked.
    Resolved,
    /// What an alias states may have been mended since.
    Doubted,
}

/// What a flight came to for one of its callers.
enum Told {
    Validation(Validation),
    /// It cannot answer for this call, which has to join anew; by an alias, where it brought one.
    Again(Option<Arc<ResolvedAlias>>),
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
        let (mut max_age, mut total, mut known) = (terms.max_age, None, None);
        loop {
            let target = self.target(intent.payment(), &mut known, max_age);
            let (waiter, provenance, limit) = match self.join(asked, target, max_age, total) {
                Ok(Begun::Waits(waiter, provenance, limit)) => (waiter, provenance, limit),
                Ok(Begun::Answered(validation)) => return Ok(without(without_store, validation)),
                Ok(Begun::Resolved) => continue,
                Ok(Begun::Doubted) => {
                    (max_age, known) = (VOLATILE_FRESH_FOR, None);
                    continue;
                }
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
            match self.answered(asked, (target, max_age), &flight, outcome, provenance) {
                // Facts from the store are judged here for the first time, and so is an alias. What a merchant can still mend is
                // asked about again.
                Ok(Told::Validation(found)) if max_age > VOLATILE_FRESH_FOR && is_doubtful(&found, target) => {
                    (max_age, known) = (VOLATILE_FRESH_FOR, None);
                }
                Ok(Told::Validation(validation)) => return Ok(without(without_store, validation)),
                Ok(Told::Again(alias)) => known = alias.or(known),
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
        target: LookUpTarget<'_>,
        max_age: Duration,
        total: Option<Duration>,
    ) -> Result<Begun, ValidateError> {
        let Asked { intent, terms: Terms { deadline, arrived, .. }, .. } = asked;
        let limit = deadline.map_or(total, |limit| Some(limit.min(total.unwrap_or(limit))));
        let deadline = limit.map(|limit| limit.saturating_sub(arrived.elapsed()));
        let (now, id) = (Instant::now(), target.id());
        let max_age = target.oldest(max_age, now);
        // What is known already is of no use to a call that accepts no age.
        let look = || if max_age.is_zero() { None } else { self.cache.get(id, now) };
        loop {
            // Facts are decoded and judged under no lock. What a flight brings after this look has another number.
            let kept = look();
            match kept.as_ref().and_then(|kept| self.recent(intent, target, kept, max_age, now)) {
                Some(validation) if stands(&validation, target) => return Ok(Begun::Answered(validation)),
                // One look-up of the alias says how both stand.
                Some(_) if target.is_alias_older(VOLATILE_FRESH_FOR) => return Ok(Begun::Doubted),
                _ => {}
            }
            let seen = kept.as_ref().map(Kept::number);
            match self.enter(target, intent.tenant(), now, max_age, deadline, seen)? {
                Some((waiter, provenance, limit)) => return Ok(Begun::Waits(waiter, provenance, limit)),
                None if matches!(target, LookUpTarget::Alias(_)) => return Ok(Begun::Resolved),
                None => {}
            }
        }
    }

    /// Joins a flight or leads a new one, and says for how long to wait for it. Nothing where a flight has brought something
    /// since the caller looked: an alias, or other facts than those of the number that was `seen`.
    #[inline]
    pub(super) fn enter(
        self: &Arc<Self>,
        target: LookUpTarget<'_>,
        tenant: &str,
        now: Instant,
        max_age: Duration,
        deadline: Option<Duration>,
        seen: Option<u32>,
    ) -> Result<Option<(FactsWaiter, Provenance, Option<Duration>)>, ValidateError> {
        let (id, runtime) = (target.id(), runtime());
        let missed = || match target {
            // What is known already is of no use to a call that accepts no age.
            LookUpTarget::Payment(..) => !max_age.is_zero() && self.cache.number(id) != seen,
            LookUpTarget::Alias(_) => self.aliases.recent(id, now, max_age).is_some(),
        };
        let fits = |notes: &FlightNotes| self.may_join(target, notes) && notes.fit(now, max_age);
        let lead = || {
            runtime.as_ref().map_err(CallError::clone)?;
            self.notes(target, now, max_age, deadline)
        };
        // A flight ends by itself at the total deadline, unless its runtime stands still or the provider blocks its thread.
        let Limits { total_deadline, worst_case, .. } = self.account.limits;
        let (waiter, provenance, longest) = match self.flights_of(target).join(id, tenant, now, missed, fits, lead)? {
            Joined::Missed => return Ok(None),
            Joined::Leader(leader, waiter) => {
                let span = self.account.telemetry.flight_span(id, &Span::current());
                leader.flight().is_shown_as(&span);
                let runtime = runtime.as_ref().map_err(CallError::clone)?;
                match target {
                    LookUpTarget::Payment(..) => runtime.spawn(fly(Arc::clone(self), leader).instrument(span)),
                    LookUpTarget::Alias(_) => runtime.spawn(fly_by_alias(Arc::clone(self), leader).instrument(span)),
                };
                // The flight began with this call, and what it says of its end is better than that it did not end.
                (waiter, Provenance::Fresh, worst_case.saturating_add(LEADER_PATIENCE))
            }
            Joined::Waiter(waiter) => {
                Span::current().follows_from(waiter.flight().span());
                (waiter, Provenance::Coalesced, total_deadline)
            }
        };
        let limit = runtime.is_ok().then(|| deadline.map_or(longest, |deadline| deadline.min(longest)));
        Ok(Some((waiter, provenance, limit)))
    }

    fn flights_of(&self, target: LookUpTarget<'_>) -> &Arc<FactsFlights> {
        match target {
            LookUpTarget::Payment(..) => &self.flights,
            LookUpTarget::Alias(_) => &self.alias_flights,
        }
    }

    /// Whether nothing that was forgotten keeps a caller out of a flight. While it is not known which payment an alias stands
    /// for, anything does.
    fn may_join(&self, target: LookUpTarget<'_>, notes: &FlightNotes) -> bool {
        matches!(target, LookUpTarget::Payment(..)) || notes.is_before_forgetting(self.forgets.load(Ordering::Relaxed))
    }

    /// What a leader lets others know of its flight, unless it is sure to be over before the provider's rate limit is.
    fn notes(
        &self,
        target: LookUpTarget<'_>,
        now: Instant,
        max_age: Duration,
        deadline: Option<Duration>,
    ) -> Result<FlightNotes, CallError> {
        let contents = if self.shared.is_some() {
            max_age
        } else {
            self.check_waits(target.id(), now, deadline)?;
            Duration::ZERO
        };
        Ok(match target {
            LookUpTarget::Payment(..) => FlightNotes::new(contents),
            LookUpTarget::Alias(_) => FlightNotes::of_alias(contents, self.forgets.load(Ordering::Relaxed)),
        })
    }

    /// What a flight brought, judged by this call's own claims.
    fn answered(
        self: &Arc<Self>,
        asked: &Asked,
        (target, max_age): (LookUpTarget<'_>, Duration),
        flight: &Arc<FactsFlight>,
        outcome: Option<&Result<FactsOutcome, LeaderLost>>,
        provenance: Provenance,
    ) -> Result<Told, ValidateError> {
        let brought = self.brought(asked.intent.payment(), outcome, asked.terms.deadline)?;
        if !answers((flight, provenance), brought, (target, max_age), asked.terms.arrived) {
            return Ok(Told::Again(None));
        }
        match brought {
            Brought::Alias(alias, _) => Ok(Told::Again(Some(Arc::clone(alias)))),
            Brought::Facts(looked_up) => {
                let is_coalesced = provenance == Provenance::Coalesced;
                let provenance = if is_coalesced { provenance } else { led(looked_up.source) };
                let claimed = (&asked.intent, looked_up.alias.as_deref().or(target.alias()));
                let flight = Some(Arc::clone(flight));
                let LookedUp { facts, stamp, .. } = &**looked_up;
                let mut validation = self.judge(claimed, facts, *stamp, Instant::now(), provenance, flight);
                validation.degraded = looked_up.degraded;
                Ok(Told::Validation(validation))
            }
        }
    }

    /// What a flight brought, or why it brought nothing within this time.
    #[inline]
    pub(super) fn brought<'o>(
        &self,
        payment: &PaymentId,
        outcome: Option<&'o Result<FactsOutcome, LeaderLost>>,
        deadline: Option<Duration>,
    ) -> Result<&'o Brought, ValidateError> {
        match outcome {
            Some(Ok(brought)) => brought.as_ref().map_err(ValidateError::clone),
            Some(Err(LeaderLost)) => Err(CallError::new(Cause::Interrupted).into()),
            None => {
                let total = self.account.limits.total_deadline;
                let limit = deadline.map_or(total, |said| said.min(total));
                let wait = self.asked_for(payment, Instant::now());
                Err(CallError::after_attempts(Cause::Deadline { limit, last: None }, wait, Vec::new()).into())
            }
        }
    }

    /// How long the provider asks to wait: with all calls, or with this payment.
    fn asked_for(&self, payment: &PaymentId, now: Instant) -> Option<Duration> {
        let retrier = &self.account.retrier;
        let told = retrier.told.of(payment, now).map(|told| told.asked(now));
        told.max(retrier.gate_closed_for(Traffic::LookUps, now))
    }

    /// Refuses a call that is sure to be over before what the provider asked for is: of all calls, or of this payment.
    fn check_waits(&self, payment: &PaymentId, now: Instant, deadline: Option<Duration>) -> Result<(), CallError> {
        let (Some(limit), retrier) = (deadline, &self.account.retrier) else { return Ok(()) };
        if let Some(wait) = retrier.gate_closed_for(Traffic::LookUps, now).filter(|wait| *wait >= limit) {
            return Err(CallError::after_attempts(Cause::GateClosed { last: None }, Some(wait), Vec::new()));
        }
        match retrier.told.of(payment, now).filter(|told| told.left(now) >= limit) {
            Some(told) => Err(told.too_long(now)),
            None => Ok(()),
        }
    }
}

/// Whether what a flight brought answers for a call. One that did not lead it may have come after the payment was looked up, and
/// so after it was forgotten, and may accept less age than the leader.
pub(super) fn answers(
    (flight, provenance): (&FactsFlight, Provenance),
    brought: &Brought,
    (target, max_age): (LookUpTarget<'_>, Duration),
    arrived: Instant,
) -> bool {
    match brought {
        _ if provenance != Provenance::Coalesced => true,
        Brought::Alias(_, read_at) => arrived < *read_at,
        Brought::Facts(looked_up) => {
            looked_up.confirmed_at.is_none_or(|at| arrived < at)
                && flight.notes().answer(arrived, target.oldest(max_age, arrived))
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

/// Whether a verdict rests on what was not asked for just now, and may be another by now.
fn is_doubtful(validation: &Validation, target: LookUpTarget<'_>) -> bool {
    let outcome = validation.flight.as_ref().and_then(|flight| flight.outcome());
    let is_from_store = matches!(outcome, Some(Ok(Ok(Brought::Facts(looked_up)))) if looked_up.source != Source::Asked);
    (is_from_store || target.is_alias_older(VOLATILE_FRESH_FOR)) && !stands(validation, target)
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
