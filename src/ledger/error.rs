//! Why the ledger gave no answer.

use std::time::Duration;

use crate::error_info::{Class, Condition, NO_RUNTIME, NO_RUNTIME_TEXT, error_info};
use crate::store::StoreError;

const STORE_UNAVAILABLE: Condition = Condition::passing(Class::Store, "store_unavailable", 503);
const RECORD_NEWER: Condition = Condition::passing(Class::Store, "record_newer", 503);
const DECISIONS_FULL: Condition = Condition::passing(Class::Store, "decisions_full", 503);
const RECORD_UNREADABLE: Condition = Condition::lasting(Class::Store, "record_unreadable", 502);

/// A record that could not be read, claimed or changed: the store does not answer, or what it holds cannot be used.
///
/// It is the source of the errors that are about the store, for the service's own log.
///
/// Code, status and repetition are among the [common ones](crate::ErrorInfo#common-conditions).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The store's own error.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store gave no answer in time. It may have done what it was asked.
    #[error("the store gave no answer within {limit:?}")]
    TimedOut {
        /// The time it had.
        limit: Duration,
    },
    /// The store gave no answer in time to the calls before, and is not asked until a probe was answered.
    #[error("the store has not been answering, and is not asked until it does")]
    NotAsked {
        /// When it is probed next.
        retry_after: Duration,
    },
    /// A newer release wrote the record.
    #[error("the record is of version {version}")]
    Newer {
        /// The record's version.
        version: u8,
    },
    /// The record is damaged, or none of this crate's.
    #[error("the record {0}")]
    Unreadable(&'static str),
    /// No key of this process opens the record, or it was changed since it was sealed.
    #[error("the record {0}")]
    Locked(&'static str),
    /// An earlier release wrote the record, and it says less than this one has to know.
    #[error("the record is of version {version}, which says less than this release has to know")]
    NotEnough {
        /// The record's version.
        version: u8,
    },
    /// The record that was to be written is larger than one of its kind may be.
    #[error("a record of {bytes} bytes is larger than the {most} allowed")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The most that is allowed.
        most: usize,
    },
    /// Other processes changed the record each time between reading and writing.
    #[error("the record keeps changing under many hands; ask again")]
    Contended,
    /// What a person decided cannot be recorded, and so is not done: the room for the decisions of a day, those about all
    /// tenants of the account, is taken.
    #[error("{most} decisions of people are recorded today, which is the most; there is room again from 00:00 UTC on")]
    DecisionsFull {
        /// The most decisions of a day.
        most: u64,
        /// How long the day lasts.
        retry_after: Duration,
    },
    /// There is no tokio runtime.
    #[error("{NO_RUNTIME_TEXT}")]
    NoRuntime,
    /// Nothing that no other process has could be drawn for the record.
    #[error("the operating system gave no randomness")]
    NoRandomness,
}

error_info!(
    LedgerError,
    fn public_message(&self) -> String {
        self.advice().to_owned()
    }
);

impl LedgerError {
    /// Whether a read may go on without the store. To go on past a record that cannot be read would treat it as a miss.
    pub(crate) fn is_down(&self) -> bool {
        !matches!(
            self,
            Self::Unreadable(_)
                | Self::Locked(_)
                | Self::NotEnough { .. }
                | Self::Newer { .. }
                | Self::TooLarge { .. }
                | Self::DecisionsFull { .. }
        )
    }

    /// Whether a newer release wrote the record. What it says may matter to an effect; a reading can ask the provider.
    pub(crate) fn is_newer(&self) -> bool {
        matches!(self, Self::Newer { .. })
    }

    /// Whether a reading asks the provider in place of the store: there is no answer, or one for a newer release alone.
    pub(crate) fn leaves_to_provider(&self) -> bool {
        self.is_down() || self.is_newer()
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
            Self::Store(error) if error.is_answer() => "contended",
            Self::Store(error) if error.is_outcome_unknown() => "outcome_unknown",
            Self::Store(_) => "not_sent",
            Self::TimedOut { .. } => "timeout",
            _ => "unusable",
        }
    }

    /// Whether asking once more may help at once: the connection may be a new one by then. What no standby may have is not:
    /// the second try of a claim, which has another nonce, would take the first for another caller's.
    pub(super) fn is_worth_another_try(&self) -> bool {
        match self {
            Self::Store(error) => !error.is_refused() && !error.is_not_replicated() && error.retry_after().is_none(),
            _ => false,
        }
    }

    /// What two tries in a row came to, this one and the next. The second says nothing of whether the first was made.
    pub(super) fn or(self, next: Self) -> Self {
        let is_made = !matches!(next, Self::NotAsked { .. });
        if !is_made || self.is_outcome_unknown() && !next.is_outcome_unknown() { self } else { next }
    }

    fn wait(&self) -> Option<Duration> {
        match self {
            Self::Store(error) => error.retry_after(),
            Self::NotAsked { retry_after } | Self::DecisionsFull { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }

    pub(crate) fn condition(&self) -> Condition {
        match self {
            Self::NoRuntime => NO_RUNTIME,
            Self::DecisionsFull { .. } => DECISIONS_FULL,
            error if error.is_newer() => RECORD_NEWER,
            error if error.is_down() => STORE_UNAVAILABLE,
            _ => RECORD_UNREADABLE,
        }
    }

    /// The text of the errors whose source this is: what to do, without what the store said.
    pub(crate) fn advice(&self) -> &'static str {
        match self.condition() {
            NO_RUNTIME => NO_RUNTIME_TEXT,
            RECORD_NEWER => "a newer release wrote the record; update this one",
            DECISIONS_FULL => "there is room for no further decision today; decide again from 00:00 UTC on",
            RECORD_UNREADABLE => "the record in the store cannot be used; look into the store",
            _ => "the shared store did not confirm; try again",
        }
    }
}
