//! Why a delivery was not accepted.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::accessors::getters;
use crate::call::error::CallError;
use crate::error_info::{
    Class, Condition, IN_PROGRESS, INTERRUPTED, INTERRUPTED_TEXT, NO_RUNTIME, NO_RUNTIME_TEXT, error_info, in_progress,
};
use crate::ledger::LedgerError;
use crate::redaction::presentable;

/// What a handler may fail with.
pub(super) type HandlerError = Box<dyn Error + Send + Sync>;

/// As much of a handler's error as is shown.
const MAX_MESSAGE: usize = 300;

/// A delivery that was not accepted. Answer with its status, and Stripe delivers the event again.
///
/// Ask the predicates, which exclude one another, or map [`code`](Self::code). `Failure::from` makes the answer. The handler
/// has run, or may have, after those on the last five lines; after every other one nothing was done, but that the
/// payment may be forgotten.
///
/// | code | status | retryable | when |
/// |---|---|---|---|
/// | `signature_missing` | 400 | no | there is no signature |
/// | `signature_malformed` | 400 | no | the signature's header cannot be read |
/// | `signature_mismatch` | 400 | no | no signature fits the body |
/// | `signature_out_of_time` | 400 | no | the signature is too old, or of the future |
/// | `body_too_large` | 413 | no | the body is over `max_body` |
/// | `not_an_event` | 400 | no | the body is signed and no event |
/// | `other_account` | 403 | no | the event is of another account, and the endpoint refuses those |
/// | `in_progress` | 409 | yes | an earlier delivery is being handled |
/// | `not_forgotten` | 503 | yes | the store did not confirm that the payment is forgotten |
/// | `not_looked_up` | 503 | yes | what a thin event is about could not be asked for |
/// | `object_unreadable` | 502 | yes | the credential may not read that, and the event may take money back |
/// | `not_recorded` | 503 | yes | handled, and the store did not confirm that |
/// | `handler_failed` | 500 | yes | the handler returned an error |
/// | `handler_panicked` | 500 | yes | the handler panicked |
/// | `handler_timed_out` | 504 | yes | the handler was cut off |
/// | the [common ones](crate::ErrorInfo#common-conditions) | | | |
#[derive(thiserror::Error)]
#[error(transparent)]
pub struct WebhookError(Box<Rejection>);

/// Why a delivery is rejected.
#[derive(Debug, thiserror::Error)]
pub(super) enum Rejection {
    #[error("there is no Stripe-Signature header; only Stripe may deliver here")]
    NoSignature,
    #[error("the Stripe-Signature header {0}")]
    MalformedSignature(&'static str),
    #[error("no signature fits the body; use this endpoint's secret, and the body byte for byte as it came")]
    SignatureMismatch,
    #[error(
        "the signature is {by:?} {} this machine's clock, and {tolerance:?} are tolerated",
        if *is_ahead { "ahead of" } else { "behind" }
    )]
    OutOfTime { by: Duration, is_ahead: bool, tolerance: Duration },
    #[error("the body has {bytes} bytes, and {max_body} are allowed; raise `max_body`")]
    BodyTooLarge { bytes: usize, max_body: usize },
    #[error("the signed body is no event: it {0}")]
    NotAnEvent(&'static str),
    /// The event is of another account, and the endpoint refuses those.
    #[error("the event is of another account; deliver it to that account's endpoint, or set `other_accounts`")]
    OtherAccount,
    #[error("{}", in_progress("delivery of this event"))]
    InProgress { retry_after: Duration },
    /// Nothing was done.
    #[error("{}", .0.advice())]
    Store(#[source] LedgerError),
    /// The payment was not forgotten, so the handler did not run.
    #[error("the store did not confirm that the payment is forgotten; deliver it again")]
    NotForgotten(#[source] LedgerError),
    /// What the event is about could not be asked for, so its payment is not known.
    #[error("what the event is about could not be looked up; deliver it again")]
    NotLookedUp(#[source] CallError),
    #[error(
        "the credential may not read what the event is about ({object}), and money may have gone back; give it that right, \
         and deliver the event again"
    )]
    Unreadable { object: Box<str> },
    /// The handler succeeded, and that could not be recorded.
    #[error("the event was handled, and the store did not confirm that; deliver it again")]
    NotRecorded(#[source] Option<LedgerError>),
    #[error("the handler failed; deliver it again")]
    Failed(#[source] HandlerError),
    #[error("the handler panicked; deliver it again")]
    Panicked,
    #[error("the handler was cut off after {limit:?}; deliver it again")]
    TimedOut { limit: Duration },
    /// The task is gone with its runtime.
    #[error("{INTERRUPTED_TEXT}")]
    Interrupted,
    #[error("{NO_RUNTIME_TEXT}")]
    NoRuntime,
}

error_info!(WebhookError);

impl WebhookError {
    fn condition(&self) -> Condition {
        match &*self.0 {
            Rejection::NoSignature => Condition::lasting(Class::Caller, "signature_missing", 400),
            Rejection::MalformedSignature(_) => Condition::lasting(Class::Caller, "signature_malformed", 400),
            Rejection::SignatureMismatch => Condition::lasting(Class::Caller, "signature_mismatch", 400),
            Rejection::OutOfTime { .. } => Condition::lasting(Class::Caller, "signature_out_of_time", 400),
            Rejection::BodyTooLarge { .. } => Condition::lasting(Class::Caller, "body_too_large", 413),
            Rejection::NotAnEvent(_) => Condition::lasting(Class::Caller, "not_an_event", 400),
            Rejection::OtherAccount => Condition::lasting(Class::Caller, "other_account", 403),
            Rejection::InProgress { .. } => IN_PROGRESS,
            Rejection::Store(error) => error.condition(),
            Rejection::NotForgotten(_) => Condition::passing(Class::Store, "not_forgotten", 503),
            Rejection::NotLookedUp(_) => Condition::passing(Class::Unavailable, "not_looked_up", 503),
            Rejection::Unreadable { .. } => Condition::passing(Class::Unavailable, "object_unreadable", 502),
            Rejection::NotRecorded(_) => Condition::passing(Class::Store, "not_recorded", 503),
            Rejection::Failed(_) => Condition::passing(Class::Outcome, "handler_failed", 500),
            Rejection::Panicked => Condition::passing(Class::Outcome, "handler_panicked", 500),
            Rejection::TimedOut { .. } => Condition::passing(Class::Outcome, "handler_timed_out", 504),
            Rejection::Interrupted => INTERRUPTED,
            Rejection::NoRuntime => NO_RUNTIME,
        }
    }

    fn wait(&self) -> Option<Duration> {
        match &*self.0 {
            // At most 1 s, since handlers are quick.
            Rejection::InProgress { retry_after } => Some(*retry_after),
            Rejection::Store(error) | Rejection::NotForgotten(error) | Rejection::NotRecorded(Some(error)) => {
                error.retry_after()
            }
            Rejection::NotLookedUp(error) => error.retry_after(),
            _ => None,
        }
    }

    fn is(&self, class: Class) -> bool {
        self.condition().class == class
    }

    getters! {
        /// This body was not signed just now with one of the secrets. Either it is a forgery or a replay, or the secret is
        /// another endpoint's, or the body was changed on its way, as by a middleware that parses it.
        pub fn is_signature(&self) -> bool => self.code().starts_with("signature_");

        /// The body is too large, or is signed and no event.
        pub fn is_body(&self) -> bool => matches!(&*self.0, Rejection::BodyTooLarge { .. } | Rejection::NotAnEvent(_));

        /// The event is of another account than the validator's, and the endpoint
        /// [refuses](super::OtherAccounts::Refuse) those. The payment that its body names is forgotten, which of a thin
        /// event may be none; the handler did not run.
        pub fn is_other_account(&self) -> bool => matches!(&*self.0, Rejection::OtherAccount);

        /// An earlier delivery of the event is being handled. Nothing was done for this one.
        pub fn is_in_progress(&self) -> bool => self.is(Class::InProgress);

        /// The store did not confirm. With code `not_recorded` the handler has succeeded all the same; otherwise it did
        /// not run.
        pub fn is_store(&self) -> bool => self.is(Class::Store);

        /// The provider did not say what the event is about: it did not answer, or the credential may not ask. The handler did not
        /// run.
        pub fn is_unavailable(&self) -> bool => self.is(Class::Unavailable);

        /// The handler failed, panicked or took too long. Its error, if it gave one, is the source.
        pub fn is_handler(&self) -> bool => self.is(Class::Outcome);

        /// The runtime was shut down meanwhile. The handler may have run; the next delivery runs it again.
        pub fn is_interrupted(&self) -> bool => matches!(&*self.0, Rejection::Interrupted);

        /// There is no tokio runtime here.
        pub fn is_configuration(&self) -> bool => self.is(Class::Configuration);
    }

    /// The handler's error in one line that may be logged.
    pub(super) fn handler_error(&self) -> Option<Box<str>> {
        match &*self.0 {
            Rejection::Failed(error) => Some(presentable(&error.to_string(), MAX_MESSAGE)),
            _ => None,
        }
    }
}

impl From<Rejection> for WebhookError {
    fn from(rejection: Rejection) -> Self {
        Self(Box::new(rejection))
    }
}

impl From<LedgerError> for WebhookError {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::NoRuntime => Rejection::NoRuntime.into(),
            error => Rejection::Store(error).into(),
        }
    }
}

/// Shows a handler's error as a log would, since what it holds is unknown.
impl fmt::Debug for WebhookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_tuple("WebhookError");
        match self.handler_error() {
            Some(error) => debug.field(&format_args!("Failed({error:?})")),
            None => debug.field(&self.0),
        };
        debug.finish()
    }
}
