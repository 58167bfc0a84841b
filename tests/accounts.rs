//! Whose records those in a store are: validators of one account share them, and those of two accounts share nothing.
#![cfg(all(feature = "stripe", feature = "test-util"))]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a fixture that cannot be made fails the test that asked for it")]

mod support;

use payproof::provider::{ProviderIdentity, provider_fn};
use payproof::store::MemoryStore;
use payproof::testing::sandbox::{Sandbox, SandboxPayment};
use payproof::{BuildError, Finding, PaymentIntent, Provenance, StripeBuilder};
use payproof::{Stripe, TenantProof, Validation, Validator, ValidatorBuilder, Verdict};
use support::{NO_PATTERNS, intent, paid};

/// A key of its own for each account. Put together, so that no literal looks like a credential.
fn stripe(sandbox: &Sandbox, key: &str) -> StripeBuilder {
    Stripe::builder(["sk", "live", key].join("_")).base_url(sandbox.url())
}

/// A sandbox that stands for one account, or for all that a platform reaches.
async fn account(payments: &[&str]) -> Sandbox {
    let sandbox = Sandbox::start().await.unwrap();
    for id in payments {
        sandbox.put(SandboxPayment::paid(id, 1999, "usd").order("6735"));
    }
    sandbox
}

fn over(store: &MemoryStore, stripe: StripeBuilder) -> ValidatorBuilder {
    let builder = Validator::builder(stripe.build().unwrap()).transient_patterns(NO_PATTERNS);
    builder.single_tenant().store(store.clone()).allow_volatile_redemption()
}

async fn ask(validator: &Validator, intent: &PaymentIntent) -> Validation {
    validator.validate(intent).await.unwrap()
}

#[tokio::test]
async fn a_store_demands_the_account_or_the_statement_that_there_is_one() {
    let sandbox = account(&[]).await;
    let unstated = |builder: ValidatorBuilder| match builder.build() {
        Err(error @ BuildError::AccountUnstated { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    };
    let said = unstated(over(&MemoryStore::new(), stripe(&sandbox, "a")));
    for word in ["stripe", "own_account(\"acct_…\")", "only_account()"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    // A label is no name.
    unstated(over(&MemoryStore::new(), stripe(&sandbox, "a").account_label("eu")));
    let acme = || provider_fn(ProviderIdentity::new("acme").label("eu"), |id, _| async move { Ok(paid(id.as_str())) });
    let said = unstated(Validator::builder(acme()).store(MemoryStore::new()));
    for word in ["acme", "ProviderIdentity::account", "only_account()"] {
        assert!(said.contains(word), "{word}: {said}");
    }

    let named = stripe(&sandbox, "a").own_account("acct_1");
    for stated in [named, stripe(&sandbox, "a").account("acct_1"), stripe(&sandbox, "a").only_account()] {
        over(&MemoryStore::new(), stated).build().unwrap();
    }
    Validator::builder(acme()).build().unwrap();
    Validator::builder(stripe(&sandbox, "a").build().unwrap()).build().unwrap();
}

#[test]
fn a_name_that_is_none_is_refused() {
    for name in ["", &"a".repeat(256)] {
        let identity = ProviderIdentity::new("acme").account(name);
        let acme = provider_fn(identity, |id, _| async move { Ok(paid(id.as_str())) });
        let error = Validator::builder(acme).build().unwrap_err();
        assert!(error.to_string().contains("account is"), "{error}");
    }
}

#[tokio::test]
async fn a_payment_into_one_account_is_none_of_another_ones() {
    let (paying, asking, store) = (account(&["pi_1"]).await, account(&[]).await, MemoryStore::new());
    let first = over(&store, stripe(&paying, "a").own_account("acct_1")).build().unwrap();
    let second = over(&store, stripe(&asking, "b").own_account("acct_2")).build().unwrap();
    assert!(ask(&first, &intent("pi_1")).await.verdict().is_valid());
    let validation = ask(&second, &intent("pi_1")).await;
    let Verdict::Invalid(findings) = validation.verdict() else { panic!("paid into another account: {validation:?}") };
    assert_eq!(findings.as_ref(), [Finding::NotFound]);
    assert_eq!((paying.requests(), asking.requests()), (1, 1));
}

#[tokio::test]
async fn an_account_shares_its_facts_however_it_is_reached_and_labeled() {
    let (sandbox, store) = (account(&["pi_1"]).await, MemoryStore::new());
    let by_own_key = stripe(&sandbox, "a").own_account("acct_1");
    let by_rotated_key = stripe(&sandbox, "b").own_account("acct_1").account_label("eu");
    let by_platform = stripe(&sandbox, "c").own_account("acct_platform").account("acct_1");
    let claims = PaymentIntent::new("acct_1", "pi_1", intent("pi_1").money()).unwrap().order("6735").unwrap();
    for (at, stripe) in [by_own_key, by_rotated_key, by_platform].into_iter().enumerate() {
        // Each states whose payment it is, so that any of them proves the tenant by account to the others.
        let proven = over(&store, stripe).tenant_proof(TenantProof::Account).build().unwrap();
        let validation = ask(&proven, &claims).await;
        assert!(validation.verdict().is_valid(), "number {at}: {validation:?}");
        let expected = if at == 0 { Provenance::Fresh } else { Provenance::Replayed };
        assert_eq!(validation.provenance(), expected, "number {at}");
    }
    assert_eq!(sandbox.requests(), 1);
}
