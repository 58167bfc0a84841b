//! Executing an operation, or finding out about it, under a lease.

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::call::deadline::Deadline;
use crate::call::error::CallError;
use crate::ledger::millis;
use crate::payment::verdict::{Degradation, Provenance};
use crate::provider::ProviderError;

use super::done::Done;
use super::error::{GuardError, Next};
use super::fate::Fate;
use super::job::{Job, Place};
use super::lease::{Lease, Recorded};
use super::reconcile::{Asking, Reconciled};
use super::record::{Failure, Kept, Phase, Refusal};
use super::sending::{Ending, Knowledge, Sending, was_too_late};
use super::turn::Turn;
use super::unresolved::{list, unlist};

/// Sends the operation until there is an answer, and records what came of it. Its time began with the claim, at `begin`.
pub(super) async fn lead<T>(job: &Job<T>, mut lease: Lease, begin: Instant) -> Turn<T>
where
    T: Serialize + DeserializeOwned + Send + 'static,
{
    let engine = &job.place.engine;
    let deadline = Deadline::after(begin, engine.total_deadline);
    let mut knowledge = Knowledge::of(&lease);
    let sending = Sending::new(job, &lease, &mut knowledge);
    let sent = engine.retrier.pursue(sending, Instant::now(), deadline, &engine.telemetry);
    let answer = lease.during(Phase::UnderWay, sent).await;
    Turn::Over(match answer {
        Ok((value, attempts)) => {
            if lease.standing.protected.is_some() && !knowledge.key_taken() {
                engine.telemetry.provider_key_unused(job.place.operation.name());
            }
            let degraded = record(job, lease, Phase::Done(Kept::of(&value))).await;
            Ok(Done { value, provenance: Provenance::Fresh, attempts, degraded })
        }
        Err(error) if job.place.is_write() => Err(give_up(job, lease, &knowledge, error).await),
        Err(error) => Err(tell_others(lease, error).await),
    })
}

/// Records what the operation came to for good, and says what is missing if that did not work.
async fn record<T>(job: &Job<T>, lease: Lease, phase: Phase) -> Option<Degradation> {
    let (was_in_doubt, has_claim) = (lease.standing.in_doubt, lease.has_claim());
    let recorded = lease.settle(phase).await;
    match recorded {
        Recorded::Yes if !was_in_doubt => None,
        Recorded::Yes | Recorded::OverAnothers => {
            unlist(&job.place).await;
            None
        }
        Recorded::StoreDown if !has_claim => Some(Degradation::StoreDown),
        Recorded::StoreDown | Recorded::Lost => Some(Degradation::NotRecorded),
    }
}

/// Ends a write without a result.
async fn give_up<T>(job: &Job<T>, mut lease: Lease, knowledge: &Knowledge, error: CallError) -> GuardError {
    let place = &job.place;
    match (knowledge.ending(), error.provider().cloned()) {
        (Ending::Refused, Some(said)) => {
            record(job, lease, Phase::Refused(Refusal::of(&said))).await;
            GuardError::refused(said, error.attempts().to_vec())
        }
        (Ending::NotExecuted, said) => {
            lease.give_back().await;
            not_executed(place, said.as_ref(), error)
        }
        (Ending::Refused | Ending::Indeterminate, _) => {
            if !knowledge.is_protected {
                lease.standing.protected = None;
            }
            let next = if knowledge.is_protected { Next::Resend } else { Next::Resolve };
            if let Recorded::Yes | Recorded::OverAnothers = lease.settle(Phase::Indeterminate).await {
                list(place).await;
            }
            place.engine.telemetry.indeterminate(place.operation.name(), &place.digest);
            GuardError::indeterminate(next, Some(error))
        }
    }
}

/// Ends a read without a result: those who wait for it fail with it, or take over where the cause is this process's own.
async fn tell_others(lease: Lease, error: CallError) -> GuardError {
    let place = lease.place().clone();
    let refused = error.provider().filter(|said| Fate::of(said) == Fate::Refused).cloned();
    let failure = match &refused {
        Some(said) => Some(Failure::Refused(Refusal::of(said))),
        None if error.is_for_all() => {
            Some(Failure::Code { code: error.condition().code.into(), retry_after_ms: error.retry_after().map(millis) })
        }
        None => None,
    };
    match failure {
        Some(failure) => {
            lease.settle(Phase::Failed(failure)).await;
        }
        None => lease.give_back().await,
    }
    match refused {
        Some(said) => GuardError::refused(said, error.attempts().to_vec()),
        None => not_executed(&place, error.provider().cloned().as_ref(), error),
    }
}

/// The error of a call that nothing came of. A lease that was over is nobody's setting: somebody else is at it by now.
fn not_executed(place: &Place, said: Option<&ProviderError>, error: CallError) -> GuardError {
    if said.is_some_and(was_too_late) { GuardError::in_progress(place.engine.lease) } else { error.into() }
}

/// Asks the caller's hook what became of the operation, and records what it says.
pub(super) async fn reconcile<T>(job: &Job<T>, mut lease: Lease, begin: Instant) -> Result<Turn<T>, GuardError>
where
    T: Serialize + DeserializeOwned + Send + 'static,
{
    let place = &job.place;
    let engine = &place.engine;
    let deadline = Deadline::after(begin, engine.total_deadline);
    let asked = engine.retrier.pursue(Asking::new(job, &lease), Instant::now(), deadline, &engine.telemetry);
    let cause = match lease.during(Phase::Reconciling, asked).await {
        Ok((Reconciled::Done(value), attempts)) => {
            engine.telemetry.resolved(&place.digest, Some(place.operation.name()), "done", "reconcile");
            let degraded = record(job, lease, Phase::Done(Kept::of(&value))).await;
            return Ok(Turn::Over(Ok(Done { value, provenance: Provenance::Fresh, attempts, degraded })));
        }
        Ok((Reconciled::NotExecuted, _)) => {
            lease.standing.round = lease.standing.round.saturating_add(1);
            lease.standing.protected = None;
            return Ok(match lease.settle(Phase::Free).await {
                Recorded::Yes | Recorded::OverAnothers => {
                    engine.telemetry.resolved(&place.digest, Some(place.operation.name()), "not_executed", "reconcile");
                    unlist(place).await;
                    Turn::Again
                }
                Recorded::Lost => Turn::Again,
                // Not before it stands in the store may it be sent again.
                Recorded::StoreDown => Turn::Over(Err(GuardError::indeterminate(Next::Resolve, None))),
            });
        }
        Ok((Reconciled::StillUnknown, _)) => None,
        Err(error) => Some(error),
    };
    if let Recorded::Yes | Recorded::OverAnothers = lease.settle(Phase::Indeterminate).await {
        list(place).await;
    }
    engine.telemetry.indeterminate(place.operation.name(), &place.digest);
    Err(GuardError::indeterminate(Next::Resolve, cause))
}
