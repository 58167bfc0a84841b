//! Answers over HTTP.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;

use super::{Failure, Success};

/// Says, as an extension of a response, that the request had no effect, whatever its status.
///
/// An idempotency layer then releases the key, so that the same request may be made again. See
/// [`Failure::not_executed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotExecuted;

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
    pub fn into_http<B: From<Bytes>>(self) -> Response<B> {
        // Texts and values of JSON can always be written.
        let json = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = respond(self.status, json);
        if let Some(secs) = self.retry_after_secs() {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(secs));
        }
        if self.not_executed {
            response.extensions_mut().insert(NotExecuted);
        }
        response
    }
}

fn respond<B: From<Bytes>>(status: u16, json: Vec<u8>) -> Response<B> {
    let mut response = Response::new(B::from(Bytes::from(json)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
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
