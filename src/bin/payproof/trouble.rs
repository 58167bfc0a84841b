//! Why a command could not do its work.

use std::error::Error;

use payproof::{BuildError, ErrorInfo, Mode};

/// One line that says what is wrong and what to do.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Trouble(String);

impl Trouble {
    pub(crate) fn new(line: impl AsRef<str>) -> Self {
        // Wherever a line end in it came from, it stays one line, and nothing in it moves the cursor.
        let words = line.as_ref().split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
        Self(words.collect::<Vec<_>>().join(" "))
    }

    /// What was to be done, and the error with its causes: each says only its own part.
    pub(crate) fn because(what: &str, error: &(dyn Error + 'static)) -> Self {
        Self::new(format!("{what}: {}", chain(error)))
    }
}

/// An error and what caused it.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes.fold(error.to_string(), |line, cause| format!("{line}: {cause}"))
}

/// Any error of the crate, with its causes.
impl<E: ErrorInfo + 'static> From<E> for Trouble {
    fn from(error: E) -> Self {
        let error: &(dyn Error + 'static) = &error;
        match error.downcast_ref().and_then(option_for) {
            Some(here) => Self::new(format!("{error} (here: {here})")),
            None => Self::new(chain(error)),
        }
    }
}

/// The program's option for the setter that an error names.
fn option_for(error: &BuildError) -> Option<&'static str> {
    Some(match error {
        BuildError::ModeMismatch { provider_mode: Mode::Test, .. } => "--mode test",
        BuildError::ModeMismatch { .. } => "--mode live",
        BuildError::OutOfRange { setting: "stripe.account", .. } => "--account",
        BuildError::OutOfRange { setting: "stripe.own_account", .. } => "--own-account or STRIPE_ACCOUNT_ID",
        BuildError::OutOfRange { setting: "stripe.account_label", .. } => "--account-label",
        BuildError::AccountUnstated { .. } => "--own-account or STRIPE_ACCOUNT_ID, --account, or --only-account",
        BuildError::OutOfRange { setting: "attempt_timeout", .. } => "--attempt-timeout",
        BuildError::OutOfRange { setting: "total_deadline", .. } => "--deadline",
        BuildError::OutOfRange { setting: "store_prefix", .. } => "--store-prefix",
        BuildError::Credential { what: "Stripe secret key", .. } => "STRIPE_SECRET_KEY",
        BuildError::Url { what: "Stripe base URL", .. } => "--base-url",
        _ => return None,
    })
}
