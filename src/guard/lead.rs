//! Executing an operation, or finding out about it, under a lease.

use tokio::time::Instant;

use crate::call::deadline::Deadline;
use crate::call::error::CallError;
use crate::ledger::{Decision, Lease, SharedFailure, Turn};
use crate::payment::verdict::{Degradation, Provenance};
use crate::provider::ProviderError;

use super::call::Reconciled;
use super::error::{GuardError, Next, NoResult};
use super::executed::Executed;
use super::fate::EffectOutcome;
use super::job::{OperationRecord, RunContext};
use super::known::Known;
use super::reconcile::Asking;
use super::record::{Keepable, KeptRefusal, KeptResult, ReadFailure};
use super::sending::{Ending, Knowledge, Sending, was_too_late};
use super::word::OperationEnd;

/// Sends the operation until there is an answer, and records what came of it. Its time began with the claim.
pub(super) async fn lead<T: Keepable>(
    job: &RunContext<T>,
    mut lease: Box<Lease<OperationRecord>>,
) -> Result<Executed<T>, GuardError> {
    let (account, standing) = (&job.place.account, *lease.carried());
    let deadline = Deadline::after(lease.asked_at(), account.limits.total_deadline);
    let mut knowledge = Knowledge::of(&standing);
    let sending = Sending::new(job, &standing, lease.end(), &mut knowledge);
    let sent = account.retrier.run(sending, Instant::now(), deadline, &account.telemetry);
    let answer = lease.during(sent).await;
    match answer {
        Ok((value, attempts)) => {
            if standing.protected.is_some() && !knowledge.key_taken() {
                account.telemetry.provider_key_unused(job.place.operation.name());
            }
            let degraded = record(&mut lease, OperationEnd::Done(KeptResult::of(&value))).await;
            Ok(Executed { value, provenance: Provenance::Fresh, attempts, degraded })
        }
        Err(error) if job.place.is_write() => Err(give_up(&mut lease, &knowledge, error).await),
        Err(error) => Err(tell_others(&mut lease, error).await),
    }
}

/// Records what the operation came to, and says what is missing if that did not work.
async fn record(lease: &mut Lease<OperationRecord>, word: OperationEnd) -> Option<Degradation> {
    let recorded = lease.conclude(word).await;
    let telemetry = &lease.what().account.telemetry;
    match recorded {
        Ok(true) => return None,
        Ok(false) => telemetry.operation_lost(lease.what().operation.name()),
        // What the store was asked before anything was sent, is told already.
        Err(_) if !lease.has_claim() => return Some(Degradation::StoreDown),
        Err(error) => telemetry.store_failed(&error),
    }
    Some(Degradation::NotRecorded)
}

/// Gives the operation back, since nothing of this round was executed. Another run that has taken over has it by now.
async fn give_back(lease: &mut Lease<OperationRecord>) {
    let has_claim = lease.has_claim();
    if let (Err(error), true) = (lease.conclude(OperationEnd::NotExecuted).await, has_claim) {
        lease.what().account.telemetry.store_failed(&error);
    }
}

/// Ends a write without a result.
async fn give_up(lease: &mut Lease<OperationRecord>, knowledge: &Knowledge, error: CallError) -> GuardError {
    match (knowledge.ending(), error.provider().cloned()) {
        (Ending::Refused, Some(said)) => {
            record(lease, OperationEnd::Refused(KeptRefusal::of(&said))).await;
            NoResult::Refused { error: said, attempts: error.attempts().to_vec() }.into()
        }
        (Ending::NotExecuted, said) => {
            give_back(lease).await;
            not_executed(lease.what(), said.as_ref(), error)
        }
        (Ending::Refused | Ending::Indeterminate, _) => {
            let is_protected = knowledge.is_protected;
            record(lease, OperationEnd::Indeterminate { is_protected }).await;
            let place = lease.what();
            place.account.telemetry.indeterminate(place.operation.name(), &place.digest);
            let next = if is_protected { Next::Resend } else { Next::Resolve };
            NoResult::Indeterminate { next, cause: Some(error) }.into()
        }
    }
}

/// Ends a read without a result: those who wait for it fail with it, or take over where the cause is this process's own.
async fn tell_others(lease: &mut Lease<OperationRecord>, error: CallError) -> GuardError {
    let refused = error.provider().filter(|said| EffectOutcome::of(said) == EffectOutcome::Refused).cloned();
    let failure = match &refused {
        Some(said) => Some(ReadFailure::Refused(KeptRefusal::of(said))),
        None => SharedFailure::of(&error).map(ReadFailure::Code),
    };
    match failure {
        Some(failure) => {
            record(lease, OperationEnd::Failed(failure)).await;
        }
        None => give_back(lease).await,
    }
    match refused {
        Some(said) => NoResult::Refused { error: said, attempts: error.attempts().to_vec() }.into(),
        None => not_executed(lease.what(), error.provider().cloned().as_ref(), error),
    }
}

/// The error of a call that nothing came of. A lease that was over is no setting's fault: another run is at it by now.
fn not_executed(place: &OperationRecord, said: Option<&ProviderError>, error: CallError) -> GuardError {
    if said.is_some_and(was_too_late) {
        return NoResult::InProgress { retry_after: place.account.limits.lease }.into();
    }
    error.into()
}

/// Asks the caller's hook what became of the operation, and records it, unless another process said so before.
pub(super) async fn reconcile<T: Keepable>(
    job: &RunContext<T>,
    mut lease: Box<Lease<OperationRecord>>,
) -> Result<Turn<Executed<T>>, GuardError> {
    let (place, standing) = (&job.place, *lease.carried());
    let account = &place.account;
    let deadline = Deadline::after(lease.asked_at(), account.limits.total_deadline);
    let asking = Asking::new(job, &standing, lease.end());
    let asked = account.retrier.run(asking, Instant::now(), deadline, &account.telemetry);
    let resolved = |word| account.telemetry.resolved(&place.digest, Some(place.operation.name()), word, "reconcile");
    let cause = match lease.during(asked).await {
        Ok((Reconciled::Done(value), attempts)) => {
            resolved("done");
            let degraded = record(&mut lease, OperationEnd::Done(KeptResult::of(&value))).await;
            if degraded.is_some()
                && let Some(done) = recorded_by_another(job).await
            {
                return Ok(Turn::Over(done));
            }
            return Ok(Turn::Over(Executed { value, provenance: Provenance::Fresh, attempts, degraded }));
        }
        Ok((Reconciled::NotExecuted, _)) => {
            return match lease.conclude(OperationEnd::NewRound).await {
                Ok(is_ours) => {
                    if is_ours {
                        resolved("not_executed");
                    }
                    Ok(Turn::Again)
                }
                // Not before it stands in the store may it be sent again.
                Err(error) => {
                    account.telemetry.store_failed(&error);
                    Err(NoResult::Indeterminate { next: Next::Resolve, cause: None }.into())
                }
            };
        }
        Ok((Reconciled::StillUnknown, _)) => None,
        Err(error) => Some(error),
    };
    match lease.conclude(OperationEnd::StillUnknown).await {
        Ok(true) => {}
        Ok(false) => return Ok(Turn::Again),
        Err(error) => account.telemetry.store_failed(&error),
    }
    account.telemetry.indeterminate(place.operation.name(), &place.digest);
    Err(NoResult::Indeterminate { next: Next::Resolve, cause }.into())
}

/// The result that stands where this run's does not.
async fn recorded_by_another<T: Keepable>(job: &RunContext<T>) -> Option<Executed<T>> {
    let found = job.place.account.ledger.get(&job.place.key).await.ok()??;
    match job.decide(&found, None) {
        Ok(Decision::Answer(Known::Over(result))) => result.ok(),
        _ => None,
    }
}
