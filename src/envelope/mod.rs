//! What an API answers: [`Success`] with its data, or [`Failure`] with a code that stays the same.
//!
//! Which of the two it is, is said by the HTTP status, and by `data` or `error` in the body; there is no third way to say it.
//!
//! ```json
//! { "data": { "order": "6735" }, "message": "paid", "meta": { "page": 1 } }
//! { "error": { "code": "AMOUNT_MISMATCH", "message": "the amount differs", "details": { "field": "amount" } } }
//! ```
//!
//! Every error of this crate becomes a `Failure` by `From`, as every other that is an [`ErrorInfo`]: with
//! its status, its code in capitals, its public text and details, and Retry-After where a wait is known. Nothing is repeated
//! that the provider said, nor what only an operator may know. [`Findings`] become a 422,
//! `PAYMENT_INVALID`, with their codes in `details`.
//!
//! With the feature `tower` both turn into an `http::Response`, with `axum` they are axum's responses. `FailureLayer` then puts
//! what the framework refuses by itself into the envelope as well, or writes every failure as a problem document (RFC 9457).

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use crate::accessors::{getters, setters};
use crate::error_info::ErrorInfo;
use crate::http::object::Object;
use crate::payment::verdict::Findings;

#[cfg(feature = "tower")]
mod layer;
#[cfg(feature = "tower")]
mod problem;
#[cfg(feature = "tower")]
mod response;

#[cfg(feature = "tower")]
pub use layer::{FailureLayer, FailureService};
#[cfg(feature = "tower")]
pub use response::{NotExecuted, Repeatable};

/// The answer to what was done.
///
/// ```
/// use payproof::envelope::Success;
///
/// let answer = Success::new("6735").with_message("paid");
/// assert_eq!(serde_json::to_string(&answer)?, r#"{"data":"6735","message":"paid"}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Success<T> {
    data: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    meta: Option<serde_json::Value>,
    #[serde(skip)]
    status: u16,
}

/// From an object alone, as it is written.
impl<'de, T: Deserialize<'de>> Deserialize<'de> for Success<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Fields<T> {
            data: T,
            message: Option<Cow<'static, str>>,
            meta: Option<serde_json::Value>,
        }
        let Object(Fields { data, message, meta }) = Object::deserialize(deserializer)?;
        Ok(Self { data, message, meta, status: 200 })
    }
}

impl<T> Success<T> {
    /// An answer with this data, and status 200.
    #[must_use]
    pub const fn new(data: T) -> Self {
        Self { data, message: None, meta: None, status: 200 }
    }

    setters! {
        /// A sentence for people.
        pub fn with_message(mut self, message: impl Into<Cow<'static, str>>) => self.message = Some(message.into());

        /// What is not the data, such as a page's number.
        pub fn with_meta(mut self, meta: impl Into<serde_json::Value>) => self.meta = Some(meta.into());
    }

    /// The HTTP status: 200 unless set. One outside 200 to 299 is taken for 200.
    #[must_use]
    pub const fn with_status(mut self, status: u16) -> Self {
        self.status = if matches!(status, 200..=299) { status } else { 200 };
        self
    }

    getters! {
        /// The data.
        pub fn data(&self) -> &T => &self.data;
    }

    /// The data, by value.
    #[must_use]
    pub fn into_data(self) -> T {
        self.data
    }
}

/// The answer to what was not done.
///
/// ```
/// use payproof::envelope::Failure;
///
/// let answer = Failure::new(409, "SOLD_OUT", "the last one is gone");
/// assert_eq!(serde_json::to_string(&answer)?, r#"{"error":{"code":"SOLD_OUT","message":"the last one is gone"}}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{}", .error.message)]
pub struct Failure {
    error: Body,
    #[serde(skip)]
    status: u16,
    #[serde(skip)]
    retry_after: Option<Duration>,
    #[serde(skip)]
    repetition: Repetition,
}

/// What is said of making the same request again under the same idempotency key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Repetition {
    /// Nothing: the status decides.
    #[default]
    Unsaid,
    /// Nothing was done.
    NotExecuted,
    /// It may have been done, and is safe to be made again.
    Protected,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Body {
    code: Cow<'static, str>,
    message: Cow<'static, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    details: Option<serde_json::Value>,
}

/// From an object alone, as it is written.
impl<'de> Deserialize<'de> for Failure {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Fields {
            error: Object<Body>,
        }
        let Object(Fields { error: Object(error) }) = Object::deserialize(deserializer)?;
        Ok(Self { error, status: 500, retry_after: None, repetition: Repetition::Unsaid })
    }
}

impl Failure {
    /// An answer with this HTTP status, a code that stays the same, and a sentence for people.
    ///
    /// A status outside 400 to 599 is taken for 500.
    #[must_use]
    pub fn new(status: u16, code: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Self {
        let status = if matches!(status, 400..=599) { status } else { 500 };
        let error = Body { code: code.into(), message: message.into(), details: None };
        Self { error, status, retry_after: None, repetition: Repetition::Unsaid }
    }

    setters! {
        /// What a program needs beside the code.
        pub fn with_details(mut self, details: impl Into<serde_json::Value>) => self.error.details = Some(details.into());

        /// How long to wait before asking again. Sent as Retry-After, in whole seconds, rounded up, 1 at least.
        pub fn with_retry_after(mut self, wait: Duration) => self.retry_after = Some(wait);

        /// Says that nothing was done, so that the same idempotency key may be used again.
        ///
        /// Only who made the answer can know that: an error of this crate says it of its own call, not of what came
        /// before it.
        pub fn not_executed(mut self) => self.repetition = Repetition::NotExecuted;

        /// Says that something may have been done, and that the same request is safe to be made again, since something
        /// else keeps it from happening twice: so the same idempotency key may be used again.
        ///
        /// A failure made of an error that [is protected](ErrorInfo::is_protected) says so by itself. A handler that had
        /// another effect before it, which nothing protects, answers with a failure of its own.
        pub fn repeatable(mut self) => self.repetition = Repetition::Protected;
    }

    getters! {
        /// The code.
        pub fn code(&self) -> &str => &self.error.code;

        /// The HTTP status; 500 for one that was read back, since the body does not say it.
        pub fn http_status(&self) -> u16 => self.status;

        /// The wait in whole seconds, as Retry-After says it.
        pub fn retry_after_secs(&self) -> Option<u64> =>
            self.retry_after.map(|wait| wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1));
    }
}

/// The code is written in capitals, and the text is the public one.
impl<E: ErrorInfo> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut failure = Self::new(error.http_status(), error.code().to_ascii_uppercase(), error.public_message());
        failure.retry_after = error.retry_after();
        failure.error.details = error.public_details();
        if error.is_protected() {
            failure.repetition = Repetition::Protected;
        }
        failure
    }
}

/// Names the findings by their codes.
impl From<&Findings> for Failure {
    fn from(findings: &Findings) -> Self {
        Self::new(422, "PAYMENT_INVALID", "the payment is not good for this order")
            .with_details(findings.public_details())
    }
}
