//! What a guarded call is told about the attempt it makes, and what one that finds out is told and says.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::accessors::{getters, partial_debug};
use crate::intent::fingerprint::Fingerprint;

/// One attempt of a guarded call.
#[derive(Clone)]
pub struct EffectCall {
    pub(super) provider_key: Arc<str>,
    pub(super) taken: Arc<AtomicBool>,
    pub(super) attempt: u32,
    pub(super) until: Instant,
}

impl EffectCall {
    /// The idempotency key to send to the provider: 43 characters of `A-Z a-z 0-9 - _`.
    ///
    /// The same for every attempt of the operation, in every process. Take it before the request is sent: an attempt counts
    /// as protected only if it has been taken by the time it fails.
    #[must_use]
    pub fn provider_key(&self) -> &str {
        self.taken.store(true, Ordering::Release);
        &self.provider_key
    }

    getters! {
        /// Which attempt this is; 1 is the first of this run.
        pub fn attempt(&self) -> u32 => self.attempt;

        /// The time left before the attempt is cut off by dropping its future.
        pub fn time_left(&self) -> Duration => self.until.saturating_duration_since(Instant::now());
    }
}

// Shows no key.
partial_debug!(EffectCall, self => attempt: self.attempt);

/// What the provider knows of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reconciled<T> {
    /// It was executed, with this result.
    Done(T),
    /// It was not executed, and what was sent will not be any more. It is then run in a new round, under a new key.
    ///
    /// Say so only when no request can still be on its way: see [`ReconcileCall::first_sent_ago`].
    NotExecuted,
    /// It cannot be told yet.
    StillUnknown,
}

/// One attempt to find out. Nothing may be changed by it.
#[derive(Clone)]
pub struct ReconcileCall {
    pub(super) provider_key: Arc<str>,
    pub(super) first_sent_ago: Duration,
    pub(super) attempt: u32,
    pub(super) until: Instant,
}

impl ReconcileCall {
    getters! {
        /// The idempotency key that the operation was sent under, if its call took one.
        pub fn provider_key(&self) -> &str => &self.provider_key;

        /// How long ago the operation may first have been sent, by the store's clock; rather too long than too short.
        pub fn first_sent_ago(&self) -> Duration => self.first_sent_ago;

        /// Which attempt this is; 1 is the first of this run.
        pub fn attempt(&self) -> u32 => self.attempt;

        /// The time left before the attempt is cut off by dropping its future.
        pub fn time_left(&self) -> Duration => self.until.saturating_duration_since(Instant::now());
    }
}

// Shows no key.
partial_debug!(ReconcileCall, self => first_sent_ago: self.first_sent_ago, attempt: self.attempt);

/// The key under which the provider knows an operation. Another round has another one, since under the old one the
/// provider would repeat what it said before.
pub(super) fn provider_key(operation: &Fingerprint, round: u32) -> Arc<str> {
    let parts = [operation.as_bytes().as_slice(), &round.to_be_bytes()];
    Fingerprint::of("provider key", parts.map(Some)).to_text().into()
}
