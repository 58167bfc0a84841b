//! Why the calls to a provider brought no answer, whatever they were for.

use std::fmt;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::accessors::getters;
use crate::error_info::{Class, Condition, INTERRUPTED, INTERRUPTED_TEXT, NO_RUNTIME, NO_RUNTIME_TEXT};
use crate::provider::attempt_log::Attempt;
use crate::provider::{Kind as ProviderErrorKind, ProviderError};

const RATE_LIMITED: Condition = Condition::passing(Class::RateLimited, "rate_limited", 429);
pub(crate) const DEADLINE_EXCEEDED: Condition = Condition::passing(Class::Timeout, "deadline_exceeded", 504);
const PROVIDER_TIMEOUT: Condition = Condition::passing(Class::Timeout, "provider_timeout", 504);
const UNREADABLE_ANSWER: Condition = Condition::passing(Class::Unavailable, "unreadable_answer", 502);
const UNKNOWN: Condition = Condition::passing(Class::Unavailable, "unknown", 502);
const CIRCUIT_OPEN: Condition = Condition::passing(Class::Unavailable, "circuit_open", 503);
const PROVIDER_UNAVAILABLE: Condition = Condition::passing(Class::Unavailable, "provider_unavailable", 503);
pub(crate) const AT_CAPACITY: Condition = Condition::passing(Class::Unavailable, "at_capacity", 503);
const PROVIDER_REFUSED: Condition = Condition::lasting(Class::Configuration, "provider_refused", 502);

/// The conditions that concern every process that asks for the same.
const FOR_ALL: [Condition; 6] =
    [RATE_LIMITED, DEADLINE_EXCEEDED, PROVIDER_TIMEOUT, UNREADABLE_ANSWER, CIRCUIT_OPEN, PROVIDER_UNAVAILABLE];

/// Calls without an answer. Small, since the task of each call has room for one.
#[derive(Clone, Debug)]
pub(crate) struct CallError(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    cause: Cause,
    retry_after: Option<Duration>,
    attempts: Vec<Attempt>,
}

#[derive(Clone, Debug)]
pub(crate) enum Cause {
    /// The provider's last word.
    Provider {
        stopped: Stopped,
        error: ProviderError,
    },
    GateClosed {
        last: Option<ProviderError>,
    },
    BreakerOpen {
        last: Option<ProviderError>,
    },
    Deadline {
        limit: Duration,
        last: Option<ProviderError>,
    },
    Full {
        what: &'static str,
        setting: &'static str,
        limit: usize,
    },
    NoRuntime,
    Interrupted,
    /// Another process asked, and failed like this.
    Elsewhere(Condition),
}

/// Why there was no further attempt after a provider's error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    Permanent,
    /// No rule knows the failure.
    Unknown,
    RetriesUsed,
    /// The retry budget was spent. After so long the line would have come to this call, where it moved.
    LineTooLong {
        wait: Option<Duration>,
    },
    WaitTooLong,
    NoTimeLeft,
    /// The attempt may have had its effect, and nothing protects a further one; or there is one attempt only.
    Unprotected,
}

/// The runtime that this is called in.
///
/// # Errors
/// When there is none.
pub(crate) fn runtime() -> Result<Handle, CallError> {
    Handle::try_current().map_err(|_| CallError::new(Cause::NoRuntime))
}

impl CallError {
    pub(crate) fn new(cause: Cause) -> Self {
        Self::after_attempts(cause, None, Vec::new())
    }

    pub(crate) fn after_attempts(cause: Cause, retry_after: Option<Duration>, attempts: Vec<Attempt>) -> Self {
        Self(Box::new(Inner { cause, retry_after, attempts }))
    }

    /// What another process reported; an unknown code is of a newer release, and no more than "unavailable" here.
    pub(crate) fn elsewhere(code: &str, retry_after: Option<Duration>) -> Self {
        let condition = FOR_ALL.into_iter().find(|known| known.code == code).unwrap_or(PROVIDER_UNAVAILABLE);
        Self::after_attempts(Cause::Elsewhere(condition), retry_after, Vec::new())
    }

    pub(crate) fn condition(&self) -> Condition {
        match &self.0.cause {
            Cause::GateClosed { .. } => RATE_LIMITED,
            Cause::BreakerOpen { .. } => CIRCUIT_OPEN,
            Cause::Deadline { .. } => DEADLINE_EXCEEDED,
            Cause::Full { .. } => AT_CAPACITY,
            Cause::NoRuntime => NO_RUNTIME,
            Cause::Interrupted => INTERRUPTED,
            Cause::Elsewhere(condition) => *condition,
            Cause::Provider { error, .. } if error.is_rate_limit() => RATE_LIMITED,
            Cause::Provider { error, .. } if error.is_timeout() => PROVIDER_TIMEOUT,
            Cause::Provider { error, .. } if error.kind() == ProviderErrorKind::Unreadable => UNREADABLE_ANSWER,
            Cause::Provider { stopped: Stopped::Unknown, .. } => UNKNOWN,
            Cause::Provider { stopped: Stopped::Permanent, error } if error.status().is_none_or(|it| it < 500) => {
                PROVIDER_REFUSED
            }
            Cause::Provider { .. } => PROVIDER_UNAVAILABLE,
        }
    }

    getters! {
        /// How long the provider, or an open breaker, asks to wait. Not cut by any limit of this crate.
        pub(crate) fn retry_after(&self) -> Option<Duration> => self.0.retry_after;

        /// Every attempt that was made, and why there was no further one.
        pub(crate) fn attempts(&self) -> &[Attempt] => &self.0.attempts;

        /// Whether it ended without any word on the provider, as when no caller was left.
        pub(crate) fn is_interrupted(&self) -> bool => matches!(self.0.cause, Cause::Interrupted);

        /// What the provider last said, if it said anything.
        pub(crate) fn provider(&self) -> Option<&ProviderError> => match &self.0.cause {
            Cause::Provider { error, .. } => Some(error),
            Cause::GateClosed { last } | Cause::BreakerOpen { last } | Cause::Deadline { last, .. } => last.as_ref(),
            Cause::Full { .. } | Cause::NoRuntime | Cause::Interrupted | Cause::Elsewhere(_) => None,
        };
    }

    /// Whether others who ask for the same should fail with it. A cause of this process alone is none of theirs: its own
    /// breaker, its capacity, its credential; a message that no rule knows may be about the latter.
    pub(crate) fn is_for_all(&self) -> bool {
        match &self.0.cause {
            Cause::BreakerOpen { last } => last.is_some(),
            _ => FOR_ALL.contains(&self.condition()),
        }
    }

    /// Whether older facts may stand in: nothing says that the provider would now contradict them. What no rule knows may
    /// have been a refusal.
    pub(crate) fn provider_was_silent(&self) -> bool {
        let condition = self.condition();
        condition.is_retryable && condition != UNREADABLE_ANSWER && condition != UNKNOWN
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0.cause {
            Cause::Deadline { limit, .. } => {
                return write!(f, "no answer within the deadline of {limit:?}; ask again later");
            }
            Cause::Full { what, setting, limit } => {
                return write!(f, "there are {limit} {what} already; ask again later, or raise `{setting}`");
            }
            Cause::GateClosed { .. } => "the provider limits this account's rate; ask again after the given wait",
            Cause::BreakerOpen { .. } => {
                "the provider has been failing, so it was not asked; ask again after the given wait"
            }
            Cause::NoRuntime => NO_RUNTIME_TEXT,
            Cause::Interrupted => INTERRUPTED_TEXT,
            Cause::Elsewhere(_) => "another process asked the provider and got no usable answer; ask again later",
            Cause::Provider { stopped, .. } => match stopped {
                Stopped::Permanent if self.condition() == PROVIDER_REFUSED => {
                    "the provider refused the request; check the credential, account and settings"
                }
                Stopped::Permanent => "the provider gave no usable answer; ask again later",
                Stopped::Unknown => {
                    "the provider failed in words that no rule knows; look at them, and add a `transient_pattern` if \
                     the failure passes by itself"
                }
                Stopped::RetriesUsed => "the provider gave no usable answer on any attempt; ask again later",
                Stopped::LineTooLong { .. } => {
                    "the provider gave no usable answer and the retry budget is spent; ask again later"
                }
                Stopped::NoTimeLeft => {
                    "the provider gave no usable answer and the deadline leaves no time for another attempt; \
                     ask again later"
                }
                Stopped::Unprotected => {
                    "the provider gave no usable answer, and a further attempt may not be made; look at the provider"
                }
                Stopped::WaitTooLong => {
                    "the provider asks for a longer wait than is allowed; ask again after the given wait"
                }
            },
        })
    }
}

impl std::error::Error for CallError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.provider().map(|error| error as _)
    }
}
