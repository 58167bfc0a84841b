//! Answers over HTTP.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;

use super::problem::ProblemDocument;
use super::{Failure, Repetition, Success};

pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// RFC 9457 §6.1.
pub(super) const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Says, as an extension of a response, that the request had no effect, whatever its status.
///
/// An idempotency layer then releases the key, so that the same request may be made again. See
/// [`Failure::not_executed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotExecuted;

/// Says, as an extension of a response, that the request may have had its effect, and is safe to be made again: something
/// else keeps it from happening twice.
///
/// An idempotency layer then releases the key, so that the same request may be made again. See
/// [`Failure::repeatable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeatable;

impl<T: Serialize> Success<T> {
    /// The response. Data that cannot be written as JSON is a failure of the service: 500, `UNWRITABLE_ANSWER`.
    pub fn into_http<B: From<Bytes>>(self) -> Response<B> {
        match serde_json::to_vec(&self) {
            Ok(json) => respond(self.status, json),
            Err(_) => Failure::new(500, "UNWRITABLE_ANSWER", "the answer could not be written").into_http(),
        }
    }
}

impl Failure {
    /// The response.
    #[must_use]
    pub fn into_http<B: From<Bytes>>(self) -> Response<B> {
        // Texts and values of JSON can always be written.
        let json = serde_json::to_vec(&self).unwrap_or_default();
        self.told_by(respond(self.status, json))
    }

    /// The response, as a problem document (RFC 9457) of the type `about:blank`. A whole service says it with
    /// [`FailureLayer`](super::FailureLayer).
    #[must_use]
    pub fn into_problem_http<B: From<Bytes>>(self) -> Response<B> {
        let json = serde_json::to_vec(&ProblemDocument::of(&self, None)).unwrap_or_default();
        let mut response = respond(self.status, json);
        response.headers_mut().insert(CONTENT_TYPE, PROBLEM_JSON);
        self.told_by(response)
    }

    /// With what is said beside the body.
    fn told_by<B>(&self, mut response: Response<B>) -> Response<B> {
        if let Some(secs) = self.retry_after_secs() {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(secs));
        }
        match self.repetition {
            Repetition::Unsaid => None,
            Repetition::NotExecuted => response.extensions_mut().insert(NotExecuted).map(drop),
            Repetition::Protected => response.extensions_mut().insert(Repeatable).map(drop),
        };
        response
    }
}

fn respond<B: From<Bytes>>(status: u16, json: Vec<u8>) -> Response<B> {
    let mut response = Response::new(B::from(Bytes::from(json)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

#[cfg(feature = "axum")]
impl<T: Serialize> axum::response::IntoResponse for Success<T> {
    fn into_response(self) -> axum::response::Response {
        self.into_http()
    }
}

#[cfg(feature = "axum")]
impl axum::response::IntoResponse for Failure {
    fn into_response(self) -> axum::response::Response {
        self.into_http()
    }
}
