//! Why a delivery was not accepted.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::envelope::Failure;
use crate::error::ValidateError;
use crate::ledger::LedgerError;
use crate::redaction::presentable;

/// What a handler may fail with.
pub(super) type HandlerError = Box<dyn Error + Send + Sync>;

/// As much of a handler's error as is shown.
const MAX_MESSAGE: usize = 300;

/// A delivery that was not accepted. Answer with its status, and Stripe delivers the event again.
///
/// Ask the predicates, which exclude one another, or map [`code`](Self::code). `Failure::from` makes the answer.
pub struct WebhookError(Box<Kind>);

#[derive(Debug)]
enum Kind {
    NoSignature,
    MalformedSignature(&'static str),
    SignatureMismatch,
    OutOfTime {
        by: Duration,
        is_ahead: bool,
        tolerance: Duration,
    },
    BodyTooLarge {
        bytes: usize,
        max_body: usize,
    },
    NotAnEvent(&'static str),
    /// The event is of another account, and the endpoint refuses those.
    OtherAccount,
    InProgress {
        retry_after: Duration,
    },
    /// Nothing was done.
    Store(ValidateError),
    /// The payment was not forgotten, so the handler did not run.
    NotForgotten(ValidateError),
    /// The handler succeeded, and that could not be recorded.
    NotRecorded(Option<ValidateError>),
    Failed(HandlerError),
    Panicked,
    TimedOut {
        limit: Duration,
    },
    /// The task is gone with its runtime.
    Interrupted,
    NoRuntime,
}

/// What kind of trouble it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Signature,
    Body,
    OtherAccount,
    InProgress,
    Store,
    Handler,
    Interrupted,
    Configuration,
}

impl WebhookError {
    fn new(kind: Kind) -> Self {
        Self(Box::new(kind))
    }

    pub(super) fn no_signature() -> Self {
        Self::new(Kind::NoSignature)
    }

    pub(super) fn malformed(rule: &'static str) -> Self {
        Self::new(Kind::MalformedSignature(rule))
    }

    pub(super) fn not_signed() -> Self {
        Self::new(Kind::SignatureMismatch)
    }

    pub(super) fn out_of_time(by: Duration, is_ahead: bool, tolerance: Duration) -> Self {
        Self::new(Kind::OutOfTime { by, is_ahead, tolerance })
    }

    pub(super) fn too_large(bytes: usize, max_body: usize) -> Self {
        Self::new(Kind::BodyTooLarge { bytes, max_body })
    }

    pub(super) fn not_an_event(rule: &'static str) -> Self {
        Self::new(Kind::NotAnEvent(rule))
    }

    pub(super) fn other_account() -> Self {
        Self::new(Kind::OtherAccount)
    }

    pub(super) fn in_progress(retry_after: Duration) -> Self {
        Self::new(Kind::InProgress { retry_after })
    }

    pub(super) fn not_forgotten(error: ValidateError) -> Self {
        Self::new(Kind::NotForgotten(error))
    }

    pub(super) fn not_recorded(error: Option<LedgerError>) -> Self {
        Self::new(Kind::NotRecorded(error.map(Into::into)))
    }

    pub(super) fn failed(error: HandlerError) -> Self {
        Self::new(Kind::Failed(error))
    }

    pub(super) fn panicked() -> Self {
        Self::new(Kind::Panicked)
    }

    pub(super) fn timed_out(limit: Duration) -> Self {
        Self::new(Kind::TimedOut { limit })
    }

    pub(super) fn interrupted() -> Self {
        Self::new(Kind::Interrupted)
    }

    pub(super) fn no_runtime() -> Self {
        Self::new(Kind::NoRuntime)
    }

    /// The class, the stable code, and the HTTP status, in one place so that they agree.
    fn class(&self) -> (Class, &'static str, u16) {
        match &*self.0 {
            Kind::NoSignature => (Class::Signature, "signature_missing", 400),
            Kind::MalformedSignature(_) => (Class::Signature, "signature_malformed", 400),
            Kind::SignatureMismatch => (Class::Signature, "signature_mismatch", 400),
            Kind::OutOfTime { .. } => (Class::Signature, "signature_out_of_time", 400),
            Kind::BodyTooLarge { .. } => (Class::Body, "body_too_large", 413),
            Kind::NotAnEvent(_) => (Class::Body, "not_an_event", 400),
            Kind::OtherAccount => (Class::OtherAccount, "other_account", 403),
            Kind::InProgress { .. } => (Class::InProgress, "in_progress", 409),
            // Whatever is wrong with the store, the event has to come again.
            Kind::Store(error) => (Class::Store, error.code(), 503),
            Kind::NotForgotten(_) => (Class::Store, "not_forgotten", 503),
            Kind::NotRecorded(_) => (Class::Store, "not_recorded", 503),
            Kind::Failed(_) => (Class::Handler, "handler_failed", 500),
            Kind::Panicked => (Class::Handler, "handler_panicked", 500),
            Kind::TimedOut { .. } => (Class::Handler, "handler_timed_out", 504),
            Kind::Interrupted => (Class::Interrupted, "interrupted", 503),
            Kind::NoRuntime => (Class::Configuration, "no_runtime", 502),
        }
    }

    /// Nobody who holds a secret signed this body just now. Either it is a forgery or a replay, or the secret is another
    /// endpoint's, or the body was changed on its way, as by a middleware that parses it.
    #[must_use]
    pub fn is_signature(&self) -> bool {
        self.class().0 == Class::Signature
    }

    /// The body is too large, or is signed and no event.
    #[must_use]
    pub fn is_body(&self) -> bool {
        self.class().0 == Class::Body
    }

    /// The event is of another account than the validator's, and the endpoint
    /// [refuses](super::OtherAccounts::Refuse) those. Its payment is forgotten; the handler did not run.
    #[must_use]
    pub fn is_other_account(&self) -> bool {
        self.class().0 == Class::OtherAccount
    }

    /// An earlier delivery of the event is being handled. Nothing was done for this one.
    #[must_use]
    pub fn is_in_progress(&self) -> bool {
        self.class().0 == Class::InProgress
    }

    /// The store did not confirm. With code `not_recorded` the handler has succeeded all the same; otherwise it did not run.
    #[must_use]
    pub fn is_store(&self) -> bool {
        self.class().0 == Class::Store
    }

    /// The handler failed, panicked or took too long. Its error, if it gave one, is the source.
    #[must_use]
    pub fn is_handler(&self) -> bool {
        self.class().0 == Class::Handler
    }

    /// The runtime was shut down meanwhile. The handler may have run; the next delivery runs it again.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        self.class().0 == Class::Interrupted
    }

    /// There is no tokio runtime here.
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        self.class().0 == Class::Configuration
    }

    /// A stable code, for API answers and metrics.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.class().1
    }

    /// The HTTP status to answer with: 400, 403, 409, 413, 500, 502, 503 or 504.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        self.class().2
    }

    /// How long to wait before the event is delivered again: at most 1 s while an earlier delivery is being handled, since
    /// handlers are quick; or what the store asks for.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match &*self.0 {
            Kind::InProgress { retry_after } => Some(*retry_after),
            Kind::Store(error) | Kind::NotForgotten(error) | Kind::NotRecorded(Some(error)) => error.retry_after(),
            _ => None,
        }
    }

    /// The handler's error in one line that may be logged.
    pub(super) fn handler_error(&self) -> Option<Box<str>> {
        match &*self.0 {
            Kind::Failed(error) => Some(presentable(&error.to_string(), MAX_MESSAGE)),
            _ => None,
        }
    }
}

impl From<LedgerError> for WebhookError {
    fn from(error: LedgerError) -> Self {
        Self::new(Kind::Store(error.into()))
    }
}

impl fmt::Display for WebhookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Kind::NoSignature => f.write_str("there is no Stripe-Signature header; only Stripe may deliver here"),
            Kind::MalformedSignature(rule) => write!(f, "the Stripe-Signature header {rule}"),
            Kind::SignatureMismatch => f.write_str(
                "no signature fits the body; use this endpoint's secret, and the body byte for byte as it came",
            ),
            Kind::OutOfTime { by, is_ahead, tolerance } => {
                let side = if *is_ahead { "ahead of" } else { "behind" };
                write!(f, "the signature is {by:?} {side} this machine's clock, and {tolerance:?} are tolerated")
            }
            Kind::BodyTooLarge { bytes, max_body } => {
                write!(f, "the body has {bytes} bytes, and {max_body} are allowed; raise `max_body`")
            }
            Kind::NotAnEvent(rule) => write!(f, "the signed body is no event: it {rule}"),
            Kind::OtherAccount => f.write_str(
                "the event is of another account; deliver it to that account's endpoint, or set `other_accounts`",
            ),
            Kind::InProgress { .. } => {
                f.write_str("an earlier delivery of the event is being handled; deliver it again")
            }
            Kind::Store(_) => f.write_str("the store did not confirm, and nothing was done; deliver it again"),
            Kind::NotForgotten(_) => {
                f.write_str("the store did not confirm that the payment is forgotten; deliver it again")
            }
            Kind::NotRecorded(_) => {
                f.write_str("the event was handled, and the store did not confirm that; deliver it again")
            }
            Kind::Failed(_) => f.write_str("the handler failed; deliver it again"),
            Kind::Panicked => f.write_str("the handler panicked; deliver it again"),
            Kind::TimedOut { limit } => write!(f, "the handler was cut off after {limit:?}; deliver it again"),
            Kind::Interrupted => f.write_str("the runtime was shut down meanwhile; deliver it again"),
            Kind::NoRuntime => f.write_str("there is no tokio runtime here; call from inside one"),
        }
    }
}

/// Shows a handler's error as a log would, since nobody knows what it holds.
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

impl Error for WebhookError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &*self.0 {
            Kind::Store(error) | Kind::NotForgotten(error) | Kind::NotRecorded(Some(error)) => Some(error),
            Kind::Failed(error) => Some(&**error),
            _ => None,
        }
    }
}

/// Repeats neither the handler's error nor the store's: those are for the service's own log.
impl From<&WebhookError> for Failure {
    fn from(error: &WebhookError) -> Self {
        Self::of(error.http_status(), error.code(), error.to_string(), error.retry_after())
    }
}

impl From<WebhookError> for Failure {
    fn from(error: WebhookError) -> Self {
        Self::from(&error)
    }
}
