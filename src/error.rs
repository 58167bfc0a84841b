//! Why a validation could not tell.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::intent::invalid_intent::InvalidIntent;
use crate::provider::attempt_log::Attempt;
use crate::provider::{Kind as ProviderErrorKind, ProviderError};

/// No verdict: the intent was malformed, or the truth could not be found out.
///
/// Never means that a payment is bad; that is [`Verdict::Invalid`](crate::Verdict::Invalid). Ask the predicates, which
/// exclude one another, or map [`code`](Self::code). Clones are cheap, since calls that share a flight share its error.
#[derive(Clone)]
pub struct ValidateError(Arc<Inner>);

struct Inner {
    kind: Kind,
    retry_after: Option<Duration>,
    attempts: Vec<Attempt>,
}

#[derive(Debug)]
pub(crate) enum Kind {
    InvalidIntent(InvalidIntent),
    KeyReused,
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
    LeaderLost,
    /// Another process is asking, and this call has no more time to wait for it.
    InProgress,
    /// Another process asked, and failed.
    Elsewhere(Failing),
    /// What stands in the store cannot be used, or could not be changed.
    Store(StoreTrouble),
}

/// A failure that another process reported, by its code.
type Failing = (Class, &'static str, u16);

/// What is wrong with the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoreTrouble {
    pub(crate) message: Box<str>,
    pub(crate) state: StoreState,
}

/// What the store has to do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoreState {
    /// It does not answer.
    Down,
    /// It holds a record of a newer release.
    Newer,
    /// It holds a record that cannot be read.
    Unreadable,
}

/// What a flight can fail with that concerns everybody who asks about the payment.
const FAILINGS: [Failing; 6] = [
    (Class::RateLimited, "rate_limited", 429),
    (Class::Timeout, "deadline_exceeded", 504),
    (Class::Timeout, "provider_timeout", 504),
    (Class::Unavailable, "unreadable_answer", 502),
    (Class::Unavailable, "circuit_open", 503),
    (Class::Unavailable, "provider_unavailable", 503),
];

/// Why there was no further attempt after a provider's error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    Permanent,
    /// No rule knows the failure.
    Unknown,
    RetriesUsed,
    BudgetEmpty,
    WaitTooLong,
    NoTimeLeft,
    /// The attempt may have had its effect, and nothing protects a further one.
    Unprotected,
}

/// What kind of trouble it is; decides predicate, code and status together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    InvalidIntent,
    KeyReused,
    Timeout,
    RateLimited,
    Unavailable,
    Configuration,
    InProgress,
    Store,
}

impl ValidateError {
    pub(crate) fn new(kind: Kind) -> Self {
        Self(Arc::new(Inner { kind, retry_after: None, attempts: Vec::new() }))
    }

    pub(crate) fn after_attempts(kind: Kind, retry_after: Option<Duration>, attempts: Vec<Attempt>) -> Self {
        Self(Arc::new(Inner { kind, retry_after, attempts }))
    }

    /// What another process reported; an unknown code is of a newer release, and no more than "unavailable" here.
    pub(crate) fn elsewhere(code: &str, retry_after: Option<Duration>) -> Self {
        let unknown = (Class::Unavailable, "provider_unavailable", 503);
        let failing = FAILINGS.into_iter().find(|(_, known, _)| *known == code).unwrap_or(unknown);
        Self::after_attempts(Kind::Elsewhere(failing), retry_after, Vec::new())
    }

    /// Whether others who ask about the same payment should fail with it. A cause of this process alone is none of theirs:
    /// its own breaker, its capacity, its credential; a message that no rule knows may be about the latter.
    pub(crate) fn is_for_all(&self) -> bool {
        match &self.0.kind {
            Kind::Provider { stopped: Stopped::Unknown, .. } => false,
            Kind::Provider { .. } => !self.is_configuration(),
            Kind::GateClosed { .. } | Kind::Deadline { .. } | Kind::Elsewhere(_) => true,
            Kind::BreakerOpen { last } => last.is_some(),
            _ => false,
        }
    }

    /// The class, the stable code, and the HTTP status, in one place so that they agree.
    fn class(&self) -> (Class, &'static str, u16) {
        match &self.0.kind {
            Kind::InvalidIntent(_) => (Class::InvalidIntent, "invalid_intent", 400),
            Kind::KeyReused => (Class::KeyReused, "key_reused", 422),
            Kind::GateClosed { .. } => (Class::RateLimited, "rate_limited", 429),
            Kind::BreakerOpen { .. } => (Class::Unavailable, "circuit_open", 503),
            Kind::Deadline { .. } => (Class::Timeout, "deadline_exceeded", 504),
            Kind::Full { .. } => (Class::Unavailable, "at_capacity", 503),
            Kind::NoRuntime => (Class::Configuration, "no_runtime", 502),
            Kind::LeaderLost => (Class::Unavailable, "interrupted", 503),
            Kind::InProgress => (Class::InProgress, "in_progress", 409),
            Kind::Elsewhere(failing) => *failing,
            Kind::Store(StoreTrouble { state: StoreState::Unreadable, .. }) => (Class::Store, "record_unreadable", 502),
            Kind::Store(StoreTrouble { state: StoreState::Newer, .. }) => (Class::Store, "record_newer", 503),
            Kind::Store(StoreTrouble { state: StoreState::Down, .. }) => (Class::Store, "store_unavailable", 503),
            Kind::Provider { error, .. } if error.is_rate_limit() => (Class::RateLimited, "rate_limited", 429),
            Kind::Provider { error, .. } if error.is_timeout() => (Class::Timeout, "provider_timeout", 504),
            Kind::Provider { error, .. } if error.kind() == ProviderErrorKind::Unreadable => {
                (Class::Unavailable, "unreadable_answer", 502)
            }
            Kind::Provider { stopped: Stopped::Unknown, .. } => (Class::Unavailable, "unknown", 502),
            Kind::Provider { stopped: Stopped::Permanent, error } => match error.http_status() {
                Some(500..) => (Class::Unavailable, "provider_unavailable", 502),
                _ => (Class::Configuration, "provider_refused", 502),
            },
            Kind::Provider { .. } => (Class::Unavailable, "provider_unavailable", 503),
        }
    }

    /// The intent broke a rule; nothing was asked. The source names the field.
    #[must_use]
    pub fn is_invalid_intent(&self) -> bool {
        self.class().0 == Class::InvalidIntent
    }

    /// The idempotency key was used before with other claims.
    #[must_use]
    pub fn is_key_reused(&self) -> bool {
        self.class().0 == Class::KeyReused
    }

    /// Time ran out: the deadline, or the attempt timeout on the last attempt. Ask again later.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.class().0 == Class::Timeout
    }

    /// The provider limits this account's rate. Ask again after [`retry_after`](Self::retry_after).
    #[must_use]
    pub fn is_rate_limited(&self) -> bool {
        self.class().0 == Class::RateLimited
    }

    /// The provider is down or unreadable, or failed in words that no rule knows, or this process is at capacity. Ask again
    /// later.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        self.class().0 == Class::Unavailable
    }

    /// Asking again will not help until somebody changes a setting, such as the provider's credential.
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        self.class().0 == Class::Configuration
    }

    /// Another process is asking about the same payment, and took longer than this call could wait. Ask again soon.
    #[must_use]
    pub fn is_in_progress(&self) -> bool {
        self.class().0 == Class::InProgress
    }

    /// The shared store holds something unreadable, or could not confirm a change. Never because it is down alone: a
    /// validation then goes on without it.
    #[must_use]
    pub fn is_store(&self) -> bool {
        self.class().0 == Class::Store
    }

    /// Whether older facts may stand in: nothing says that the provider would now contradict them.
    pub(crate) fn provider_was_silent(&self) -> bool {
        let read_in_vain =
            matches!(&self.0.kind, Kind::Provider { error, .. } if error.kind() == ProviderErrorKind::Unreadable);
        let read_elsewhere = matches!(&self.0.kind, Kind::Elsewhere((_, "unreadable_answer", _)));
        let silent = self.is_timeout() || self.is_rate_limited() || self.is_unavailable() || self.is_in_progress();
        // What no rule knows may have been a refusal.
        let unknown = matches!(&self.0.kind, Kind::Provider { stopped: Stopped::Unknown, .. });
        silent && !read_in_vain && !read_elsewhere && !unknown
    }

    /// A stable code, for API answers and metrics.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.class().1
    }

    /// A fitting HTTP status for an API: 400, 409, 422, 429, 502, 503 or 504. Never 402: an outage is not a missing payment.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        self.class().2
    }

    /// How long the provider, or an open breaker, asks to wait. Not cut by any limit of this crate.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Every attempt that was made, and why there was no further one. Empty when nothing was asked, and when the caller's
    /// own deadline passed while the flight goes on without it.
    #[must_use]
    pub fn attempts(&self) -> &[Attempt] {
        &self.0.attempts
    }

    /// The claim that was refused, if that is why.
    #[must_use]
    pub fn invalid_intent(&self) -> Option<&InvalidIntent> {
        match &self.0.kind {
            Kind::InvalidIntent(invalid) => Some(invalid),
            _ => None,
        }
    }
}

impl From<InvalidIntent> for ValidateError {
    fn from(invalid: InvalidIntent) -> Self {
        Self::new(Kind::InvalidIntent(invalid))
    }
}

impl fmt::Display for ValidateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.kind {
            Kind::InvalidIntent(_) => f.write_str("the intent is malformed; correct the named field"),
            Kind::KeyReused => {
                f.write_str("the idempotency key was used with other claims; use a new key for a new intent")
            }
            Kind::GateClosed { .. } => {
                f.write_str("the provider limits this account's rate; ask again after the given wait")
            }
            Kind::BreakerOpen { .. } => {
                f.write_str("the provider has been failing, so it was not asked; ask again after the given wait")
            }
            Kind::Deadline { limit, .. } => write!(f, "no answer within the deadline of {limit:?}; ask again later"),
            Kind::Full { what, setting, limit } => {
                write!(f, "{limit} {what} are held already; ask again later, or raise `{setting}`")
            }
            Kind::NoRuntime => f.write_str("there is no tokio runtime here; call from inside one"),
            Kind::LeaderLost => f.write_str(
                "the call that was asking panicked or was shut down; ask again, from a runtime with time enabled",
            ),
            Kind::InProgress => {
                f.write_str("another process is asking about this payment; ask again after the given wait")
            }
            Kind::Elsewhere(_) => {
                f.write_str("another process asked about this payment and got no usable answer; ask again later")
            }
            Kind::Store(StoreTrouble { message, state: StoreState::Newer }) => {
                write!(f, "the shared store cannot be used for this payment: {message}")
            }
            Kind::Store(StoreTrouble { message, state: StoreState::Unreadable }) => {
                write!(
                    f,
                    "the shared store cannot be used for this payment: {message}; look into it, or forget the payment"
                )
            }
            Kind::Store(StoreTrouble { message, .. }) => {
                write!(f, "the shared store did not confirm: {message}; try again")
            }
            Kind::Provider { stopped, .. } => {
                let what = match stopped {
                    Stopped::Permanent if self.is_configuration() => {
                        "the provider refused the request; check the credential, account and settings"
                    }
                    Stopped::Permanent => "the provider gave no usable answer; ask again later",
                    Stopped::Unknown => {
                        "the provider failed in words that no rule knows; look at them, and add a `transient_pattern` if \
                         the failure passes by itself"
                    }
                    Stopped::RetriesUsed => "the provider gave no usable answer on any attempt; ask again later",
                    Stopped::BudgetEmpty => {
                        "the provider gave no usable answer and the retry budget is spent; ask again later"
                    }
                    Stopped::NoTimeLeft => {
                        "the provider gave no usable answer and the deadline leaves no time for another attempt; \
                         ask again later"
                    }
                    Stopped::Unprotected => {
                        "the provider gave no usable answer, and nothing protects a further attempt; look at the provider"
                    }
                    Stopped::WaitTooLong => {
                        "the provider asks for a longer wait than is allowed; ask again after the given wait"
                    }
                };
                f.write_str(what)
            }
        }
    }
}

impl fmt::Debug for ValidateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValidateError")
            .field("kind", &self.0.kind)
            .field("retry_after", &self.0.retry_after)
            .field("attempts", &self.0.attempts)
            .finish()
    }
}

impl std::error::Error for ValidateError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0.kind {
            Kind::InvalidIntent(invalid) => Some(invalid),
            Kind::Provider { error, .. } => Some(error),
            Kind::GateClosed { last } | Kind::BreakerOpen { last } | Kind::Deadline { last, .. } => {
                last.as_ref().map(|last| last as _)
            }
            Kind::KeyReused
            | Kind::Full { .. }
            | Kind::NoRuntime
            | Kind::LeaderLost
            | Kind::InProgress
            | Kind::Elsewhere(_)
            | Kind::Store(_) => None,
        }
    }
}
