//! Why a request was not let through.

use std::time::Duration;

use serde_json::{Value, json};

use crate::error_info::{Class, Condition, error_info};
use crate::guard::OperationReference;

/// A request that was not let through to its handler, or whose answer cannot be repeated.
///
/// The client gets the code in capitals.
///
/// | code | status | retryable | what the client does |
/// |---|---|---|---|
/// | `idempotency_key_required` | 400 | no | send `Idempotency-Key` |
/// | `idempotency_key_invalid` | 400 | no | send a key as `details.rule` says |
/// | `idempotency_scope_required` | 401 | no | authenticate |
/// | `idempotency_body_unreadable` | 400 | yes | send the whole body |
/// | `idempotency_body_timeout` | 408 | yes | send the body faster |
/// | `idempotency_body_too_large` | 413 | no | send less |
/// | `idempotency_key_reused` | 422 | no | use a new key for a new request |
/// | `idempotency_in_progress` | 409 | yes | send the same again after Retry-After |
/// | `idempotency_indeterminate` | 409 | no | look what became of it, and say so by `details.reference`; it is not run again by itself |
/// | `idempotency_handler_panicked` | 500 | no | the same: the handler of this very request panicked |
/// | `idempotency_response_not_kept` | 409 | no | it was done, with the status in `details.status`; look it up |
/// | `idempotency_not_completed` | 503 | yes | send the same again: the route allows it |
/// | `idempotency_share_full` | 503 | yes | send the same again later: the tenant holds its share of keys |
/// | `idempotency_unavailable` | 503 | yes | send the same again later: the store did not confirm |
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
    /// It is not known whose request it is.
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
    /// It is not known what became of the first request: it failed, panicked, timed out or crashed.
    #[error("it is not known what became of the first request with this Idempotency-Key; look it up")]
    Indeterminate {
        /// What to give to [`Validator::resolve_request`](crate::Validator::resolve_request).
        reference: OperationReference,
    },
    /// The handler of this request panicked, and the route does not allow it to run again.
    #[error("the service failed at this request, and it is not known what became of it; look it up")]
    HandlerPanicked {
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

/// What a refusal's code begins with. The rest is its name in numbers.
const PREFIX: &str = "idempotency_";

error_info!(
    Refusal,
    /// All of it is for the client: none is about the service's settings.
    fn public_message(&self) -> String {
        self.to_string()
    },
    fn public_details(&self) -> Option<Value> {
        match self {
            Self::Indeterminate { reference } | Self::HandlerPanicked { reference } => {
                Some(json!({ "reference": reference.to_string() }))
            }
            Self::KeyInvalid { rule } => Some(json!({ "rule": rule })),
            Self::ResponseNotKept { status } => Some(json!({ "status": status })),
            Self::BodyTooLarge { limit } => Some(json!({ "limit": limit })),
            _ => None,
        }
    }
);

impl Refusal {
    const fn condition(&self) -> Condition {
        match self {
            Self::KeyRequired => Condition::lasting(Class::Caller, "idempotency_key_required", 400),
            Self::KeyInvalid { .. } => Condition::lasting(Class::Caller, "idempotency_key_invalid", 400),
            Self::ScopeRequired => Condition::lasting(Class::Caller, "idempotency_scope_required", 401),
            Self::BodyUnreadable => Condition::passing(Class::Caller, "idempotency_body_unreadable", 400),
            Self::BodyTimeout { .. } => Condition::passing(Class::Timeout, "idempotency_body_timeout", 408),
            Self::BodyTooLarge { .. } => Condition::lasting(Class::Caller, "idempotency_body_too_large", 413),
            Self::KeyReused => Condition::lasting(Class::Caller, "idempotency_key_reused", 422),
            Self::InProgress { .. } => Condition::passing(Class::InProgress, "idempotency_in_progress", 409),
            Self::Indeterminate { .. } => Condition::lasting(Class::Outcome, "idempotency_indeterminate", 409),
            Self::HandlerPanicked { .. } => Condition::lasting(Class::Outcome, "idempotency_handler_panicked", 500),
            Self::ResponseNotKept { .. } => Condition::lasting(Class::Outcome, "idempotency_response_not_kept", 409),
            Self::NotCompleted => Condition::passing(Class::Outcome, "idempotency_not_completed", 503),
            Self::ShareFull { .. } => Condition::passing(Class::Unavailable, "idempotency_share_full", 503),
            Self::Unavailable { .. } => Condition::passing(Class::Store, "idempotency_unavailable", 503),
        }
    }

    /// The name in [`Stats::requests`](crate::telemetry::Stats::requests).
    pub(super) fn outcome(&self) -> &'static str {
        self.code().strip_prefix(PREFIX).unwrap_or_default()
    }

    fn wait(&self) -> Option<Duration> {
        match self {
            Self::InProgress { retry_after } => Some(*retry_after),
            Self::Unavailable { retry_after } => Some(retry_after.unwrap_or(BACK_SOON)),
            Self::NotCompleted => Some(BACK_SOON),
            _ => None,
        }
    }
}
