//! Many payments at once: what the store has of them is read together, and the rest is looked up one by one.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use crate::call::error::runtime;
use crate::intent::payment_intent::PaymentId;
use crate::lookup::error::ValidateError;
use crate::lookup::facts_flight::{Brought, Source};
use crate::lookup::shared_facts::SharedFacts;
use crate::store::extras::MOST_KEYS;

use super::Lookups;
use super::answer::answers;
use super::target::LookUpTarget;

/// Where the facts of a payment are known from, without a look-up of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recalled {
    InMemory,
    /// They were read in the store just now. Those that may change at any time are not taken into memory.
    Stored,
    Unknown,
}

impl Lookups {
    /// Reads what the store has of those of these payments that are not in memory, and takes it into memory. One round trip for
    /// a hundred.
    ///
    /// A payment that is forgotten while its hundred is read is not taken into memory, and is [`Unknown`](Recalled::Unknown);
    /// one that is forgotten later is dropped from it.
    pub(crate) async fn recall_many(&self, payments: &[PaymentId]) -> Vec<Recalled> {
        let now = Instant::now();
        let mut recalled: Vec<Recalled> = payments.iter().map(|payment| self.recall_here(payment, now)).collect();
        let Some(shared) = self.shared.as_ref().filter(|shared| !shared.memory_for.is_zero()) else { return recalled };
        // Nothing can be asked outside a runtime, as each validation says.
        if runtime().is_err() {
            return recalled;
        }
        for _ in 0..2 {
            let was_covering = self.cache.is_covering(Instant::now());
            self.recall_unknown(shared, payments, &mut recalled).await;
            let now = Instant::now();
            if was_covering || !self.cache.is_covering(now) {
                break;
            }
            // What was kept before the session of a line began, as at the start of a process, is gone.
            for (payment, recalled) in payments.iter().zip(&mut recalled) {
                if *recalled == Recalled::Stored && self.recall_here(payment, now) == Recalled::Unknown {
                    *recalled = Recalled::Unknown;
                }
            }
        }
        recalled
    }

    /// Reads by the hundred, and keeps each batch before the next is read: no session covers what was asked for before it began.
    async fn recall_unknown(&self, shared: &SharedFacts, payments: &[PaymentId], recalled: &mut [Recalled]) {
        let unknown = payments.iter().zip(recalled).filter(|(_, recalled)| **recalled == Recalled::Unknown);
        let mut unknown: Vec<(&PaymentId, &mut Recalled)> = unknown.collect();
        for batch in unknown.chunks_mut(MOST_KEYS) {
            if !self.recall_batch(shared, batch).await {
                break;
            }
        }
    }

    /// Whether the store answers.
    async fn recall_batch(&self, shared: &SharedFacts, unknown: &mut [(&PaymentId, &mut Recalled)]) -> bool {
        let forgotten = self.forgets.load(Ordering::SeqCst);
        let numbers: Vec<Option<u32>> = unknown.iter().map(|(payment, _)| self.cache.number(payment)).collect();
        let asked_for = unknown.iter().map(|(payment, _)| *payment);
        let Some(reads) = shared.standing(&self.rules, &self.cache, asked_for).await else { return false };
        for (((payment, recalled), number), found) in unknown.iter_mut().zip(numbers).zip(reads) {
            let Some(found) = found else { continue };
            let looked_up = self.looked_up_in_store(found, shared.memory_for);
            // Neither newer facts nor word that these are out of date may be passed over.
            **recalled = self.flights.between_outcomes(|| {
                if self.forgets.load(Ordering::SeqCst) != forgotten || self.cache.number(payment) != number {
                    return Recalled::Unknown;
                }
                let is_kept = self.cache.keep(payment, &looked_up.facts, looked_up.stamp, looked_up.keep);
                // It changed since, or the session began since: another read has it covered.
                let is_refused = looked_up.keep.uncovered.is_some() && self.cache.is_covering(Instant::now());
                if is_kept || !is_refused { Recalled::Stored } else { Recalled::Unknown }
            });
        }
        true
    }

    fn recall_here(&self, payment: &PaymentId, now: Instant) -> Recalled {
        let kept = self.cache.get(payment, now);
        let is_fresh = kept.is_some_and(|kept| kept.fresh && self.may_serve(&kept, Duration::MAX));
        if is_fresh { Recalled::InMemory } else { Recalled::Unknown }
    }

    /// Has a payment looked up as a validation would, without a claim about it, and says where its facts came from. Nothing
    /// where another call had it looked up meanwhile.
    pub(crate) async fn look_up(self: &Arc<Self>, payment: &PaymentId) -> Result<Option<Source>, ValidateError> {
        self.account.retrier.provider.check(payment)?;
        let (mut known, arrived) = (None, Instant::now());
        loop {
            let target = self.target(payment, &mut known, Duration::MAX);
            let (now, seen) = (Instant::now(), self.cache.number(target.id()));
            let max_age = target.oldest(Duration::MAX, now);
            let Some((waiter, provenance, limit)) = self.enter(target, "", now, max_age, None, seen)? else {
                match target {
                    LookUpTarget::Payment(..) => return Ok(None),
                    LookUpTarget::Alias(_) => continue,
                }
            };
            let flight = Arc::clone(waiter.flight());
            let outcome = flight.completed_within(limit).await;
            let brought = self.brought(payment, outcome, None)?;
            match brought {
                _ if !answers((&flight, provenance), brought, (target, Duration::MAX), arrived) => {}
                Brought::Facts(looked_up) => return Ok(Some(looked_up.source)),
                Brought::Alias(alias, _) => known = Some(Arc::clone(alias)),
            }
        }
    }
}
