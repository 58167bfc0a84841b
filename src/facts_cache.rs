//! Recent facts in memory, bounded, and the quick answer to a claim that was proven before.
//!
//! A slot holds the digest of the last claims that the judge found valid *inline*, so that a repeated validation of a paid
//! intent follows no pointer, runs no judge and allocates nothing. That is sound because the judge is pure and its rules
//! never change: the same claims on the same facts are valid until the facts' own time runs out.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use tokio::time::Instant;

use crate::deadline::is_recent;
use crate::facts::ProviderPayment;
use crate::fingerprint::Fingerprint;
use crate::intent::{PaymentId, position_of};
use crate::verdict::Capture;

/// More shards than cores, so that two calls seldom meet; a power of two, so that a shift finds one.
const MAX_SHARDS: usize = 64;

/// A shard smaller than this would evict long before the whole is full.
const MIN_SHARD_CAPACITY: usize = 256;

/// How many slots are looked at to find one to evict. Of eight random ones the oldest is nearly always among the oldest
/// quarter.
const EVICTION_SAMPLE: usize = 8;

/// Facts up to this size are serialised on the stack, so that they cost one allocation of the right size.
const TYPICAL_FACTS: usize = 512;

/// The facts in memory, by payment.
#[derive(Debug)]
pub(crate) struct FactsCache {
    shards: Box<[Shard]>,
    shard_capacity: usize,
    epoch: Instant,
    answers: AtomicU32,
}

// Two shards on one cache line would slow each other down.
#[derive(Debug)]
#[repr(align(128))]
struct Shard(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    slots: HashTable<Slot>,
    /// Counted here, under a lock that is held anyway.
    valid_hits: u64,
}

#[derive(Debug)]
struct Slot {
    /// The last claims that were found valid on these facts.
    proven: Fingerprint,
    /// Nanoseconds after the epoch.
    answered_at: u64,
    /// Nanoseconds after the epoch; served without asking before that.
    fresh_until: u64,
    /// The facts, serialised: a third of the size, and one allocation.
    facts: Box<[u8]>,
    /// Tells this answer from others of the same instant.
    answer: u32,
    capture: Capture,
    /// Kept past `fresh_until`, for times when the provider is down.
    lasting: bool,
}

/// When the provider answered, and which of its answers it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) at: Instant,
    answer: u32,
}

/// Facts and when the provider stated them.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) facts: ProviderPayment,
    pub(crate) stamp: Stamp,
    pub(crate) fresh: bool,
}

/// What the provider answered, on its way into memory.
#[derive(Debug)]
pub(crate) struct NewFacts<'f> {
    pub(crate) facts: &'f ProviderPayment,
    pub(crate) stamp: Stamp,
    pub(crate) fresh_for: Duration,
    pub(crate) lasting: bool,
    pub(crate) capture: Capture,
}

impl FactsCache {
    /// Keeps at most `capacity` payments; none if that is zero.
    pub(crate) fn new(capacity: usize) -> Self {
        let shards = (capacity / MIN_SHARD_CAPACITY).next_power_of_two().clamp(1, MAX_SHARDS);
        Self {
            shards: (0..shards).map(|_| Shard(Mutex::default())).collect(),
            shard_capacity: capacity.checked_div(shards).unwrap_or(capacity),
            epoch: Instant::now(),
            answers: AtomicU32::new(0),
        }
    }

    /// Stamps an answer that has just come in.
    pub(crate) fn stamp(&self) -> Stamp {
        Stamp { at: Instant::now(), answer: self.answers.fetch_add(1, Ordering::Relaxed) }
    }

    /// Whether exactly these claims were found valid on facts that are still fresh, and no older than `max_age`.
    pub(crate) fn proven(
        &self,
        position: u64,
        claims: &Fingerprint,
        now: Instant,
        max_age: Duration,
    ) -> Option<(Instant, Capture)> {
        let now = self.nanos(now);
        let mut table = self.table(position)?;
        // Claims include the payment's id, so equal claims mean the same payment.
        let slot = table.slots.find(position, |slot| slot.proven == *claims)?;
        let age = Duration::from_nanos(now.saturating_sub(slot.answered_at));
        if now >= slot.fresh_until || !is_recent(age, max_age) {
            return None;
        }
        let (answered_at, capture) = (slot.answered_at, slot.capture);
        table.valid_hits = table.valid_hits.wrapping_add(1);
        drop(table);
        Some((self.instant(answered_at), capture))
    }

    /// The facts of a payment, if they are in memory and no older than `retention`.
    pub(crate) fn get(&self, position: u64, payment: &PaymentId, now: Instant, retention: Duration) -> Option<Kept> {
        let now = self.nanos(now);
        let (bytes, stamp, fresh) = {
            let table = self.table(position)?;
            let slot = table.slots.find(position, |slot| slot.is_about(payment))?;
            if slot.is_over(now, retention) {
                return None;
            }
            let stamp = Stamp { at: self.instant(slot.answered_at), answer: slot.answer };
            (slot.facts.clone(), stamp, now < slot.fresh_until)
        };
        let facts = postcard::from_bytes(&bytes).ok()?;
        Some(Kept { facts, stamp, fresh })
    }

    /// Takes facts into memory, in place of older ones. At the capacity an expired or old payment makes way.
    pub(crate) fn keep(&self, position: u64, payment: &PaymentId, new: &NewFacts<'_>) {
        let mut buffer = [0; TYPICAL_FACTS];
        let facts = match postcard::to_slice(new.facts, &mut buffer) {
            Ok(bytes) => Box::from(&*bytes),
            Err(_) => match postcard::to_allocvec(new.facts) {
                Ok(bytes) => bytes.into(),
                Err(_) => return,
            },
        };
        let answered_at = self.nanos(new.stamp.at);
        let life = u64::try_from(new.fresh_for.as_nanos()).unwrap_or(u64::MAX);
        let slot = Slot {
            proven: Fingerprint::NONE,
            answered_at,
            fresh_until: answered_at.saturating_add(life),
            facts,
            answer: new.stamp.answer,
            capture: new.capture,
            lasting: new.lasting,
        };
        let Some(mut table) = self.table(position) else { return };
        let table = &mut *table;
        if let Some(older) = table.slots.find_mut(position, |slot| slot.is_about(payment)) {
            *older = slot;
            return;
        }
        if table.slots.len() >= self.shard_capacity {
            table.evict(position, answered_at);
        }
        table.slots.insert_unique(position, slot, Slot::position);
    }

    /// Notes that these claims were found valid on the facts of this answer.
    pub(crate) fn prove(&self, position: u64, payment: &PaymentId, claims: Fingerprint, stamp: Stamp) {
        let Some(mut table) = self.table(position) else { return };
        if let Some(slot) = table.slots.find_mut(position, |slot| slot.is_about(payment)) {
            // Other facts may have come in between, and say otherwise.
            if slot.answer == stamp.answer && slot.answered_at == self.nanos(stamp.at) {
                slot.proven = claims;
            }
        }
    }

    /// Drops the facts of a payment.
    pub(crate) fn forget(&self, position: u64, payment: &PaymentId) {
        let Some(mut table) = self.table(position) else { return };
        if let Entry::Occupied(entry) = table.slots.entry(position, |slot| slot.is_about(payment), Slot::position) {
            entry.remove();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().slots.len()).sum()
    }

    pub(crate) fn valid_hits(&self) -> u64 {
        self.shards.iter().fold(0, |sum, shard| shard.lock().valid_hits.wrapping_add(sum))
    }

    fn table(&self, position: u64) -> Option<MutexGuard<'_, Table>> {
        if self.shard_capacity == 0 {
            return None;
        }
        // The table itself uses the lowest and the highest bits.
        let shard = usize::try_from(position >> 32).unwrap_or_default() & self.shards.len().wrapping_sub(1);
        Some(self.shards.get(shard)?.lock())
    }

    fn nanos(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.epoch).as_nanos()).unwrap_or(u64::MAX)
    }

    fn instant(&self, nanos: u64) -> Instant {
        self.epoch.checked_add(Duration::from_nanos(nanos)).unwrap_or(self.epoch)
    }
}

impl Shard {
    fn lock(&self) -> MutexGuard<'_, Table> {
        // No foreign code runs under this lock, so a poisoned one is whole all the same.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Removes one slot: an expired one of a small sample, or else its oldest.
    fn evict(&mut self, random: u64, now: u64) {
        let buckets = self.slots.num_buckets();
        let start = usize::try_from(random).unwrap_or_default();
        // Every bucket may have to be looked at, when nearly all are empty; a full table has few empty ones.
        let victim = (0..buckets)
            .map(|step| start.wrapping_add(step).checked_rem(buckets).unwrap_or_default())
            .filter_map(|bucket| Some((bucket, self.slots.get_bucket(bucket)?)))
            .take(EVICTION_SAMPLE)
            .min_by_key(|(_, slot)| if slot.fresh_until <= now && !slot.lasting { 0 } else { slot.answered_at });
        if let Some((bucket, _)) = victim
            && let Ok(entry) = self.slots.get_bucket_entry(bucket)
        {
            entry.remove();
        }
    }
}

impl Slot {
    fn is_about(&self, payment: &PaymentId) -> bool {
        self.id() == payment.as_str()
    }

    fn id(&self) -> &str {
        // The id is what the facts start with.
        postcard::take_from_bytes::<&str>(&self.facts).map_or("", |(id, _)| id)
    }

    fn position(&self) -> u64 {
        position_of(self.id())
    }

    fn is_over(&self, now: u64, retention: Duration) -> bool {
        let age = Duration::from_nanos(now.saturating_sub(self.answered_at));
        if self.lasting { age >= retention } else { now >= self.fresh_until }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::PaymentStatus;

    fn paid(id: &str) -> (PaymentId, u64, ProviderPayment) {
        let payment = PaymentId::parse(id).unwrap();
        let position = position_of(id);
        (payment, position, ProviderPayment::new(id, PaymentStatus::Paid))
    }

    fn keep(cache: &FactsCache, id: &str, at: Instant, fresh_for: Duration) -> Stamp {
        let (payment, position, facts) = paid(id);
        let stamp = Stamp { at, ..cache.stamp() };
        let fresh = NewFacts { facts: &facts, stamp, fresh_for, lasting: true, capture: Capture::Captured };
        cache.keep(position, &payment, &fresh);
        stamp
    }

    const HOUR: Duration = Duration::from_secs(60 * 60);

    #[test]
    fn the_bound_holds_and_the_newest_stay() {
        let cache = FactsCache::new(100);
        let start = Instant::now();
        for at in 0..1000_u32 {
            keep(&cache, &format!("pi_{at}"), start + Duration::from_secs(at.into()), HOUR);
        }
        assert_eq!(cache.len(), 100);
        let (payment, position, _) = paid("pi_999");
        assert!(cache.get(position, &payment, start + Duration::from_secs(1000), HOUR).is_some());
    }

    #[test]
    fn a_proof_ends_with_its_facts() {
        let cache = FactsCache::new(100);
        let (now, claims) = (Instant::now(), Fingerprint::of("t", [None]));
        let (payment, position, _) = paid("pi_1");
        let stamp = keep(&cache, "pi_1", now, HOUR);
        let proven = |at, max_age| cache.proven(position, &claims, at, max_age).is_some();
        assert!(!proven(now, HOUR));
        cache.prove(position, &payment, claims, stamp);
        assert!(proven(now, HOUR));
        assert!(!proven(now, Duration::ZERO), "zero always asks");
        assert!(proven(now + Duration::from_secs(59 * 60), HOUR));
        assert!(!proven(now + HOUR, HOUR * 2), "no longer fresh");
        assert!(!proven(now + Duration::from_secs(2), Duration::from_secs(1)), "older than asked for");
        keep(&cache, "pi_1", now + Duration::from_secs(1), HOUR);
        assert!(!proven(now + Duration::from_secs(1), HOUR), "newer facts");
    }

    #[test]
    fn a_verdict_on_older_facts_proves_nothing_about_newer_ones() {
        let cache = FactsCache::new(100);
        let (now, claims) = (Instant::now(), Fingerprint::of("t", [None]));
        let (payment, position, _) = paid("pi_1");
        let older = keep(&cache, "pi_1", now, HOUR);
        let newer = keep(&cache, "pi_1", now, HOUR);
        cache.prove(position, &payment, claims, older);
        assert!(cache.proven(position, &claims, now, HOUR).is_none(), "of the same instant");
        cache.prove(position, &payment, claims, newer);
        assert!(cache.proven(position, &claims, now, HOUR).is_some());
    }

    #[test]
    fn payments_at_the_same_position_are_told_apart() {
        let cache = FactsCache::new(100);
        let now = Instant::now();
        let (one, _, facts) = paid("pi_1");
        let fresh = NewFacts {
            facts: &facts,
            stamp: cache.stamp(),
            fresh_for: HOUR,
            lasting: true,
            capture: Capture::Captured,
        };
        cache.keep(42, &one, &fresh);
        let (two, _, _) = paid("pi_2");
        assert!(cache.get(42, &two, now, HOUR).is_none());
        assert_eq!(&*cache.get(42, &one, now, HOUR).unwrap().facts.id, "pi_1");
    }

    #[test]
    fn a_capacity_of_zero_keeps_nothing() {
        let cache = FactsCache::new(0);
        keep(&cache, "pi_1", Instant::now(), HOUR);
        assert_eq!(cache.len(), 0);
    }
}
