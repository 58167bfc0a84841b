//! How the disputes of a payment stand is asked for where its charge is disputed, and only there.
#![cfg(feature = "stripe")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a fixture that cannot be made fails the test that asked for it"
)]

use std::time::Duration;

use payproof::testing::sandbox::{Fault, Sandbox};
use payproof::{Dispute, Finding, Policy, Validation, Validator, ValidatorBuilder, Verdict};

use crate::adapter::{paid, quick, sandbox};
use crate::support::intent;

async fn ask(validator: &Validator) -> Validation {
    validator.validate(intent("pi_1")).await.unwrap()
}

async fn asked(sandbox: &Sandbox, set: impl FnOnce(ValidatorBuilder) -> ValidatorBuilder) -> Validation {
    ask(&set(quick(sandbox)).build().unwrap()).await
}

/// How the dispute stands that is the one finding; `None` where the payment is valid.
fn disputed(validation: &Validation) -> Option<Dispute> {
    match validation.verdict() {
        Verdict::Valid(_) => None,
        Verdict::Invalid(findings) => match findings.as_ref() {
            [Finding::Disputed(dispute)] => Some(*dispute),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_status_counts_as_documented_and_the_attempt_log_shows_both_requests() {
    let accepting = |builder: ValidatorBuilder| builder.policy(Policy::default().accept_disputed());
    for (status, case_type, read, by_policy) in [
        ("won", "chargeback", None, None),
        ("warning_closed", "inquiry", None, None),
        ("prevented", "block", None, None),
        ("prevented", "resolution", Some(Dispute::Lost), Some(Dispute::Lost)),
        ("lost", "chargeback", Some(Dispute::Lost), Some(Dispute::Lost)),
        ("needs_response", "chargeback", Some(Dispute::Open), None),
        ("under_review", "chargeback", Some(Dispute::Open), None),
        ("appeal_needs_response", "chargeback", Some(Dispute::Open), None),
        ("appeal_under_review", "chargeback", Some(Dispute::Open), None),
        ("warning_needs_response", "inquiry", Some(Dispute::Inquiry), None),
        ("warning_under_review", "inquiry", Some(Dispute::Inquiry), None),
        ("in_divination", "chargeback", Some(Dispute::Unknown), Some(Dispute::Unknown)),
    ] {
        let sandbox = sandbox(paid().dispute(status, case_type)).await;
        let validation = asked(&sandbox, |builder| builder).await;
        assert_eq!(disputed(&validation), read, "{status}, {case_type}");
        let [attempt] = validation.attempts() else { panic!("{validation:?}") };
        let ids: Vec<&str> = attempt.request_ids().collect();
        assert_eq!((attempt.requests(), &*ids), (2, &["req_sandbox_1", "req_sandbox_2"][..]), "{status}");
        assert_eq!(disputed(&asked(&sandbox, accepting).await), by_policy, "{status}, {case_type}");
        let last = sandbox.last_request().unwrap();
        assert_eq!((last.path(), last.query()), ("/v1/disputes", Some("payment_intent=pi_1&limit=100")));
        assert_eq!(sandbox.requests(), 4, "{status}");
    }
}

#[tokio::test]
async fn a_payment_that_is_not_disputed_is_one_request() {
    let sandbox = sandbox(paid()).await;
    let validation = asked(&sandbox, |builder| builder).await;
    assert_eq!((disputed(&validation), sandbox.requests()), (None, 1));
    let [attempt] = validation.attempts() else { panic!("{validation:?}") };
    assert_eq!((attempt.requests(), attempt.request_ids().count()), (1, 1));
}

#[tokio::test]
async fn a_block_of_which_something_was_refunded_is_lost() {
    let sandbox = sandbox(paid().dispute("prevented", "block").refunded(500)).await;
    let partly = |builder: ValidatorBuilder| builder.policy(Policy::default().accept_partly_refunded());
    assert_eq!(disputed(&asked(&sandbox, partly).await), Some(Dispute::Lost));
}

#[tokio::test]
async fn the_worst_of_several_disputes_counts_over_all_pages_that_an_attempt_may_ask_for() {
    let many = |disputes: usize, last: &str| {
        let won = (1..disputes).fold(paid(), |payment, _| payment.dispute("won", "chargeback"));
        won.dispute(last, "chargeback")
    };
    for (payment, read, requests) in [
        (
            paid().dispute("won", "chargeback").dispute("lost", "chargeback").dispute("won", "chargeback"),
            Some(Dispute::Lost),
            2,
        ),
        (many(100, "won"), None, 2),
        (many(101, "needs_response"), Some(Dispute::Open), 3),
        (many(200, "lost"), Some(Dispute::Lost), 3),
        // What stands on a page that is not asked for is not known.
        (many(201, "won"), Some(Dispute::Unknown), 3),
    ] {
        let sandbox = sandbox(payment).await;
        assert_eq!(disputed(&asked(&sandbox, |builder| builder).await), read);
        assert_eq!(sandbox.requests(), requests);
    }
}

#[tokio::test]
async fn a_failure_that_may_pass_fails_the_attempt_and_both_requests_are_made_again() {
    for fault in [
        Fault::Unavailable,
        Fault::Reset,
        Fault::TruncatedBody,
        Fault::LockTimeout,
        Fault::ShouldRetry,
        Fault::RateLimited { retry_after: None },
    ] {
        let sandbox = sandbox(paid().dispute("won", "chargeback")).await;
        sandbox.script("pi_1", [Fault::SlowHeaders(Duration::ZERO), fault.clone()]);
        let validation = asked(&sandbox, |builder| builder).await;
        assert_eq!((disputed(&validation), sandbox.requests()), (None, 4), "{fault:?}");
        let [failed, _] = validation.attempts() else { panic!("{fault:?}: {validation:?}") };
        assert_eq!((failed.requests(), failed.request_ids().next()), (2, Some("req_sandbox_1")), "{fault:?}");
    }
}

#[tokio::test]
async fn disputes_that_are_not_obtained_are_accepted_by_no_policy_and_asked_for_again_soon() {
    let foreign = r#"{"object":"list","has_more":false,"data":[{"id":"du_1","status":"won","payment_intent":"pi_2"}]}"#;
    for fault in [
        Fault::Status(403, "{}".to_owned()),
        Fault::Status(404, "{}".to_owned()),
        Fault::Status(400, "{}".to_owned()),
        Fault::ShouldNotRetry,
        Fault::NotJson,
        Fault::WrongJson,
        Fault::Status(200, r#"{"object":"list","has_more":false,"data":[]}"#.to_owned()),
        Fault::Status(200, r#"{"object":"list","has_more":true,"data":[]}"#.to_owned()),
        Fault::Status(200, foreign.to_owned()),
    ] {
        let sandbox = sandbox(paid().dispute("won", "chargeback")).await;
        sandbox.script("pi_1", [Fault::SlowHeaders(Duration::ZERO), fault.clone()]);
        let validator = quick(&sandbox).policy(Policy::default().accept_disputed()).build().unwrap();
        let first = ask(&validator).await;
        assert_eq!(disputed(&first), Some(Dispute::Unknown), "{fault:?}");
        let [attempt] = first.attempts() else { panic!("{fault:?}: {first:?}") };
        assert_eq!((attempt.requests(), attempt.request_ids().count()), (2, 2), "{fault:?}");
        assert_eq!(disputed(&ask(&validator).await), Some(Dispute::Unknown), "{fault:?}");
        assert_eq!(sandbox.requests(), 2, "{fault:?}: for two seconds it is not asked again");
        let again = validator.validate(intent("pi_1")).max_age(Duration::ZERO).await.unwrap();
        assert_eq!(disputed(&again), None, "{fault:?}");
    }
}
