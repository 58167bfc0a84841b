//! A value, wherever it lies, and how long it may be served.

use std::sync::OnceLock;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::call::deadline::after;
use crate::intent::fingerprint::Fingerprint;
use crate::lock::Lock;
use crate::moment::Moment;

use super::marks::Since;

/// The last tenth of a life: the time in which one process loads anew, and by which jitter shortens a life at most.
pub(super) fn last_part(life: Duration) -> Duration {
    life.checked_div(10).unwrap_or_default()
}

/// A value that a cache can keep. Implemented for all that serde can write and read.
///
/// It is kept as JSON, by the names of its fields. What does not read back as it was written is served, and not stored.
pub trait CacheValue: Serialize + DeserializeOwned + Send + Sync + 'static {}

impl<V: Serialize + DeserializeOwned + Send + Sync + 'static> CacheValue for V {}

/// A value, and what decides how long it is served. Memory and hits share it; but for the time of the next refresh it never changes.
#[derive(Debug)]
pub(super) struct Value<V> {
    pub(super) body: V,
    /// When its load began. All of its times count from there.
    pub(super) loaded: Moment,
    /// How long it is fresh, if it is not expired before.
    pub(super) lives: Duration,
    /// Its age when it was expired before its time.
    pub(super) expired: OnceLock<Duration>,
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

impl<V> Value<V> {
    /// How long it is fresh.
    pub(super) fn fresh_for(&self) -> Duration {
        self.expired.get().map_or(self.lives, |age| self.lives.min(*age))
    }

    /// Ends its fresh life now.
    pub(super) fn expire(&self) {
        self.expired.get_or_init(|| self.loaded.age());
    }

    /// Whether it may be loaded anew now. Then it may not for a while, so that a loader that fails is not asked by each call.
    pub(super) fn takes_refresh(&self, now: Instant, rests_for: Duration) -> bool {
        let mut rests_until = self.rests_until.lock();
        let may = rests_until.is_none_or(|until| until <= now);
        if may {
            *rests_until = Some(after(now, rests_for));
        }
        may
    }
}
