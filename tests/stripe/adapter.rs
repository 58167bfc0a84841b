//! The Stripe adapter against the sandbox: every way a provider misbehaves, through the public API.
#![cfg(feature = "stripe")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a fixture that cannot be made fails the test that asked for it"
)]

use std::time::Duration;

use crate::support::{intent, ms};
use payproof::provider::{AttemptOutcome, Reach, Rule};
use payproof::testing::sandbox::{ChargeShape, Fault, Sandbox, SandboxPayment};
use payproof::{
    BuildError, Finding, Jitter, Mode, NotFoundHint, Retry, Schedule, Stripe, ValidateError, Validation, Validator,
    ValidatorBuilder, Verdict,
};
use serde_json::json;

/// A sandbox that knows this payment.
pub(crate) async fn sandbox(payment: SandboxPayment) -> Sandbox {
    let sandbox = Sandbox::start().await.unwrap();
    sandbox.put(payment);
    sandbox
}

pub(crate) fn paid() -> SandboxPayment {
    SandboxPayment::paid("pi_1", 1999, "usd").tenant("store_42").order("6735")
}

/// Put together here, so that no credential-shaped literal stands in the source.
pub(crate) fn secret_key() -> String {
    format!("{}_live_{}", "sk", "sandbox4242")
}

/// Quick retries, since the clock is real where a socket is.
pub(crate) fn quick(sandbox: &Sandbox) -> ValidatorBuilder {
    let stripe = Stripe::builder(secret_key()).base_url(sandbox.url()).build().unwrap();
    let retry = Retry::new().schedule(Schedule::waits([ms(1)])).jitter(Jitter::None);
    Validator::builder(stripe).retry(retry).attempt_timeout(ms(400))
}

async fn validate(sandbox: &Sandbox) -> Result<Validation, ValidateError> {
    quick(sandbox).build().unwrap().validate(intent("pi_1")).await
}

fn codes(validation: &Validation) -> Vec<&'static str> {
    match validation.verdict() {
        Verdict::Invalid(findings) => findings.iter().map(Finding::code).collect(),
        verdict => panic!("expected an invalid payment: {verdict:?}"),
    }
}

/// How the first attempt ended.
fn first(validation: &Validation) -> (&AttemptOutcome, Reach, Option<u16>) {
    let attempt = validation.attempts().first().unwrap();
    (attempt.outcome(), attempt.reach(), attempt.status())
}

#[tokio::test]
async fn whatever_passes_is_ridden_out_by_the_rule_that_fits() {
    let transient = |rule| AttemptOutcome::Transient(rule);
    let status = |status| (transient(Rule::Status(status)), Reach::Answered, Some(status));
    let broken = || (transient(Rule::Reach(Reach::MaybeSent)), Reach::MaybeSent, None);
    let unreadable = || (transient(Rule::Unreadable), Reach::Answered, Some(200));
    let cases = [
        (Fault::InternalError, status(500)),
        (Fault::BadGateway, status(502)),
        (Fault::Unavailable, status(503)),
        (Fault::GatewayTimeout, status(504)),
        (Fault::Status(520, String::new()), status(520)),
        (Fault::Status(503, "{\"error\": {\"mess".to_owned()), status(503)),
        (Fault::RateLimited { retry_after: None }, status(429)),
        (Fault::ShouldRetry, (transient(Rule::ProviderHeader), Reach::Answered, Some(400))),
        (Fault::LockTimeout, (transient(Rule::ProviderCode("lock_timeout".into())), Reach::Answered, Some(429))),
        (Fault::DropAfterRequest, broken()),
        (Fault::Reset, broken()),
        (Fault::TruncatedBody, broken()),
        (Fault::Stall, broken()),
        (Fault::SlowHeaders(Duration::from_secs(9)), broken()),
        (Fault::DrippingBody { every: ms(50) }, broken()),
        (Fault::WrongJson, unreadable()),
        (Fault::NotJson, unreadable()),
        (Fault::HugeBody, unreadable()),
    ];
    for (fault, (outcome, reach, status)) in cases {
        let sandbox = sandbox(paid()).await;
        sandbox.script("pi_1", [fault.clone()]);
        let validation = validate(&sandbox).await.unwrap_or_else(|error| panic!("{fault:?}: {error:?}"));
        assert!(validation.verdict().is_valid(), "{fault:?}");
        assert_eq!(first(&validation), (&outcome, reach, status), "{fault:?}");
        assert_eq!(sandbox.requests(), 2, "{fault:?}: no retry but ours");
    }
}

#[tokio::test]
async fn an_answer_about_another_payment_is_no_answer() {
    let sandbox = sandbox(paid()).await;
    sandbox.script("pi_1", [Fault::WrongPayment, Fault::WrongPayment]);
    let error = validate(&sandbox).await.unwrap_err();
    assert_eq!((error.code(), error.http_status()), ("unreadable_answer", 502));
    assert_eq!(sandbox.requests(), 2);
}

#[tokio::test]
async fn a_list_without_field_names_is_no_payment() {
    let sandbox = sandbox(paid()).await;
    let charge = json!(["ch_1", null, "succeeded", true, true, 1999, 0, false, false, null, null]);
    let named = json!({"id": "ch_1", "status": "succeeded", "amount_refunded": 0});
    let metadata = json!({"store_id": "store_42", "order_id": "6735"});
    let listed = |charge| {
        json!([
            "pi_1",
            "payment_intent",
            "succeeded",
            true,
            null,
            "usd",
            1999,
            1999,
            0,
            null,
            null,
            null,
            null,
            null,
            metadata,
            charge,
            null
        ])
    };
    for list in [listed(named), listed(charge), json!([]), json!([{"id": "pi_1"}])] {
        sandbox.put(paid().json(list.clone()));
        assert_eq!(validate(&sandbox).await.unwrap_err().code(), "unreadable_answer", "{list}");
    }
}

#[tokio::test]
async fn a_charge_that_contradicts_its_payment_makes_the_answer_unreadable() {
    let sandbox = sandbox(paid()).await;
    let body = |field: &str, value: serde_json::Value| {
        let mut body = json!({
            "id": "pi_1", "object": "payment_intent", "status": "succeeded", "livemode": true, "currency": "usd",
            "amount": 1999, "amount_received": 1999, "metadata": {"store_id": "store_42", "order_id": "6735"},
            "latest_charge": {"id": "ch_1", "object": "charge", "status": "succeeded", "livemode": true, "currency": "usd",
                "amount": 1999, "amount_captured": 1999, "amount_refunded": 0},
        });
        body["latest_charge"][field] = value;
        body
    };
    sandbox.put(paid().json(body("amount", json!(1999))));
    assert!(validate(&sandbox).await.unwrap().verdict().is_valid());
    for (field, other) in [
        ("object", json!("refund")),
        ("livemode", json!(false)),
        ("currency", json!("vnd")),
        ("amount", json!(100)),
        ("amount_captured", json!(100)),
    ] {
        sandbox.put(paid().json(body(field, other)));
        let error = validate(&sandbox).await.unwrap_err();
        assert_eq!((error.code(), error.attempts().len()), ("unreadable_answer", 2), "{field}");
    }
}

#[tokio::test]
async fn an_unknown_status_is_pending_and_keeps_its_word() {
    let sandbox = sandbox(paid()).await;
    sandbox.script("pi_1", [Fault::UnknownStatus]);
    match validate(&sandbox).await.unwrap().verdict() {
        Verdict::Pending(pending) => assert_eq!(pending.status().as_str(), "requires_divination"),
        verdict => panic!("{verdict:?}"),
    }
}

#[tokio::test]
async fn what_does_not_pass_is_asked_once() {
    let html = "<html>not found</html>".to_owned();
    // What stands-in for Stripe say that serve no payment intents.
    let no_path = |message: &str| json!({"error": {"type": "invalid_request_error", "message": message}}).to_string();
    let cases = [
        (Fault::ShouldNotRetry, "provider_unavailable"),
        (Fault::Status(404, html), "provider_refused"),
        (Fault::Status(404, no_path("No matching path: /v1/payment_intents/pi_1")), "provider_refused"),
        (Fault::Status(404, no_path("Unrecognized request URL (GET: /v1/payment_intents/pi_1).")), "provider_refused"),
        (Fault::Status(404, String::new()), "provider_refused"),
        (Fault::Status(401, "{\"error\":\"invalid_grant\"}".to_owned()), "provider_refused"),
        (Fault::Redirect("http://127.0.0.1:1/".to_owned()), "provider_refused"),
    ];
    for (fault, code) in cases {
        let sandbox = sandbox(paid()).await;
        sandbox.script("pi_1", [fault.clone()]);
        let error = validate(&sandbox).await.unwrap_err();
        assert_eq!(error.code(), code, "{fault:?}");
        assert_eq!(sandbox.requests(), 1, "{fault:?}");
        assert_ne!(error.http_status(), 402);
    }
}

#[tokio::test]
async fn retry_after_is_honored_in_both_forms() {
    let date = Fault::RateLimitedUntil { wait: Duration::from_secs(1) };
    for fault in [Fault::RateLimited { retry_after: Some(Duration::from_secs(1)) }, date] {
        let sandbox = sandbox(paid()).await;
        sandbox.script("pi_1", [fault]);
        let validation = validate(&sandbox).await.unwrap();
        let (wait, reason) = validation.attempts().first().unwrap().wait().unwrap();
        assert!(wait >= Duration::from_secs(1) && wait <= Duration::from_millis(2500), "{wait:?}");
        assert_eq!(reason.as_str(), "gate");
    }
}

#[tokio::test]
async fn a_retry_after_beyond_the_cap_is_reported_and_not_waited_for() {
    let sandbox = sandbox(paid()).await;
    sandbox.script("pi_1", [Fault::RateLimited { retry_after: Some(Duration::from_secs(86_400)) }]);
    let error = validate(&sandbox).await.unwrap_err();
    assert!(error.is_rate_limited());
    assert_eq!(error.retry_after(), Some(Duration::from_secs(86_400)));
}

#[tokio::test]
async fn a_dead_provider_is_unavailable_and_was_never_sent_anything() {
    let sandbox = sandbox(paid()).await;
    let validator = quick(&sandbox).build().unwrap();
    sandbox.stop().await;
    let error = validator.validate(intent("pi_1")).await.unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");
    assert_eq!(error.attempts().len(), 4);
    assert!(error.attempts().iter().all(|attempt| attempt.reach() == Reach::NotSent));
}

#[tokio::test]
async fn the_request_carries_what_the_builder_was_told() {
    let sandbox = sandbox(paid()).await;
    let stripe = Stripe::builder(secret_key())
        .base_url(sandbox.url())
        .account("acct_1Shop")
        .api_version("2025-03-31.basil")
        .build()
        .unwrap();
    Validator::builder(stripe).build().unwrap().validate(intent("pi_1")).await.unwrap();
    let request = sandbox.last_request().unwrap();
    assert_eq!(request.method(), "GET");
    assert_eq!(request.path(), "/v1/payment_intents/pi_1");
    assert_eq!(request.header("authorization"), Some(format!("Bearer {}", secret_key()).as_str()));
    assert_eq!(request.header("stripe-account"), Some("acct_1Shop"));
    assert_eq!(request.header("stripe-version"), Some("2025-03-31.basil"));
    assert_eq!(request.header("idempotency-key"), None, "a GET has none");
}

#[tokio::test]
async fn look_ups_share_one_connection_also_after_errors() {
    let sandbox = sandbox(paid()).await;
    let validator = quick(&sandbox).build().unwrap();
    for round in 0..20 {
        if round % 4 == 0 {
            sandbox.script("pi_1", [Fault::Unavailable, Fault::BadGateway]);
        }
        let validation = validator.validate(intent("pi_1")).max_age(Duration::ZERO).await.unwrap();
        assert!(validation.verdict().is_valid());
    }
    assert_eq!(sandbox.connections(), 1);
    assert_eq!(sandbox.requests(), 30);
}

#[tokio::test]
async fn the_provider_names_its_requests_in_the_attempt_log() {
    let sandbox = sandbox(paid()).await;
    sandbox.script("pi_1", [Fault::Unavailable]);
    let validation = validate(&sandbox).await.unwrap();
    let ids: Vec<_> = validation.attempts().iter().filter_map(payproof::provider::Attempt::request_id).collect();
    assert_eq!(ids.len(), 2, "{ids:?}");
    assert!(ids.iter().all(|id| id.starts_with("req_sandbox_")), "{ids:?}");
}

#[tokio::test]
async fn every_shape_of_the_charge_is_read_or_refused_never_guessed() {
    let sandbox = sandbox(paid()).await;
    sandbox.put(paid().charge_shape(ChargeShape::Expanded));
    assert!(validate(&sandbox).await.unwrap().verdict().is_valid());
    // Whether it was refunded is in the charge, so without one it is not known to be paid.
    sandbox.put(paid().refunded(1999).charge_shape(ChargeShape::Id));
    assert_eq!(validate(&sandbox).await.unwrap_err().code(), "unreadable_answer");
}

#[tokio::test]
async fn a_payment_whose_charge_is_still_to_be_written_down_is_asked_for_again() {
    let sandbox = sandbox(paid()).await;
    sandbox.script("pi_1", [Fault::NoChargeYet]);
    let validation = validate(&sandbox).await.unwrap();
    assert!(validation.verdict().is_valid());
    assert_eq!(first(&validation), (&AttemptOutcome::NotReady, Reach::Answered, None));
    assert_eq!(validation.attempts().len(), 2);
}

#[tokio::test]
async fn each_deviation_has_its_finding() {
    let other = |id: &str| SandboxPayment::paid(id, 1999, "usd");
    let cases = [
        (paid().test_mode(), "mode_mismatch"),
        (other("pi_1").tenant("store_42").order("6736"), "order_mismatch"),
        (other("pi_1").tenant("store_43").order("6735"), "tenant_mismatch"),
        (other("pi_1").order("6735"), "unproven"),
        (SandboxPayment::paid("pi_1", 1998, "usd").tenant("store_42").order("6735"), "amount_mismatch"),
        (SandboxPayment::paid("pi_1", 1999, "eur").tenant("store_42").order("6735"), "currency_mismatch"),
        (paid().amount_received(1998), "amount_received_mismatch"),
        (paid().refunded(1999), "refunded"),
        (paid().disputed(), "disputed"),
        // In the year 2096.
        (paid().created(3_976_214_400), "created_ahead"),
        (paid().risk_level("highest"), "risk"),
        (paid().outcome_type("manual_review"), "risk"),
        (paid().network_status("reversed_after_approval"), "declined"),
        (SandboxPayment::canceled("pi_1", 1999, "usd").tenant("store_42").order("6735"), "canceled"),
        (SandboxPayment::declined("pi_1", 1999, "usd").tenant("store_42").order("6735"), "declined"),
    ];
    let sandbox = sandbox(paid()).await;
    for (payment, code) in cases {
        sandbox.put(payment);
        let validation = validate(&sandbox).await.unwrap();
        assert!(codes(&validation).contains(&code), "{code}: {validation:?}");
    }
    sandbox.remove("pi_1");
    assert_eq!(codes(&validate(&sandbox).await.unwrap()), ["not_found"]);
}

#[tokio::test]
async fn a_missing_payment_comes_with_the_hint_and_without_stripes_words() {
    let sandbox = sandbox(paid()).await;
    let missing = |more: &str| {
        let message = format!("No such payment_intent: 'pi_1'{more}");
        let error =
            json!({"type": "invalid_request_error", "code": "resource_missing", "param": "intent", "message": message});
        Fault::Status(404, json!({ "error": error }).to_string())
    };
    for (more, hint) in [
        ("", NotFoundHint::Unsaid),
        (
            "; a similar object exists in test mode, but a live mode key was used to make this request.",
            NotFoundHint::OtherMode,
        ),
        ("; a similar object exists on another account", NotFoundHint::OtherAccount),
    ] {
        sandbox.script("pi_1", [missing(more)]);
        let validation = validate(&sandbox).await.unwrap();
        let Verdict::Invalid(findings) = validation.verdict() else { panic!("{validation:?}") };
        assert_eq!(findings.as_ref(), [Finding::NotFound(hint)]);
        assert!(!findings.is_final(), "it may be a payment that was made just now");
        assert!(!findings.to_string().contains("similar object"), "{findings}");
    }
}

#[tokio::test]
async fn unfinished_payments_are_pending_or_wait_for_the_shopper() {
    let sandbox = sandbox(paid()).await;
    let ours = |payment: SandboxPayment| payment.tenant("store_42").order("6735");
    for payment in [
        SandboxPayment::processing("pi_1", 1999, "usd"),
        SandboxPayment::requires_capture("pi_1", 1999, "usd"),
        SandboxPayment::status("pi_1", 1999, "usd", "paid_in_full"),
    ] {
        sandbox.put(ours(payment));
        assert!(matches!(validate(&sandbox).await.unwrap().verdict(), Verdict::Pending(_)));
    }
    for payment in [
        SandboxPayment::requires_action("pi_1", 1999, "usd"),
        SandboxPayment::requires_confirmation("pi_1", 1999, "usd"),
        SandboxPayment::requires_payment_method("pi_1", 1999, "usd"),
    ] {
        sandbox.put(ours(payment));
        assert!(matches!(validate(&sandbox).await.unwrap().verdict(), Verdict::ActionRequired(_)));
    }
}

#[test]
fn credentials_and_urls_are_checked_before_anything_is_sent() {
    let refused = |key: &str, url: &str| Stripe::builder(key).base_url(url).build().unwrap_err().to_string();
    let here = "http://127.0.0.1:1";
    for key in ["", "sk live", "sk\n", "pk_live_1", "whsec_1", "schlüssel"] {
        let message = refused(key, here);
        assert!(key.is_empty() || !message.contains(key), "{message}");
    }
    let host = "api.example.test";
    for url in [
        "",
        "api",
        "ftp://127.0.0.1",
        &format!("http://{host}"),
        &format!("https://me:pw@{host}"),
        "http://localhost.example.test",
    ] {
        let message = refused("key", url);
        assert!(!message.contains("me:pw"), "{message}");
    }
}

#[test]
fn a_test_key_needs_the_test_mode() {
    let key = secret_key().replace("_live_", "_test_");
    let stripe = || Stripe::new(key.clone()).unwrap();
    let error = Validator::builder(stripe()).build().unwrap_err();
    assert!(matches!(error, BuildError::ModeMismatch { .. }), "{error}");
    assert!(error.to_string().contains(".mode(Mode::Test)"), "{error}");
    assert!(Validator::builder(stripe()).mode(Mode::Test).build().is_ok());
}

/// Status, headers, body, and what is said of them.
type Explained = (u16, &'static [(&'static str, &'static str)], &'static [u8], &'static str);

#[tokio::test]
async fn explain_says_what_then_happens() {
    let sandbox = sandbox(paid()).await;
    let validator = quick(&sandbox).build().unwrap();
    let body = br#"{"error":{"type":"invalid_request_error","code":"lock_timeout","message":"busy"}}"#;
    let cases: [Explained; 7] = [
        (503, &[], b"<html>", "transient by status 503: retried after 1ms"),
        (503, &[("stripe-should-retry", "false")], b"", "permanent by provider header: not retried"),
        (429, &[], body, "transient by provider code lock_timeout: retried after 1ms"),
        (401, &[], b"{}", "permanent by status 401: not retried"),
        (
            429,
            &[("Retry-After", "3600")],
            b"",
            "transient by status 429: not waited for, since Retry-After is above the cap",
        ),
        (
            429,
            &[("Retry-After", "2"), ("Stripe-Rate-Limited-Reason", "global-rate")],
            b"",
            "transient by status 429: retried after 2s to 2.4s; every call of this account waits",
        ),
        (
            429,
            &[("Retry-After", "2"), ("Stripe-Rate-Limited-Reason", "endpoint-concurrency")],
            b"",
            "transient by status 429: retried after 2s to 2.4s; every look-up of this account waits",
        ),
    ];
    for (status, headers, body, expected) in cases {
        assert_eq!(validator.explain(status, headers, body).to_string(), expected);
    }
    assert_eq!(sandbox.requests(), 0, "nothing is sent");
}
