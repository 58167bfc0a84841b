//! Why a guarded call brought no result.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Kind as CallKind, ValidateError};
use crate::ledger::LedgerError;
use crate::provider::ProviderError;
use crate::provider::attempt_log::Attempt;
use crate::store::RestartLoss;

/// No result: refused, not executed, or nobody knows.
///
/// Ask the predicates, which exclude one another. Only after [`is_indeterminate`](Self::is_indeterminate) and
/// [`is_in_progress`](Self::is_in_progress) may a write have been executed, or still be; and after
/// [`is_result_missing`](Self::is_result_missing) it was. After every other error this run has not executed it. Clones are
/// cheap.
#[derive(Clone)]
pub struct GuardError(Arc<Kind>);

#[derive(Debug)]
enum Kind {
    KeyReused,
    InProgress {
        retry_after: Duration,
    },
    Indeterminate {
        next: Next,
        cause: Option<ValidateError>,
    },
    Refused {
        error: ProviderError,
        attempts: Vec<Attempt>,
    },
    ResultMissing(Unkept),
    NothingToResolve(&'static str),
    Settings(Box<str>),
    RestartLoses(RestartLoss),
    Store(LedgerError),
    /// Nothing was executed, for a reason that a look-up could have had as well.
    Call(ValidateError),
}

/// Why a result is not there to be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unkept {
    TooLarge,
    OfAnotherType,
}

/// What a caller can do where nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Run it again: the provider's key protects it.
    Resend,
    /// Find out, and say so.
    Resolve,
}

/// What kind of trouble it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    KeyReused,
    InProgress,
    Indeterminate,
    Refused,
    ResultMissing,
    NothingToResolve,
    Configuration,
    Store,
    Call,
}

impl GuardError {
    fn new(kind: Kind) -> Self {
        Self(Arc::new(kind))
    }

    pub(super) fn key_reused() -> Self {
        Self::new(Kind::KeyReused)
    }

    pub(crate) fn in_progress(retry_after: Duration) -> Self {
        Self::new(Kind::InProgress { retry_after })
    }

    pub(super) fn indeterminate(next: Next, cause: Option<ValidateError>) -> Self {
        Self::new(Kind::Indeterminate { next, cause })
    }

    pub(super) fn refused(error: ProviderError, attempts: Vec<Attempt>) -> Self {
        Self::new(Kind::Refused { error, attempts })
    }

    pub(super) fn unkept(why: Unkept) -> Self {
        Self::new(Kind::ResultMissing(why))
    }

    pub(crate) fn nothing_to_resolve(why: &'static str) -> Self {
        Self::new(Kind::NothingToResolve(why))
    }

    pub(crate) fn settings(message: impl Into<Box<str>>) -> Self {
        Self::new(Kind::Settings(message.into()))
    }

    pub(super) fn restart_loses(loss: RestartLoss) -> Self {
        Self::new(Kind::RestartLoses(loss))
    }

    pub(crate) fn no_runtime() -> Self {
        ValidateError::new(CallKind::NoRuntime).into()
    }

    /// The class, the stable code, and the HTTP status, in one place so that they agree.
    fn class(&self) -> (Class, &'static str, u16) {
        match &*self.0 {
            Kind::KeyReused => (Class::KeyReused, "key_reused", 422),
            Kind::InProgress { .. } => (Class::InProgress, "in_progress", 409),
            Kind::Indeterminate { next: Next::Resend, .. } => (Class::Indeterminate, "indeterminate", 503),
            Kind::Indeterminate { next: Next::Resolve, .. } => (Class::Indeterminate, "indeterminate", 502),
            Kind::Refused { .. } => (Class::Refused, "refused", 422),
            Kind::ResultMissing(Unkept::TooLarge) => (Class::ResultMissing, "result_not_kept", 409),
            Kind::ResultMissing(Unkept::OfAnotherType) => (Class::ResultMissing, "result_unreadable", 409),
            Kind::NothingToResolve(_) => (Class::NothingToResolve, "nothing_to_resolve", 409),
            Kind::Settings(_) => (Class::Configuration, "misconfigured", 502),
            Kind::RestartLoses(_) => (Class::Configuration, "restart_loses", 502),
            Kind::Store(error) if error.is_down() => (Class::Store, "store_unavailable", 503),
            Kind::Store(error) if error.is_newer() => (Class::Store, "record_newer", 503),
            Kind::Store(_) => (Class::Store, "record_unreadable", 502),
            Kind::Call(error) => (Class::Call, error.code(), error.http_status()),
        }
    }

    fn call(&self) -> Option<&ValidateError> {
        match &*self.0 {
            Kind::Call(error) => Some(error),
            _ => None,
        }
    }

    /// The same operation was run before with other claims. Use a new key for a new operation.
    #[must_use]
    pub fn is_key_reused(&self) -> bool {
        self.class().0 == Class::KeyReused
    }

    /// The operation is under way, and took longer than this call could wait. Run it again to get its result.
    #[must_use]
    pub fn is_in_progress(&self) -> bool {
        self.class().0 == Class::InProgress
    }

    /// Nobody knows whether the operation was executed.
    ///
    /// If [`may_run_again`](Self::may_run_again), run it again. Else look at the provider, or let
    /// [`reconcile`](crate::GuardRun::reconcile) do so, or say what happened with [`resolve`](crate::Guard::resolve).
    #[must_use]
    pub fn is_indeterminate(&self) -> bool {
        self.class().0 == Class::Indeterminate
    }

    /// Whether the operation is indeterminate, and running it again is safe and finds out.
    #[must_use]
    pub fn may_run_again(&self) -> bool {
        matches!(&*self.0, Kind::Indeterminate { next: Next::Resend, .. })
    }

    /// The provider will not execute the operation. The source is its refusal; later runs get the same one, unless it is
    /// [resolved](crate::Guard::resolve) as not executed.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.class().0 == Class::Refused
    }

    /// The operation was executed, and its result cannot be repeated: too large to keep, or of another type.
    #[must_use]
    pub fn is_result_missing(&self) -> bool {
        self.class().0 == Class::ResultMissing
    }

    /// The operation that was to be resolved is not indeterminate.
    #[must_use]
    pub fn is_nothing_to_resolve(&self) -> bool {
        self.class().0 == Class::NothingToResolve
    }

    /// Time ran out before anything was executed. Run it again later.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.call().is_some_and(ValidateError::is_timeout)
    }

    /// The provider limits this account's rate, and nothing was executed. Run it again after
    /// [`retry_after`](Self::retry_after).
    #[must_use]
    pub fn is_rate_limited(&self) -> bool {
        self.call().is_some_and(ValidateError::is_rate_limited)
    }

    /// The provider is down, and nothing was executed. Run it again later.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        self.call().is_some_and(ValidateError::is_unavailable)
    }

    /// Running it again will not help until the operator changes a setting, such as the provider's credential.
    ///
    /// [`restart_loss`](Self::restart_loss) tells whether it is about what the store keeps.
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        self.class().0 == Class::Configuration || self.call().is_some_and(ValidateError::is_configuration)
    }

    /// What a restart of the store may lose, where the operation was not sent because that is more than is accepted.
    #[must_use]
    pub fn restart_loss(&self) -> Option<RestartLoss> {
        match &*self.0 {
            Kind::RestartLoses(loss) => Some(*loss),
            _ => None,
        }
    }

    /// The store does not answer, or holds something unreadable, and this run has sent nothing.
    #[must_use]
    pub fn is_store(&self) -> bool {
        self.class().0 == Class::Store
    }

    /// A stable code, for API answers and metrics.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.class().1
    }

    /// A fitting HTTP status for an API: 409, 422, 429, 502, 503 or 504.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        self.class().2
    }

    /// How long the provider, an open breaker or the store asks to wait; for an operation under way, when it will be over
    /// at the latest.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match &*self.0 {
            Kind::InProgress { retry_after } => Some(*retry_after),
            Kind::Call(error) | Kind::Indeterminate { cause: Some(error), .. } => error.retry_after(),
            Kind::Store(error) => error.retry_after(),
            _ => None,
        }
    }

    /// Every provider call of this run, and why there was no further one.
    #[must_use]
    pub fn attempts(&self) -> &[Attempt] {
        match &*self.0 {
            Kind::Refused { attempts, .. } => attempts,
            Kind::Call(error) | Kind::Indeterminate { cause: Some(error), .. } => error.attempts(),
            _ => &[],
        }
    }

    /// What the provider last said, if it said anything.
    #[must_use]
    pub fn provider_error(&self) -> Option<&ProviderError> {
        match &*self.0 {
            Kind::Refused { error, .. } => Some(error),
            Kind::Call(error) | Kind::Indeterminate { cause: Some(error), .. } => last_said(error),
            _ => None,
        }
    }
}

/// The provider's last error within a failed call.
pub(super) fn last_said(error: &ValidateError) -> Option<&ProviderError> {
    std::error::Error::source(error)?.downcast_ref()
}

impl From<ValidateError> for GuardError {
    fn from(error: ValidateError) -> Self {
        Self::new(Kind::Call(error))
    }
}

impl From<LedgerError> for GuardError {
    fn from(error: LedgerError) -> Self {
        Self::new(Kind::Store(error))
    }
}

impl fmt::Display for GuardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Kind::KeyReused => {
                f.write_str("the operation was run before with other claims; use a new key for a new operation")
            }
            Kind::InProgress { .. } => f.write_str("the operation is under way; run it again to get its result"),
            Kind::Indeterminate { next: Next::Resend, .. } => f.write_str(
                "nobody knows whether the operation was executed; run it again, which the provider's key makes safe",
            ),
            Kind::Indeterminate { next: Next::Resolve, .. } => f.write_str(
                "nobody knows whether the operation was executed; look at the provider and resolve it, or reconcile",
            ),
            Kind::Refused { .. } => {
                f.write_str("the provider refused the operation; correct it, and run it under a new key")
            }
            Kind::ResultMissing(Unkept::TooLarge) => {
                f.write_str("the operation was executed, and its result could not be kept; look it up at the provider")
            }
            Kind::ResultMissing(Unkept::OfAnotherType) => f.write_str(
                "the operation was executed, and its recorded result is of another type; run it with the type it had",
            ),
            Kind::NothingToResolve(why) => write!(f, "there is nothing to resolve: {why}"),
            Kind::Settings(message) => f.write_str(message),
            Kind::RestartLoses(loss) => {
                write!(f, "{}, or state with `restart_loses_at_most` what may be lost", loss.advice())
            }
            Kind::Store(error) if error.is_down() => {
                write!(f, "the store did not confirm: {error}; try again")
            }
            Kind::Store(error) if error.is_newer() => write!(f, "the operation's record cannot be used: {error}"),
            Kind::Store(error) => write!(f, "the operation's record cannot be used: {error}; look into the store"),
            Kind::Call(error) => fmt::Display::fmt(error, f),
        }
    }
}

impl fmt::Debug for GuardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("GuardError").field(&self.0).finish()
    }
}

impl std::error::Error for GuardError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &*self.0 {
            Kind::Refused { error, .. } => Some(error),
            Kind::Indeterminate { cause: Some(cause), .. } => Some(cause),
            // Its own text is shown, so it is the source that comes next.
            Kind::Call(error) => std::error::Error::source(error),
            _ => None,
        }
    }
}
