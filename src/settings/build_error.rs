//! Why a configuration was refused.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::error_info::{MISCONFIGURED, error_info};

/// The longest name of a service or an endpoint, in characters.
#[cfg(any(feature = "tower", feature = "webhook"))]
const MAX_NAME: usize = 100;

/// The key that signs records, the next one, and two whose records still stand.
const MOST_KEYS: usize = 4;

/// A configuration that cannot work; carries the values that contradict each other.
///
/// | code | status | retryable |
/// |---|---|---|
/// | `misconfigured` | 500 | no |
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A number or duration is outside what makes sense.
    #[error("{setting} is {value}, and must be {rule}")]
    OutOfRange {
        /// The setter's name.
        setting: &'static str,
        /// What was set.
        value: String,
        /// What is allowed.
        rule: &'static str,
    },
    /// One limit has to be at most another, and is not.
    #[error("{shorter} ({shorter_value:?}) must not exceed {longer} ({longer_value:?})")]
    Contradiction {
        /// The limit that has to be the shorter one.
        shorter: &'static str,
        /// Its value.
        shorter_value: Duration,
        /// The limit that has to be the longer one.
        longer: &'static str,
        /// Its value.
        longer_value: Duration,
    },
    /// A transient pattern is not a regular expression.
    #[error("transient pattern `{pattern}` is not a regular expression: {reason}")]
    InvalidPattern {
        /// The pattern as it was given.
        pattern: String,
        /// What the parser says.
        reason: String,
    },
    /// The provider's mode and the validator's mode differ.
    #[error(
        "the provider {provider} works in {provider_mode} mode and the validator expects {validator_mode}; \
         use a {validator_mode} key, or say `.mode(Mode::{provider_mode:?})`"
    )]
    ModeMismatch {
        /// The provider's name.
        provider: String,
        /// What its credential can see.
        provider_mode: crate::payment::facts::Mode,
        /// What the validator is set to.
        validator_mode: crate::payment::facts::Mode,
    },
    /// There is a store, and the provider's identity does not say whose records are kept in it: two accounts that state
    /// nothing would share facts, and a payment into one would be valid for the other.
    #[error(
        "the account at {provider} is not stated, and a store may hold records of several: name it with {setting}, or \
         state `only_account()` if no other account at {provider} uses this store"
    )]
    AccountUnstated {
        /// The provider's name.
        provider: String,
        /// What names the account.
        setting: &'static str,
    },
    /// The environment asks for something that cannot be done. Values are not repeated, as they may be credentials.
    #[error("{variable} {rule}")]
    Environment {
        /// The variable.
        variable: String,
        /// The rule it breaks, and what to do.
        rule: String,
    },
    /// A store that every process sees is required, and this is none.
    #[error("the store `{store}` is this process's own, and a shared one is required; {because}")]
    NotShared {
        /// What was chosen.
        store: &'static str,
        /// Why.
        because: String,
    },
    /// Redemptions are recorded in PostgreSQL, and it is not said whether others were recorded elsewhere before: a payment that
    /// was redeemed there would be unused here.
    #[error(
        "redemptions are recorded in PostgreSQL: state `no_redemptions_before()` if none were recorded in another store \
         before, or name that store with `redemptions_moved_from`"
    )]
    RedemptionsBefore,
    /// A credential is missing or malformed. Its value is not repeated.
    #[error("the {what} {rule}")]
    Credential {
        /// Which credential.
        what: &'static str,
        /// The rule it breaks.
        rule: &'static str,
    },
    /// A URL cannot be used. Its value is not repeated, as it may hold credentials.
    #[error("the {what} {rule}")]
    Url {
        /// Which URL.
        what: &'static str,
        /// The rule it breaks.
        rule: &'static str,
    },
    /// The HTTP client could not be made, for example for want of root certificates.
    #[error("the HTTP client could not be made: {reason}")]
    HttpClient {
        /// What the client says.
        reason: String,
    },
    /// TLS could not be set up, for example for want of root certificates.
    #[error("TLS could not be set up: {reason}")]
    Tls {
        /// What the library says.
        reason: String,
    },
    /// The file of a store cannot be opened, or is none.
    #[error("the store's file {} cannot be used: {reason}", path.display())]
    StoreFile {
        /// Which file.
        path: PathBuf,
        /// What stands in the way.
        reason: String,
    },
    /// The file of a store is open already. One process uses it at a time, through one store and its clones.
    #[error(
        "the store's file {} is in use; end the process that has it open, drop the other store, or use another file",
        path.display()
    )]
    StoreFileInUse {
        /// Which file.
        path: PathBuf,
    },
}

error_info!(BuildError = MISCONFIGURED);

impl BuildError {
    pub(crate) fn out_of_range(setting: &'static str, value: String, rule: &'static str) -> Self {
        Self::OutOfRange { setting, value, rule }
    }

    /// Refuses a value that does not keep the rule.
    pub(crate) fn check(
        setting: &'static str,
        value: impl fmt::Debug,
        is_kept: bool,
        rule: &'static str,
    ) -> Result<(), Self> {
        if is_kept { Ok(()) } else { Err(Self::out_of_range(setting, format!("{value:?}"), rule)) }
    }

    /// Refuses a name that could not be shown in a line of a log, or is none.
    #[cfg(any(feature = "tower", feature = "webhook"))]
    pub(crate) fn check_name(setting: &'static str, name: &str) -> Result<(), Self> {
        let is_plain = name.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        let is_kept = is_plain && (1..=MAX_NAME).contains(&name.len());
        Self::check(setting, format_args!("{}", name.escape_default()), is_kept, "1 to 100 printable ASCII characters")
    }

    /// Refuses what keys in a store could not begin with.
    pub(crate) fn check_store_prefix(prefix: &str) -> Result<(), Self> {
        let is_plain = prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte));
        let (is_kept, rule) = ((1..=64).contains(&prefix.len()), "1 to 64 of A-Z, a-z, 0-9, `_`, `-`, `.` and `:`");
        Self::check("store_prefix", format_args!("{prefix}"), is_plain && is_kept, rule)
    }

    /// Refuses too few or too many keys that authenticate records, if there are to be any.
    pub(crate) fn check_record_keys<K>(keys: Option<&[K]>) -> Result<(), Self> {
        let Some(keys) = keys else { return Ok(()) };
        let is_kept = (1..=MOST_KEYS).contains(&keys.len());
        Self::check("record_keys", format_args!("{} keys", keys.len()), is_kept, "1 to 4 keys")
    }

    /// Refuses a limit that is longer than the one it has to stay within.
    pub(crate) fn check_order(
        shorter: &'static str,
        shorter_value: Duration,
        longer: &'static str,
        longer_value: Duration,
    ) -> Result<(), Self> {
        if shorter_value <= longer_value {
            return Ok(());
        }
        Err(Self::Contradiction { shorter, shorter_value, longer, longer_value })
    }
}
