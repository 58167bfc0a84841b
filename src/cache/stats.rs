//! What a cache did, as numbers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use crate::spread::PerThread;

/// What a cache did since it was built, by space. A snapshot: the numbers may be a few calls apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CacheStats {
    /// The spaces that were opened, by name.
    pub spaces: BTreeMap<&'static str, SpaceStats>,
}

/// What is counted: a variant for the code that counts, a field for who reads it.
macro_rules! counts {
    ($($(#[doc = $what:literal])+ $count:ident => $field:ident,)+) => {
        /// What a call of a space came to, and what it took.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Count {
            $($(#[doc = $what])+ $count,)+
        }

        /// How many counters that is.
        const COUNTS: usize = [$(Count::$count),+].len();

        /// What the calls of one space came to. Each call that asks for a value is one of `memory_hits`, `store_hits`, `coalesced`
        /// and `misses`; the other numbers say more about them.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
        #[non_exhaustive]
        pub struct SpaceStats {
            $($(#[doc = $what])+ pub $field: u64,)+
            /// Bytes of this process's memory that copies take: each value as it is encoded, 320 for its place, and 32 for its key
            /// and for each tag.
            pub memory_bytes: u64,
        }

        impl Counts {
            /// The numbers, and the bytes in memory beside them.
            pub(super) fn snapshot(&self, memory_bytes: u64) -> SpaceStats {
                SpaceStats { $($field: self.sum(Count::$count),)+ memory_bytes }
            }
        }
    };
}

counts! {
    /// Calls answered from this process's memory.
    MemoryHit => memory_hits,
    /// Calls answered from the store.
    StoreHit => store_hits,
    /// Calls answered by another call of this process that was under way.
    Coalesced => coalesced,
    /// Calls that found nothing they could answer with at once.
    Miss => misses,
    /// Calls to a loader.
    Load => loads,
    /// Calls that waited for another process, which was loading the same.
    Waited => waited,
    /// Calls answered with a value past its lifetime.
    Stale => stale,
    /// Calls that ended with an error.
    Failed => failed,
    /// Values that were answered with, and not stored.
    NotStored => not_stored,
}

impl SpaceStats {
    /// The share of calls answered from memory or from the store, from 0 to 1; 0 before the first.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "a share needs no more than 52 bits")]
    pub fn hit_rate(&self) -> f64 {
        let hits = self.memory_hits.saturating_add(self.store_hits);
        let all = hits.saturating_add(self.coalesced).saturating_add(self.misses);
        if all == 0 { 0.0 } else { hits as f64 / all as f64 }
    }
}

/// The counters of one space. Threads count apart, so that hits on several cores do not wait for each other.
#[derive(Debug, Default)]
pub(super) struct Counts(PerThread<[AtomicU64; COUNTS]>);

impl Counts {
    #[inline]
    pub(super) fn add(&self, what: Count) {
        if let Some(counter) = self.0.own().and_then(|counters| counters.get(what as usize)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn sum(&self, what: Count) -> u64 {
        let counters = self.0.all().filter_map(|counters| counters.get(what as usize));
        counters.fold(0, |sum, counter| sum.wrapping_add(counter.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_threads_count_apart_is_one_sum() {
        let counts = Counts::default();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..100).for_each(|_| counts.add(Count::MemoryHit)));
            }
        });
        counts.add(Count::Miss);
        counts.add(Count::NotStored);
        let stats = counts.snapshot(7);
        let shown = SpaceStats { memory_hits: 800, misses: 1, not_stored: 1, memory_bytes: 7, ..SpaceStats::default() };
        assert_eq!(stats, shown);
    }

    #[test]
    fn the_hit_rate_is_the_share_of_calls_that_neither_loaded_nor_waited() {
        let stats = |memory_hits, store_hits, coalesced, misses| SpaceStats {
            memory_hits,
            store_hits,
            coalesced,
            misses,
            loads: 9,
            stale: 9,
            ..SpaceStats::default()
        };
        let rates =
            [stats(0, 0, 0, 0), stats(1, 1, 1, 1), stats(3, 0, 0, 1), stats(0, 0, 1, 0)].map(|stats| stats.hit_rate());
        assert_eq!(rates.map(|rate| format!("{rate}")), ["0", "0.5", "0.75", "0"]);
    }
}
