//! What is the same request, and whose it is.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use axum::middleware::map_request;
use axum::response::Response;
use axum::routing::post;
use payproof::endpoint::IdempotencyLayer;
use payproof::provider::{ProviderError, ProviderIdentity, provider_fn};
use payproof::store::MemoryStore;
use payproof::{Mode, Validator};
use tower::ServiceExt as _;

use crate::service::{
    Handler, KEY, SHOPPER, Service, User, builder, named, request, request_with, validator, validator_on,
};

#[tokio::test]
async fn a_client_that_is_not_known_is_refused_and_never_shares() {
    let service = Service::new();
    service.pay().await;
    let unknown = |key: Option<&str>| {
        let mut request = request();
        request.extensions_mut().clear();
        request.headers_mut().remove("idempotency-key");
        if let Some(key) = key {
            request.headers_mut().insert("idempotency-key", key.parse().unwrap());
        }
        request
    };
    for request in [unknown(Some(KEY)), unknown(Some("short")), unknown(None)] {
        let seen = service.send(request).await;
        assert_eq!((seen.status, &*seen.code()), (StatusCode::UNAUTHORIZED, "IDEMPOTENCY_SCOPE_REQUIRED"));
    }
    assert_eq!(service.handler.runs(), 1);
}

#[tokio::test]
async fn an_optional_route_without_a_key_asks_no_client_who_it_is() {
    let service = Service::with(&validator(), IdempotencyLayer::optional);
    let request = Request::post("/checkouts").body(Body::from("pay")).unwrap();
    assert_eq!(service.send(request).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn another_tenant_or_principal_never_gets_an_answer() {
    let service = Service::new();
    let mut bodies = Vec::new();
    // The last two would be the same if the parts were joined without their lengths.
    for user in [SHOPPER, User("store_43", "shopper_7"), User("store_42", "shopper_8"), User("store_4", "2shopper_7")] {
        let seen = service.send(request_with("/checkouts", KEY, "pay", user)).await;
        assert!(!seen.is_replay());
        bodies.push(seen.body);
    }
    bodies.dedup();
    assert_eq!((bodies.len(), service.handler.runs()), (4, 4));
}

/// A validator of another account, mode or provider, on one store.
fn of(provider: &str, account: &str, mode: Mode, store: &MemoryStore) -> Validator {
    let identity = ProviderIdentity::new(provider).with_account(account).with_mode(mode);
    let provider = provider_fn(identity, |_, _| async { Err(ProviderError::not_sent("not asked")) });
    Validator::builder(provider).mode(mode).store(store.clone()).build().unwrap()
}

#[tokio::test]
async fn an_answer_of_test_mode_or_another_account_is_never_replayed() {
    let store = MemoryStore::new();
    let validators = [
        of("acme", "one", Mode::Test, &store),
        of("acme", "one", Mode::Live, &store),
        of("acme", "two", Mode::Live, &store),
        of("umbrella", "one", Mode::Live, &store),
    ];
    for validator in &validators {
        let service = Service::with(validator, |layer| layer);
        let seen = service.pay().await;
        assert_eq!((seen.text(), seen.is_replay()), ("run 1: b\"pay\"", false));
        // A replica is built alike, and finds what this one did.
        assert!(Service::with(validator, |layer| layer).pay().await.is_replay());
    }
}

#[tokio::test(start_paused = true)]
async fn a_gateway_passes_a_request_on_to_a_backend_on_the_same_store() {
    let validator = validator_on(MemoryStore::new());
    let backend = Service::layered(&validator, named(&validator, "orders").build().unwrap());
    // The way between the two keeps nothing but the request itself.
    let passed_on = backend.clone();
    let pass_on = move |headers: HeaderMap, body: Bytes| async move {
        let mut request = Request::post("/orders").extension(SHOPPER).body(Body::from(body)).unwrap();
        request.headers_mut().extend(headers);
        let seen = passed_on.send(request).await;
        (seen.status, seen.body)
    };
    let layer = named(&validator, "gateway").build().unwrap();
    let gateway = Service::routed(&validator, Handler::default(), Router::new().fallback(pass_on).layer(layer));
    for is_replay in [false, true] {
        let seen = gateway.pay().await;
        assert_eq!((seen.status, seen.text(), seen.is_replay()), (StatusCode::CREATED, "run 1: b\"pay\"", is_replay));
    }
    assert_eq!(backend.handler.runs(), 1);
}

#[tokio::test]
async fn another_method_is_another_request() {
    let service = Service::new();
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        let mut request = request();
        *request.method_mut() = method;
        assert!(!service.send(request).await.is_replay());
    }
    assert_eq!(service.handler.runs(), 4);
}

#[tokio::test]
async fn the_same_key_for_something_else_is_refused_and_never_replayed() {
    let service = Service::new();
    let first = |uri, body| request_with(uri, KEY, body, SHOPPER);
    assert_eq!(service.send(first("/orders/1/capture?now=1", "pay")).await.status, StatusCode::CREATED);
    let mut other_type = first("/orders/1/capture?now=1", "pay");
    other_type.headers_mut().insert("content-type", "application/json".parse().unwrap());
    let mut no_type = first("/orders/1/capture?now=1", "pay");
    no_type.headers_mut().remove("content-type");
    for other in [
        first("/orders/2/capture?now=1", "pay"),
        first("/orders/1/capture?now=2", "pay"),
        first("/orders/1/capture?", "pay"),
        first("/orders/1/capture", "pay"),
        first("/orders/1/capture?now=1", "pay "),
        first("/orders/1/capture?now=1", ""),
        other_type,
        no_type,
    ] {
        let seen = service.send(other).await;
        assert_eq!((seen.status, &*seen.code()), (StatusCode::UNPROCESSABLE_ENTITY, "IDEMPOTENCY_KEY_REUSED"));
        assert!(!seen.is_replay());
    }
    assert!(service.send(first("/orders/1/capture?now=1", "pay")).await.is_replay());
    assert_eq!(service.handler.runs(), 1);
}

#[tokio::test]
async fn the_border_between_path_query_type_and_body_cannot_be_moved() {
    let service = Service::new();
    let with = |uri: &str, kind: &str, body: &'static str| {
        let mut request = request_with(uri, KEY, body, SHOPPER);
        request.headers_mut().insert("content-type", kind.parse().unwrap());
        request
    };
    assert_eq!(service.send(with("/a?b", "c", "d")).await.status, StatusCode::CREATED);
    for other in [with("/a?bc", "", "d"), with("/a", "bc", "d"), with("/a?b", "cd", ""), with("/ab", "c", "d")] {
        assert_eq!(service.send(other).await.code(), "IDEMPOTENCY_KEY_REUSED");
    }
}

#[tokio::test]
async fn nested_routers_are_told_apart_by_the_whole_path() {
    let validator = validator();
    let layer = builder(&validator).build().unwrap();
    let handler = Handler::default();
    let inner = |layer| Router::new().route("/capture", post(|| async { "captured" })).layer(layer);
    let routes = Router::new().nest("/orders/1", inner(layer.clone())).nest("/orders/2", inner(layer));
    let service = Service::routed(&validator, handler, routes);
    assert_eq!(service.send(request_with("/orders/1/capture", KEY, "", SHOPPER)).await.text(), "captured");
    let seen = service.send(request_with("/orders/2/capture", KEY, "", SHOPPER)).await;
    assert_eq!(seen.code(), "IDEMPOTENCY_KEY_REUSED");
    assert!(service.send(request_with("/orders/1/capture", KEY, "", SHOPPER)).await.is_replay());
}

#[tokio::test]
async fn a_layer_within_a_layer_does_not_wait_for_itself() {
    let validator = validator();
    let layer = builder(&validator).build().unwrap();
    let routes = Router::new().route("/checkouts", post(|| async { "paid" }).layer(layer.clone())).layer(layer);
    let service = Service::routed(&validator, Handler::default(), routes);
    for replay in [false, true] {
        let seen = service.pay().await;
        assert_eq!((seen.text(), seen.is_replay()), ("paid", replay));
    }
}

#[tokio::test]
async fn a_layer_within_one_that_had_no_key_looks_for_itself() {
    let validator = validator();
    let layer = builder(&validator).build().unwrap();
    let inner = Router::new().route("/checkouts", post(|| async { "paid" }).layer(layer.clone()));
    let service = Service::routed(&validator, Handler::default(), inner.layer(layer.optional()));
    let mut keyless = request();
    keyless.headers_mut().remove("idempotency-key");
    assert_eq!(service.send(keyless).await.code(), "IDEMPOTENCY_KEY_REQUIRED");
    assert_eq!(service.pay().await.text(), "paid");
}

/// Sends what it got on to other routes of the same service, each with a key of its own, as an endpoint for many requests
/// in one does: extensions and all.
fn batch(routes: Router, layer: IdempotencyLayer) -> Router {
    let each = move |request: Request<Body>| async move {
        let (parts, _) = request.into_parts();
        let mut last = Response::default();
        for uri in parts.headers["x-uris"].to_str().unwrap().split(' ') {
            let mut parts = parts.clone();
            (parts.uri, parts.method) = (uri.parse().unwrap(), Method::POST);
            parts.headers.insert("idempotency-key", "key-of-a-part".parse().unwrap());
            last = routes.clone().oneshot(Request::from_parts(parts, Body::empty())).await.unwrap();
        }
        last
    };
    Router::new().route("/batch", post(each).layer(layer))
}

fn batch_of(key: &str, uris: &str) -> Request<Body> {
    let mut request = request_with("/batch", key, "", SHOPPER);
    request.headers_mut().insert("x-uris", uris.parse().unwrap());
    request
}

#[tokio::test]
async fn a_request_within_a_request_happens_once_as_well() {
    let validator = validator();
    let layer = builder(&validator).build().unwrap();
    let parts = Service::layered(&validator, layer.clone());
    let service = Service::routed(&validator, Handler::default(), batch(parts.routes(), layer));
    for key in ["batch-one", "batch-two"] {
        assert_eq!(service.send(batch_of(key, "/orders/1 /orders/1")).await.text(), "run 1: b\"\"");
    }
    assert_eq!(parts.handler.runs(), 1);
    let seen = service.send(batch_of("batch-three", "/orders/2")).await;
    assert_eq!(seen.code(), "IDEMPOTENCY_KEY_REUSED", "it is told by its own path, not by the batch's");
}

#[tokio::test]
async fn what_a_path_was_rewritten_to_counts_as_well() {
    let validator = validator();
    let handler = Handler::default();
    let layered = Service::layered(&validator, builder(&validator).build().unwrap());
    let rewrite = |mut request: Request<Body>| async {
        let order = request.headers()["x-order"].to_str().unwrap().to_owned();
        *request.uri_mut() = format!("/orders/{order}").parse().unwrap();
        request
    };
    let inner = Router::new().fallback_service(layered.routes()).layer(map_request(rewrite));
    let service = Service::routed(&validator, handler, Router::new().nest("/orders", inner));
    let order = |order: &'static str| {
        let mut request = request_with("/orders/mine", KEY, "", SHOPPER);
        request.headers_mut().insert("x-order", order.parse().unwrap());
        request
    };
    assert_eq!(service.send(order("1")).await.status, StatusCode::CREATED);
    assert_eq!(service.send(order("2")).await.code(), "IDEMPOTENCY_KEY_REUSED");
    assert!(service.send(order("1")).await.is_replay());
}

#[tokio::test]
async fn every_content_type_that_is_given_counts() {
    let service = Service::new();
    let with = |second: Option<&'static str>| {
        let mut request = request();
        if let Some(second) = second {
            request.headers_mut().append("content-type", second.parse().unwrap());
        }
        request
    };
    assert_eq!(service.send(with(Some("text/csv"))).await.status, StatusCode::CREATED);
    for other in [with(None), with(Some("text/html"))] {
        assert_eq!(service.send(other).await.code(), "IDEMPOTENCY_KEY_REUSED");
    }
}
