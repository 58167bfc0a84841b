//! The right to execute an operation, for a time, and how it ends.

use std::future::{Future, pending};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::sleep;

use crate::ledger::{
    Asked, Claimed, Entry, Held, Holds, LedgerError, Nonce, Ours, Replaced, later, renewal_pace, while_renewing,
};

use super::job::{Place, Standing};
use super::record::{Kept, Payload, Phase};
use super::unresolved::unlist;

/// Another process must have written in between each time.
const MOST_ROUNDS: usize = 16;

/// When the lease is over, by this process's reckoning. Shared with the call that it protects.
#[derive(Clone, Debug)]
pub(super) struct LeaseEnd {
    length: Duration,
    /// When the claim or its last renewal was asked for; `None` when it is lost.
    asked: Arc<Mutex<Option<Asked>>>,
}

impl LeaseEnd {
    fn set(&self, asked: Option<Asked>) {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = asked;
    }

    /// Whether it is over, or may be: a process that stood still for longer than its clock says knows no better.
    pub(super) fn is_over(&self) -> bool {
        let asked = *self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.is_none_or(|asked| asked.elapsed() >= self.length)
    }
}

/// What came of the last word on an operation.
#[derive(Debug)]
pub(super) enum Recorded {
    Yes,
    /// In the place of what others made of the claim when they found its lease over, who may have put it on the list.
    OverAnothers,
    /// Somebody else has taken over, and theirs stands.
    Lost,
    /// The store does not answer; it is tried again for a while.
    StoreDown,
}

/// What came of writing a last word.
enum Written {
    Stands,
    /// It stands in the place of another process's record.
    OverAnothers,
    Lost,
}

/// The right to execute an operation.
pub(super) struct Lease {
    place: Place,
    pub(super) standing: Standing,
    nonce: Nonce,
    /// `None` when the store does not answer, and the provider's key alone protects what is done.
    ours: Option<Ours>,
    end: LeaseEnd,
}

impl Lease {
    /// `asked` is from before the claim was asked for, so that the lease is never thought longer than it is.
    pub(super) fn new(place: &Place, standing: Standing, nonce: Nonce, ours: Option<Ours>, asked: Asked) -> Self {
        let end = LeaseEnd { length: place.engine.lease, asked: Arc::new(Mutex::new(Some(asked))) };
        // Asked for a second time, a claim bears another one.
        let nonce = ours.as_ref().map_or(nonce, |ours| ours.record.nonce);
        Self { place: place.clone(), standing, nonce, ours, end }
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    pub(super) fn end(&self) -> LeaseEnd {
        self.end.clone()
    }

    pub(super) fn has_claim(&self) -> bool {
        self.ours.is_some()
    }

    /// Goes through the work, and renews the lease meanwhile if that is asked for.
    pub(super) async fn during<T>(&mut self, phase: Phase, work: impl Future<Output = T>) -> T {
        if !self.place.engine.renew_lease || self.ours.is_none() {
            return work.await;
        }
        let pace = renewal_pace(self.place.engine.lease);
        let renewing = async {
            loop {
                sleep(pace).await;
                if !self.renew(&phase).await {
                    return pending().await;
                }
            }
        };
        while_renewing(work, renewing).await
    }

    /// Writes the claim anew, with the time that has passed since the first sending. False when it is no longer ours.
    async fn renew(&mut self, phase: &Phase) -> bool {
        let asked = Asked::now();
        let renewed = match self.entry(phase) {
            Ok(entry) => self.swap(entry).await,
            Err(error) => Err(error),
        };
        match renewed {
            Ok(Some(ours)) => {
                self.ours = Some(ours);
                self.end.set(Some(asked));
                true
            }
            Ok(None) => {
                self.end.set(None);
                false
            }
            // It may pass until the next time; until then the lease runs on.
            Err(_) => true,
        }
    }

    /// Replaces the claim by another writing of it, if it is still ours.
    async fn swap(&self, entry: Entry) -> Result<Option<Ours>, LedgerError> {
        let Some(ours) = &self.ours else { return Ok(None) };
        Ok(match self.place.engine.effects.settle(&self.place.key, ours, entry).await? {
            Replaced::Ours(ours) => Some(ours),
            Replaced::Lost(_) => None,
        })
    }

    /// Writes what came of it. A result that is too large for a record is left out of it.
    pub(super) async fn settle(self, mut phase: Phase) -> Recorded {
        let mut written = self.write(&phase).await;
        if matches!((&written, &phase), (Err(LedgerError::TooLarge { .. }), Phase::Done(_))) {
            phase = Phase::Done(Kept::Nothing);
            written = self.write(&phase).await;
        }
        let telemetry = &self.place.engine.telemetry;
        match written {
            Ok(Written::Stands) => Recorded::Yes,
            Ok(Written::OverAnothers) => Recorded::OverAnothers,
            Ok(Written::Lost) if self.ours.is_some() => {
                telemetry.operation_lost(self.place.operation.name());
                Recorded::Lost
            }
            Ok(Written::Lost) => {
                self.later(phase);
                Recorded::StoreDown
            }
            Err(error) => {
                telemetry.store_failed(&error);
                self.later(phase);
                Recorded::StoreDown
            }
        }
    }

    /// Gives the operation back, since nothing of this round was executed. A claim of which nobody knows whether it was
    /// made is seen to later.
    pub(super) async fn give_back(mut self) {
        self.standing.protected = None;
        let (place, may_be_listed) = (self.place.clone(), self.may_be_listed());
        match self.write(&Phase::Free).await {
            Ok(Written::OverAnothers) => unlist(&place).await,
            Ok(Written::Stands) if may_be_listed => unlist(&place).await,
            Ok(Written::Lost) if self.ours.is_none() => self.later(Phase::Free),
            Ok(_) => {}
            Err(error) => {
                self.place.engine.telemetry.store_failed(&error);
                self.later(Phase::Free);
            }
        }
    }

    /// A first round that was not executed leaves nothing worth a record.
    fn leaves_nothing(&self, phase: &Phase) -> bool {
        *phase == Phase::Free && self.standing.round == 0
    }

    fn entry(&self, phase: &Phase) -> Result<Entry, LedgerError> {
        let payload = self.place.payload(&self.standing, phase.clone());
        self.place.entry(self.nonce, &payload)
    }

    async fn write(&self, phase: &Phase) -> Result<Written, LedgerError> {
        let Some(ours) = &self.ours else { return Ok(Written::Lost) };
        if !self.leaves_nothing(phase) {
            return self.conclude(ours, phase).await;
        }
        let is_released = self.place.engine.effects.release(&self.place.key, ours).await?;
        Ok(if is_released { Written::Stands } else { Written::Lost })
    }

    /// Writes a last word in the place of our claim, or of what others made of it when they found its lease over, who could
    /// not know.
    async fn conclude(&self, ours: &Ours, phase: &Phase) -> Result<Written, LedgerError> {
        let (ledger, key) = (&self.place.engine.effects, &self.place.key);
        let mut replaced = ledger.settle(key, ours, self.entry(phase)?).await?;
        let mut written = Written::Stands;
        for _ in 0..MOST_ROUNDS {
            match replaced {
                Replaced::Ours(_) => return Ok(written),
                Replaced::Lost(Some(held)) if self.may_follow(&held, phase)? => {
                    replaced = ledger.take_over(key, &held, self.entry(phase)?).await?;
                    written = Written::OverAnothers;
                }
                Replaced::Lost(other) => {
                    self.tell_contradiction(other.as_ref(), phase);
                    return Ok(Written::Lost);
                }
            }
        }
        Err(LedgerError::Contended)
    }

    /// Whether a last word may be written over a record that is not our claim.
    ///
    /// That it was executed is true whatever others have begun in the same round, a reconciliation included: theirs then
    /// loses, and takes the result. Anything less is said of our own sending alone, and so only over a mark of it. A round
    /// that was declared not executed is over, whatever is known of it.
    fn may_follow(&self, held: &Held, phase: &Phase) -> Result<bool, LedgerError> {
        let payload = Payload::read(held)?;
        let is_open = matches!(payload.phase, Phase::UnderWay | Phase::Reconciling | Phase::Indeterminate);
        let is_same = payload.is_about(&self.place.fingerprint) && payload.round == self.standing.round;
        let is_executed = matches!(phase, Phase::Done(_)) && self.place.is_write();
        Ok(is_open && is_same && (is_executed || held.is_mark_of(self.nonce)))
    }

    /// Says loudly that a round was executed which was declared not executed.
    fn tell_contradiction(&self, found: Option<&Held>, phase: &Phase) {
        let round = found.and_then(|held| Payload::read(held).ok()).map(|payload| payload.round);
        if matches!(phase, Phase::Done(_)) && round.is_some_and(|round| round > self.standing.round) {
            self.place.engine.telemetry.contradicted(self.place.operation.name(), &self.place.digest);
        }
    }

    /// Whether other processes may have found the lease over, and put the operation on the list.
    fn may_be_listed(&self) -> bool {
        self.place.is_write() && (self.standing.in_doubt || self.end.is_over())
    }

    /// Tries for a while to write what could not be written, for whoever comes next. A read costs no more than another one.
    fn later(self, phase: Phase) {
        if !self.place.is_write() {
            return;
        }
        let holds = if matches!(phase, Phase::Done(_)) { Holds::Record } else { Holds::Claim };
        tokio::spawn(async move {
            let may_be_listed = AtomicBool::new(self.standing.in_doubt);
            later(holds, || self.write_late(&phase, &may_be_listed)).await;
        });
    }

    /// Writes it in the place of our claim, whether or not that was known to be there; and what came of an operation that
    /// was executed without a claim, if nobody else's is there.
    async fn write_late(&self, phase: &Phase, may_be_listed: &AtomicBool) -> Result<(), LedgerError> {
        let (ledger, key) = (&self.place.engine.effects, &self.place.key);
        if self.leaves_nothing(phase) {
            let is_ours = |held: &Held| {
                let is_ours = held.is_of(self.nonce);
                may_be_listed.fetch_or(is_ours && !held.is_claim_of(self.nonce), Relaxed);
                is_ours
            };
            let withdrawn = ledger.withdraw(key, is_ours).await;
            if may_be_listed.load(Relaxed) {
                self.place.index().remove(&self.place.digest).await?;
            }
            return withdrawn;
        }
        match ledger.claim(key, self.entry(phase)?).await? {
            Claimed::Ours(_) => {}
            Claimed::Held(held) if held.is_claim_of(self.nonce) || self.may_follow(&held, phase)? => {
                may_be_listed.fetch_or(!held.is_claim_of(self.nonce), Relaxed);
                let replaced = ledger.take_over(key, &held, self.entry(phase)?).await?;
                if matches!(replaced, Replaced::Lost(_)) {
                    return Err(LedgerError::Contended);
                }
            }
            // It was written before, and the list was not.
            Claimed::Held(held) if held.record.nonce == self.nonce => {}
            Claimed::Held(held) => {
                self.tell_contradiction(Some(&held), phase);
                return Ok(());
            }
        }
        match phase {
            Phase::Indeterminate => self.place.index().add(&self.place).await,
            _ if may_be_listed.load(Relaxed) => self.place.index().remove(&self.place.digest).await.map(|_| ()),
            _ => Ok(()),
        }
    }
}
