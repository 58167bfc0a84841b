//! A service with one handler that does what a test tells it, and a client.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use payproof::Validator;
use payproof::endpoint::{IdempotencyLayer, IdempotencyLayerBuilder, Scope};
use payproof::store::Store;
use payproof::telemetry::Stats;
use payproof::testing::ScriptedProvider;
use tokio::time::sleep;
use tower::ServiceExt;

use crate::support::secs;

pub(crate) const KEY: &str = "8e03978e-40d5";

/// Long enough for every test that does not mean to run into it.
pub(crate) const HANDLER_TIMEOUT: Duration = secs(20);

/// What the handler does on one call.
pub(crate) enum Act {
    Answer(Response),
    /// Waits, then does the next act.
    Wait(Duration),
    Panic,
    Never,
}

/// Counts what the handler does, which is its effect.
#[derive(Clone, Default)]
pub(crate) struct Handler {
    runs: Arc<AtomicUsize>,
    done: Arc<AtomicUsize>,
    acts: Arc<Mutex<VecDeque<Act>>>,
}

impl Handler {
    pub(crate) fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }

    /// Runs that came to their answer.
    pub(crate) fn done(&self) -> usize {
        self.done.load(Ordering::SeqCst)
    }

    pub(crate) fn script(&self, acts: impl IntoIterator<Item = Act>) {
        self.acts.lock().unwrap().extend(acts);
    }

    /// Unless it is told otherwise, it says which run it is, and what it got.
    async fn run(self, body: Bytes) -> Response {
        let run = self.runs.fetch_add(1, Ordering::SeqCst) + 1;
        loop {
            let act = self.acts.lock().unwrap().pop_front();
            let answer = match act {
                None => (StatusCode::CREATED, [("location", "/orders/6735")], format!("run {run}: {body:?}"))
                    .into_response(),
                Some(Act::Answer(answer)) => answer,
                Some(Act::Wait(wait)) => {
                    sleep(wait).await;
                    continue;
                }
                Some(Act::Panic) => panic!("scripted panic"),
                Some(Act::Never) => std::future::pending().await,
            };
            self.done.fetch_add(1, Ordering::SeqCst);
            return answer;
        }
    }
}

/// The service, whichever layer it has.
#[derive(Clone)]
pub(crate) struct Service {
    routes: Router,
    pub(crate) handler: Handler,
    pub(crate) validator: Validator,
}

/// What a client sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Seen {
    pub(crate) fn is_replay(&self) -> bool {
        self.headers.get("idempotent-replayed").is_some_and(|value| value == "true")
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The code of a refusal, whose status has to be the one it stands for.
    pub(crate) fn code(&self) -> String {
        assert_eq!(self.headers["content-type"], "application/json", "{self:?}");
        self.json()["error"]["code"].as_str().unwrap_or_else(|| panic!("no refusal: {self:?}")).to_owned()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// Who is asking, as an authentication layer would have found out.
#[derive(Clone, Copy)]
pub(crate) struct User(pub(crate) &'static str, pub(crate) &'static str);

pub(crate) const SHOPPER: User = User("store_42", "shopper_7");

pub(crate) fn scope(parts: &Parts) -> Option<Scope> {
    let User(tenant, principal) = parts.extensions.get()?;
    Scope::new(tenant, principal).ok()
}

pub(crate) fn validator() -> Validator {
    Validator::builder(ScriptedProvider::new()).build().unwrap()
}

pub(crate) fn validator_on(store: impl Store) -> Validator {
    Validator::builder(ScriptedProvider::new()).store(store).build().unwrap()
}

pub(crate) fn builder(validator: &Validator) -> IdempotencyLayerBuilder {
    named(validator, "checkout")
}

pub(crate) fn named(validator: &Validator, service: &str) -> IdempotencyLayerBuilder {
    IdempotencyLayer::builder(validator, service, HANDLER_TIMEOUT, scope)
}

impl Service {
    /// A service in this process, with the layer's defaults.
    pub(crate) fn new() -> Self {
        Self::with(&validator(), |layer| layer)
    }

    /// The same, on this validator's store, and with a layer that was changed for the route.
    pub(crate) fn with(validator: &Validator, change: impl FnOnce(IdempotencyLayer) -> IdempotencyLayer) -> Self {
        Self::layered(validator, change(builder(validator).build().unwrap()))
    }

    pub(crate) fn layered(validator: &Validator, layer: IdempotencyLayer) -> Self {
        let handler = Handler::default();
        let own = handler.clone();
        let routes = Router::new().fallback(any(move |body: Bytes| own.run(body))).layer(layer);
        Self { routes, handler, validator: validator.clone() }
    }

    pub(crate) fn routes(&self) -> Router {
        self.routes.clone()
    }

    pub(crate) fn routed(validator: &Validator, handler: Handler, routes: Router) -> Self {
        Self { routes, handler, validator: validator.clone() }
    }

    pub(crate) async fn raw(&self, request: Request<Body>) -> Response {
        self.routes.clone().oneshot(request).await.unwrap()
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Seen {
        let response = self.raw(request).await;
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Seen { status: parts.status, headers: parts.headers, body }
    }

    /// Posts `pay` to `/checkouts` under [`KEY`], as the shopper.
    pub(crate) async fn pay(&self) -> Seen {
        self.send(request()).await
    }

    pub(crate) fn stats(&self) -> Stats {
        self.validator.stats()
    }
}

pub(crate) fn request() -> Request<Body> {
    request_with("/checkouts", KEY, "pay", SHOPPER)
}

pub(crate) fn request_with(uri: &str, key: &str, body: &'static str, user: User) -> Request<Body> {
    let request = Request::post(uri).header("idempotency-key", key).header("content-type", "text/plain");
    request.extension(user).body(Body::from(body)).unwrap()
}
