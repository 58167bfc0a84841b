//! What health says where Stripe refuses the key, or a restricted key lacks one right.
#![cfg(feature = "stripe")]

use payproof::Retry;
use payproof::health::{Health, ProviderCalls};
use payproof::testing::sandbox::Fault;

use crate::adapter::{paid, quick};
use crate::sessions::{session, with};
use crate::support::intent;

fn codes(health: &Health) -> Vec<&'static str> {
    health.reasons().iter().map(payproof::health::HealthReason::code).collect()
}

#[tokio::test]
async fn a_key_that_may_not_read_sessions_is_not_told_as_a_refused_key() {
    let sandbox = with(session().paid("pi_1"), paid()).await;
    let validator = quick(&sandbox).retry(Retry::none()).build().unwrap();
    let error = r#"{"error":{"type":"invalid_request_error","message":"The provided key does not have access"}}"#;
    let forbidden = || Fault::Status(403, error.to_owned());
    // With the review, and without it.
    sandbox.script("cs_1", [forbidden(), forbidden()]);
    validator.validate(intent("cs_1")).await.unwrap_err();
    validator.validate(intent("pi_1")).await.unwrap();
    let health = validator.health().await;
    assert_eq!(codes(&health), ["calls_forbidden"]);
    assert!(health.reasons()[0].to_string().contains(ProviderCalls::Aliases.as_str()), "{health:?}");
    validator.validate(intent("cs_1")).await.unwrap();
    assert!(validator.health().await.is_ready());
}

#[tokio::test]
async fn a_key_that_was_revoked_is_told_until_it_is_accepted() {
    let sandbox = with(session(), paid()).await;
    let validator = quick(&sandbox).retry(Retry::none()).build().unwrap();
    let revoked = r#"{"error":{"type":"invalid_request_error","code":"api_key_expired","message":"Expired API Key"}}"#;
    sandbox.script("pi_1", [Fault::Status(401, revoked.to_owned())]);
    validator.validate(intent("pi_1")).await.unwrap_err();
    assert_eq!(codes(&validator.health().await), ["credential_refused"]);
    validator.validate(intent("pi_1")).await.unwrap();
    assert!(validator.health().await.is_ready());
}
