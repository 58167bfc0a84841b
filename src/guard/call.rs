//! What a guarded call is told about the attempt it makes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::accessors::partial_debug;
use crate::intent::fingerprint::Fingerprint;

/// One attempt of a guarded call.
#[derive(Clone)]
pub struct EffectCall {
    provider_key: Arc<str>,
    taken: Arc<AtomicBool>,
    attempt: u32,
    until: Instant,
}

impl EffectCall {
    pub(super) fn new(provider_key: Arc<str>, taken: Arc<AtomicBool>, attempt: u32, until: Instant) -> Self {
        Self { provider_key, taken, attempt, until }
    }

    /// The idempotency key to send to the provider: 43 characters of `A-Z a-z 0-9 - _`.
    ///
    /// The same for every attempt of the operation, in every process. Take it before the request is sent: an attempt counts
    /// as protected only if it has been taken by the time it fails.
    #[must_use]
    pub fn provider_key(&self) -> &str {
        self.taken.store(true, Ordering::Release);
        &self.provider_key
    }

    /// Which attempt this is; 1 is the first of this run.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The time left before the attempt is cut off by dropping its future.
    #[must_use]
    pub fn time_left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }
}

// Shows no key.
partial_debug!(EffectCall, self => attempt: self.attempt);

/// The key under which the provider knows an operation. Another round has another one, since under the old one the
/// provider would repeat what it said before.
pub(super) fn provider_key(operation: &Fingerprint, round: u32) -> Arc<str> {
    let parts = [operation.as_bytes().as_slice(), &round.to_be_bytes()];
    Fingerprint::of("provider key", parts.map(Some)).to_text().into()
}
