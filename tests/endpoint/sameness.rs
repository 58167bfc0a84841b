//! What a service may say about when two requests are the same.

use axum::body::Body;
use axum::http::{HeaderValue, Request};
use payproof::endpoint::IdempotencyLayerBuilder;

use crate::service::{KEY, SHOPPER};
use crate::service::{Service, builder, request_with, validator};

fn service(set: impl FnOnce(IdempotencyLayerBuilder) -> IdempotencyLayerBuilder) -> Service {
    let validator = validator();
    Service::layered(&validator, set(builder(&validator)).build().unwrap())
}

fn normalizing() -> Service {
    service(IdempotencyLayerBuilder::normalized_content_type)
}

fn sent(content_type: &str, body: &str) -> Request<Body> {
    let mut request = request_with("/checkouts", KEY, "", SHOPPER);
    request.headers_mut().insert("content-type", HeaderValue::from_str(content_type).unwrap());
    *request.body_mut() = Body::from(body.to_owned());
    request
}

/// Whether the second of two requests under one key is taken for the first.
async fn is_same(service: &Service, first: Request<Body>, second: Request<Body>) -> bool {
    assert!(!service.send(first).await.is_replay());
    let seen = service.send(second).await;
    if !seen.is_replay() {
        assert_eq!(seen.code(), "IDEMPOTENCY_KEY_REUSED");
    }
    seen.is_replay()
}

#[tokio::test]
async fn query_parameters_can_be_left_out() {
    let at = |uri: &str| request_with(uri, KEY, "pay", SHOPPER);
    for (first, second, expected) in [
        ("/checkouts?utm_source=mail", "/checkouts", true),
        ("/checkouts?cart=7&utm_source=mail", "/checkouts?utm_source=search&cart=7", true),
        ("/checkouts?utm_source&cart=7", "/checkouts?cart=7", true),
        ("/checkouts?cart=7", "/checkouts?cart=8", false),
        ("/checkouts?cart=7", "/checkouts?cart=7&utm_sourcery=mail", false),
        ("/checkouts?a=1&b=2", "/checkouts?b=2&a=1", false),
    ] {
        let service = service(|layer| layer.ignored_query_parameters(["utm_source", "gclid"]));
        assert_eq!(is_same(&service, at(first), at(second)).await, expected, "{first} {second}");
    }
    let service = service(|layer| layer);
    assert!(!is_same(&service, at("/checkouts?utm_source=mail"), at("/checkouts")).await, "by default all count");
}

#[tokio::test]
async fn content_types_can_be_compared_by_what_they_say() {
    for (first, second, expected) in [
        ("application/json", "application/json; charset=utf-8", true),
        ("application/json;charset=UTF-8", "Application/JSON ; Charset=\"utf-8\"", true),
        ("text/plain; a=1; b=2", "text/plain;B=\"2\";A=1", true),
        ("text/plain; a=x", "text/plain; a=X", false),
        ("text/plain", "text/plain; charset=utf-8", false),
        ("text/plain", "text/html", false),
        ("text/plain; a=\"1;b=2\"", "text/plain; a=1; b=2", false),
        ("text/plain; a=\"1", "text/plain; a=1", false),
    ] {
        assert_eq!(is_same(&normalizing(), sent(first, "x"), sent(second, "x")).await, expected, "{first} {second}");
    }
    let by_default = service(|layer| layer);
    let (one, other) = (sent("application/json", "x"), sent("application/json; charset=utf-8", "x"));
    assert!(!is_same(&by_default, one, other).await, "by default every byte counts");
}

/// A form as a browser sends it.
fn form(boundary: &str, order: &str, more: &str) -> Request<Body> {
    let part = |name: &str, value: &str| {
        format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let body = format!("{}{}--{boundary}--\r\n", part("order", order), part("note", more));
    sent(&format!("multipart/form-data; boundary={boundary}"), &body)
}

#[tokio::test]
async fn a_form_is_the_same_under_another_boundary() {
    let sent_by = |boundary: &str| form(boundary, "6735", "a\r\n-b\r\nc");
    assert!(is_same(&normalizing(), sent_by("----Web1"), sent_by("----Web2")).await);
    for (first, second) in [
        (form("x1", "6735", "a"), form("x2", "6736", "a")),
        (form("x1", "6735", "a"), form("x2", "6735", "b")),
        // The boundary is another one, and so is what is between it.
        (form("x1", "6735", "a"), form("x2", "6735\r\n--x1", "a")),
        // It is named, and does not stand in the body.
        (sent("multipart/form-data; boundary=x1", "body"), sent("multipart/form-data; boundary=x2", "body")),
        // It is no form.
        (sent("text/plain; boundary=x1", "--x1\r\n"), sent("text/plain; boundary=x2", "--x2\r\n")),
    ] {
        assert!(!is_same(&normalizing(), first, second).await);
    }
    let by_default = service(|layer| layer);
    assert!(!is_same(&by_default, form("x1", "6735", "a"), form("x2", "6735", "a")).await);
}

#[tokio::test]
async fn keys_that_a_bug_makes_are_refused_with_that_word() {
    let service = service(|layer| layer.min_key_length(1));
    for key in ["undefined", "null", "[object Object]", "NaN", "\"undefined\""] {
        let seen = service.send(request_with("/checkouts", key, "pay", SHOPPER)).await;
        assert_eq!((seen.status.as_u16(), &*seen.code()), (400, "IDEMPOTENCY_KEY_INVALID"));
        let rule = seen.json()["error"]["details"]["rule"].as_str().unwrap().to_owned();
        assert!(rule.contains(&format!("`{}`", key.trim_matches('"'))), "{rule}");
    }
    for key in ["undefined-6735", "Null"] {
        assert_eq!(service.send(request_with("/checkouts", key, "pay", SHOPPER)).await.status.as_u16(), 201);
    }
}

#[test]
fn an_operation_under_a_key_that_a_bug_makes_is_refused() {
    let refused = payproof::guard::Operation::new("store_42", "refund", "undefined", payproof::guard::Effect::Read);
    assert!(refused.unwrap_err().rule().contains("`undefined`"));
}
