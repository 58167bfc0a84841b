//! One request, from its arrival to its answer.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Request, Response};
use http_body::Body;
use tokio::time::timeout;
use tower_service::Service;
use tracing::{Instrument, Span};

use crate::intent::fingerprint::Fingerprint;

use super::admit::{Admitted, admit};
use super::body::{Read, ResponseBody, read};
use super::context::RequestContext;
use super::key_header;
use super::record::Replay;
use super::refusal::Refusal;
use super::run::Run;
use super::scope::Scope;
use super::settings::{KeyPolicy, LayerSettings, Route};

/// Says on a replay that it is one.
const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Carried from the request to its answer, whichever that is.
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A service whose requests happen once per key. Made by [`IdempotencyLayer`](super::IdempotencyLayer).
#[derive(Clone, Debug)]
pub struct IdempotentService<S> {
    inner: S,
    settings: Arc<LayerSettings>,
    route: Route,
}

/// What a layer leaves on a request that it has seen to, so that another one below does not wait for this one. It names
/// the request: one that the handler makes of this one's parts is another, unless it has the same key.
#[derive(Clone, Copy, Debug)]
struct SeenTo(Fingerprint);

impl<S> IdempotentService<S> {
    pub(super) fn new(inner: S, settings: Arc<LayerSettings>, route: Route) -> Self {
        Self { inner, settings, route }
    }

    fn looks_at<B>(&self, request: &Request<B>) -> bool {
        self.route.key != KeyPolicy::Off && self.settings.methods.contains(request.method())
    }
}

type Answering<R, E> = Pin<Box<dyn Future<Output = Result<Response<ResponseBody<R>>, E>> + Send>>;

impl<S, B, R> Service<Request<B>> for IdempotentService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    B: Body + From<Bytes> + Send + 'static,
    B::Data: Send,
    R: Body<Data = Bytes> + Send + 'static,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = Answering<R, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The one that was asked whether it is ready is the one to be called.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let request_id = request.headers().get(X_REQUEST_ID).cloned();
        let looks_at = self.looks_at(&request);
        if looks_at && self.settings.checks_disabled {
            self.settings.account.telemetry.request_bypassed();
        }
        if !looks_at || self.settings.checks_disabled {
            let passing = inner.call(request);
            return Box::pin(async move {
                let response = passing.await?.map(ResponseBody::passed);
                Ok(with_request_id(response, request_id))
            });
        }
        let (settings, route) = (Arc::clone(&self.settings), self.route);
        let span = settings.account.telemetry.request_span(request.method());
        let answering = async move {
            let response = answer(inner, settings, route, request).await?;
            Ok(with_request_id(response, request_id))
        };
        Box::pin(answering.instrument(span))
    }
}

fn with_request_id<B>(mut response: Response<B>, id: Option<HeaderValue>) -> Response<B> {
    if let Some(id) = id {
        response.headers_mut().entry(X_REQUEST_ID).or_insert(id);
    }
    response
}

async fn answer<S, B, R>(
    mut inner: S,
    settings: Arc<LayerSettings>,
    route: Route,
    request: Request<B>,
) -> Result<Response<ResponseBody<R>>, S::Error>
where
    S: Service<Request<B>, Response = Response<R>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    B: Body + From<Bytes> + Send + 'static,
    B::Data: Send,
    R: Body<Data = Bytes> + Send + 'static,
{
    let telemetry = &settings.account.telemetry;
    let refused = |refusal: Refusal| {
        telemetry.request(&Span::current(), refusal.outcome());
        Ok(super::respond(&refusal))
    };
    let (mut parts, body) = request.into_parts();
    let (scope, digest) = match keyed(&settings, route, &parts) {
        Ok(Some(keyed)) => keyed,
        Ok(None) => {
            telemetry.request(&Span::current(), "without_key");
            return Ok(inner.call(Request::from_parts(parts, body)).await?.map(ResponseBody::passed));
        }
        Err(refusal) => return refused(refusal),
    };
    if parts.extensions.get::<SeenTo>().is_some_and(|SeenTo(seen_to)| *seen_to == digest) {
        return Ok(inner.call(Request::from_parts(parts, body)).await?.map(ResponseBody::passed));
    }
    parts.extensions.insert(SeenTo(digest));
    let body = match whole(body, &settings).await {
        Ok(body) => body,
        Err(refusal) => return refused(refusal),
    };
    settings.account.watch_store();
    let context = RequestContext::new(&settings, &scope, digest, &parts, &body);
    match admit(&settings, &context, route.on_unknown).await {
        Admitted::Run(lease) => {
            let run = Run { lease, on_unknown: route.on_unknown };
            let running = tokio::spawn(run.go(inner, Request::from_parts(parts, B::from(body))).in_current_span());
            // It ends within its lease, unless the handler blocks its thread; or it is gone, as with its runtime.
            let indeterminate = || Ok(super::respond(&Refusal::Indeterminate { reference: context.reference() }));
            timeout(settings.lease, running).await.ok().and_then(Result::ok).unwrap_or_else(indeterminate)
        }
        Admitted::Replayed(replay) => {
            telemetry.request(&Span::current(), "replayed");
            Ok(replayed(replay))
        }
        Admitted::Refused(refusal) => refused(refusal),
    }
}

/// Whose request it is, and the digest of what it is known by; `None` when it may go without a key.
fn keyed(settings: &LayerSettings, route: Route, parts: &Parts) -> Result<Option<(Scope, Fingerprint)>, Refusal> {
    let key = key_header::read(&parts.headers, settings.shortest_key);
    if key.is_none() && route.key == KeyPolicy::Optional {
        return Ok(None);
    }
    // A client that is not known learns nothing, not even what is wrong with the key.
    let scope = (settings.scope)(parts).ok_or(Refusal::ScopeRequired)?;
    let digest = RequestContext::digest(settings, &scope, &key.ok_or(Refusal::KeyRequired)??, parts);
    Ok(Some((scope, digest)))
}

/// The whole body. A client that sends it slowly holds nothing but its own connection.
async fn whole<B: Body>(body: B, settings: &LayerSettings) -> Result<Bytes, Refusal> {
    let limit = settings.max_request_body;
    match timeout(settings.handler_timeout, read(body, limit)).await {
        Ok(Read::Whole(body)) => Ok(body),
        Ok(Read::TooLong(..)) => Err(Refusal::BodyTooLarge { limit }),
        Ok(Read::Broken) => Err(Refusal::BodyUnreadable),
        Err(_elapsed) => Err(Refusal::BodyTimeout { limit: settings.handler_timeout }),
    }
}

fn replayed<R>(replay: Replay) -> Response<ResponseBody<R>> {
    let Replay { status, headers, body } = replay;
    let mut response = match body {
        Some(body) => {
            let mut response = Response::new(ResponseBody::whole(body));
            *response.status_mut() = status;
            response
        }
        None => super::respond(&Refusal::ResponseNotKept { status: status.as_u16() }),
    };
    response.headers_mut().extend(headers);
    response.headers_mut().insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
    response
}
