//! Why there is no value.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use crate::call::error::{AT_CAPACITY, DEADLINE_EXCEEDED};
use crate::error_info::{Class, Condition, INTERRUPTED, INTERRUPTED_TEXT, NO_RUNTIME, NO_RUNTIME_TEXT, error_info};
use crate::ledger::LedgerError;

const LOAD_FAILED: Condition = Condition::passing(Class::Unavailable, "cache_load_failed", 502);
const FAILED_ELSEWHERE: Condition = Condition::passing(Class::Unavailable, "cache_failed_elsewhere", 503);
const LOAD_TIMED_OUT: Condition = Condition::passing(Class::Timeout, "cache_load_timed_out", 504);
const RECURSIVE_LOAD: Condition = Condition::lasting(Class::Configuration, "cache_recursive_load", 500);
const INVALID_KEY: Condition = Condition::lasting(Class::Caller, "cache_invalid_key", 400);
const NO_ROOM: Condition = Condition::passing(Class::Store, "cache_no_room", 503);
const INVALID_VALUE: Condition = Condition::lasting(Class::Caller, "cache_invalid_value", 500);

/// Why a cache gave no value, or did not do what it was asked.
///
/// A store that is down, slow, full or wiped is never the reason that a `get` fails: its loader is asked then. Only
/// `invalidate`, `put`, `peek`, `expire`, and what counts, which are about the store itself, fail with it.
///
/// | code | status | retryable | when |
/// |---|---|---|---|
/// | `cache_load_failed` | 502 | yes | the loader returned an error, which is the source |
/// | `cache_failed_elsewhere` | 503 | yes | the loaders of two other processes failed within 2 s, while this call waited for them |
/// | `cache_load_timed_out` | 504 | yes | the loader took longer than the space's `load_timeout` |
/// | `cache_recursive_load` | 500 | no | a loader asked for the key that it was loading |
/// | `cache_invalid_key` | 400 | no | a key or tag is empty, too long, or one of too many |
/// | `cache_invalid_value` | 500 | no | a value that was put is larger than `max_value`, or does not read back as it was written |
/// | `cache_no_room` | 503 | yes | a value was put into a store that is nearly full and evicts nothing, or into one whose share is used up |
/// | the [common ones](crate::ErrorInfo#common-conditions) | | | |
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// The loader returned an error.
    #[error("the value could not be loaded")]
    Load {
        /// What the loader returned; where several were asked, the last one.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// Other processes' loaders failed, while this call waited for them.
    #[error("the value could not be loaded by two other processes; ask again")]
    FailedElsewhere,
    /// The loader did not end in time.
    #[error("the value was not loaded within {limit:?}")]
    LoadTimedOut {
        /// The space's `load_timeout`.
        limit: Duration,
    },
    /// A loader asked for the key that it was loading.
    #[error("the loader of this value asks for the value itself")]
    RecursiveLoad,
    /// The caller's deadline is over. The load goes on, for the next caller.
    #[error("the deadline of {limit:?} passed")]
    Deadline {
        /// What the caller set.
        limit: Duration,
    },
    /// The loader panicked, or its runtime was shut down.
    #[error("{INTERRUPTED_TEXT}")]
    Interrupted,
    /// As many values are being loaded as a cache may load at once.
    #[error("too many values are being loaded; ask again")]
    AtCapacity,
    /// A key or a tag cannot be used.
    #[error("a key of the cache {rule}")]
    InvalidKey {
        /// The rule that it breaks.
        rule: &'static str,
    },
    /// A value that was put cannot be stored.
    #[error("the value is larger than the space's max_value, or does not read back as it was written")]
    InvalidValue,
    /// A value was put, and the store is nearly full, or the cache's share of it is used up.
    #[error(
        "the store has no room for the value; give it more, raise `share_store`, or give the cache a store that evicts"
    )]
    NoRoom,
    /// The store did not confirm.
    #[error("{}", .0.advice())]
    Store(#[from] LedgerError),
    /// There is no tokio runtime.
    #[error("{NO_RUNTIME_TEXT}")]
    NoRuntime,
}

error_info!(CacheError);

impl CacheError {
    pub(super) fn load(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Load { source: source.into().into() }
    }

    fn condition(&self) -> Condition {
        match self {
            Self::Load { .. } => LOAD_FAILED,
            Self::FailedElsewhere => FAILED_ELSEWHERE,
            Self::LoadTimedOut { .. } => LOAD_TIMED_OUT,
            Self::RecursiveLoad => RECURSIVE_LOAD,
            Self::Deadline { .. } => DEADLINE_EXCEEDED,
            Self::Interrupted => INTERRUPTED,
            Self::AtCapacity => AT_CAPACITY,
            Self::InvalidKey { .. } => INVALID_KEY,
            Self::InvalidValue => INVALID_VALUE,
            Self::NoRoom => NO_ROOM,
            Self::Store(error) => error.condition(),
            Self::NoRuntime => NO_RUNTIME,
        }
    }

    fn wait(&self) -> Option<Duration> {
        match self {
            Self::Store(error) => error.retry_after(),
            _ => None,
        }
    }
}
