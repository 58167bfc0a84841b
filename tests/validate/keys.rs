//! The caller's idempotency keys: bound to the claims they first came with, and to nothing else.
#![cfg(feature = "test-util")]
#![expect(
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::unchecked_time_subtraction,
    reason = "the numbers are literals of this file; a slip fails the test"
)]

use std::time::Duration;

use crate::support::{self, intent, is_valid, ms, paid, paused_runtime, provider, secs};
use payproof::provider::ProviderIdentity;
use payproof::testing::ScriptedProvider;
use payproof::{
    Currency, IdempotencyKey, Money, PaymentIntent, Policy, Provenance, Retry, ValidateError, Validation, Validator,
};
use proptest::prelude::*;
use tokio::time::advance;

const DAY: Duration = secs(24 * 60 * 60);

#[expect(clippy::unwrap_used, reason = "the literals are well-formed")]
fn key(key: &str) -> IdempotencyKey {
    IdempotencyKey::parse(key).unwrap()
}

#[expect(clippy::unwrap_used, reason = "the settings are valid")]
fn validator(provider: &ScriptedProvider) -> Validator {
    Validator::builder(provider.clone()).retry(Retry::none()).build().unwrap()
}

#[expect(clippy::unwrap_used, reason = "the literals are well-formed")]
fn claim(tenant: &str, payment: &str, amount: &str, currency: Currency) -> PaymentIntent {
    PaymentIntent::new(tenant, payment, Money::parse(amount, currency).unwrap()).unwrap()
}

/// Claims of `store_42` that differ from [`intent`] in one point each.
#[expect(clippy::unwrap_used, reason = "the literals are well-formed")]
fn others() -> Vec<(&'static str, PaymentIntent)> {
    let usd = Currency::USD;
    vec![
        ("amount", claim("store_42", "pi_1", "19.98", usd).with_order("6735").unwrap()),
        ("amount times ten", claim("store_42", "pi_1", "199.9", usd).with_order("6735").unwrap()),
        ("currency", claim("store_42", "pi_1", "19.99", Currency::EUR).with_order("6735").unwrap()),
        ("payment", claim("store_42", "pi_2", "19.99", usd).with_order("6735").unwrap()),
        ("order", claim("store_42", "pi_1", "19.99", usd).with_order("6736").unwrap()),
        ("no order", claim("store_42", "pi_1", "19.99", usd)),
        ("customer", intent("pi_1").with_customer("cus_9").unwrap()),
        ("order as customer", claim("store_42", "pi_1", "19.99", usd).with_customer("6735").unwrap()),
    ]
}

#[track_caller]
fn assert_reused(answer: Result<Validation, ValidateError>, what: &str) {
    let Err(error) = answer else { panic!("{what}: got an answer") };
    assert!(error.is_key_reused(), "{what}: {error}");
    assert_eq!((error.code(), error.http_status()), ("key_reused", 422), "{what}");
    assert!(error.attempts().is_empty() && error.retry_after().is_none(), "{what}");
    assert!(!error.is_invalid_intent() && !error.is_unavailable() && !error.is_configuration(), "{what}");
}

#[tokio::test(start_paused = true)]
async fn the_same_key_with_the_same_claims_is_the_same_question() {
    let provider = provider();
    let validator = validator(&provider);
    for _ in 0..5 {
        // Written differently, claimed alike.
        let same = claim("store_42", "pi_1", "19.990", Currency::USD).with_key(key("k")).with_order("6735").unwrap();
        assert!(is_valid(&validator.validate(same).await.unwrap()));
        assert!(is_valid(&validator.validate(intent("pi_1").with_key(key("k"))).await.unwrap()));
    }
    assert_eq!(provider.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_same_key_with_other_claims_is_refused_and_nothing_is_asked() {
    for (what, other) in others() {
        let provider = provider();
        provider.put(paid("pi_2"));
        let validator = validator(&provider);
        validator.validate(intent("pi_1").with_key(key("k"))).await.unwrap();
        for _ in 0..2 {
            assert_reused(validator.validate(other.clone().with_key(key("k"))).await, what);
            assert_reused(validator.validate(other.clone().with_key(key("k"))).max_age(Duration::ZERO).await, what);
        }
        assert_eq!(provider.calls(), 1, "{what}");
        assert!(
            is_valid(&validator.validate(intent("pi_1").with_key(key("k"))).await.unwrap()),
            "{what}: the first still stands"
        );
        assert!(validator.validate(other.clone().with_key(key("k2"))).await.is_ok(), "{what}");
        assert!(validator.validate(other).await.is_ok(), "{what}: without a key");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_is_checked_before_memory_is_looked_at() {
    let provider = provider();
    let validator = validator(&provider);
    let other = claim("store_42", "pi_2", "5", Currency::USD);
    validator.validate(other.with_key(key("k"))).await.unwrap();
    validator.validate(intent("pi_1")).await.unwrap();
    // Proven and in memory, yet under a key that belongs to something else.
    assert!(is_valid(&validator.validate(intent("pi_1")).await.unwrap()));
    assert_reused(validator.validate(intent("pi_1").with_key(key("k"))).await, "proven claims");
    assert_eq!(provider.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_key_belongs_to_its_tenant() {
    let provider = provider();
    let validator = validator(&provider);
    assert!(is_valid(&validator.validate(intent("pi_1").with_key(key("k"))).await.unwrap()));
    let theirs = claim("store_7", "pi_1", "19.99", Currency::USD).with_order("6735").unwrap();
    let answer = validator.validate(theirs.clone().with_key(key("k"))).await.unwrap();
    assert_eq!(answer.verdict().as_str(), "invalid", "the key is free for them, and their claim is judged");
    let more = claim("store_7", "pi_1", "20", Currency::USD);
    assert_reused(validator.validate(more.with_key(key("k"))).await, "bound for them, too");
    // Tenant and key are not glued together.
    let glued = claim("store_42k", "pi_9", "1", Currency::USD);
    assert!(validator.validate(glued.with_key(key("x"))).await.is_ok());
    let glued = claim("store_42", "pi_9", "1", Currency::USD);
    assert!(validator.validate(glued.with_key(key("kx"))).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn keys_are_exact() {
    let validator = validator(&provider());
    validator.validate(intent("pi_1").with_key(key("k"))).await.unwrap();
    for other in ["K", "k ", " k", "kk", "k\u{7e}", &"k".repeat(255)] {
        assert!(validator.validate(intent("pi_2").with_key(key(other))).await.is_ok(), "{other:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_stays_bound_when_its_call_fails() {
    let provider = provider();
    provider.script("pi_1", [support::busy()]);
    let validator = validator(&provider);
    assert!(validator.validate(intent("pi_1").with_key(key("k"))).await.unwrap_err().is_unavailable());
    for (what, other) in others() {
        assert_reused(validator.validate(other.with_key(key("k"))).await, what);
    }
    assert!(
        is_valid(&validator.validate(intent("pi_1").with_key(key("k"))).await.unwrap()),
        "the same claims may try again"
    );
    assert_eq!(provider.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_key_stays_bound_when_its_caller_gives_up_or_the_verdict_is_invalid() {
    let provider = provider();
    provider.script("pi_1", [payproof::testing::Step::Wait(secs(20))]);
    let validator = validator(&provider);
    assert!(validator.validate(intent("pi_1").with_key(key("a"))).deadline(ms(1)).await.unwrap_err().is_timeout());
    assert_reused(validator.validate(intent("pi_2").with_key(key("a"))).await, "after a deadline");
    let invalid = validator.validate(intent("pi_404").with_key(key("b"))).await.unwrap();
    assert_eq!(invalid.verdict().as_str(), "invalid");
    assert_reused(validator.validate(intent("pi_2").with_key(key("b"))).await, "after an invalid verdict");
}

#[tokio::test(start_paused = true)]
async fn a_malformed_intent_binds_no_key() {
    let provider = provider();
    let validator = Validator::builder(provider.clone()).max_keys(1).build().unwrap();
    let misfit = claim("store_42", "pi_1", "19.999", Currency::USD).with_order("6735").unwrap();
    let error = validator.validate(misfit.with_key(key("k"))).await.unwrap_err();
    assert_eq!(error.code(), "invalid_intent");
    // Nothing was asked, so the caller may correct the amount and use the key for it.
    assert!(is_valid(&validator.validate(intent("pi_1").with_key(key("k"))).await.unwrap()));
    assert_eq!(provider.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_future_that_is_never_polled_binds_no_key() {
    let validator = validator(&provider());
    drop(validator.validate(intent("pi_2").with_key(key("k"))));
    assert!(is_valid(&validator.validate(intent("pi_1").with_key(key("k"))).await.unwrap()));
}

#[tokio::test(start_paused = true)]
async fn of_concurrent_calls_with_one_key_only_those_with_the_first_claims_are_answered() {
    let provider = provider();
    provider.script("pi_1", [payproof::testing::Step::Wait(secs(1))]);
    let validator = validator(&provider);
    let mut calls = tokio::task::JoinSet::new();
    for at in 0..40 {
        let claim = if at % 2 == 0 { intent("pi_1") } else { intent("pi_2") };
        calls.spawn(validator.validate(claim.with_key(key("k"))));
    }
    let (mut answered, mut reused) = (0, 0);
    for answer in calls.join_all().await {
        match answer {
            Ok(validation) => {
                assert!(is_valid(&validation));
                answered += 1;
            }
            Err(error) => {
                assert!(error.is_key_reused());
                reused += 1;
            }
        }
    }
    assert_eq!((answered, reused, provider.calls()), (20, 20, 1));
}

#[test]
fn of_parallel_calls_with_one_key_one_claim_wins() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_time().build().unwrap();
    runtime.block_on(async {
        let provider = ScriptedProvider::new();
        for at in 0..64 {
            provider.put(paid(&format!("pi_{at}")));
        }
        let validator = validator(&provider);
        let mut calls = tokio::task::JoinSet::new();
        for at in 0..64 {
            calls.spawn(validator.validate(intent(&format!("pi_{at}")).with_key(key("k"))));
        }
        let answers = calls.join_all().await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
        assert!(answers.iter().filter_map(|answer| answer.as_ref().err()).all(ValidateError::is_key_reused));
        assert_eq!(provider.calls(), 1);
    });
}

#[tokio::test(start_paused = true)]
async fn a_key_is_free_again_when_its_retention_ends_and_not_before() {
    let provider = provider();
    let validator = validator(&provider);
    validator.validate(intent("pi_1").with_key(key("k"))).await.unwrap();
    advance(secs(3600)).await;
    // Using it does not prolong it.
    validator.validate(intent("pi_1").with_key(key("k"))).await.unwrap();
    advance(DAY - secs(3600) - Duration::from_nanos(1)).await;
    assert_reused(validator.validate(intent("pi_2").with_key(key("k"))).await, "a nanosecond early");
    advance(Duration::from_nanos(1)).await;
    assert!(validator.validate(intent("pi_2").with_key(key("k"))).await.is_ok());
    assert_reused(validator.validate(intent("pi_1").with_key(key("k"))).await, "now it belongs to the second");
    advance(DAY).await;
    assert!(validator.validate(intent("pi_1").with_key(key("k"))).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_retention_of_keys_is_the_configured_one() {
    let builder = Validator::builder(provider()).fresh_for(secs(60)).retention(secs(600));
    let validator = builder.build().unwrap();
    validator.validate(intent("pi_1").with_key(key("k"))).await.unwrap();
    advance(secs(599)).await;
    assert_reused(validator.validate(intent("pi_2").with_key(key("k"))).await, "early");
    advance(secs(1)).await;
    assert!(validator.validate(intent("pi_2").with_key(key("k"))).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn at_the_limit_a_new_key_is_refused_and_none_is_evicted() {
    let provider = provider();
    let validator = Validator::builder(provider.clone()).max_keys(3).build().unwrap();
    for at in 0..3 {
        validator.validate(intent("pi_1").with_key(key(&format!("k{at}")))).await.unwrap();
    }
    for _ in 0..3 {
        let error = validator.validate(intent("pi_1").with_key(key("k3"))).await.unwrap_err();
        assert_eq!((error.code(), error.http_status()), ("at_capacity", 503));
        assert!(error.is_unavailable() && !error.is_key_reused());
        assert!(error.to_string().contains("3 idempotency keys") && error.to_string().contains("max_keys"), "{error}");
    }
    for at in 0..3 {
        let held = format!("k{at}");
        assert!(validator.validate(intent("pi_1").with_key(key(&held))).await.is_ok(), "held keys go on");
        assert_reused(validator.validate(intent("pi_2").with_key(key(&held))).await, "none was evicted");
    }
    assert!(validator.validate(intent("pi_1")).await.is_ok(), "calls without a key go on");
    assert_eq!(provider.calls(), 1);
    advance(DAY).await;
    assert!(validator.validate(intent("pi_1").with_key(key("k3"))).await.is_ok(), "ended ones make way");
}

#[tokio::test(start_paused = true)]
async fn forgetting_a_payment_frees_no_key() {
    let provider = provider();
    let validator = validator(&provider);
    validator.validate(intent("pi_1").with_key(key("k"))).await.unwrap();
    validator.forget(intent("pi_1").payment()).await.unwrap();
    assert_reused(validator.validate(intent("pi_2").with_key(key("k"))).await, "forgotten");
}

#[tokio::test(start_paused = true)]
async fn a_policy_change_is_not_a_reuse() {
    // Another policy means another validator, and the fingerprint covers claims only: what can be seen in one process is
    // that options of the call change nothing.
    let provider = provider();
    let strict = Validator::builder(provider.clone()).policy(Policy::default().max_age(secs(60))).build().unwrap();
    for call in [
        strict.validate(intent("pi_1").with_key(key("k"))),
        strict.validate(intent("pi_1").with_key(key("k"))).max_age(secs(1)),
    ] {
        assert!(call.await.is_ok());
    }
    assert!(strict.validate(intent("pi_1").with_key(key("k"))).deadline(secs(1)).max_age(Duration::ZERO).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn validators_of_different_accounts_share_no_keys() {
    let account = |label: &str| {
        let provider = ScriptedProvider::with_identity(ProviderIdentity::new("scripted").with_account(label));
        provider.put(paid("pi_1"));
        provider
    };
    let (one, two) = (validator(&account("one")), validator(&account("two")));
    assert!(one.validate(intent("pi_1").with_key(key("k"))).await.is_ok());
    assert!(two.validate(intent("pi_2").with_key(key("k"))).await.is_ok());
    assert_reused(one.clone().validate(intent("pi_2").with_key(key("k"))).await, "a clone shares them");
}

#[tokio::test(start_paused = true)]
async fn the_last_key_of_an_intent_counts() {
    let provider = provider();
    let validator = validator(&provider);
    let twice = intent("pi_1").with_key(key("first")).with_key(key("second"));
    assert!(is_valid(&validator.validate(&twice).await.unwrap()));
    assert!(validator.validate(intent("pi_2").with_key(key("first"))).await.is_ok());
    assert_reused(validator.validate(intent("pi_2").with_key(key("second"))).await, "second");
    let hit = validator.validate(&twice).await.unwrap();
    assert_eq!(hit.provenance(), Provenance::Replayed);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn a_key_answers_one_set_of_claims_at_a_time(
        calls in prop::collection::vec((0_usize..3, 0_usize..9, 0_u64..30), 1..60),
    ) {
        let runtime = paused_runtime();
        runtime.block_on(async {
            let builder = Validator::builder(provider()).transient_patterns::<&str>([]).max_keys(2);
            let validator = builder.build().unwrap();
            let mut claims = others();
            claims.push(("plain", intent("pi_1")));
            // Which claims each key is bound to, and for how many more hours.
            let mut bound = [None::<(usize, u64)>; 3];
            for (name, claim, hours) in calls {
                advance(secs(3600) * u32::try_from(hours).unwrap()).await;
                for slot in &mut bound {
                    *slot = slot.and_then(|(claim, left)| (left > hours).then(|| (claim, left - hours)));
                }
                let answer = validator.validate(claims[claim].1.clone().with_key(key(&format!("k{name}")))).await;
                let code = answer.err().map(|error| error.code());
                let expected = match bound[name] {
                    Some((first, _)) if first == claim => None,
                    Some(_) => Some("key_reused"),
                    None if bound.iter().flatten().count() == 2 => Some("at_capacity"),
                    None => {
                        bound[name] = Some((claim, 24));
                        None
                    }
                };
                prop_assert_eq!(code, expected);
            }
            Ok(())
        })?;
    }
}

#[tokio::test(start_paused = true)]
async fn a_tenant_with_100_000_keys_does_not_refuse_another() {
    let validator = validator(&provider());
    let of = |tenant: &str, number: usize| {
        let claims = claim(tenant, "pi_1", "19.99", Currency::USD).with_order("6735").unwrap();
        claims.with_key(IdempotencyKey::parse(format!("key {number}")).unwrap())
    };
    let mut refused = 0;
    for number in 0..100_000 {
        if let Err(error) = validator.validate(of("greedy", number)).await {
            assert_eq!((error.code(), error.http_status()), ("at_capacity", 503));
            assert!(error.to_string().contains("`max_keys_per_tenant`"), "{error}");
            assert!(error.retry_after().unwrap() <= DAY);
            refused += 1;
        }
    }
    assert_eq!((refused, validator.stats().keys_held), (50_000, 50_000));
    assert!(validator.validate(of("greedy", 7)).await.is_ok(), "a key that is held is as good as before");
    assert!(is_valid(&validator.validate(of("store_42", 1)).await.unwrap()));
    advance(DAY).await;
    assert!(validator.validate(of("greedy", 70_000)).await.is_ok());
}
