//! What the record of an operation says: of its claim, of what came of it, and over what that may be written.
//!
//! | what is known | is written over | and where no record is |
//! |---|---|---|
//! | executed | any record of the same round that is not final, a reconciliation under way included | yes |
//! | refused, not executed, unknown | the own claim, and what others made of that very claim: a mark or a reconciliation | what the sender says |
//!
//! That it was executed is true whatever others have begun in the same round. Anything less is said of the own sending alone.
//! A round that was declared not executed is over, whatever is known of it: that is told loudly.

use std::time::Duration;

use tokio::time::Instant;

use crate::ledger::{Claimable, Contents, FAILED_FOR, Held, Key, LateWords, LedgerError, Nonce, Said, State, millis};

use super::indeterminate::{self, operations};
use super::job::{OperationRecord, Progress};
use super::record::{KeptRefusal, KeptResult, Payload, Phase, ReadFailure};

/// A claim of a read that is not taken over is gone after so many leases: nothing has to be remembered.
const READ_TTL_IN_LEASES: u32 = 2;

/// What came of an operation, or of asking about it.
#[derive(Debug)]
pub(super) enum OperationEnd {
    Done(KeptResult),
    Refused(KeptRefusal),
    /// A read failed, for those who wait for it.
    Failed(ReadFailure),
    /// It may have been executed.
    Indeterminate {
        /// Whether the provider's key protects another sending.
        is_protected: bool,
    },
    /// The provider was asked, and what it did not tell is as unknown as before.
    StillUnknown,
    /// Nothing of this round was executed: it is sent again under the same key.
    NotExecuted,
    /// The provider was asked, and nothing of this round was executed nor will be: the next one has another key.
    NewRound,
}

impl OperationRecord {
    fn contents(&self, standing: &Progress, phase: Phase) -> Result<Contents, LedgerError> {
        let is_write = self.is_write();
        let ttl = match &phase {
            _ if is_write => self.settings.write_retention,
            Phase::Done(_) => self.settings.read_retention,
            Phase::Failed(_) => FAILED_FOR,
            _ => self.account.limits.lease.saturating_mul(READ_TTL_IN_LEASES),
        };
        let payload = Payload {
            fingerprint: *self.fingerprint.as_bytes(),
            is_write,
            protected_ms: standing.protected.map(millis),
            round: standing.round,
            first_sent_ms: millis(standing.first_sent.age()),
            phase,
        };
        let state = payload.state();
        let lease = if state == State::Claimed { self.account.limits.lease } else { Duration::ZERO };
        Ok(Contents { state, ttl, lease, payload: self.key.payload_of(&payload)? })
    }

    /// What is said of a sending that broke off, by a run that may not send again.
    pub(super) fn mark(&self, standing: &Progress) -> Result<Contents, LedgerError> {
        self.contents(standing, Phase::Indeterminate)
    }
}

impl Claimable for OperationRecord {
    type Carried = Progress;
    type Word = OperationEnd;

    fn key(&self) -> &Key {
        &self.key
    }

    /// A read costs no more than to be made again. Without a record, it is the sender's word that counts, and not that of a
    /// reconciliation: the sender may have said meanwhile that nothing was executed.
    fn late_words(&self, word: Option<&OperationEnd>) -> LateWords {
        match word {
            _ if !self.is_write() => LateWords::None,
            Some(OperationEnd::StillUnknown | OperationEnd::NewRound) => LateWords::OverOwnClaim,
            _ => LateWords::AlsoWhereNoRecordIs,
        }
    }

    fn claim(&self, standing: &Progress, _since: Instant) -> Result<Contents, LedgerError> {
        let phase = if standing.asks_about.is_some() { Phase::Reconciling } else { Phase::UnderWay };
        self.contents(standing, phase)
    }

    fn last(&self, standing: &Progress, word: &OperationEnd) -> Result<Option<Contents>, LedgerError> {
        let mut next = *standing;
        let phase = match word {
            OperationEnd::Done(kept) => Phase::Done(kept.clone()),
            OperationEnd::Refused(refusal) => Phase::Refused(refusal.clone()),
            OperationEnd::Failed(failure) => Phase::Failed(failure.clone()),
            OperationEnd::StillUnknown => Phase::Indeterminate,
            OperationEnd::Indeterminate { is_protected } => {
                next.protected = next.protected.filter(|_| *is_protected);
                Phase::Indeterminate
            }
            // A first round that was not executed leaves nothing worth a record.
            OperationEnd::NotExecuted if next.round == 0 => return Ok(None),
            OperationEnd::NotExecuted => {
                next.protected = None;
                Phase::NotExecuted
            }
            OperationEnd::NewRound => {
                (next.round, next.protected) = (next.round.saturating_add(1), None);
                Phase::NotExecuted
            }
        };
        self.contents(&next, phase).map(Some)
    }

    /// A reconciliation, and what it leaves unknown, names the claim under which was sent: its process may still tell.
    fn marks(&self, standing: &Progress, word: Option<&OperationEnd>) -> Option<Nonce> {
        standing.asks_about.filter(|_| matches!(word, None | Some(OperationEnd::StillUnknown)))
    }

    fn may_follow(
        &self,
        standing: &Progress,
        word: &OperationEnd,
        found: &Held,
        own: Nonce,
    ) -> Result<bool, LedgerError> {
        let payload = Payload::read(found)?;
        let is_open = matches!(payload.phase, Phase::UnderWay | Phase::Reconciling | Phase::Indeterminate);
        let is_same = payload.is_about(&self.fingerprint) && payload.round == standing.round;
        let is_executed = matches!(word, OperationEnd::Done(_)) && self.is_write();
        Ok(is_open && is_same && (is_executed || found.is_mark_of(own)))
    }

    /// Without its result.
    fn smaller(&self, word: &OperationEnd) -> Option<OperationEnd> {
        matches!(word, OperationEnd::Done(KeptResult::Json(_))).then_some(OperationEnd::Done(KeptResult::Nothing))
    }

    async fn follow(&self, standing: &Progress, word: &OperationEnd, said: &Said) -> Result<(), LedgerError> {
        let listed = match (word, said) {
            (OperationEnd::Done(_), Said::Lost(Some(found))) => {
                if Payload::read(found).is_ok_and(|payload| payload.round > standing.round) {
                    self.account.telemetry.contradicted(self.operation.name(), &self.digest);
                }
                Ok(())
            }
            (_, Said::Lost(_)) => Ok(()),
            (OperationEnd::Indeterminate { is_protected }, _) => {
                let key_left =
                    standing.protected.filter(|_| *is_protected).map(|kept| self.key_left(kept, standing.first_sent));
                indeterminate::list(self, key_left).await
            }
            (OperationEnd::StillUnknown, _) => indeterminate::list(self, None).await,
            // It was never in doubt.
            (_, Said::InTime) if !standing.in_doubt => Ok(()),
            _ if !self.is_write() => Ok(()),
            _ => {
                let list = operations(&self.account, self.settings.write_retention);
                list.remove(&self.digest).await.map(drop)
            }
        };
        if let Err(error) = &listed {
            self.account.telemetry.store_failed(error);
        }
        listed
    }

    fn renewed(&self) -> Option<Duration> {
        self.account.limits.renew_lease.then_some(self.account.limits.lease)
    }

    /// Nothing was sent under it. What was in doubt before, still is.
    fn if_orphaned(&self, standing: &Progress) -> Option<OperationEnd> {
        Some(match standing {
            Progress { asks_about: Some(_), .. } => OperationEnd::StillUnknown,
            Progress { in_doubt: true, .. } => OperationEnd::Indeterminate { is_protected: true },
            _ => OperationEnd::NotExecuted,
        })
    }
}
