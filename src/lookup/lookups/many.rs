//! Many payments at once: what the store has of them is read together, and the rest is looked up one by one.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use crate::call::error::runtime;
use crate::intent::payment_intent::PaymentId;
use crate::lookup::error::ValidateError;
use crate::lookup::facts_flight::{Brought, Source};

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
    /// A payment that is forgotten while the store is asked is not taken into memory: that was forgotten before this began, or
    /// is forgotten after it, or is [`Unknown`](Recalled::Unknown).
    pub(crate) async fn recall_many(&self, payments: &[PaymentId]) -> Vec<Recalled> {
        let now = Instant::now();
        let mut recalled: Vec<Recalled> = payments.iter().map(|payment| self.recall_here(payment, now)).collect();
        let Some(shared) = self.shared.as_ref().filter(|shared| !shared.memory_for.is_zero()) else { return recalled };
        // Nothing can be asked outside a runtime, as each validation says.
        if runtime().is_err() {
            return recalled;
        }
        let unknown = payments.iter().zip(&mut recalled).filter(|(_, recalled)| **recalled == Recalled::Unknown);
        let unknown: Vec<(&PaymentId, &mut Recalled)> = unknown.collect();
        let forgotten = self.forgets.load(Ordering::SeqCst);
        let numbers: Vec<Option<u32>> = unknown.iter().map(|(payment, _)| self.cache.number(payment)).collect();
        let reads = shared.standing(&self.rules, &self.cache, unknown.iter().map(|(payment, _)| *payment)).await;
        for (((payment, recalled), number), found) in unknown.into_iter().zip(numbers).zip(reads) {
            let Some(found) = found else { continue };
            let looked_up = self.looked_up_in_store(found, shared.memory_for);
            // Neither newer facts nor word that these are out of date may be passed over.
            *recalled = self.flights.between_outcomes(|| {
                if self.forgets.load(Ordering::SeqCst) != forgotten || self.cache.number(payment) != number {
                    return Recalled::Unknown;
                }
                self.cache.keep(payment, &looked_up.facts, looked_up.stamp, looked_up.keep);
                Recalled::Stored
            });
        }
        recalled
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
