//! What a replay repeats, and what every answer carries.

use axum::body::{Body, Bytes};
use axum::http::header::{HeaderName, SET_COOKIE};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::service::{Act, Service, builder, request, validator};

#[tokio::test]
async fn status_kept_headers_and_body_are_repeated_byte_for_byte() {
    let service = Service::new();
    let every_byte: Vec<u8> = (0..=255).cycle().take(10_000).collect();
    let answer = Response::builder()
        .status(StatusCode::ACCEPTED)
        .header("content-type", "application/octet-stream")
        .header("content-language", "de")
        .header("etag", HeaderValue::from_bytes(b"\"\xfc\"").unwrap())
        .header("link", "</a>; rel=self")
        .header("link", "</b>; rel=next")
        .header("location", "/orders/6735")
        .header("set-cookie", "session=first-clients-own")
        .header("x-anything", "else")
        .header("date", "Tue, 24 Nov 2026 10:00:00 GMT")
        .body(Body::from(every_byte.clone()))
        .unwrap();
    service.handler.script([Act::Answer(answer)]);
    let first = service.pay().await;
    assert_eq!(
        (&first.headers["set-cookie"], &first.headers["x-anything"]),
        (&HeaderValue::from_static("session=first-clients-own"), &HeaderValue::from_static("else"))
    );
    assert!(!first.headers.contains_key("idempotent-replayed"));
    let second = service.pay().await;
    assert_eq!((second.status, &*second.body), (StatusCode::ACCEPTED, &*every_byte));
    for name in ["content-type", "content-language", "etag", "link", "location"] {
        let all = |seen: &crate::service::Seen| seen.headers.get_all(name).iter().cloned().collect::<Vec<_>>();
        assert_eq!(all(&second), all(&first), "{name}");
    }
    for name in ["set-cookie", "x-anything", "date"] {
        assert!(!second.headers.contains_key(name), "{name}");
    }
    assert_eq!(second.headers["idempotent-replayed"], "true");
}

#[tokio::test]
async fn which_headers_are_kept_can_be_chosen() {
    let validator = validator();
    let kept = [HeaderName::from_static("x-anything"), SET_COOKIE];
    let service = Service::layered(&validator, builder(&validator).kept_headers(kept).build().unwrap());
    let headers = [("x-anything", "else"), ("set-cookie", "a=b"), ("location", "/orders/6735")];
    service.handler.script([Act::Answer((headers, "done").into_response())]);
    service.pay().await;
    let seen = service.pay().await;
    assert_eq!((seen.headers["x-anything"].as_bytes(), seen.text()), (&b"else"[..], "done"));
    assert_eq!(seen.headers["set-cookie"], "a=b");
    assert!(!seen.headers.contains_key("location") && !seen.headers.contains_key("content-type"));
}

#[tokio::test]
async fn an_empty_answer_is_kept_as_one() {
    let service = Service::new();
    service.handler.script([Act::Answer(StatusCode::NO_CONTENT.into_response())]);
    service.pay().await;
    let seen = service.pay().await;
    assert_eq!((seen.status, seen.body.len(), seen.is_replay()), (StatusCode::NO_CONTENT, 0, true));
}

#[tokio::test]
async fn the_request_id_of_each_request_is_carried_to_its_own_answer() {
    let service = Service::new();
    let with_id = |id: &'static str| {
        let mut request = request();
        request.headers_mut().insert("x-request-id", HeaderValue::from_static(id));
        request
    };
    for id in ["req-1", "req-2"] {
        assert_eq!(service.send(with_id(id)).await.headers["x-request-id"], id);
    }
    let mut refused = with_id("req-3");
    refused.headers_mut().remove("idempotency-key");
    assert_eq!(service.send(refused).await.headers["x-request-id"], "req-3");
    let mut passed = with_id("req-4");
    *passed.method_mut() = Method::GET;
    assert_eq!(service.send(passed).await.headers["x-request-id"], "req-4");
    assert!(!service.pay().await.headers.contains_key("x-request-id"));
}

#[tokio::test]
async fn a_handlers_own_request_id_stays() {
    let service = Service::new();
    service.handler.script([Act::Answer([("x-request-id", "its-own")].into_response())]);
    let mut request = request();
    request.headers_mut().insert("x-request-id", HeaderValue::from_static("req-1"));
    assert_eq!(service.send(request).await.headers["x-request-id"], "its-own");
}

#[tokio::test]
async fn a_refusal_is_a_failure_in_the_envelope() {
    let service = Service::new();
    let mut refused = request();
    refused.headers_mut().remove("idempotency-key");
    let seen = service.send(refused).await;
    let expected = r#"{"error":{"code":"IDEMPOTENCY_KEY_REQUIRED","message":"send an Idempotency-Key header"}}"#;
    assert_eq!(seen.body, Bytes::from(expected));
}
