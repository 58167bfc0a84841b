//! What a flight says of itself, and what came of it.

use std::time::Duration;

use tokio::time::Instant;

use crate::call::deadline::is_recent;
use crate::intent::fingerprint::Fingerprint;

use super::error::CacheError;
use super::hit::Hit;
use super::marks::{Mark, Marks, Since};
use super::stats::Count;

/// What a flight says of itself while it is under way.
#[derive(Debug)]
pub(super) struct LoadNotes {
    /// Nothing marked up to its beginning hits it.
    pub(super) since: Since,
    /// The newest mark at its beginning.
    pub(super) began: Mark,
    /// The oldest value that it takes for an answer.
    pub(super) max_age: Duration,
}

impl LoadNotes {
    pub(super) fn now(marks: &Marks, max_age: Duration) -> Self {
        let began = marks.now();
        Self { since: Since::here(began), began, max_age }
    }

    /// Whether a call may join it.
    pub(super) fn fits(&self, marks: &Marks, subjects: &[Fingerprint], max_age: Duration) -> bool {
        self.max_age <= max_age && !marks.is_marked(&self.since, subjects)
    }
}

/// What came of a flight.
#[derive(Debug)]
pub(super) struct Landed<V> {
    pub(super) result: Result<Hit<V>, CacheError>,
    /// Where the value counted under what stands in the store, when that was asked for.
    pub(super) checked: Option<Instant>,
    /// The newest mark when its load began, where it was loaded.
    pub(super) loaded: Option<Mark>,
    /// Whether memory takes it in, as of then.
    pub(super) is_kept: Option<Instant>,
    /// What it came to.
    pub(super) counts_as: Count,
    /// Whether another process was waited for.
    pub(super) has_waited: bool,
}

/// When a call began.
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

impl<V> Landed<V> {
    pub(super) fn failed(error: CacheError) -> Self {
        let counts_as = Count::Miss;
        Self { result: Err(error), checked: None, loaded: None, is_kept: None, counts_as, has_waited: false }
    }

    /// Whether it answers a call that began then, and takes nothing older than `max_age`: no value whose load began before an
    /// invalidation that had returned by then, here, or `memory_for` before then, elsewhere.
    pub(super) fn answers(
        &self,
        call: Began,
        max_age: Duration,
        flight: (Instant, &LoadNotes),
        marks: &Marks,
        memory_for: Option<Duration>,
    ) -> bool {
        let Ok(hit) = &self.result else { return true };
        // Of a load that began after the call, no age is too high.
        let age = hit.value.loaded.age_at(call.at);
        if !age.is_zero() && !is_recent(age, max_age) {
            return false;
        }
        let (began, notes) = flight;
        let is_unmarked = || !marks.is_marked(&hit.value.since, &hit.value.subjects);
        // Counted by marks, since two moments may be the same to the clock.
        let is_younger = notes.began >= call.mark || self.loaded.is_some_and(|mark| mark >= call.mark);
        let Some(memory_for) = memory_for else { return is_younger || is_unmarked() };
        let known_at = self.checked.map_or(began, |checked| checked.max(began));
        call.at.saturating_duration_since(known_at) <= memory_for && (is_younger || is_unmarked())
    }
}
