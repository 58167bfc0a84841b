//! A layer that gives all failures of a service one form, those that its framework makes included.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::BodyExt as _;
use tower_layer::Layer;
use tower_service::Service;

use super::Failure;
use super::problem::ProblemDocument;
use super::response::{JSON, PROBLEM_JSON};

/// Texts of frameworks are a few lines, and failures a few more. A longer body is handed on as it is.
const MAX_BODY: u64 = 64 * 1024;

/// Gives all failures of a service one form: the envelope, or problem documents (RFC 9457).
///
/// What a framework refuses by itself becomes a [`Failure`]: an answer of status 400 to 599 with plain text or without a body,
/// such as axum's for a path that does not exist, a wrong method, or JSON that does not fit. Its code is the name of the status
/// (`NOT_FOUND`, `UNPROCESSABLE_ENTITY`). Its message is the text, but for a 5xx, whose text may be for the operator alone; then
/// it is the name of the status. Its headers stay. Every other answer is handed on as it is, and so is one to HEAD, one that is
/// compressed, and one whose length is unknown or over 64 KiB.
///
/// It stands above an idempotency layer (in axum: is added after it), so that it sees that layer's refusals and replays too.
///
/// ```
/// # use axum::{Router, routing::post};
/// # use tower::ServiceExt as _;
/// # async fn create_checkout() -> &'static str { "order 6735" }
/// use payproof::envelope::FailureLayer;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let routes: Router = Router::new()
///     .route("/checkouts", post(create_checkout))
///     .layer(FailureLayer::envelope()); // or `problem_documents()`
/// # let answer = routes.oneshot(axum::http::Request::get("/nowhere").body(axum::body::Body::empty())?).await?;
/// # let body = axum::body::to_bytes(answer.into_body(), 1000).await?;
/// # assert_eq!(body, r#"{"error":{"code":"NOT_FOUND","message":"Not Found"}}"#);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct FailureLayer {
    form: FailureForm,
}

/// How failures are written.
#[derive(Clone, Debug)]
enum FailureForm {
    Envelope,
    /// With the start of all types, if there is one.
    Problem(Option<Arc<str>>),
}

impl FailureLayer {
    /// Failures in the envelope of this crate.
    #[must_use]
    pub const fn envelope() -> Self {
        Self { form: FailureForm::Envelope }
    }

    /// Failures as problem documents: `application/problem+json` with `type`, `title`, `status`, `detail`, and the members
    /// `code` and `details` of the envelope. The type is `about:blank`.
    ///
    /// Those in the envelope are rewritten, if nothing would be lost by it.
    #[must_use]
    pub const fn problem_documents() -> Self {
        Self { form: FailureForm::Problem(None) }
    }

    /// Problem documents whose type is `base` with the code behind it: `https://shop.example/problems/SOLD_OUT`.
    #[must_use]
    pub fn problem_documents_under(base: impl Into<Arc<str>>) -> Self {
        Self { form: FailureForm::Problem(Some(base.into())) }
    }
}

impl<S> Layer<S> for FailureLayer {
    type Service = FailureService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        FailureService { inner, form: self.form.clone() }
    }
}

/// A service whose failures have one form. Made by [`FailureLayer`].
#[derive(Clone, Debug)]
pub struct FailureService<S> {
    inner: S,
    form: FailureForm,
}

impl<S, B, R> Service<Request<B>> for FailureService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
    R: Body<Data = Bytes> + From<Bytes> + Send + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (form, has_body) = (self.form.clone(), request.method() != Method::HEAD);
        let answering = self.inner.call(request);
        Box::pin(async move {
            let response = answering.await?;
            Ok(if has_body { form.write(response).await } else { response })
        })
    }
}

/// What the body of a failure is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum FailureBody {
    /// The framework's own words, or none.
    Text,
    Json,
}

impl FailureForm {
    async fn write<R: Body<Data = Bytes> + From<Bytes>>(&self, response: Response<R>) -> Response<R> {
        let Some(kind) = self.rewritten(&response) else { return response };
        let (mut parts, body) = response.into_parts();
        // A body that breaks off says nothing.
        let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let failure = match kind {
            FailureBody::Text => Some(refused_by_framework(parts.status, &bytes)),
            FailureBody::Json => read(parts.status, &bytes),
        };
        let Some(failure) = failure else { return Response::from_parts(parts, R::from(bytes)) };
        // Texts and values of JSON can always be written.
        let (written, content_type) = match self {
            Self::Envelope => (serde_json::to_vec(&failure), JSON),
            Self::Problem(base) => (serde_json::to_vec(&ProblemDocument::of(&failure, base.as_deref())), PROBLEM_JSON),
        };
        parts.headers.remove(CONTENT_LENGTH);
        parts.headers.insert(CONTENT_TYPE, content_type);
        Response::from_parts(parts, R::from(Bytes::from(written.unwrap_or_default())))
    }

    /// What there is to rewrite.
    fn rewritten<R: Body>(&self, response: &Response<R>) -> Option<FailureBody> {
        let (status, headers, size) = (response.status(), response.headers(), response.body().size_hint());
        let is_failure = status.is_client_error() || status.is_server_error();
        if !is_failure || size.upper().is_none_or(|most| most > MAX_BODY) || headers.contains_key(CONTENT_ENCODING) {
            return None;
        }
        match media_type(headers).as_deref() {
            None if size.exact() == Some(0) => Some(FailureBody::Text),
            Some("text/plain") => Some(FailureBody::Text),
            Some("application/json") if matches!(self, Self::Problem(_)) => Some(FailureBody::Json),
            _ => None,
        }
    }
}

/// Without its parameters; `None` when none is given, and empty when it cannot be read.
fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().unwrap_or_default();
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// A failure in the envelope; `None` when the body is anything else, or says more than that.
fn read(status: StatusCode, body: &[u8]) -> Option<Failure> {
    let whole: serde_json::Value = serde_json::from_slice(body).ok()?;
    let mut failure: Failure = serde_json::from_slice(body).ok()?;
    failure.status = status.as_u16();
    (serde_json::to_value(&failure).ok()? == whole).then_some(failure)
}

fn refused_by_framework(status: StatusCode, text: &[u8]) -> Failure {
    let name = status.canonical_reason();
    let code = name.map_or_else(|| format!("HTTP_{}", status.as_u16()), code_of);
    let phrase = name.map_or_else(|| format!("status {}", status.as_u16()), str::to_owned);
    let text = std::str::from_utf8(text).unwrap_or_default().trim();
    let message = if status.is_server_error() || text.is_empty() { phrase } else { text.to_owned() };
    Failure::new(status.as_u16(), code, message)
}

/// `Unprocessable Entity` as a code: `UNPROCESSABLE_ENTITY`.
fn code_of(name: &str) -> String {
    let letters = name.chars().filter(|letter| *letter != '\'');
    letters.map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' }).collect()
}
