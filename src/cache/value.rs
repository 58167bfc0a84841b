//! A value, wherever it lies, and how long it may be served.

use std::time::Duration;

use tokio::time::Instant;

use crate::intent::fingerprint::Fingerprint;
use crate::lock::Lock;
use crate::moment::Moment;

use super::marks::Since;

/// The last tenth of a life is the time in which one process loads anew, and by which jitter shortens a life at most.
pub(super) const LAST_PART: u32 = 10;

/// A value, and what decides how long it is served. Memory and hits share it; but for the time of the next refresh it never changes.
#[derive(Debug)]
pub(super) struct Value<V> {
    pub(super) body: V,
    /// When its load began. All of its times count from there.
    pub(super) loaded: Moment,
    pub(super) fresh_for: Duration,
    /// How long it is kept, the time in which it is stale included.
    pub(super) kept_for: Duration,
    /// Which loader brought it.
    pub(super) origin: Box<str>,
    pub(super) is_absent: bool,
    /// What a mark may hit: all, its space, its key, and its tags.
    pub(super) subjects: Box<[Fingerprint]>,
    /// Nothing marked up to here hits it.
    pub(super) since: Since,
    /// Its length as it is stored.
    pub(super) bytes: usize,
    /// When it may be loaded anew again, after that failed.
    pub(super) rests_until: Lock<Option<Instant>>,
}

/// What a value is good for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fitness {
    Fresh,
    /// Fresh, and in the last part of its life.
    Due,
    /// Past its life, and still served while it is loaded anew.
    Stale,
    /// Past that, and served where no loader can bring another.
    LastResort,
    Over,
}
