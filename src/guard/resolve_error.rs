//! Why a person's word on an operation or a request was not recorded.

use std::time::Duration;

use crate::error_info::{Class, Condition, IN_PROGRESS, KEY_REUSED, KEY_REUSED_TEXT, error_info, in_progress};
use crate::ledger::LedgerError;

const INVALID_RESOLUTION: Condition = Condition::lasting(Class::Caller, "invalid_resolution", 400);
const NOTHING_TO_RESOLVE: Condition = Condition::lasting(Class::Caller, "nothing_to_resolve", 409);

/// A [`Resolution`](crate::guard::Resolution) that was not recorded. Except after [`Store`](Self::Store), which may have
/// recorded it, nothing has changed.
///
/// | code | status | retryable | when |
/// |---|---|---|---|
/// | `nothing_to_resolve` | 409 | no | what was to be resolved is not indeterminate |
/// | `in_progress` | 409 | yes | it is under way |
/// | `key_reused` | 422 | no | the operation was run before with other claims |
/// | `invalid_resolution` | 400 | no | `who` is empty, or the result cannot be kept |
/// | the [common ones](crate::ErrorInfo#common-conditions) of a store, and `no_runtime` | | | |
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// There is no record, or its end is known.
    #[error("there is nothing to resolve: {why}")]
    NothingToResolve {
        /// What is known instead.
        why: &'static str,
    },
    /// It is under way, and may still come to its own end.
    #[error("{}", in_progress("run of this operation or request"))]
    InProgress {
        /// How long it is still protected.
        retry_after: Duration,
    },
    /// The operation was run before with other claims.
    #[error("{KEY_REUSED_TEXT}")]
    KeyReused,
    /// `who` is empty once it is made fit to be shown.
    #[error("`who` is empty; say who resolves it")]
    Unsigned,
    /// The given result cannot be written as JSON.
    #[error("the given result cannot be written as JSON; use `done_without_result`")]
    Unwritable,
    /// The given result is larger than a record may be: 256 KiB.
    #[error("the given result is too large to keep; use `done_without_result`")]
    TooLarge,
    /// The store did not confirm, or holds something that cannot be used.
    #[error("{}", .0.advice())]
    Store(#[source] LedgerError),
}

error_info!(ResolveError);

impl ResolveError {
    fn condition(&self) -> Condition {
        match self {
            Self::NothingToResolve { .. } => NOTHING_TO_RESOLVE,
            Self::InProgress { .. } => IN_PROGRESS,
            Self::KeyReused => KEY_REUSED,
            Self::Unsigned | Self::Unwritable | Self::TooLarge => INVALID_RESOLUTION,
            Self::Store(error) => error.condition(),
        }
    }

    fn wait(&self) -> Option<Duration> {
        match self {
            Self::InProgress { retry_after } => Some(*retry_after),
            Self::Store(error) => error.retry_after(),
            _ => None,
        }
    }
}

impl From<LedgerError> for ResolveError {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::TooLarge { .. } => Self::TooLarge,
            error => Self::Store(error),
        }
    }
}
