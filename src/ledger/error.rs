//! Why the ledger gave no answer.

use std::time::Duration;

use crate::error::{Kind, StoreState, StoreTrouble, ValidateError};
use crate::store::StoreError;

/// A record could not be read, claimed or changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LedgerError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the store gave no answer within {limit:?}")]
    TimedOut { limit: Duration },
    #[error("the record is of version {version}, which a newer release wrote; update this one")]
    Newer { version: u8 },
    #[error("the record {0}")]
    Unreadable(&'static str),
    #[error("a record of {bytes} bytes is larger than the {} allowed", super::record::MAX_RECORD)]
    TooLarge { bytes: usize },
    #[error("the record keeps changing under many hands; ask again")]
    Contended,
    #[error("there is no tokio runtime here")]
    NoRuntime,
    #[error("the operating system gave no randomness")]
    NoRandomness,
}

impl LedgerError {
    /// Whether a read may go on without the store. What stands there and cannot be read is no absence of a store: going on
    /// would treat it as a miss.
    pub(crate) fn is_down(&self) -> bool {
        !matches!(self, Self::Unreadable(_) | Self::Newer { .. } | Self::TooLarge { .. })
    }

    /// Whether a newer release wrote the record. What it says may matter to an effect, and is no matter to a reading, which
    /// can ask the provider.
    pub(crate) fn is_newer(&self) -> bool {
        matches!(self, Self::Newer { .. })
    }

    /// Whether the store may have done what it was asked.
    pub(crate) fn is_outcome_unknown(&self) -> bool {
        match self {
            Self::Store(error) => error.is_outcome_unknown(),
            Self::TimedOut { .. } => true,
            _ => false,
        }
    }

    /// How far a call got that brought this, for metrics.
    pub(super) fn reach(&self) -> &'static str {
        match self {
            Self::Store(error) if error.is_refused() => "refused",
            Self::Store(error) if error.is_outcome_unknown() => "outcome_unknown",
            Self::Store(_) => "not_sent",
            Self::TimedOut { .. } => "timeout",
            _ => "unusable",
        }
    }

    /// Whether asking once more may help at once: the connection may be a new one by then.
    pub(super) fn is_worth_another_try(&self) -> bool {
        match self {
            Self::Store(error) => !error.is_refused() && error.wait().is_none(),
            _ => false,
        }
    }

    /// What two tries in a row came to, this one and the next. The second says nothing of whether the first was made.
    pub(super) fn or(self, next: Self) -> Self {
        if self.is_outcome_unknown() && !next.is_outcome_unknown() { self } else { next }
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Store(error) => error.wait(),
            _ => None,
        }
    }
}

impl From<LedgerError> for ValidateError {
    fn from(error: LedgerError) -> Self {
        if error == LedgerError::NoRuntime {
            return Self::new(Kind::NoRuntime);
        }
        let state = match &error {
            error if error.is_newer() => StoreState::Newer,
            error if error.is_down() => StoreState::Down,
            _ => StoreState::Unreadable,
        };
        let trouble = StoreTrouble { message: error.to_string().into(), state };
        Self::after_attempts(Kind::Store(trouble), error.retry_after(), Vec::new())
    }
}
