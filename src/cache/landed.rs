//! What a flight says of itself, and what came of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::call::deadline::is_recent;
use crate::flight::{Leader, Waiter};
use crate::intent::fingerprint::Fingerprint;

use super::error::CacheError;
use super::hit::Hit;
use super::marks::{Mark, Marks, Since};
use super::stats::Count;

pub(super) type CacheLeader<V> = Leader<Fingerprint, LoadNotes, Landed<V>>;
pub(super) type CacheWaiter<V> = Waiter<Fingerprint, LoadNotes, Landed<V>>;

/// When something began, by the clock and in the order of marks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Began {
    pub(super) at: Instant,
    pub(super) mark: Mark,
}

impl Began {
    /// The mark first: one that is made in between counts as newer.
    pub(super) fn now(marks: &Marks) -> Self {
        Self { mark: marks.now(), at: Instant::now() }
    }
}

/// What a flight says of itself while it is under way.
#[derive(Debug)]
pub(super) struct LoadNotes {
    pub(super) began: Began,
    /// Nothing marked up to its beginning hits it.
    pub(super) since: Since,
    /// The oldest value that it takes for an answer.
    pub(super) max_age: Duration,
    /// Told when a load that holds one of the space's permits waits for this flight, which then needs none itself: else all
    /// permits could be held by loads that wait for one.
    pub(super) is_waited_for: Arc<Notify>,
}

/// What came of a flight.
#[derive(Debug)]
pub(super) struct Landed<V> {
    pub(super) result: Result<Hit<V>, CacheError>,
    /// When it was so: when the value was last known to be what the store holds, or when its load began.
    pub(super) as_of: Began,
    /// Whether memory takes it in.
    pub(super) is_kept: bool,
    /// What it came to, for the call that led.
    pub(super) count: Count,
    /// Whether another process was waited for.
    pub(super) has_waited: bool,
}

impl<V> Landed<V> {
    /// Whether it answers a call that began then, and takes nothing older than `max_age`: no value whose load began before an
    /// invalidation that had returned by then, here, or `memory_for` before then, elsewhere.
    pub(super) fn answers(&self, call: Began, max_age: Duration, memory_for: Duration, marks: &Marks) -> bool {
        let Ok(hit) = &self.result else { return true };
        // Of a load that began after the call, no age is too high.
        let age = hit.value.loaded.age_at(call.at);
        let is_recent = age.is_zero() || is_recent(age, max_age);
        let is_checked = call.at.saturating_duration_since(self.as_of.at) <= memory_for;
        // Counted by marks, since two moments may be the same to the clock.
        let is_unmarked = || self.as_of.mark >= call.mark || !marks.is_marked(&hit.value.since, &hit.value.subjects);
        is_recent && is_checked && is_unmarked()
    }
}
