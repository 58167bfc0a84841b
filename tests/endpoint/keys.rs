//! Which requests want a key, and what one looks like.

use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, StatusCode};
use axum::response::IntoResponse as _;
use payproof::Validator;
use payproof::endpoint::IdempotencyLayer;
use payproof::testing::ScriptedProvider;

use crate::service::{Act, KEY, SHOPPER, Service, User, builder, request, request_with, validator};
use crate::support::secs;

fn keyless(method: Method) -> Request<Body> {
    Request::builder().method(method).uri("/checkouts").extension(SHOPPER).body(Body::from("pay")).unwrap()
}

fn keyed(key: &[u8]) -> Request<Body> {
    let mut request = keyless(Method::POST);
    request.headers_mut().insert("idempotency-key", HeaderValue::from_bytes(key).unwrap());
    request
}

#[tokio::test]
async fn a_required_key_is_required_of_what_changes_something() {
    let service = Service::new();
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        let seen = service.send(keyless(method.clone())).await;
        assert_eq!((seen.status, &*seen.code()), (StatusCode::BAD_REQUEST, "IDEMPOTENCY_KEY_REQUIRED"), "{method}");
    }
    assert_eq!(service.handler.runs(), 0);
    for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
        assert_eq!(service.send(keyless(method)).await.status, StatusCode::CREATED);
    }
    assert_eq!(service.handler.runs(), 3);
    assert_eq!(service.stats().requests["key_required"], 4);
}

#[tokio::test]
async fn an_optional_key_may_be_missing_and_not_malformed() {
    let service = Service::with(&validator(), IdempotencyLayer::optional);
    for run in 1..=2 {
        assert_eq!(service.send(keyless(Method::POST)).await.text(), format!("run {run}: b\"pay\""));
    }
    let seen = service.send(keyed(b"short")).await;
    assert_eq!((seen.status, &*seen.code()), (StatusCode::BAD_REQUEST, "IDEMPOTENCY_KEY_INVALID"));
    assert_eq!(seen.json()["error"]["details"]["rule"], "must have at least 8 characters");
    assert!(!service.pay().await.is_replay());
    assert!(service.pay().await.is_replay());
    assert_eq!(service.handler.runs(), 3);
}

#[tokio::test]
async fn a_route_without_the_layer_looks_at_no_key() {
    let service = Service::with(&validator(), IdempotencyLayer::off);
    for _ in 0..2 {
        assert!(!service.pay().await.is_replay());
        assert!(!service.send(keyed(b"short")).await.is_replay());
    }
    assert_eq!(service.handler.runs(), 4);
    assert!(service.stats().requests.is_empty());
}

#[tokio::test]
async fn the_last_word_on_a_route_counts() {
    let service = Service::with(&validator(), |layer| layer.off().optional().required());
    assert_eq!(service.send(keyless(Method::POST)).await.code(), "IDEMPOTENCY_KEY_REQUIRED");
}

#[tokio::test]
async fn a_malformed_key_is_never_no_key() {
    let service = Service::new();
    for key in [&b""[..], b"1234567", b"\"12345678", b"k\xc3\xa4se-und-brot", &[b'k'; 256]] {
        let seen = service.send(keyed(key)).await;
        assert_eq!((seen.status, &*seen.code()), (StatusCode::BAD_REQUEST, "IDEMPOTENCY_KEY_INVALID"), "{key:?}");
    }
    let mut two = keyed(b"12345678");
    two.headers_mut().append("idempotency-key", "12345678".parse().unwrap());
    assert_eq!(service.send(two).await.code(), "IDEMPOTENCY_KEY_INVALID");
    assert_eq!(service.handler.runs(), 0);
}

#[tokio::test]
async fn two_keys_that_a_proxy_has_merged_are_refused_like_two_headers() {
    let service = Service::new();
    let merged = [
        format!("{KEY}, {KEY}"),
        format!("{KEY},{KEY}"),
        format!("{KEY}, 12345678"),
        format!("\"{KEY}\", \"{KEY}\""),
        format!("\"{KEY}\",{KEY}"),
    ];
    for key in merged {
        let seen = service.send(keyed(key.as_bytes())).await;
        assert_eq!((seen.status, &*seen.code()), (StatusCode::BAD_REQUEST, "IDEMPOTENCY_KEY_INVALID"), "{key}");
    }
    assert_eq!(service.handler.runs(), 0);
}

#[tokio::test]
async fn a_comma_within_quotation_marks_is_part_of_the_key() {
    let service = Service::new();
    for (key, is_replay) in [("try 1, order 6735", false), ("try 2, order 6735", false), ("try 1, order 6735", true)] {
        let seen = service.send(keyed(format!("\"{key}\"").as_bytes())).await;
        assert_eq!((seen.status, seen.is_replay()), (StatusCode::CREATED, is_replay), "{key}");
    }
}

#[tokio::test]
async fn a_bare_key_and_a_quoted_one_are_the_same() {
    let service = Service::new();
    let first = service.send(keyed(KEY.as_bytes())).await;
    let second = service.send(keyed(format!("\"{KEY}\"").as_bytes())).await;
    assert_eq!((first.body, second.is_replay()), (second.body.clone(), true));
    assert_eq!(service.handler.runs(), 1);
}

#[tokio::test]
async fn the_shortest_key_and_the_methods_can_be_chosen() {
    let validator = validator();
    let layer = builder(&validator).min_key_length(1).methods([Method::GET]).build().unwrap();
    let service = Service::layered(&validator, layer);
    let get = |key: &'static str| {
        let mut request = request();
        *request.method_mut() = Method::GET;
        request.headers_mut().insert("idempotency-key", key.parse().unwrap());
        request
    };
    assert!(!service.send(get("1")).await.is_replay());
    assert!(service.send(get("1")).await.is_replay());
    assert!(!service.pay().await.is_replay());
    assert!(!service.pay().await.is_replay());
}

#[tokio::test(start_paused = true)]
async fn a_tenant_at_its_share_of_keys_does_not_refuse_another() {
    let validator = validator();
    let layer = builder(&validator).max_keys_per_tenant(3).retention(secs(3600)).build().unwrap();
    let service = Service::layered(&validator, layer);
    let pay = async |key: &str, user| service.send(request_with("/checkouts", key, "pay", user)).await;
    let others = User("store_42", "another_shopper");
    service.handler.script([Act::Answer(StatusCode::TOO_MANY_REQUESTS.into_response())]);
    assert_eq!(pay("key-00000", SHOPPER).await.status, StatusCode::TOO_MANY_REQUESTS);
    for key in ["key-00001", "key-00002", "key-00003"] {
        assert_eq!(pay(key, SHOPPER).await.status, StatusCode::CREATED, "the one that was released takes no room");
    }
    let seen = pay("key-00004", others).await;
    assert_eq!((seen.status, &*seen.code()), (StatusCode::SERVICE_UNAVAILABLE, "IDEMPOTENCY_SHARE_FULL"));
    assert!(seen.text().contains("max_keys_per_tenant"), "{}", seen.text());
    assert!(pay("key-00001", SHOPPER).await.is_replay(), "keys held are answered");
    assert_eq!(pay("key-00004", User("store_43", "shopper_7")).await.status, StatusCode::CREATED);
    assert_eq!(service.stats().requests["share_full"], 1);
    tokio::time::sleep(secs(3601)).await;
    assert_eq!(pay("key-00004", others).await.status, StatusCode::CREATED);
}

#[tokio::test(start_paused = true)]
async fn a_single_tenant_may_hold_more_than_half_of_the_keys() {
    let validator = Validator::builder(ScriptedProvider::new()).single_tenant().build().unwrap();
    let service = Service::layered(&validator, builder(&validator).build().unwrap());
    for number in 0..=50_000 {
        let seen = service.send(request_with("/checkouts", &format!("key-{number:05}"), "pay", SHOPPER)).await;
        assert_eq!(seen.status, StatusCode::CREATED, "{number}: {}", seen.text());
    }
}
