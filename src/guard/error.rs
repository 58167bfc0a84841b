//! Why a guarded call brought no result.

use std::sync::Arc;
use std::time::Duration;

use crate::accessors::getters;
use crate::call::error::{CallError, Cause};
use crate::error_info::{
    Class, Condition, IN_PROGRESS, KEY_REUSED, KEY_REUSED_TEXT, MISCONFIGURED, RESTART_LOSES, SHARED_STORE_TEXT,
    STORE_NOT_SHARED, error_info, in_progress,
};
use crate::ledger::LedgerError;
use crate::provider::ProviderError;
use crate::provider::attempt_log::Attempt;
use crate::store::RestartLoss;

const INDETERMINATE: Condition = Condition::lasting(Class::Outcome, "indeterminate", 502);
const INDETERMINATE_RETRYABLE: Condition = Condition::passing(Class::Outcome, "indeterminate_retryable", 503);
const REFUSED: Condition = Condition::lasting(Class::Outcome, "refused", 422);
const RESULT_NOT_KEPT: Condition = Condition::lasting(Class::Outcome, "result_not_kept", 409);
const RESULT_UNREADABLE: Condition = Condition::lasting(Class::Outcome, "result_unreadable", 409);

/// No result: the operation was refused, was not executed, or its outcome is unknown.
///
/// Ask the predicates, which exclude one another. Only after [`is_indeterminate`](Self::is_indeterminate) and
/// [`is_in_progress`](Self::is_in_progress) may a write have been executed, or still be; and after
/// [`is_result_missing`](Self::is_result_missing) it was. After every other error this run has not executed it. Clones are
/// cheap.
///
/// | code | status | retryable | when |
/// |---|---|---|---|
/// | `key_reused` | 422 | no | the operation was run before with other claims |
/// | `in_progress` | 409 | yes | another run is at it for longer than this call could wait |
/// | `indeterminate` | 502 | no | it may have been executed; find out, and resolve it |
/// | `indeterminate_retryable` | 503 | yes | it may have been executed, and the provider's key makes another run safe |
/// | `refused` | 422 | no | the provider will not execute it |
/// | `result_not_kept` | 409 | no | it was executed, and its result was too large to keep |
/// | `result_unreadable` | 409 | no | it was executed, and its result is of another type |
/// | `misconfigured` | 500 | no | the settings contradict one another |
/// | `store_not_shared` | 500 | no | other processes do not see the store |
/// | `restart_loses` | 500 | no | a restart of the store may lose more than is accepted |
/// | the [common ones](crate::ErrorInfo#common-conditions) | | | |
#[derive(Clone, Debug, thiserror::Error)]
#[error(transparent)]
pub struct GuardError(Arc<NoResult>);

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoResult {
    #[error("{KEY_REUSED_TEXT}")]
    KeyReused,
    #[error("{}", in_progress("run of this operation"))]
    InProgress { retry_after: Duration },
    #[error("it is not known whether the operation was executed; {}", next.advice())]
    Indeterminate {
        next: Next,
        #[source]
        cause: Option<CallError>,
    },
    #[error("the provider refused the operation; correct it, and run it under a new key")]
    Refused {
        #[source]
        error: ProviderError,
        attempts: Vec<Attempt>,
    },
    #[error("the operation was executed, and its {}", .0.advice())]
    ResultMissing(Unkept),
    #[error("{0}")]
    GuardSettings(Box<str>),
    #[error("writes without a provider key need {SHARED_STORE_TEXT}")]
    StoreNotShared,
    #[error("{}", .0.refusal())]
    RestartLoses(RestartLoss),
    #[error("{}", .0.advice())]
    Store(#[source] LedgerError),
    /// Nothing was executed, for a reason that a look-up could have had as well.
    #[error(transparent)]
    Call(CallError),
}

/// Why a result is not there to be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unkept {
    TooLarge,
    OfAnotherType,
}

/// What a caller can do where the outcome is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Run it again: the provider's key protects it.
    Resend,
    /// Find out, and say so.
    Resolve,
}

impl Unkept {
    const fn advice(self) -> &'static str {
        match self {
            Self::TooLarge => "result could not be kept; look it up at the provider",
            Self::OfAnotherType => "recorded result is of another type; run it with the type it had",
        }
    }
}

impl Next {
    const fn advice(self) -> &'static str {
        match self {
            Self::Resend => "run it again, which the provider's key makes safe",
            Self::Resolve => "look at the provider and resolve it, or reconcile",
        }
    }
}

error_info!(
    GuardError,
    fn is_protected(&self) -> bool {
        self.condition() == INDETERMINATE_RETRYABLE
    },
);

impl GuardError {
    fn condition(&self) -> Condition {
        match &*self.0 {
            NoResult::KeyReused => KEY_REUSED,
            NoResult::InProgress { .. } => IN_PROGRESS,
            NoResult::Indeterminate { next: Next::Resend, .. } => INDETERMINATE_RETRYABLE,
            NoResult::Indeterminate { next: Next::Resolve, .. } => INDETERMINATE,
            NoResult::Refused { .. } => REFUSED,
            NoResult::ResultMissing(Unkept::TooLarge) => RESULT_NOT_KEPT,
            NoResult::ResultMissing(Unkept::OfAnotherType) => RESULT_UNREADABLE,
            NoResult::GuardSettings(_) => MISCONFIGURED,
            NoResult::StoreNotShared => STORE_NOT_SHARED,
            NoResult::RestartLoses(_) => RESTART_LOSES,
            NoResult::Store(error) => error.condition(),
            NoResult::Call(error) => error.condition(),
        }
    }

    fn wait(&self) -> Option<Duration> {
        match &*self.0 {
            NoResult::InProgress { retry_after } => Some(*retry_after),
            NoResult::Store(error) => error.retry_after(),
            _ => self.call()?.retry_after(),
        }
    }

    /// The provider calls that brought no result.
    fn call(&self) -> Option<&CallError> {
        match &*self.0 {
            NoResult::Call(error) | NoResult::Indeterminate { cause: Some(error), .. } => Some(error),
            _ => None,
        }
    }

    fn is(&self, class: Class) -> bool {
        self.condition().class == class
    }

    getters! {
        /// The same operation was run before with other claims. Use a new key for a new operation.
        pub fn is_key_reused(&self) -> bool => matches!(&*self.0, NoResult::KeyReused);

        /// The operation is under way, and took longer than this call could wait. Run it again to get its result.
        pub fn is_in_progress(&self) -> bool => self.is(Class::InProgress);

        /// It is not known whether the operation was executed.
        ///
        /// If it [is retryable](Self::is_retryable), run it again. Else look at the provider, or let
        /// [`reconcile`](crate::guard::GuardRun::reconcile) do so, or say what happened with
        /// [`resolve`](crate::guard::Guard::resolve).
        pub fn is_indeterminate(&self) -> bool => matches!(&*self.0, NoResult::Indeterminate { .. });

        /// The provider will not execute the operation. The source is its refusal; later runs get the same one, unless
        /// it is [resolved](crate::guard::Guard::resolve) as not executed.
        pub fn is_refused(&self) -> bool => matches!(&*self.0, NoResult::Refused { .. });

        /// The operation was executed, and its result cannot be repeated: too large to keep, or of another type.
        pub fn is_result_missing(&self) -> bool => matches!(&*self.0, NoResult::ResultMissing(_));

        /// Time ran out before anything was executed. Run it again later.
        pub fn is_timeout(&self) -> bool => self.is(Class::Timeout);

        /// The provider limits this account's rate, and nothing was executed. Run it again after
        /// [`retry_after`](Self::retry_after).
        pub fn is_rate_limited(&self) -> bool => self.is(Class::RateLimited);

        /// The provider is down, and nothing was executed. Run it again later.
        pub fn is_unavailable(&self) -> bool => self.is(Class::Unavailable);

        /// Running it again will not help until the operator changes a setting, such as the provider's credential.
        ///
        /// [`restart_loss`](Self::restart_loss) tells whether it is about what the store keeps.
        pub fn is_configuration(&self) -> bool => self.is(Class::Configuration);

        /// What a restart of the store may lose, where the operation was not sent because that is more than is accepted.
        pub fn restart_loss(&self) -> Option<RestartLoss> => match &*self.0 {
            NoResult::RestartLoses(loss) => Some(*loss),
            _ => None,
        };

        /// The store does not answer, or holds something unreadable, and this run has sent nothing.
        pub fn is_store(&self) -> bool => self.is(Class::Store);

        /// Every provider call of this run, and why there was no further one.
        pub fn attempts(&self) -> &[Attempt] => match &*self.0 {
            NoResult::Refused { attempts, .. } => attempts,
            _ => self.call().map_or(&[], CallError::attempts),
        };

        /// What the provider last said, if it said anything.
        pub fn provider_error(&self) -> Option<&ProviderError> => match &*self.0 {
            NoResult::Refused { error, .. } => Some(error),
            _ => self.call()?.provider(),
        };
    }
}

impl From<NoResult> for GuardError {
    fn from(why: NoResult) -> Self {
        Self(Arc::new(why))
    }
}

impl From<CallError> for GuardError {
    fn from(error: CallError) -> Self {
        NoResult::Call(error).into()
    }
}

impl From<LedgerError> for GuardError {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::NoRuntime => CallError::new(Cause::NoRuntime).into(),
            error => NoResult::Store(error).into(),
        }
    }
}
