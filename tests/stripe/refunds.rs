//! Refunds by how they stand: asked for only where something was given back, or where that is set.
#![cfg(feature = "stripe")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "what is not as it should be fails the test")]

use payproof::testing::sandbox::{Fault, Sandbox, SandboxPayment};
use payproof::{Findings, Policy, Stripe, Validation, Validator, Verdict};

use crate::adapter::{paid, quick, sandbox, secret_key};
use crate::support::intent;

async fn asked(sandbox: &Sandbox) -> Validation {
    quick(sandbox).build().unwrap().validate(intent("pi_1")).await.unwrap()
}

/// By an adapter that always asks for refunds.
async fn asked_for_all(sandbox: &Sandbox) -> Validation {
    let stripe = Stripe::builder(secret_key()).base_url(sandbox.url()).list_refunds().build().unwrap();
    Validator::builder(stripe).build().unwrap().validate(intent("pi_1")).await.unwrap()
}

fn found(validation: &Validation) -> &Findings {
    match validation.verdict() {
        Verdict::Invalid(findings) => findings,
        verdict => panic!("{verdict:?}"),
    }
}

fn requests(validation: &Validation) -> Vec<usize> {
    validation.attempts().iter().map(payproof::provider::Attempt::requests).collect()
}

#[tokio::test]
async fn pending_and_failed_refunds_are_told_apart_in_the_finding() {
    for (payment, text, is_final) in [
        (paid().refund(500, "succeeded"), "refunded in part: 5.00 USD of 19.99 USD", true),
        (paid().refund(500, "pending"), "refunded in part: 5.00 USD of 19.99 USD, 5.00 USD of it pending", false),
        (
            paid().refund(300, "requires_action").refund(200, "succeeded"),
            "refunded in part: 5.00 USD of 19.99 USD, 3.00 USD of it pending",
            false,
        ),
        (
            paid().refund(500, "succeeded").refund(100, "failed").refund(50, "canceled"),
            "refunded in part: 5.00 USD of 19.99 USD; refunds of 1.50 USD failed",
            false,
        ),
        (paid().refund(1999, "pending"), "refunded in full: 19.99 USD of 19.99 USD, 19.99 USD of it pending", false),
        // A word that is new counts as one of which nothing is known yet.
        (
            paid().refund(500, "in_divination").refunds_counted_as(&["in_divination"]),
            "refunded in part: 5.00 USD of 19.99 USD, 5.00 USD of it pending",
            false,
        ),
    ] {
        let validation = asked(&sandbox(payment).await).await;
        let findings = found(&validation);
        assert_eq!((&*findings.to_string(), findings.is_final()), (text, is_final));
        assert_eq!(requests(&validation), [2], "{text}");
    }
}

#[tokio::test]
async fn of_what_the_charge_says_and_what_its_refunds_come_to_the_larger_counts() {
    let (some, none) = (&["succeeded"][..], &[][..]);
    // The charge leaves pending ones out.
    let payment = paid().refund(100, "succeeded").refund(400, "pending").refunds_counted_as(some);
    let text = "refunded in part: 5.00 USD of 19.99 USD, 4.00 USD of it pending";
    assert_eq!(found(&asked(&sandbox(payment).await).await).to_string(), text);
    // It does not fall when a refund fails.
    let payment = paid().refund(500, "failed").refunds_counted_as(&["failed"]);
    let text = "refunded in part: 5.00 USD of 19.99 USD; refunds of 5.00 USD failed";
    assert_eq!(found(&asked(&sandbox(payment).await).await).to_string(), text);
    // It leaves out the only one: that is seen where refunds are always asked for.
    let payment = paid().refund(500, "pending").refunds_counted_as(none);
    let sandbox = sandbox(payment).await;
    let validation = asked(&sandbox).await;
    assert!(validation.verdict().is_valid() && requests(&validation) == [1], "{validation:?}");
    let text = "refunded in part: 5.00 USD of 19.99 USD, 5.00 USD of it pending";
    let validation = asked_for_all(&sandbox).await;
    assert_eq!((&*found(&validation).to_string(), &*requests(&validation)), (text, &[2][..]));
}

#[tokio::test]
async fn a_refund_that_failed_and_is_not_counted_is_none() {
    let validation = asked(&sandbox(paid().refund(1999, "failed")).await).await;
    assert!(validation.verdict().is_valid() && requests(&validation) == [1], "{validation:?}");
    assert!(asked_for_all(&sandbox(paid().refund(1999, "canceled")).await).await.verdict().is_valid());
}

#[tokio::test]
async fn refunds_are_asked_for_only_where_something_was_given_back_or_that_is_set() {
    let unpaid = SandboxPayment::processing("pi_1", 1999, "usd").tenant("store_42").order("6735");
    for (payment, by_default, always) in [(paid(), 1, 2), (paid().refunded(1), 2, 2), (unpaid, 1, 1)] {
        let sandbox = sandbox(payment).await;
        assert_eq!(requests(&asked(&sandbox).await), [by_default]);
        assert!(!sandbox.last_request().unwrap().query().unwrap_or_default().contains("refunds") || by_default == 2);
        assert_eq!(requests(&asked_for_all(&sandbox).await), [always]);
        assert_eq!(sandbox.requests(), by_default as u64 + always as u64);
    }
    // The rest of a partial capture is no refund, in neither record nor list.
    let part = paid().amount_received(500).rest_is_refund();
    assert_eq!(requests(&asked(&sandbox(part.clone()).await).await), [1]);
    let listed = asked_for_all(&sandbox(part).await).await;
    assert!(!found(&listed).has("refunded") && !found(&listed).has("partly_refunded"), "{listed:?}");
}

#[tokio::test]
async fn a_failure_that_may_pass_fails_the_attempt_and_a_missing_right_leaves_what_the_charge_says() {
    let refunded = || sandbox(paid().refund(500, "pending"));
    let healthy = || Fault::SlowHeaders(std::time::Duration::ZERO);
    let sandbox = refunded().await;
    sandbox.script("pi_1", [healthy(), Fault::Unavailable]);
    let validation = asked(&sandbox).await;
    assert_eq!(requests(&validation), [2, 2]);
    assert!(found(&validation).to_string().contains("pending"), "{validation:?}");

    let sandbox = refunded().await;
    let forbidden = || Fault::Status(403, r#"{"error":{"type":"invalid_request_error"}}"#.to_owned());
    sandbox.script("pi_1", [healthy(), forbidden()]);
    let validator = quick(&sandbox).build().unwrap();
    let validation = validator.validate(intent("pi_1")).await.unwrap();
    assert_eq!(found(&validation).to_string(), "refunded in part: 5.00 USD of 19.99 USD");
    // That the right is missing is remembered.
    let again = validator.validate(intent("pi_1")).max_age(std::time::Duration::ZERO).await.unwrap();
    assert_eq!((requests(&validation), requests(&again)), (vec![2], vec![1]));
}

#[tokio::test]
async fn a_disputed_and_refunded_payment_takes_three_requests() {
    let payment = paid().dispute("won", "chargeback").refund(500, "pending");
    let sandbox = sandbox(payment).await;
    let validation = asked(&sandbox).await;
    assert_eq!(requests(&validation), [3]);
    let text = "refunded in part: 5.00 USD of 19.99 USD, 5.00 USD of it pending";
    assert_eq!(found(&validation).to_string(), text);
    let accepting = quick(&sandbox).policy(Policy::default().accept_partly_refunded()).build().unwrap();
    assert!(accepting.validate(intent("pi_1")).await.unwrap().verdict().is_valid());
}

#[tokio::test]
async fn where_refunds_are_always_asked_for_the_charges_word_that_there_is_none_is_not_taken() {
    let sandbox = sandbox(paid()).await;
    let forbidden = Fault::Status(403, r#"{"error":{"type":"invalid_request_error"}}"#.to_owned());
    sandbox.script("pi_1", [Fault::SlowHeaders(std::time::Duration::ZERO), forbidden]);
    let stripe = Stripe::builder(secret_key()).base_url(sandbox.url()).list_refunds().build().unwrap();
    let validator = Validator::builder(stripe).build().unwrap();
    for requests_made in [2, 1] {
        let validation = validator.validate(intent("pi_1")).max_age(std::time::Duration::ZERO).await.unwrap();
        assert_eq!(found(&validation).to_string(), "amount_refunded: the provider does not state it");
        assert_eq!(requests(&validation), [requests_made]);
    }
}

#[tokio::test]
async fn a_dispute_that_was_prevented_is_read_by_the_refunds_that_the_charge_leaves_out() {
    let payment = paid().dispute("prevented", "block").refund(500, "pending").refunds_counted_as(&[]);
    let sandbox = sandbox(payment).await;
    let stripe = Stripe::builder(secret_key()).base_url(sandbox.url()).list_refunds().build().unwrap();
    let partly = Policy::default().accept_partly_refunded();
    let validator = Validator::builder(stripe).policy(partly).build().unwrap();
    let validation = validator.validate(intent("pi_1")).await.unwrap();
    assert_eq!((&*found(&validation).to_string(), &*requests(&validation)), ("disputed: lost", &[3][..]));
}
