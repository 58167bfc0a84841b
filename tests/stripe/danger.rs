//! Reports of fraud, reviews, and the right to read them.
#![cfg(feature = "stripe")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a fixture that cannot be made fails the test that asked for it"
)]

use std::time::Duration;

use payproof::testing::sandbox::Fault;
use payproof::{Policy, Validation, Validator, Verdict};
use serde_json::json;

use crate::adapter::{paid, quick, sandbox};
use crate::support::intent;

async fn ask(validator: &Validator) -> Validation {
    validator.validate(intent("pi_1")).max_age(Duration::ZERO).await.unwrap()
}

/// The codes of all findings; none where the payment is valid.
fn codes(validation: &Validation) -> Vec<&'static str> {
    match validation.verdict() {
        Verdict::Valid(_) => Vec::new(),
        Verdict::Invalid(findings) => findings.iter().map(payproof::Finding::code).collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_payment_that_was_reported_as_fraud_is_invalid_unless_that_is_accepted() {
    for (payment, reported) in [
        (paid(), false),
        (paid().user_report("safe"), false),
        (paid().stripe_report("fraudulent"), true),
        (paid().user_report("fraudulent"), true),
        (paid().user_report("safe").stripe_report("fraudulent"), true),
        // A word that is new is no word of trust.
        (paid().stripe_report("suspicious"), true),
        (paid().user_report("suspicious"), true),
    ] {
        let shown = format!("{payment:?}");
        let sandbox = sandbox(payment).await;
        let found = codes(&ask(&quick(&sandbox).build().unwrap()).await);
        assert_eq!(found, if reported { vec!["reported_fraud"] } else { Vec::new() }, "{shown}");
        let accepting = quick(&sandbox).policy(Policy::default().accept_reported_fraud()).build().unwrap();
        assert_eq!(codes(&ask(&accepting).await), [""; 0], "{shown}");
        assert_eq!(sandbox.requests(), 2, "{shown}: what is reported stands on the charge");
    }
}

#[tokio::test]
async fn an_approved_review_leaves_the_level_of_risk_and_any_other_is_not_accepted() {
    let reviewed = || paid().outcome_type("manual_review");
    for (payment, expected) in [
        (reviewed(), vec!["risk"]),
        (reviewed().review_open(), vec!["risk"]),
        (reviewed().review_closed("approved"), vec![]),
        (reviewed().review_closed("approved").risk_level("elevated"), vec![]),
        (reviewed().review_closed("approved").risk_level("highest"), vec!["risk"]),
        // One that a person opened, and not a rule.
        (paid().review_open(), vec!["risk"]),
        (paid().review_closed("approved"), vec![]),
        (reviewed().review_closed("refunded"), vec!["risk"]),
        (reviewed().review_closed("refunded_as_fraud"), vec!["reported_fraud", "risk"]),
        (reviewed().review_closed("disputed"), vec!["risk"]),
        (reviewed().review_closed("acknowledged"), vec!["risk"]),
        (reviewed().review_closed("divined"), vec!["risk"]),
    ] {
        let shown = format!("{payment:?}");
        let sandbox = sandbox(payment).await;
        assert_eq!(codes(&ask(&quick(&sandbox).build().unwrap()).await), expected, "{shown}");
        assert_eq!(sandbox.requests(), 1, "{shown}: the review comes with the payment");
    }
}

const WITHOUT: Option<&str> = Some("expand%5B%5D=latest_charge");

/// As Stripe refuses what a restricted key may not read.
fn forbidden() -> Fault {
    let error = r#"{"error":{"type":"invalid_request_error","message":"The provided key does not have access"}}"#;
    Fault::Status(403, error.to_owned())
}

#[tokio::test]
async fn what_a_proxy_refuses_once_leaves_reviews_in_place() {
    for (status, body) in [(403, "<html>blocked</html>"), (403, "{}"), (400, "<h1>Bad Request</h1>"), (400, "")] {
        let sandbox = sandbox(paid()).await;
        let validator = quick(&sandbox).build().unwrap();
        sandbox.script("pi_1", [Fault::Status(status, body.to_owned())]);
        assert_eq!(codes(&ask(&validator).await), [""; 0], "{status} {body}");
        sandbox.put(paid().review_open());
        assert_eq!(codes(&ask(&validator).await), ["risk"], "{status} {body}: the review is asked for again");
        assert_ne!(sandbox.last_request().unwrap().query(), WITHOUT, "{status} {body}");
    }
}

#[tokio::test]
async fn without_the_right_to_read_reviews_the_payment_is_asked_for_once_more_and_then_without_them() {
    let sandbox = sandbox(paid()).await;
    let validator = quick(&sandbox).build().unwrap();
    sandbox.script("pi_1", [forbidden()]);
    let validation = ask(&validator).await;
    let [attempt] = validation.attempts() else { panic!("{validation:?}") };
    assert_eq!((codes(&validation), attempt.requests(), sandbox.requests()), (vec![], 2, 2));
    assert_eq!(attempt.request_ids().collect::<Vec<_>>(), ["req_sandbox_1", "req_sandbox_2"]);
    assert_eq!(sandbox.last_request().unwrap().query(), WITHOUT);
    // From then on it is one request.
    assert_eq!((codes(&ask(&validator).await), sandbox.requests()), (vec![], 3));
    assert_eq!(sandbox.last_request().unwrap().query(), WITHOUT);
    // A review that may not be read is none that was approved.
    sandbox.put(paid().review_closed("approved"));
    assert_eq!(codes(&ask(&validator).await), ["risk"]);
    // Disputes are asked for all the same.
    sandbox.put(paid().dispute("won", "chargeback"));
    assert_eq!(codes(&ask(&validator).await), [""; 0]);
}

#[tokio::test]
async fn a_disputed_payment_is_three_requests_where_the_right_to_read_reviews_is_missing() {
    let sandbox = sandbox(paid().dispute("lost", "chargeback")).await;
    sandbox.script("pi_1", [Fault::Status(403, "{}".to_owned())]);
    let validation = ask(&quick(&sandbox).build().unwrap()).await;
    let [attempt] = validation.attempts() else { panic!("{validation:?}") };
    assert_eq!((codes(&validation), attempt.request_ids().count(), sandbox.requests()), (vec!["disputed"], 3, 3));
}

#[tokio::test]
async fn a_key_that_may_read_no_payments_is_an_error_and_nothing_is_remembered() {
    let sandbox = sandbox(paid()).await;
    let validator = quick(&sandbox).build().unwrap();
    let refused = || Fault::Status(403, "{}".to_owned());
    sandbox.script("pi_1", [refused(), refused()]);
    let error = validator.validate(intent("pi_1")).await.unwrap_err();
    let [attempt] = error.attempts() else { panic!("{error:?}") };
    assert_eq!((error.code(), attempt.requests(), sandbox.requests()), ("provider_refused", 2, 2));
    assert_eq!(codes(&ask(&validator).await), [""; 0]);
    assert_ne!(sandbox.last_request().unwrap().query(), WITHOUT);
}

#[tokio::test]
async fn an_id_where_the_review_was_asked_for_is_a_missing_right_too() {
    let body = json!({
        "id": "pi_1", "object": "payment_intent", "status": "succeeded", "livemode": true, "currency": "usd",
        "amount": 1999, "amount_received": 1999, "metadata": {"store_id": "store_42", "order_id": "6735"},
        "review": "prv_1",
        "latest_charge": {"id": "ch_1", "object": "charge", "status": "succeeded", "amount": 1999,
            "amount_captured": 1999, "amount_refunded": 0, "outcome": {"type": "authorized", "risk_level": "normal"}},
    });
    let sandbox = sandbox(paid().json(body)).await;
    let validator = quick(&sandbox).build().unwrap();
    assert_eq!((codes(&ask(&validator).await), sandbox.requests()), (vec!["risk"], 1));
    assert_eq!((codes(&ask(&validator).await), sandbox.requests()), (vec!["risk"], 2));
    assert_eq!(sandbox.last_request().unwrap().query(), WITHOUT);
}
