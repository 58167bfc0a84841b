//! What health says of a provider that refuses who asks: the credential, a right, the account's rate.

use payproof::guard::{Effect, EffectCall, Operation};
use payproof::health::{HealthReason, ProviderCalls};
use payproof::provider::{ProviderError, RateLimit};
use payproof::{Retry, Validator};
use serde_json::{Value, json};

use super::codes;
use crate::support::{failing, intent, plain, secs};

fn with_status(status: u16) -> ProviderError {
    ProviderError::refused("no").with_status(status)
}

/// What a validator says after one validation that was refused.
async fn refused(error: ProviderError) -> (payproof::testing::ScriptedProvider, Validator) {
    let provider = failing(error);
    let validator = plain(&provider).retry(Retry::none()).build().unwrap();
    assert!(validator.validate(intent("pi_1")).await.is_err());
    (provider, validator)
}

#[tokio::test(start_paused = true)]
async fn a_refused_credential_is_told_since_when_until_a_call_succeeds() {
    let (provider, validator) = refused(with_status(401)).await;
    tokio::time::advance(secs(90)).await;
    assert!(validator.validate(intent("pi_2")).await.is_err());
    tokio::time::advance(secs(90)).await;
    let health = validator.health().await;
    assert_eq!(health.reasons(), [HealthReason::CredentialRefused { since: secs(180) }]);
    let page = serde_json::to_value(&health).unwrap();
    assert_eq!((&page["status"], &page["reasons"][0]["code"]), (&json!("degraded"), &json!("credential_refused")));
    assert!(page["reasons"][0]["message"].as_str().unwrap().starts_with("for 180s the provider has refused"), "{page}");
    assert_eq!(page["reasons"][0].as_object().unwrap().keys().collect::<Vec<_>>(), ["code", "message"]);
    assert_eq!(serde_json::to_value(validator.stats()).unwrap()["credential_refused_for"]["secs"], 180);
    provider.always(None);
    validator.validate(intent("pi_1")).await.unwrap();
    assert!(validator.health().await.is_ready());
    assert_eq!(serde_json::to_value(validator.stats()).unwrap()["credential_refused_for"], Value::Null);
}

#[tokio::test(start_paused = true)]
async fn a_forbidden_kind_of_call_is_not_told_as_a_refused_credential() {
    let (provider, validator) = refused(with_status(403)).await;
    let forbidden = |calls| HealthReason::CallsForbidden { calls, since: secs(0) };
    assert_eq!(validator.health().await.reasons(), [forbidden(ProviderCalls::Payments)]);
    provider.always(None);
    validator.validate(intent("pi_1")).await.unwrap();
    assert!(validator.health().await.is_ready());
    // Refunds may lack a right while look-ups go on, and a look-up says nothing of them.
    let refund = Operation::new("store_42", "refund", "order 6735", Effect::keyed_write(secs(86_400))).unwrap();
    let guard = validator.guard();
    let refuse = |_: EffectCall| async { Err::<(), _>(ProviderError::refused("no").with_status(403)) };
    guard.run(&refund, refuse).await.unwrap_err();
    validator.validate(intent("pi_2")).await.unwrap();
    assert_eq!(validator.health().await.reasons(), [forbidden(ProviderCalls::Guarded)]);
    guard.run(&refund, |_: EffectCall| async { Ok(()) }).await.unwrap();
    assert!(validator.health().await.is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_forbidden_call_that_is_not_made_again_is_told_for_an_hour() {
    let (_, validator) = refused(with_status(403)).await;
    let told = |since| [HealthReason::CallsForbidden { calls: ProviderCalls::Payments, since: secs(since) }];
    tokio::time::advance(secs(3_599)).await;
    assert_eq!(validator.health().await.reasons(), told(3_599));
    assert!(validator.validate(intent("pi_2")).await.is_err());
    tokio::time::advance(secs(3_599)).await;
    assert_eq!(validator.health().await.reasons(), told(7_198));
    tokio::time::advance(secs(1)).await;
    assert!(validator.health().await.is_ready());
    assert!(validator.validate(intent("pi_3")).await.is_err());
    assert_eq!(validator.health().await.reasons(), told(0), "it begins anew");
}

#[tokio::test(start_paused = true)]
async fn a_forbidden_call_shows_that_the_credential_is_known_again() {
    let (provider, validator) = refused(with_status(401)).await;
    provider.always(Some(with_status(403).into()));
    assert!(validator.validate(intent("pi_1")).await.is_err());
    assert_eq!(codes(validator.health().await.reasons()), ["calls_forbidden"]);
}

#[tokio::test(start_paused = true)]
async fn a_limited_rate_is_told_since_when_and_until_when_also_where_no_gate_is_closed() {
    let (provider, validator) = refused(with_status(429).with_retry_after(secs(30))).await;
    let limited = |since, wait| HealthReason::RateLimited { since: secs(since), wait: secs(wait) };
    assert_eq!(validator.health().await.reasons(), [limited(0, 30)]);
    tokio::time::advance(secs(20)).await;
    assert!(validator.validate(intent("pi_2")).await.is_err());
    assert_eq!(validator.health().await.reasons(), [limited(20, 30)]);
    assert_eq!(validator.stats().rate_limited_for, Some(secs(20)));
    provider.always(None);
    validator.validate(intent("pi_1")).await.unwrap();
    assert!(validator.health().await.is_ready(), "a success ends it before its time");
    // Without a wait it is told for a minute.
    provider.always(Some(with_status(429).into()));
    assert!(validator.validate(intent("pi_3")).await.is_err());
    assert_eq!(validator.health().await.reasons(), [limited(0, 60)]);
    tokio::time::advance(secs(60)).await;
    assert!(validator.health().await.is_ready());
    // What one payment has to wait for is no limit of the account.
    let locked = with_status(429).with_rate_limit(RateLimit::Payment);
    provider.always(Some(locked.into()));
    assert!(validator.validate(intent("pi_4")).await.is_err());
    assert!(validator.health().await.is_ready());
}

#[tokio::test(start_paused = true)]
async fn other_failures_say_nothing_of_who_asks() {
    for status in [400, 402, 404, 407, 500, 503] {
        let (_, validator) = refused(with_status(status)).await;
        assert!(validator.health().await.is_ready(), "{status}");
    }
}
