//! The values of one space in one process: what memory answers, and how a flight is joined where it does not.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::accessors::partial_debug;
use crate::call::deadline::is_recent;
use crate::flight::{FlightKey, SingleFlight};
use crate::intent::fingerprint::Fingerprint;
use crate::ledger::{FAILED_FOR, Key};
use crate::telemetry::{cache_hit, cache_unreadable};

use super::backing::Backing;
use super::core::{AnyStock, Core};
use super::entry::time;
use super::error::CacheError;
use super::hit::{Hit, HitSource, StoreUse};
use super::key::{CacheKey, KeyParts};
use super::landed::{Landed, LoadNotes};
use super::memory::{Memory, MemoryCopy};
use super::space::Space;
use super::stats::{Count, Counts, SpaceStats};
use super::tag::Tags;
use super::value::{CacheValue, Fitness, Value};

/// The values of one space in one process.
pub(super) struct Stock<K, V> {
    pub(super) core: Arc<Core>,
    pub(super) space: Space<K, V>,
    pub(super) memory: Memory<K, V>,
    pub(super) flights: Arc<SingleFlight<Fingerprint, LoadNotes, Landed<V>>>,
    pub(super) counts: Counts,
    pub(super) loads: Semaphore,
    /// The space's own tag.
    pub(super) tag: Fingerprint,
    /// Whether it was said that a value of the space does not read back as it was written.
    has_told: AtomicBool,
    /// Whether it was said that the store holds something for the space that cannot be used.
    has_told_of_store: AtomicBool,
}

/// Where a value stands.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The key in every version of its space, for marks and flights.
    pub(super) digest: Fingerprint,
    /// All, the space, and the tags of the key.
    pub(super) tags: Vec<Fingerprint>,
}

impl Place {
    /// What a mark may hit of a value here that has these tags.
    pub(super) fn subjects(&self, tags: impl IntoIterator<Item = Fingerprint>) -> Box<[Fingerprint]> {
        std::iter::once(self.digest).chain(tags).collect()
    }
}

impl<K: CacheKey, V: CacheValue> Stock<K, V> {
    pub(super) fn new(core: &Arc<Core>, space: Space<K, V>, tag: Fingerprint) -> Arc<Self> {
        let bytes = u64::try_from(space.memory).unwrap_or(u64::MAX);
        // Waiting for another process, and then each of a few loaders.
        let longest = space.load_timeout.saturating_mul(4);
        Arc::new(Self {
            memory: Memory::new(bytes, Arc::clone(&core.marks)),
            flights: Arc::new(SingleFlight::new(Arc::clone(&core.permits), longest)),
            counts: Counts::default(),
            loads: Semaphore::new(space.max_loads.min(Semaphore::MAX_PERMITS)),
            has_told: AtomicBool::new(false),
            has_told_of_store: AtomicBool::new(false),
            core: Arc::clone(core),
            space,
            tag,
        })
    }

    /// Where the value of a key stands.
    pub(super) fn place(&self, key: &K) -> Result<Place, CacheError> {
        let (parts, mut own) = (KeyParts::of(key)?, Tags::default());
        key.tags(&mut own);
        let digest = Fingerprint::of("cache entry", [Some(self.space.name.as_bytes()), Some(parts.as_bytes())]);
        let mut tags = vec![self.core.all, self.tag];
        tags.extend(own.digests()?);
        Ok(Place { digest, tags })
    }

    /// The tags of a value, beside those of its key.
    pub(super) fn own_tags(&self, value: &V) -> Result<Vec<Fingerprint>, CacheError> {
        let mut own = Tags::default();
        if let Some(tagged) = self.space.tagged {
            tagged(value, &mut own);
        }
        own.digests()
    }

    /// The record at a place, in the space's own version.
    pub(super) fn entry_key(&self, backing: &Backing, place: &Place) -> Key {
        backing.entry_key(self.space.name, self.space.version, &place.digest)
    }

    /// Takes a value into memory that was checked then. The flights' lock is held, or no other flight may land.
    pub(super) fn remember(&self, key: &K, value: &Arc<Value<V>>, checked: Instant) {
        let due = self.space.due_after(value.fresh_for()).saturating_sub(value.loaded.age_at(checked));
        let good = if self.core.backing.is_some() { due.min(self.space.memory_for) } else { due };
        let good_for = u32::try_from(good.as_millis()).unwrap_or(u32::MAX);
        self.memory.insert(key, MemoryCopy { value: Arc::clone(value), checked, good_for });
    }

    /// What memory answers with at once; and whether the value is to be loaded anew behind the call.
    #[inline]
    pub(super) fn recall(&self, key: &K, max_age: Duration, now: Instant) -> Option<(Hit<V>, bool)> {
        let copy = self.memory.get(key)?;
        let since = now.saturating_duration_since(copy.checked);
        let fitness = if since < time(copy.good_for.into()) && max_age == Duration::MAX {
            Fitness::Fresh
        } else {
            self.fitness_in_memory(&copy, max_age, now)?
        };
        let store = if self.core.backing.is_some() { StoreUse::Kept } else { StoreUse::Unused };
        let (is_stale, is_due) = (fitness == Fitness::Stale, fitness != Fitness::Fresh);
        Some((Hit { value: copy.value, source: HitSource::Memory, store, is_stale }, is_due))
    }

    /// What a copy is good for, if it is served.
    fn fitness_in_memory(&self, copy: &MemoryCopy<V>, max_age: Duration, now: Instant) -> Option<Fitness> {
        let fitness = self.fitness_of(&copy.value, max_age, now);
        let is_good = matches!(fitness, Fitness::Fresh | Fitness::Due | Fitness::Stale);
        (is_good && self.is_checked(copy.checked, now)).then_some(fitness)
    }

    /// Whether a copy that was checked then is served from memory.
    fn is_checked(&self, at: Instant, now: Instant) -> bool {
        let (Some(backing), since) = (&self.core.backing, now.saturating_duration_since(at)) else { return true };
        since < self.space.memory_for || (since < self.space.unchecked_for && backing.is_down())
    }

    /// Counts a call that memory answered.
    #[inline]
    pub(super) fn recalled(&self, hit: &Hit<V>) {
        self.counts.add(Count::MemoryHit);
        if hit.is_stale {
            self.counts.add(Count::Stale);
        }
        cache_hit(self.space.name, if hit.is_stale { "stale" } else { "hit" }, || hit.age());
    }

    /// A value for want of a loader that brings one.
    pub(super) fn last_resort(&self, key: &K, max_age: Duration) -> Option<Arc<Value<V>>> {
        let now = Instant::now();
        let MemoryCopy { value, checked, .. } = self.memory.get(key)?;
        let is_served = self.is_last_resort(&value, max_age, now) && self.is_checked(checked, now);
        is_served.then_some(value)
    }

    pub(super) fn is_last_resort(&self, value: &Value<V>, max_age: Duration, now: Instant) -> bool {
        let age = value.loaded.age_at(now);
        let is_within = age < value.fresh_for().saturating_add(self.space.stale_if_error);
        is_within && !value.is_absent && is_recent(age, max_age)
    }

    pub(super) fn fitness_of(&self, value: &Value<V>, max_age: Duration, now: Instant) -> Fitness {
        let age = value.loaded.age_at(now);
        if is_recent(age, max_age) {
            self.space.fitness(age, value.fresh_for(), value.is_absent)
        } else {
            Fitness::Over
        }
    }

    /// Whether a value that is served is to be loaded anew.
    pub(super) fn is_due(&self, value: &Value<V>) -> bool {
        let fitness = self.fitness_of(value, Duration::MAX, Instant::now());
        matches!(fitness, Fitness::Due | Fitness::Stale)
    }

    /// Says once that values of the space cannot be stored.
    pub(super) fn does_not_read_back(&self) {
        if !self.has_told.swap(true, Relaxed) {
            cache_unreadable(self.space.name, &"a value does not read back as it was written");
        }
    }

    /// Says once that the store holds something for the space that cannot be used: what is damaged is so for each call.
    pub(super) fn cannot_use(&self, reason: &dyn fmt::Display) {
        if !self.has_told_of_store.swap(true, Relaxed) {
            cache_unreadable(self.space.name, reason);
        }
    }

    /// How long what was voided stays so: longer than a load that began before can take to come to its end.
    pub(super) fn tombstone(&self) -> Duration {
        let Some(backing) = &self.core.backing else { return FAILED_FOR };
        self.space.load_timeout.saturating_add(backing.lease.saturating_mul(2)).saturating_add(backing.sure.timeout)
    }

    /// How long a mark matters once the store confirmed: whatever was read or loaded before has come to its end by then.
    pub(super) fn settles_in(&self) -> Duration {
        self.tombstone().saturating_add(self.space.memory_for.max(self.space.unchecked_for))
    }
}

impl FlightKey for Fingerprint {
    fn position(&self) -> u64 {
        let first = self.as_bytes().first_chunk().copied();
        u64::from_le_bytes(first.unwrap_or_default())
    }
}

impl<K: CacheKey, V: CacheValue> AnyStock for Stock<K, V> {
    fn stats(&self) -> SpaceStats {
        self.counts.snapshot(self.memory.bytes())
    }

    fn longest(&self) -> Duration {
        self.space.longest()
    }

    fn settles_in(&self) -> Duration {
        Self::settles_in(self)
    }

    fn memory(&self) -> usize {
        self.space.memory
    }

    fn resize(&self, bytes: u64) {
        self.memory.resize(bytes);
    }

    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

partial_debug!(Stock<K, V>, self => space: self.space);
