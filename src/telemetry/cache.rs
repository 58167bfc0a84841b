//! What the cache says of itself: of spaces and outcomes, never of keys, tags or tenants.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;
use tracing::field::Empty;
use tracing::{Span, debug, info_span, warn};

#[cfg(feature = "metrics")]
use super::metrics::{cache_bytes, cache_load_took, cache_requests};
use super::{CACHE, Stopwatch, millis};

/// A call of the cache past memory, as it ended.
pub(crate) struct CacheCall {
    pub(crate) space: &'static str,
    pub(crate) outcome: &'static str,
    pub(crate) from: &'static str,
    pub(crate) age: Option<Duration>,
}

/// A call that memory did not answer is over.
pub(crate) fn cache_called(call: &CacheCall, began: Instant) {
    let CacheCall { space, outcome, from, age } = *call;
    #[cfg(feature = "metrics")]
    cache_requests(space, outcome, 1);
    let (age_ms, duration_ms) = (age.map(millis), millis(began.elapsed()));
    debug!(
        name: "payproof.cache", target: CACHE, space, outcome, from, age_ms, duration_ms,
        "a call of the cache is over"
    );
}

/// Memory answered a call. Those are counted by the space, and added to the metrics when they are published.
#[inline]
pub(crate) fn cache_hit(space: &'static str, outcome: &'static str, age: impl FnOnce() -> Duration) {
    if tracing::enabled!(target: CACHE, tracing::Level::DEBUG) {
        debug!(
            name: "payproof.cache", target: CACHE,
            space, outcome, from = "memory", age_ms = millis(age()), duration_ms = 0_u64,
            "memory answered a call of the cache"
        );
    }
}

/// A load, for what the loader itself emits.
pub(crate) fn cache_load_span(space: &'static str) -> Span {
    info_span!(target: CACHE, "payproof.cache_load", space, outcome = Empty)
}

/// A loader was asked, and has brought a value or not.
pub(crate) fn cache_loaded(span: &Span, space: &'static str, is_brought: bool, watch: Stopwatch) {
    let outcome = if is_brought { "loaded" } else { "failed" };
    span.record("outcome", outcome);
    #[cfg(feature = "metrics")]
    cache_load_took(space, outcome, watch);
    #[cfg(not(feature = "metrics"))]
    let _ = (space, watch);
}

/// The store is nearly full: until a look finds room in it, values are answered with, and not stored.
pub(crate) fn cache_full(advice: &dyn fmt::Display) {
    warn!(
        name: "payproof.cache_full", target: CACHE, advice = %advice,
        "the store is nearly full, and the cache stores nothing in it until a look finds room"
    );
}

/// What stands in the store cannot be used, or a value cannot be stored.
pub(crate) fn cache_unreadable(space: &'static str, reason: &dyn fmt::Display) {
    warn!(
        name: "payproof.cache_unreadable", target: CACHE, space, reason = %reason,
        "what the store holds for the cache cannot be used, or a value cannot be stored"
    );
}

/// Sets what only a space itself knows, and adds the calls that memory answered since.
#[cfg(feature = "metrics")]
pub(crate) fn cache_published(space: &'static str, hits: u64, bytes: u64) {
    super::metrics::describe();
    cache_requests(space, "hit", hits);
    cache_bytes(space, bytes);
}
