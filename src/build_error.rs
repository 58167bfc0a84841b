//! Why a configuration was refused.

use std::time::Duration;

/// A configuration that cannot work; carries the values that contradict each other.
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
        provider_mode: crate::facts::Mode,
        /// What the validator is set to.
        validator_mode: crate::facts::Mode,
    },
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
}
