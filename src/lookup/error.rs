//! Why a validation could not tell.

use std::sync::Arc;
use std::time::Duration;

use crate::accessors::getters;
use crate::call::error::{CallError, Cause};
use crate::error_info::{
    Class, Condition, IN_PROGRESS, INVALID_INTENT, KEY_REUSED, KEY_REUSED_TEXT, error_info, in_progress,
};
use crate::intent::invalid_intent::InvalidIntent;
use crate::ledger::LedgerError;
use crate::provider::attempt_log::Attempt;

/// No verdict: the intent was malformed, or the truth could not be found out.
///
/// Never means that a payment is bad; that is [`Verdict::Invalid`](crate::Verdict::Invalid). Ask the predicates, which
/// exclude one another, or map [`code`](Self::code). Clones are cheap, since calls that share a flight share its error.
///
/// | code | status | retryable | when |
/// |---|---|---|---|
/// | `invalid_intent` | 400 | no | a claim breaks a rule; nothing was asked |
/// | `key_reused` | 422 | no | the idempotency key was used before with other claims |
/// | `in_progress` | 409 | yes | another process asks about the payment for longer than this call could wait |
/// | the [common ones](crate::ErrorInfo#common-conditions) | | | |
#[derive(Clone, Debug, thiserror::Error)]
#[error(transparent)]
pub struct ValidateError(Arc<Kind>);

#[derive(Debug, thiserror::Error)]
enum Kind {
    #[error(transparent)]
    InvalidIntent(#[from] InvalidIntent),
    #[error("{KEY_REUSED_TEXT}")]
    KeyReused,
    /// Another process is asking, and this call has no more time to wait for it.
    #[error("{}", in_progress("validation of this payment"))]
    InProgress { retry_after: Duration },
    #[error(transparent)]
    Call(#[from] CallError),
    /// What stands in the store cannot be used, or could not be changed.
    #[error("{}", .0.advice())]
    Store(#[from] LedgerError),
}

error_info!(
    ValidateError,
    fn public_details(&self) -> Option<serde_json::Value> {
        self.invalid_intent()?.public_details()
    }
);

impl ValidateError {
    pub(crate) fn key_reused() -> Self {
        Self(Arc::new(Kind::KeyReused))
    }

    pub(crate) fn in_progress(retry_after: Duration) -> Self {
        Self(Arc::new(Kind::InProgress { retry_after }))
    }

    pub(crate) fn condition(&self) -> Condition {
        match &*self.0 {
            Kind::InvalidIntent(_) => INVALID_INTENT,
            Kind::KeyReused => KEY_REUSED,
            Kind::InProgress { .. } => IN_PROGRESS,
            Kind::Call(error) => error.condition(),
            Kind::Store(error) => error.condition(),
        }
    }

    fn wait(&self) -> Option<Duration> {
        match &*self.0 {
            Kind::InvalidIntent(_) | Kind::KeyReused => None,
            Kind::InProgress { retry_after } => Some(*retry_after),
            Kind::Call(error) => error.retry_after(),
            Kind::Store(error) => error.retry_after(),
        }
    }

    fn is(&self, class: Class) -> bool {
        self.condition().class == class
    }

    getters! {
        /// The intent broke a rule; nothing was asked. The text names the field.
        pub fn is_invalid_intent(&self) -> bool => matches!(&*self.0, Kind::InvalidIntent(_));

        /// The idempotency key was used before with other claims.
        pub fn is_key_reused(&self) -> bool => matches!(&*self.0, Kind::KeyReused);

        /// Time ran out: the deadline, or the attempt timeout on the last attempt. Ask again later.
        pub fn is_timeout(&self) -> bool => self.is(Class::Timeout);

        /// The provider limits this account's rate. Ask again after [`retry_after`](Self::retry_after).
        pub fn is_rate_limited(&self) -> bool => self.is(Class::RateLimited);

        /// The provider is down or unreadable, or failed in words that no rule knows, or this process is at capacity.
        /// Ask again later.
        pub fn is_unavailable(&self) -> bool => self.is(Class::Unavailable);

        /// Asking again will not help until the operator changes a setting, such as the provider's credential.
        pub fn is_configuration(&self) -> bool => self.is(Class::Configuration);

        /// Another process is asking about the same payment, and took longer than this call could wait. Ask again soon.
        pub fn is_in_progress(&self) -> bool => self.is(Class::InProgress);

        /// The shared store holds something unreadable, or could not confirm a change. Never because it is down alone:
        /// a validation then goes on without it.
        pub fn is_store(&self) -> bool => self.is(Class::Store);

        /// Every attempt that was made, and why there was no further one. Empty when nothing was asked, and when the
        /// caller's own deadline passed while the flight goes on without it.
        pub fn attempts(&self) -> &[Attempt] => match &*self.0 {
            Kind::Call(error) => error.attempts(),
            _ => &[],
        };

        /// The claim that was refused, if that is why.
        pub fn invalid_intent(&self) -> Option<&InvalidIntent> => match &*self.0 {
            Kind::InvalidIntent(invalid) => Some(invalid),
            _ => None,
        };
    }

    /// Whether older facts may stand in: nothing says that the provider would now contradict them.
    pub(crate) fn provider_was_silent(&self) -> bool {
        match &*self.0 {
            Kind::InProgress { .. } => true,
            Kind::Call(error) => error.provider_was_silent(),
            Kind::InvalidIntent(_) | Kind::KeyReused | Kind::Store(_) => false,
        }
    }
}

impl From<InvalidIntent> for ValidateError {
    fn from(invalid: InvalidIntent) -> Self {
        Self(Arc::new(invalid.into()))
    }
}

impl From<CallError> for ValidateError {
    fn from(error: CallError) -> Self {
        Self(Arc::new(error.into()))
    }
}

impl From<LedgerError> for ValidateError {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::NoRuntime => CallError::new(Cause::NoRuntime).into(),
            error => Self(Arc::new(error.into())),
        }
    }
}
