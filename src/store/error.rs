//! Why a store gave no answer.

use std::time::Duration;

use crate::accessors::{getters, setters};
use crate::redaction::presentable;

/// A message longer than this is cut.
const MAX_MESSAGE: usize = 300;

/// How far the call got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoreReach {
    NotSent,
    /// The store answered, and did nothing, since others were in the way.
    Contended,
    OutcomeUnknown,
    /// The outcome is unknown, and asking again cannot tell: a failover may undo what is found.
    NotReplicated,
    Refused,
}

/// A store call without an answer.
///
/// Messages are cut at 300 characters, and what looks like a credential is taken out. Never put a key, a value or a URL in.
///
/// ```
/// use payproof::store::StoreError;
///
/// let error = StoreError::not_sent("connection refused");
/// assert_eq!(error.to_string(), "connection refused");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.message)]
pub struct StoreError(Box<Details>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Details {
    reach: StoreReach,
    message: Box<str>,
    retry_after: Option<Duration>,
}

impl StoreError {
    fn new(reach: StoreReach, message: &str) -> Self {
        Self(Box::new(Details { reach, message: presentable(message, MAX_MESSAGE), retry_after: None }))
    }

    /// The store cannot have done anything: no connection, or it was too busy to begin.
    #[must_use]
    pub fn not_sent(message: impl AsRef<str>) -> Self {
        Self::new(StoreReach::NotSent, message.as_ref())
    }

    /// The store answered that others were in the way, and did nothing: asked again, it may do it.
    pub(crate) fn contended(message: impl AsRef<str>) -> Self {
        Self::new(StoreReach::Contended, message.as_ref())
    }

    /// The store may have done it, and no complete reply came back: a time-out, or a connection that broke.
    #[must_use]
    pub fn outcome_unknown(message: impl AsRef<str>) -> Self {
        Self::new(StoreReach::OutcomeUnknown, message.as_ref())
    }

    /// The store did it, and a standby that it waits for may not have: a failover may undo what is found there now.
    #[cfg_attr(not(feature = "postgres"), allow(dead_code, reason = "PostgreSQL alone says so"))]
    pub(crate) fn not_replicated(message: impl AsRef<str>) -> Self {
        Self::new(StoreReach::NotReplicated, message.as_ref())
    }

    /// The store answered, and did nothing: a wrong password, no right to write, no space left.
    #[must_use]
    pub fn refused(message: impl AsRef<str>) -> Self {
        Self::new(StoreReach::Refused, message.as_ref())
    }

    setters! {
        /// How long the store asks to wait.
        pub fn with_retry_after(mut self, wait: Duration) => self.0.retry_after = Some(wait);
    }

    getters! {
        /// How long the store asks to wait, if it does.
        pub fn retry_after(&self) -> Option<Duration> => self.0.retry_after;

        /// Whether the store may have done what it was asked.
        pub fn is_outcome_unknown(&self) -> bool =>
            matches!(self.0.reach, StoreReach::OutcomeUnknown | StoreReach::NotReplicated);

        /// Whether what is found when the store is asked again says nothing of whether it lasts.
        pub(crate) fn is_not_replicated(&self) -> bool => self.0.reach == StoreReach::NotReplicated;

        /// Whether the store answered, in whichever way.
        pub(crate) fn is_answer(&self) -> bool => matches!(self.0.reach, StoreReach::Contended | StoreReach::Refused);

        /// Whether asking again will not help until an operator changes something.
        pub fn is_refused(&self) -> bool => self.0.reach == StoreReach::Refused;
    }
}
