//! The two answers of an API, and what errors of the crate turn into.
#![cfg(feature = "test-util")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "what does not hold here fails the test")]

use std::time::Duration;

use crate::support::{failing, forgetful, intent, intent_of, paid, plain, proof_of, provider, secs};
use crate::support::{unbound, unbound_intent};
use payproof::envelope::{Failure, Success};
use payproof::guard::{Effect, EffectCall, Operation};
use payproof::provider::ProviderError;
use payproof::redeem::RedeemError;
use payproof::store::MemoryStore;
use payproof::testing::{FlakyStore, StoreFault};
use payproof::{Currency, Finding, Money, PaymentIntent, Validator, Verdict};
use serde_json::{Value, json};

fn body(failure: &Failure) -> Value {
    let body = serde_json::to_value(failure).unwrap();
    assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["error"], "nothing else says that it failed");
    body
}

#[test]
fn success_says_what_there_is_and_nothing_else() {
    let answer = Success::new(json!({ "order": "6735" }));
    assert_eq!(serde_json::to_string(&answer).unwrap(), r#"{"data":{"order":"6735"}}"#);
    let answer = answer.with_message("paid").with_meta(json!({ "page": 1 }));
    let expected = r#"{"data":{"order":"6735"},"message":"paid","meta":{"page":1}}"#;
    assert_eq!(serde_json::to_string(&answer).unwrap(), expected);
    let read: Success<Value> = serde_json::from_str(expected).unwrap();
    assert_eq!(read, answer);
}

#[test]
fn failure_says_what_there_is_and_nothing_else() {
    let answer = Failure::new(409, "SOLD_OUT", "the last one is gone");
    assert_eq!(body(&answer), json!({ "error": { "code": "SOLD_OUT", "message": "the last one is gone" } }));
    let answer = answer.with_details(json!({ "left": 0 })).with_retry_after(secs(3)).not_executed();
    let expected =
        json!({ "error": { "code": "SOLD_OUT", "message": "the last one is gone", "details": { "left": 0 } } });
    assert_eq!(body(&answer), expected);
    let read: Failure = serde_json::from_value(expected).unwrap();
    assert_eq!((read.code(), read.http_status()), ("SOLD_OUT", 500));
}

#[test]
fn a_status_that_fits_neither_is_replaced() {
    for status in [0, 99, 200, 302, 600, u16::MAX] {
        assert_eq!(Failure::new(status, "X", "x").http_status(), 500, "{status}");
    }
    for status in [400, 499, 500, 599] {
        assert_eq!(Failure::new(status, "X", "x").http_status(), status);
    }
}

#[test]
fn a_wait_is_whole_seconds_rounded_up() {
    let secs_of = |wait| Failure::new(503, "X", "x").with_retry_after(wait).retry_after_secs();
    assert_eq!(secs_of(Duration::ZERO), Some(1));
    assert_eq!(secs_of(Duration::from_millis(1)), Some(1));
    assert_eq!(secs_of(Duration::from_millis(1001)), Some(2));
    assert_eq!(secs_of(Duration::MAX), Some(u64::MAX));
    assert_eq!(Failure::new(503, "X", "x").retry_after_secs(), None);
}

#[tokio::test(start_paused = true)]
async fn a_validation_that_could_not_tell_keeps_its_status_code_and_wait() {
    let slow_down = ProviderError::refused("secret text").with_status(429).with_retry_after(secs(120));
    for (error, status, code, wait) in [
        (ProviderError::refused("secret text").with_status(503), 503, "PROVIDER_UNAVAILABLE", None),
        (ProviderError::refused("secret text").with_status(401), 502, "PROVIDER_REFUSED", None),
        (slow_down, 429, "RATE_LIMITED", Some(120)),
    ] {
        let validator = plain(&failing(error)).build().unwrap();
        let failure = Failure::from(validator.validate(intent("pi_1")).await.unwrap_err());
        assert_eq!((failure.http_status(), failure.code(), failure.retry_after_secs()), (status, code, wait));
        assert!(!body(&failure).to_string().contains("secret text"), "what the provider said is not repeated");
    }
}

#[tokio::test]
async fn a_malformed_claim_is_named() {
    let failure = Failure::from(PaymentIntent::new("", "pi_1", Money::parse("1", Currency::USD).unwrap()).unwrap_err());
    assert_eq!((failure.http_status(), failure.code()), (400, "INVALID_INTENT"));
    assert_eq!(body(&failure)["error"]["details"], json!({ "field": "tenant", "rule": "must not be empty" }));
    let validator = plain(&provider()).build().unwrap();
    let failure = Failure::from(validator.validate(intent_of("pi_1", "1.999")).await.unwrap_err());
    assert_eq!((failure.http_status(), failure.code()), (400, "INVALID_INTENT"));
    assert_eq!(body(&failure)["error"]["details"]["field"], "amount");
}

#[test]
fn a_list_is_never_taken_for_an_answer() {
    for list in [r#"["6735"]"#, r#"["6735",null,null]"#] {
        assert!(serde_json::from_str::<Success<String>>(list).is_err(), "{list}");
    }
    for list in [r#"[{"code":"A","message":"b"}]"#, r#"{"error":["A","b",null]}"#, r#"[["A","b",null]]"#] {
        assert!(serde_json::from_str::<Failure>(list).is_err(), "{list}");
    }
}

#[tokio::test]
async fn findings_are_named_by_their_codes_alone() {
    let provider = provider();
    provider.put(paid("pi_2").with_metadata("store_id", "another_store"));
    let validator = plain(&provider).build().unwrap();
    let named = async |id: &str| {
        let validation = validator.validate(intent_of(id, "18.99")).await.unwrap();
        let Verdict::Invalid(findings) = validation.into_verdict() else { panic!("{id} is valid") };
        body(&Failure::from(&findings))["error"]["details"].clone()
    };
    assert_eq!(named("pi_2").await, json!({ "findings": ["tenant_mismatch"] }));

    let validation = validator.validate(intent_of("pi_1", "18.99")).await.unwrap();
    let Verdict::Invalid(findings) = validation.verdict() else { panic!("{validation:?}") };
    let failure = Failure::from(findings);
    assert_eq!((failure.http_status(), failure.code()), (422, "PAYMENT_INVALID"));
    let details = &body(&failure)["error"]["details"];
    let codes: Vec<_> = findings.iter().map(Finding::code).collect();
    assert_eq!(details, &json!({ "findings": codes }));
    assert_eq!(codes, ["amount_mismatch", "amount_received_mismatch"]);
    assert!(!body(&failure).to_string().contains("19.99"), "what was paid is not the shopper's to learn");
}

async fn redeemed(validator: &Validator, id: &str, order: &str) -> Result<(), RedeemError> {
    let proof = proof_of(validator, unbound_intent(id)).await;
    validator.redeem(proof).order(order).await.map(|_| ())
}

#[tokio::test]
async fn a_refused_redemption_names_neither_the_other_order_nor_the_other_payment() {
    let provider = provider();
    provider.put(unbound("pi_2"));
    provider.put(unbound("pi_3"));
    let store = FlakyStore::new(MemoryStore::new());
    let validator = forgetful(plain(&provider).store(store.clone())).build().unwrap();
    redeemed(&validator, "pi_2", "order-first").await.unwrap();

    let failure = Failure::from(redeemed(&validator, "pi_2", "order-second").await.unwrap_err());
    assert_eq!((failure.http_status(), failure.code()), (409, "ALREADY_REDEEMED"));
    assert!(!body(&failure).to_string().contains("order-first"));

    let failure = Failure::from(redeemed(&validator, "pi_3", "order-first").await.unwrap_err());
    assert_eq!((failure.http_status(), failure.code()), (409, "ORDER_ALREADY_PAID"));
    assert!(!body(&failure).to_string().contains("pi_2"));

    store.always(Some(StoreFault::Refused));
    let failure = Failure::from(redeemed(&validator, "pi_3", "order-third").await.unwrap_err());
    assert_eq!((failure.http_status(), failure.code()), (503, "STORE_UNAVAILABLE"));
    let message = body(&failure)["error"]["message"].clone();
    assert_eq!(message, "the shared store did not confirm; try again", "what the store says is for operators");
}

#[tokio::test]
async fn a_guarded_call_keeps_its_status_and_code() {
    let validator = forgetful(plain(&provider())).build().unwrap();
    let guard = validator.guard();
    let refund = |amount: &str| {
        Operation::new("store_42", "refund", "k", Effect::write()).unwrap().claim("amount", amount).unwrap()
    };
    let refused = |_: EffectCall| async { Err::<(), _>(ProviderError::refused("secret text").with_status(402)) };
    let failure = Failure::from(guard.run(&refund("1"), refused).await.unwrap_err());
    assert_eq!((failure.http_status(), failure.code()), (422, "REFUSED"));
    assert!(!body(&failure).to_string().contains("secret text"));
    let failure = Failure::from(guard.run(&refund("2"), refused).await.unwrap_err());
    assert_eq!((failure.http_status(), failure.code()), (422, "KEY_REUSED"));
}

#[cfg(feature = "axum")]
mod over_http {
    use axum::body::to_bytes;
    use axum::response::IntoResponse;
    use payproof::envelope::NotExecuted;

    use super::*;

    #[tokio::test]
    async fn a_success_is_a_response() {
        let response = Success::new([1, 2]).with_status(201).into_response();
        assert_eq!(
            (response.status().as_u16(), &*response.headers()["content-type"].to_str().unwrap().to_owned()),
            (201, "application/json")
        );
        assert_eq!(to_bytes(response.into_body(), 1000).await.unwrap(), r#"{"data":[1,2]}"#);
        assert_eq!(Success::new(()).with_status(404).into_response().status().as_u16(), 200);
    }

    #[tokio::test]
    async fn data_that_cannot_be_written_is_a_failure() {
        let unwritable = std::collections::HashMap::from([((1, 2), 3)]);
        let response = Success::new(unwritable).into_response();
        assert_eq!(response.status().as_u16(), 500);
        let body = to_bytes(response.into_body(), 1000).await.unwrap();
        assert!(String::from_utf8_lossy(&body).contains("UNWRITABLE_ANSWER"));
    }

    #[tokio::test]
    async fn a_failure_is_a_response_and_says_whether_anything_was_done() {
        let failure = Failure::new(503, "BUSY", "later").with_retry_after(secs(2));
        let response = failure.clone().into_response();
        assert_eq!((response.status().as_u16(), response.headers()["retry-after"].as_bytes()), (503, &b"2"[..]));
        assert!(response.extensions().get::<NotExecuted>().is_none());
        assert!(failure.not_executed().into_response().extensions().get::<NotExecuted>().is_some());
    }
}
