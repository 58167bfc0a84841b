//! Why a request was not let through.

use std::time::Duration;

use serde_json::json;

use crate::envelope::Failure;
use crate::guard::OperationReference;

/// A request that was not let through to its handler, or whose answer cannot be repeated.
///
/// | code | status | what the client does |
/// |---|---|---|
/// | `IDEMPOTENCY_KEY_REQUIRED` | 400 | send `Idempotency-Key` |
/// | `IDEMPOTENCY_KEY_INVALID` | 400 | send a key as `details.rule` says |
/// | `IDEMPOTENCY_SCOPE_REQUIRED` | 401 | authenticate |
/// | `IDEMPOTENCY_BODY_UNREADABLE` | 400 | send the whole body |
/// | `IDEMPOTENCY_BODY_TIMEOUT` | 408 | send the body faster |
/// | `IDEMPOTENCY_BODY_TOO_LARGE` | 413 | send less |
/// | `IDEMPOTENCY_KEY_REUSED` | 422 | use a new key for a new request |
/// | `IDEMPOTENCY_IN_PROGRESS` | 409 | send the same again after Retry-After |
/// | `IDEMPOTENCY_INDETERMINATE` | 409 | look what became of it, and say so by `details.reference`; it is not run again by itself |
/// | `IDEMPOTENCY_RESPONSE_NOT_KEPT` | 409 | it was done, with the status in `details.status`; look it up |
/// | `IDEMPOTENCY_NOT_COMPLETED` | 503 | send the same again: the route allows it |
/// | `IDEMPOTENCY_UNAVAILABLE` | 503 | send the same again later: the store did not confirm, or the tenant holds its share of keys |
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The route wants a key, and there is none.
    #[error("send an Idempotency-Key header")]
    KeyRequired,
    /// The key breaks a rule.
    #[error("the Idempotency-Key {rule}")]
    KeyInvalid {
        /// The rule, as a phrase.
        rule: String,
    },
    /// Nobody said whose request it is.
    #[error("authenticate: it is not known whose request this is")]
    ScopeRequired,
    /// The body broke off.
    #[error("the request's body broke off")]
    BodyUnreadable,
    /// The body did not come in time.
    #[error("the request's body did not come within {limit:?}")]
    BodyTimeout {
        /// The handler timeout, which holds for the body too.
        limit: Duration,
    },
    /// The body is longer than allowed.
    #[error("the request's body is longer than {limit} bytes")]
    BodyTooLarge {
        /// The most bytes allowed.
        limit: usize,
    },
    /// The key came with another request before: another path, query, content type or body.
    #[error("the Idempotency-Key was used for another request; use a new one")]
    KeyReused,
    /// The first request with this key is still under way.
    #[error("a request with this Idempotency-Key is under way; send the same again after the given wait")]
    InProgress {
        /// How long to wait.
        retry_after: Duration,
    },
    /// Nobody knows what became of the first request: it failed, panicked, timed out or crashed.
    #[error("nobody knows what became of the first request with this Idempotency-Key; look it up")]
    Indeterminate {
        /// What to give to [`Validator::resolve_request`](crate::Validator::resolve_request).
        reference: OperationReference,
    },
    /// It was done, and its answer was too large to be kept.
    #[error("the request was done before, and its answer was too large to be kept; look it up")]
    ResponseNotKept {
        /// The status it was answered with.
        status: u16,
    },
    /// The handler panicked or took too long, and the route allows it to run again.
    #[error("the request was not completed; send the same again")]
    NotCompleted,
    /// The tenant holds as many keys as its share allows. Other tenants go on.
    #[error(
        "this tenant holds {limit} idempotency keys already; send the same again later, or raise `max_keys_per_tenant`"
    )]
    ShareFull {
        /// The most keys that one tenant may hold.
        limit: usize,
    },
    /// The store did not confirm, so it cannot be known whether the request was made before.
    #[error("it cannot be known whether this request was made before; send the same again later")]
    Unavailable {
        /// How long the store asks to wait, if it does.
        retry_after: Option<Duration>,
    },
}

/// A store that asks for no wait is often back within this time.
const BACK_SOON: Duration = Duration::from_secs(1);

impl Refusal {
    /// The stable code, the HTTP status, and the name in numbers, in one place so that they agree.
    const fn class(&self) -> (&'static str, u16, &'static str) {
        match self {
            Self::KeyRequired => ("IDEMPOTENCY_KEY_REQUIRED", 400, "key_required"),
            Self::KeyInvalid { .. } => ("IDEMPOTENCY_KEY_INVALID", 400, "key_invalid"),
            Self::ScopeRequired => ("IDEMPOTENCY_SCOPE_REQUIRED", 401, "scope_required"),
            Self::BodyUnreadable => ("IDEMPOTENCY_BODY_UNREADABLE", 400, "body_unreadable"),
            Self::BodyTimeout { .. } => ("IDEMPOTENCY_BODY_TIMEOUT", 408, "body_timeout"),
            Self::BodyTooLarge { .. } => ("IDEMPOTENCY_BODY_TOO_LARGE", 413, "body_too_large"),
            Self::KeyReused => ("IDEMPOTENCY_KEY_REUSED", 422, "key_reused"),
            Self::InProgress { .. } => ("IDEMPOTENCY_IN_PROGRESS", 409, "in_progress"),
            Self::Indeterminate { .. } => ("IDEMPOTENCY_INDETERMINATE", 409, "indeterminate"),
            Self::ResponseNotKept { .. } => ("IDEMPOTENCY_RESPONSE_NOT_KEPT", 409, "response_not_kept"),
            Self::NotCompleted => ("IDEMPOTENCY_NOT_COMPLETED", 503, "not_completed"),
            Self::ShareFull { .. } => ("IDEMPOTENCY_UNAVAILABLE", 503, "share_full"),
            Self::Unavailable { .. } => ("IDEMPOTENCY_UNAVAILABLE", 503, "unavailable"),
        }
    }

    /// A stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.class().0
    }

    /// The HTTP status.
    #[must_use]
    pub const fn http_status(&self) -> u16 {
        self.class().1
    }

    /// The name in [`Stats::requests`](crate::Stats::requests).
    pub(super) const fn outcome(&self) -> &'static str {
        self.class().2
    }

    /// How long to wait before the same is sent again.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::InProgress { retry_after } => Some(*retry_after),
            Self::Unavailable { retry_after } => Some(retry_after.unwrap_or(BACK_SOON)),
            Self::NotCompleted => Some(BACK_SOON),
            _ => None,
        }
    }
}

impl From<&Refusal> for Failure {
    fn from(refusal: &Refusal) -> Self {
        let failure = Self::of(refusal.http_status(), refusal.code(), refusal.to_string(), refusal.retry_after());
        match refusal {
            Refusal::Indeterminate { reference } => failure.details(json!({ "reference": reference.to_string() })),
            Refusal::KeyInvalid { rule } => failure.details(json!({ "rule": rule })),
            Refusal::ResponseNotKept { status } => failure.details(json!({ "status": status })),
            Refusal::BodyTooLarge { limit } => failure.details(json!({ "limit": limit })),
            _ => failure,
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::from(&refusal)
    }
}
