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

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::ledger::{Acquired, Decision, FAILED_FOR, Held, LedgerError, Look, Nonce, Turn, Unbacked};
use crate::payment::verdict::Provenance;

use super::error::{GuardError, Next};
use super::executed::Executed;
use super::indeterminate::Index;
use super::job::{OperationRecord, Progress, RunContext};
use super::lead::{lead, reconcile};
use super::record::{Payload, Phase};

/// What a record says to a run.
pub(super) enum Known<T> {
    Over(Result<Executed<T>, GuardError>),
    /// It may have been executed, and this run may neither send it nor ask about it.
    Indeterminate {
        /// Whether this run found out first.
        is_new: bool,
    },
}

impl<T: DeserializeOwned> RunContext<T> {
    pub(super) fn decide(
        &self,
        found: &Held,
        waited_for: Option<Nonce>,
    ) -> Result<Decision<OperationRecord, Known<T>>, LedgerError> {
        let payload = Payload::read(found)?;
        if !payload.is_about(&self.place.fingerprint) {
            return Ok(Decision::Answer(Known::Over(Err(GuardError::key_reused()))));
        }
        if let Some(result) = result_in(&payload, found, waited_for) {
            return Ok(Decision::Answer(Known::Over(result)));
        }
        let again = Progress { round: payload.round, ..self.place.first_round() };
        match &payload.phase {
            Phase::UnderWay | Phase::Reconciling if !found.lease_left().is_zero() => Ok(Decision::Wait),
            Phase::UnderWay | Phase::Reconciling | Phase::Indeterminate if payload.is_write => {
                self.decide_in_doubt(found, &payload, again)
            }
            _ => Ok(Decision::TakeOver(again)),
        }
    }

    /// What becomes of a write that may have been executed.
    fn decide_in_doubt(
        &self,
        found: &Held,
        payload: &Payload,
        again: Progress,
    ) -> Result<Decision<OperationRecord, Known<T>>, LedgerError> {
        let first_sent = payload.first_sent(found);
        let protected = self.place.resendable(payload, first_sent);
        let standing = Progress { first_sent, protected, in_doubt: true, ..again };
        Ok(match (&self.inquire, &payload.phase) {
            _ if protected.is_some() => Decision::TakeOver(standing),
            (Some(_), _) => Decision::TakeOver(Progress { asks_about: Some(found.sender()), ..standing }),
            (None, Phase::Indeterminate) => Decision::Answer(Known::Indeterminate { is_new: false }),
            // The mark names the claim, so that the process which does know may still say so.
            (None, _) => Decision::Mark(self.place.mark(&standing)?, Known::Indeterminate { is_new: true }),
        })
    }
}

/// The result that a record holds, if it holds one for this run. `waited_for` is the claim that this run waited for.
fn result_in<T>(payload: &Payload, found: &Held, waited_for: Option<Nonce>) -> Option<Result<Executed<T>, GuardError>>
where
    T: DeserializeOwned,
{
    match &payload.phase {
        Phase::Done(kept) => {
            let provenance = if waited_for.is_some() { Provenance::Coalesced } else { Provenance::Replayed };
            let done = |value| Executed { value, provenance, attempts: Vec::new(), degraded: None };
            Some(kept.value().map(done))
        }
        Phase::Refused(refusal) => Some(Err(refusal.clone().into_error(Vec::new()))),
        Phase::Failed(failure) if waited_for == Some(found.record.nonce) && found.age < FAILED_FOR => {
            Some(Err(failure.clone().into_error()))
        }
        _ => None,
    }
}

/// What another run of this process found meanwhile, if that needs no look of this run's own.
pub(super) fn overheard<T>(job: &RunContext<T>, look: &Look) -> Option<Result<Executed<T>, GuardError>>
where
    T: DeserializeOwned,
{
    match job.decide(look.overheard.as_deref()?, look.waited_for) {
        Ok(Decision::Answer(Known::Over(result))) => Some(result),
        // The run that found it so first has put it on the list.
        Ok(Decision::Answer(Known::Indeterminate { .. })) => Some(Err(GuardError::indeterminate(Next::Resolve, None))),
        Ok(_) => None,
        Err(error) => Some(Err(error.into())),
    }
}

/// Looks, and goes through with what follows.
pub(super) async fn turn<T>(job: &RunContext<T>, look: Look) -> Result<Turn<Executed<T>>, GuardError>
where
    T: Serialize + DeserializeOwned + Send + 'static,
{
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
            if let Err(error) = Index::of(place).add(place).await {
                place.account.telemetry.store_failed(&error);
            }
            return Err(GuardError::indeterminate(Next::Resolve, None));
        }
        Ok(Turn::Over(Acquired::Busy { lease_left })) => return Err(GuardError::in_progress(lease_left)),
        Ok(Turn::Wait(found)) => return Ok(Turn::Wait(found)),
        Ok(Turn::Again) => return Ok(Turn::Again),
        Err(Unbacked(Some(lease), why)) if goes_on_without(place, lease.carried(), &why) => lease,
        // Dropped, the lease removes a claim that was made all the same: it would look like a sending that broke off.
        Err(Unbacked(_, why)) => return Err(why.into()),
    };
    if lease.carried().asks_about.is_some() {
        reconcile(job, lease).await
    } else {
        lead(job, lease).await.map(Turn::Over)
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
