//! One shard's slots: what stands in each, which is evicted, and when the table is made anew.

use std::time::Duration;

use hashbrown::HashTable;

use crate::intent::fingerprint::Fingerprint;
use crate::intent::payment_intent::{PaymentId, position_of};

use super::until::Until;

/// Slots that are looked at to find one to evict. Of eight random ones the oldest is nearly always of the oldest quarter.
const EVICTION_SAMPLE: usize = 8;

#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) slots: HashTable<Slot>,
    /// In which session of a line to the store, or between which, the slots were filled.
    pub(super) session: u64,
    /// Counted here, under a lock that is held anyway.
    pub(super) valid_hits: u64,
}

/// Exactly one cache line, which is all that a hit reads of it.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Slot {
    /// The last claims that were found valid on these facts.
    pub(super) proven: Fingerprint,
    /// In nanoseconds, by the cache's clock.
    pub(super) answered_at: u64,
    pub(super) until: Until,
    /// A [`SlotRecord`], serialized: a third of the size of the facts, and one allocation.
    pub(super) record: Box<[u8]>,
}

/// Number of the answer, whether it lasts, the facts. In this order, since the facts start with the id.
pub(super) type SlotRecord<F> = (u32, bool, F);

/// A record as far as the id, which needs no look at its characters.
type Head<'r> = SlotRecord<&'r [u8]>;

pub(super) fn head(record: &[u8]) -> Option<Head<'_>> {
    postcard::take_from_bytes(record).ok().map(|(head, _)| head)
}

impl Table {
    /// Begins a session, or the time between two, without the slots of the one before: these are to be dropped once the lock is
    /// released, since thousands of them take a while.
    #[cold]
    #[must_use]
    pub(super) fn begin(&mut self, session: u64) -> HashTable<Slot> {
        #[cfg(test)]
        if super::promise::is_without(super::promise::Protection::ShardsNumber) {
            self.session = session;
            return HashTable::new();
        }
        self.session = session;
        std::mem::take(&mut self.slots)
    }

    /// Removes one slot: an expired one of a small sample, or else its oldest.
    pub(super) fn evict(&mut self, random: u64, now: u64) {
        let buckets = self.slots.num_buckets();
        let start = usize::try_from(random).unwrap_or_default();
        // Every bucket may have to be looked at, when nearly all are empty; a full table has few empty ones.
        let victim = (0..buckets)
            .map(|step| start.wrapping_add(step).checked_rem(buckets).unwrap_or_default())
            .filter_map(|bucket| Some((bucket, self.slots.get_bucket(bucket)?)))
            .take(EVICTION_SAMPLE)
            .min_by_key(|(_, slot)| if slot.is_worthless(now) { 0 } else { slot.answered_at });
        if let Some((bucket, _)) = victim
            && let Ok(entry) = self.slots.get_bucket_entry(bucket)
        {
            entry.remove();
        }
    }

    /// Makes the table anew where buckets of evicted slots take up what is left of it: it would double at the next slot.
    pub(super) fn make_room(&mut self) {
        let len = self.slots.len();
        if self.slots.capacity() > len {
            return;
        }
        let room = len.saturating_add(len / 8);
        let old = std::mem::replace(&mut self.slots, HashTable::with_capacity(room));
        for slot in old {
            self.slots.insert_unique(slot.position(), slot, Slot::position);
        }
    }
}

impl Slot {
    pub(super) fn age(&self, now: u64) -> Duration {
        Duration::from_nanos(now.saturating_sub(self.answered_at))
    }

    fn head(&self) -> Option<Head<'_>> {
        head(&self.record)
    }

    pub(super) fn is_about(&self, payment: &PaymentId) -> bool {
        self.head().is_some_and(|(_, _, id)| id == payment.as_str().as_bytes())
    }

    pub(super) fn answer(&self) -> Option<u32> {
        self.head().map(|(answer, ..)| answer)
    }

    fn is_worthless(&self, now: u64) -> bool {
        !self.until.is_after(now) && self.head().is_none_or(|(_, lasting, _)| !lasting)
    }

    pub(super) fn position(&self) -> u64 {
        #[cfg(test)]
        super::tests::MOVED.set(super::tests::MOVED.get().saturating_add(1));
        self.head().map_or(0, |(_, _, id)| position_of(id))
    }
}
