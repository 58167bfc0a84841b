//! One look at an operation's record, and what follows from it. It runs in a task of its own, so that no caller who leaves
//! cuts it between its steps.
//!
//! | what is found | what happens |
//! |---|---|
//! | nothing | it is ours: sent, and settled |
//! | a result or a refusal | replayed, if the claims are the same |
//! | a claim, its lease running | the caller waits and looks again |
//! | a claim whose lease is over, of a read | taken over |
//! | the same of a write, or an indeterminate one, that the provider's key still protects | sent again under the same key |
//! | the same, unprotected | indeterminate: reconciled, or left to a person who knows |
//! | a round that was not executed | ours, under a new key |
//! | no answer from the store | a read goes on without; so does a write that the provider's key protects |

use crate::ledger::{Acquired, Decision, Held, LedgerError, Look, Turn, Unbacked};

use super::error::{GuardError, Next, NoResult};
use super::executed::Executed;
use super::indeterminate;
use super::job::{OperationRecord, Progress, RunContext};
use super::known::Known;
use super::lead::{lead, reconcile};
use super::record::Keepable;

/// What another run of this process found meanwhile, if that needs no look of this run's own.
pub(super) fn overheard<T: Keepable>(job: &RunContext<T>, look: &Look) -> Option<Result<Executed<T>, GuardError>> {
    match job.decide(look.overheard.as_deref()?, look.waited_for) {
        Ok(Decision::Answer(Known::Over(result))) => Some(result),
        // The run that found it so first has put it on the list.
        Ok(Decision::Answer(Known::Indeterminate { .. })) => {
            Some(Err(NoResult::Indeterminate { next: Next::Resolve, cause: None }.into()))
        }
        Ok(_) => None,
        Err(error) => Some(Err(error.into())),
    }
}

/// Looks, and goes through with what follows.
pub(super) async fn turn<T: Keepable>(job: &RunContext<T>, look: Look) -> Result<Turn<Executed<T>>, GuardError> {
    let place = &job.place;
    let (anew, decide) = (|| Ok(place.first_round()), |found: &Held, waited_for| job.decide(found, waited_for));
    let lease = match place.account.ledger.look(place, anew, decide, look).await {
        Ok(Turn::Over(Acquired::Lease(lease))) => lease,
        Ok(Turn::Over(Acquired::Answer(Known::Over(result)))) => return result.map(Turn::Over),
        Ok(Turn::Over(Acquired::Answer(Known::Indeterminate { is_new }))) => {
            if is_new {
                place.account.telemetry.indeterminate(place.operation.name(), &place.digest);
            }
            // That it cannot be put there changes nothing for its caller.
            if let Err(error) = indeterminate::list(place, None).await {
                place.account.telemetry.store_failed(&error);
            }
            return Err(NoResult::Indeterminate { next: Next::Resolve, cause: None }.into());
        }
        Ok(Turn::Over(Acquired::Busy { lease_left })) => {
            return Err(NoResult::InProgress { retry_after: lease_left }.into());
        }
        Ok(Turn::Wait(found)) => return Ok(Turn::Wait(found)),
        Ok(Turn::Again) => return Ok(Turn::Again),
        Err(Unbacked(Some(lease), why)) if goes_on_without(place, lease.carried(), &why) => lease,
        // Dropped, the lease removes a claim that was made all the same: it would look like a sending that broke off.
        Err(Unbacked(_, why)) => return Err(why.into()),
    };
    // In boxes, so that a run which only looks does not move around the thousands of bytes that a sending needs.
    if lease.carried().asks_about.is_some() {
        Box::pin(reconcile(job, lease)).await
    } else {
        Box::pin(lead(job, lease)).await.map(Turn::Over)
    }
}

/// Whether nothing can go wrong by going on without the store.
fn goes_on_without(place: &OperationRecord, standing: &Progress, why: &LedgerError) -> bool {
    if !(why.is_down() || why.is_newer() && !place.is_write()) {
        return false;
    }
    place.account.telemetry.store_failed(why);
    let is_protected = standing.protected.is_some() && place.settings.goes_on_without_store;
    !place.is_write() || is_protected && standing.asks_about.is_none()
}
