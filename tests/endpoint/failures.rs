//! Failures in one form, those of the framework included, and what they say of a second try.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::{Body, Bytes};
use axum::http::{Method, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use payproof::Validator;
use payproof::envelope::{Failure, FailureLayer, Success};
use payproof::guard::{Effect, EffectCall, Guard, Operation};
use payproof::provider::ProviderError;
use serde_json::{Value, json};

use crate::service::SHOPPER;
use crate::service::{Act, Handler, Seen, Service, builder, request_with, validator};
use crate::support::{ms, secs};

/// A handler that refunds under a provider's key, and passes on what the guard says.
fn refunding(validator: &Validator, calls: &Arc<AtomicUsize>) -> Service {
    let (guard, calls) = (validator.guard(), Arc::clone(calls));
    let refund = move || refund(guard.clone(), Arc::clone(&calls));
    let layer = builder(validator).build().unwrap();
    Service::routed(validator, Handler::default(), Router::new().route("/checkouts", post(refund)).layer(layer))
}

/// The provider's first answers are lost.
async fn refund(guard: Guard, calls: Arc<AtomicUsize>) -> Result<Success<String>, Failure> {
    let effect = Effect::keyed_write(secs(24 * 60 * 60));
    let refund = Operation::new("store_42", "refund", "order 6735", effect).map_err(Failure::from)?;
    let done = guard.run(&refund, move |call: EffectCall| {
        let (key, number) = (call.provider_key().to_owned(), calls.fetch_add(1, Ordering::SeqCst));
        async move { if number < 3 { Err(ProviderError::outcome_unknown("the connection broke")) } else { Ok(key) } }
    });
    let done = done.deadline(secs(60)).await.map_err(Failure::from)?;
    Ok(Success::new(done.value().clone()))
}

#[tokio::test(start_paused = true)]
async fn a_guard_that_says_run_it_again_is_run_again_under_the_same_key() {
    let calls = Arc::new(AtomicUsize::new(0));
    let validator = Validator::builder(payproof::testing::ScriptedProvider::new());
    let validator = validator.retry(payproof::Retry::none()).build().unwrap();
    let service = refunding(&validator, &calls);
    for tries in 1..=3 {
        let seen = service.pay().await;
        assert_eq!((seen.status, &*seen.code()), (StatusCode::SERVICE_UNAVAILABLE, "INDETERMINATE_RETRYABLE"));
        assert_eq!((calls.load(Ordering::SeqCst), service.stats().requests["not_completed"]), (tries, tries as u64));
    }
    let seen = service.pay().await;
    assert_eq!((seen.status, seen.is_replay()), (StatusCode::OK, false), "{seen:?}");
    assert!(service.pay().await.is_replay());
    assert_eq!(calls.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn who_says_that_a_request_is_repeatable_gets_the_key_back_whatever_the_status() {
    for status in [409, 422, 500, 503] {
        let service = Service::new();
        let failure = Failure::new(status, "HALF_DONE", "send it again").repeatable();
        service.handler.script([Act::Answer(failure.into_response())]);
        assert_eq!((service.pay().await.code(), service.stats().requests["not_completed"]), ("HALF_DONE".into(), 1));
        assert_eq!(service.pay().await.text(), "run 2: b\"pay\"");
    }
}

#[tokio::test]
async fn an_error_that_nothing_protects_keeps_its_key() {
    let service = Service::new();
    let refused = Failure::from(Operation::new("", "refund", "k", Effect::Read).unwrap_err());
    service.handler.script([Act::Answer(refused.into_response())]);
    assert_eq!(service.pay().await.code(), "INVALID_INTENT");
    assert!(service.pay().await.is_replay());
}

/// Routes that axum itself refuses requests to, below a layer for failures.
fn service(failures: FailureLayer) -> Service {
    let validator = validator();
    let pay = |Json(order): Json<Order>| async move { Success::new(order.order).into_response() };
    let broken = || async { (StatusCode::INTERNAL_SERVER_ERROR, "secret: the pool of db-1 is empty") };
    let routes = Router::new()
        .route("/checkouts", post(pay))
        .layer(builder(&validator).build().unwrap())
        .route("/broken", post(broken))
        .route("/own", post(|body: Bytes| async move { own(&body) }))
        .layer(failures);
    Service::routed(&validator, Handler::default(), routes)
}

#[derive(serde::Deserialize)]
struct Order {
    order: String,
}

/// Answers of the service's own making.
fn own(body: &[u8]) -> Response {
    match body {
        b"json" => (StatusCode::CONFLICT, Json(json!({ "error": { "code": "A", "message": "b", "param": "c" } })))
            .into_response(),
        b"html" => (StatusCode::NOT_FOUND, [("content-type", "text/html")], "<h1>gone</h1>").into_response(),
        b"failure" => {
            let failure = Failure::new(409, "SOLD_OUT", "the last one is gone").with_details(json!({ "left": 0 }));
            failure.with_retry_after(ms(1500)).into_response()
        }
        b"long" => (StatusCode::BAD_REQUEST, "x".repeat(70_000)).into_response(),
        _ => "done".into_response(),
    }
}

/// Each of its own key.
fn posted(uri: &str, content_type: &str, body: &'static str) -> Request<Body> {
    let mut request = request_with(uri, &format!("key of {uri} {content_type} {body}"), body, SHOPPER);
    request.headers_mut().insert("content-type", content_type.parse().unwrap());
    request
}

/// One request for each refusal that axum makes by itself, with what it becomes.
fn refused_by_axum() -> Vec<(Request<Body>, u16, &'static str, &'static str)> {
    let mut wrong_method = posted("/broken", "text/plain", "");
    *wrong_method.method_mut() = Method::PUT;
    let mut keyless = posted("/checkouts", "text/plain", "");
    keyless.headers_mut().remove("idempotency-key");
    vec![
        (posted("/nowhere", "text/plain", ""), 404, "NOT_FOUND", "Not Found"),
        (wrong_method, 405, "METHOD_NOT_ALLOWED", "Method Not Allowed"),
        (posted("/checkouts", "text/plain", "{}"), 415, "UNSUPPORTED_MEDIA_TYPE", "Content-Type"),
        (posted("/checkouts", "application/json", "{"), 400, "BAD_REQUEST", "EOF while parsing"),
        (
            posted("/checkouts", "application/json", "{\"order\":6735}"),
            422,
            "UNPROCESSABLE_ENTITY",
            "expected a string",
        ),
        (keyless, 400, "IDEMPOTENCY_KEY_REQUIRED", "send an Idempotency-Key"),
        (posted("/broken", "text/plain", ""), 500, "INTERNAL_SERVER_ERROR", "Internal Server Error"),
    ]
}

#[tokio::test]
async fn what_axum_refuses_by_itself_is_a_failure_in_the_envelope() {
    let service = service(FailureLayer::envelope());
    for (request, status, code, message) in refused_by_axum() {
        let seen = service.send(request).await;
        assert_eq!((seen.status.as_u16(), &*seen.code()), (status, code));
        let told = seen.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(told.contains(message) && !told.contains("secret"), "{told}");
        assert_eq!(seen.headers.contains_key("allow"), status == 405, "its own headers stay");
    }
}

#[tokio::test]
async fn problem_documents_are_a_choice() {
    let service = service(FailureLayer::problem_documents());
    for (request, status, code, _) in refused_by_axum() {
        let seen = service.send(request).await;
        let problem = problem(&seen);
        assert_eq!(
            (&problem["status"], &problem["code"], &problem["type"]),
            (&json!(status), &json!(code), &json!("about:blank"))
        );
        assert_eq!(seen.status.as_u16(), status);
    }
    let seen = service.send(posted("/own", "text/plain", "failure")).await;
    let expected = json!({
        "type": "about:blank", "title": "Conflict", "status": 409, "detail": "the last one is gone",
        "code": "SOLD_OUT", "details": { "left": 0 },
    });
    assert_eq!((problem(&seen), &seen.headers["retry-after"]), (expected, &"2".parse().unwrap()));
    let refused = service.send(request_with("/checkouts", "null", "pay", SHOPPER)).await;
    assert_eq!(problem(&refused)["code"], "IDEMPOTENCY_KEY_INVALID");
}

#[tokio::test]
async fn the_types_of_problems_may_have_addresses() {
    let service = service(FailureLayer::problem_documents_under("https://shop.example/problems/"));
    let seen = service.send(posted("/own", "text/plain", "failure")).await;
    assert_eq!(problem(&seen)["type"], "https://shop.example/problems/SOLD_OUT");
    let alone: Response = Failure::new(409, "SOLD_OUT", "gone").into_problem_http();
    assert_eq!(alone.headers()["content-type"], "application/problem+json");
}

#[tokio::test]
async fn what_says_more_than_a_failure_is_handed_on_as_it_is() {
    let problems = service(FailureLayer::problem_documents());
    let plain = service(FailureLayer::envelope());
    for body in ["json", "html", "long", "done"] {
        let seen = problems.send(posted("/own", "text/plain", body)).await;
        assert_eq!(seen.body, axum::body::to_bytes(own(body.as_bytes()).into_body(), 100_000).await.unwrap(), "{body}");
        assert_eq!(seen.headers["content-type"], own(body.as_bytes()).headers()["content-type"]);
    }
    let failure = plain.send(posted("/own", "text/plain", "failure")).await;
    assert_eq!(failure.code(), "SOLD_OUT");
    let mut head = posted("/nowhere", "text/plain", "");
    *head.method_mut() = Method::HEAD;
    assert!(plain.send(head).await.body.is_empty());
}

fn problem(seen: &Seen) -> Value {
    assert_eq!(seen.headers["content-type"], "application/problem+json", "{seen:?}");
    seen.json()
}

#[tokio::test]
async fn below_the_layer_a_failure_in_the_envelope_is_replayed() {
    let service = service(FailureLayer::envelope());
    let unfit = || posted("/checkouts", "application/json", r#"{"order":6735}"#);
    let (first, second) = (service.send(unfit()).await, service.send(unfit()).await);
    assert_eq!((first.status, &first.body, second.is_replay()), (second.status, &second.body, true));
    let mut other = unfit();
    *other.body_mut() = Body::from("{}");
    assert_eq!(service.send(other).await.code(), "IDEMPOTENCY_KEY_REUSED");
}
