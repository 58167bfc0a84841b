//! The values of a space in this process's memory, bounded in bytes.
//!
//! A hit takes one lock, which hits share, and allocates nothing. What was marked since its load began is never given; how old
//! a copy may be is for the caller to judge.

use std::hash::{Hash, RandomState};
use std::sync::Arc;

use quick_cache::sync::Cache as QuickCache;
use quick_cache::{Lifecycle, OptionsBuilder, Weighter};
use tokio::time::Instant;

use super::marks::{Mark, Marks};
use super::value::Value;
use crate::spread::CORES;

/// What a copy takes beside its encoded value and what it hangs on: its share of the tables, the value's own fields, its key.
const COPY_BYTES: u64 = 320;

/// How large a copy is thought to be: it decides how many keys are remembered that had to make room.
const TYPICAL_COPY: u64 = 512;

/// So many shards for each core, so that two calls seldom meet.
const SHARDS_PER_CORE: u64 = 4;

/// A smaller shard could not hold the larger values, and would evict long before the whole is full.
const MIN_SHARD_BYTES: u64 = 256 * 1024;

/// The copies of one space.
pub(super) struct Memory<K, V> {
    copies: QuickCache<K, Slot<V>, ByBytes, RandomState, DropLater>,
    marks: Arc<Marks>,
}

/// A value, and when it was last known to be what the store holds.
pub(super) struct MemoryCopy<V> {
    pub(super) value: Arc<Value<V>>,
    /// When the older of the readings that showed it was sent: of its record, or of the generations of its tags.
    pub(super) checked: Instant,
    /// For so many milliseconds from then it is fresh and checked: nothing of the value has to be read to know that.
    pub(super) good_for: u32,
}

/// A copy beside its key, so that a hit reads nothing of the value but its counter, while nothing is marked.
struct Slot<V> {
    copy: MemoryCopy<V>,
    /// The newest mark when it was taken in, which nothing up to there hits.
    seen: Mark,
}

impl<K: Clone + Eq + Hash + Send + Sync + 'static, V: Send + Sync + 'static> Memory<K, V> {
    /// Of so many bytes at most.
    pub(super) fn new(bytes: u64, marks: Arc<Marks>) -> Self {
        let cores = u64::try_from(*CORES).unwrap_or(1);
        let shards = cores.saturating_mul(SHARDS_PER_CORE).min(bytes / MIN_SHARD_BYTES).max(1);
        // Down to a power of two, to which the cache would round it up.
        let shards = 1_usize << shards.ilog2();
        let typical = usize::try_from(bytes / TYPICAL_COPY).unwrap_or(usize::MAX);
        let options =
            OptionsBuilder::new().shards(shards).estimated_items_capacity(typical).weight_capacity(bytes).build();
        let copies = match options {
            Ok(options) => QuickCache::with_options(options, ByBytes, RandomState::new(), DropLater),
            Err(_) => QuickCache::with(typical, bytes, ByBytes, RandomState::new(), DropLater),
        };
        Self { copies, marks }
    }
}

impl<K: Clone + Eq + Hash, V> Memory<K, V> {
    /// The copy, unless it was marked since its load began.
    #[inline]
    pub(super) fn get(&self, key: &K) -> Option<MemoryCopy<V>> {
        let Slot { copy, seen } = self.copies.get(key)?;
        if seen != self.marks.now() && self.is_marked(&copy) {
            // Another one may have taken its place meanwhile.
            self.copies.remove_if(key, |kept| Arc::ptr_eq(&kept.copy.value, &copy.value));
            return None;
        }
        Some(copy)
    }

    /// Takes a copy in, unless it is marked already. The caller sees to it that it is no older than the one that is there.
    pub(super) fn insert(&self, key: &K, copy: MemoryCopy<V>) {
        let seen = self.marks.now();
        if !self.is_marked(&copy) {
            self.copies.insert(key.clone(), Slot { copy, seen });
        }
    }

    pub(super) fn remove(&self, key: &K) {
        self.copies.remove(key);
    }

    /// Makes do with so many bytes, of those that it was made with.
    pub(super) fn resize(&self, bytes: u64) {
        // Each shard would be rounded up.
        let shards = u64::try_from(self.copies.num_shards()).unwrap_or(1);
        self.copies.set_capacity(bytes.saturating_sub(bytes.checked_rem(shards).unwrap_or(0)));
    }

    /// The bytes that the copies count for.
    pub(super) fn bytes(&self) -> u64 {
        self.copies.weight()
    }

    fn is_marked(&self, copy: &MemoryCopy<V>) -> bool {
        self.marks.is_marked(&copy.value.since, &copy.value.subjects)
    }
}

impl<V> Clone for MemoryCopy<V> {
    fn clone(&self) -> Self {
        Self { value: Arc::clone(&self.value), ..*self }
    }
}

impl<V> Clone for Slot<V> {
    fn clone(&self) -> Self {
        Self { copy: self.copy.clone(), ..*self }
    }
}

/// The bytes of a copy: its encoded value, what it hangs on, and all that is about the same for each.
#[derive(Clone, Debug)]
struct ByBytes;

impl<K, V> Weighter<K, Slot<V>> for ByBytes {
    fn weight(&self, _: &K, Slot { copy, .. }: &Slot<V>) -> u64 {
        let own = copy.value.bytes.saturating_add(size_of_val(&*copy.value.subjects));
        u64::try_from(own).unwrap_or(u64::MAX).saturating_add(COPY_BYTES)
    }
}

/// Keys and values that had to make room are dropped past the lock: how long that takes is the caller's code.
#[derive(Clone, Debug)]
struct DropLater;

impl<K, V> Lifecycle<K, Slot<V>> for DropLater {
    type RequestState = Vec<(K, Slot<V>)>;

    fn on_evict(&self, evicted: &mut Self::RequestState, key: K, slot: Slot<V>) {
        evicted.push((key, slot));
    }
}

#[cfg(test)]
mod tests;
