//! What an operation's record says to a run. The table of what is found is in [`turn`](super::turn).

use crate::ledger::{Decision, FAILED_FOR, Held, LedgerError, Nonce};
use crate::payment::verdict::Provenance;

use super::error::{GuardError, NoResult};
use super::executed::Executed;
use super::job::{OperationRecord, Progress, RunContext};
use super::record::{Keepable, Payload, Phase};

/// What a record says to a run.
pub(super) enum Known<T> {
    Over(Result<Executed<T>, GuardError>),
    /// It may have been executed, and this run may neither send it nor ask about it.
    Indeterminate {
        /// Whether this run found out first.
        is_new: bool,
    },
}

impl<T: Keepable> RunContext<T> {
    pub(super) fn decide(
        &self,
        found: &Held,
        waited_for: Option<Nonce>,
    ) -> Result<Decision<OperationRecord, Known<T>>, LedgerError> {
        let payload = Payload::read(found)?;
        if !payload.is_about(&self.place.fingerprint) {
            return Ok(Decision::Answer(Known::Over(Err(NoResult::KeyReused.into()))));
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
fn result_in<T: Keepable>(
    payload: &Payload,
    found: &Held,
    waited_for: Option<Nonce>,
) -> Option<Result<Executed<T>, GuardError>> {
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
