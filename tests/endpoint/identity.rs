//! What is the same request, and whose it is.

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use axum::routing::post;
use payproof::endpoint::IdempotencyLayer;

use crate::service::{Handler, KEY, SHOPPER, Service, User, builder, request, request_with, validator};

#[tokio::test]
async fn whoever_is_not_known_is_refused_and_never_shares() {
    let service = Service::new();
    service.pay().await;
    let nobody = |key: Option<&str>| {
        let mut request = request();
        request.extensions_mut().clear();
        request.headers_mut().remove("idempotency-key");
        if let Some(key) = key {
            request.headers_mut().insert("idempotency-key", key.parse().unwrap());
        }
        request
    };
    for request in [nobody(Some(KEY)), nobody(Some("short")), nobody(None)] {
        let seen = service.send(request).await;
        assert_eq!((seen.status, &*seen.code()), (StatusCode::UNAUTHORIZED, "IDEMPOTENCY_SCOPE_REQUIRED"));
    }
    assert_eq!(service.handler.runs(), 1);
}

#[tokio::test]
async fn an_optional_route_without_a_key_asks_nobody_who_they_are() {
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
