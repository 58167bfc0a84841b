//! Claims about one payment, true and forged, and tenants.

use std::time::Duration;

use payproof::provider::ProviderIdentity;
use payproof::testing::ScriptedProvider;
use payproof::{Currency, Finding, Money, PaymentIntent, Provenance, Verdict};
use tokio::time::advance;

use super::{TICK, VOLATILE, ask, canceled, forgeries, validator};
use crate::support::{intent, is_valid, paid, provider};

#[tokio::test(start_paused = true)]
async fn a_forged_claim_is_refused_from_memory_and_poisons_nothing() {
    let provider = provider();
    let validator = validator(&provider);
    let honest = intent("pi_1");
    assert!(is_valid(&ask(&validator, &honest).await));
    for (name, forged) in forgeries() {
        for _ in 0..2 {
            let refused = ask(&validator, &forged).await;
            assert_eq!(refused.verdict().as_str(), "invalid", "{name}");
            assert_eq!(refused.provenance(), Provenance::Replayed, "{name}");
            let still = ask(&validator, &honest).await;
            assert!(is_valid(&still) && still.provenance() == Provenance::Replayed, "{name}");
        }
    }
    assert_eq!(provider.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_forged_claim_that_comes_first_poisons_nothing_either() {
    for (name, forged) in forgeries() {
        let provider = provider();
        let validator = validator(&provider);
        assert_eq!(ask(&validator, &forged).await.verdict().as_str(), "invalid", "{name}");
        let honest = ask(&validator, &intent("pi_1")).await;
        assert!(is_valid(&honest), "{name}");
        assert_eq!(honest.provenance(), Provenance::Replayed, "{name}");
        assert_eq!(ask(&validator, &forged).await.verdict().as_str(), "invalid", "{name}");
        assert_eq!(provider.calls(), 1, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn two_claims_can_be_valid_about_one_payment_and_both_stay_so() {
    let provider = ScriptedProvider::new();
    provider.put(paid("pi_1").with_customer("cus_9"));
    let validator = validator(&provider);
    let with_customer = intent("pi_1").with_customer("cus_9").unwrap();
    for _ in 0..3 {
        for intent in [intent("pi_1"), with_customer.clone()] {
            let validation = ask(&validator, &intent).await;
            let Verdict::Valid(proof) = validation.verdict() else { panic!("{validation:?}") };
            assert_eq!(proof.intent().customer(), intent.customer(), "the proof is about this claim");
        }
    }
    assert_eq!(provider.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_payment_of_store_a_is_not_valid_for_store_b() {
    let provider = provider();
    let (a, b) = (validator(&provider), validator(&provider));
    let theirs = PaymentIntent::new("store_7", "pi_1", Money::parse("19.99", Currency::USD).unwrap()).unwrap();
    let theirs = theirs.with_order("6735").unwrap();
    assert!(is_valid(&ask(&a, &intent("pi_1")).await));
    for validator in [&a, &b] {
        let Verdict::Invalid(findings) = ask(validator, &theirs).await.into_verdict() else { panic!("valid") };
        assert_eq!(findings.as_ref(), [Finding::Tenant]);
    }
}

#[tokio::test(start_paused = true)]
async fn how_long_an_answer_is_kept_tells_another_tenant_nothing_either() {
    // A canceled payment stands for long, a paid one may still get the tenant's name: both are asked about again alike.
    for facts in [paid("pi_1"), canceled("pi_1")] {
        let provider = provider();
        provider.put(facts);
        let validator = validator(&provider);
        let theirs = PaymentIntent::new("store_7", "pi_1", Money::parse("1", Currency::USD).unwrap()).unwrap();
        for (step, calls) in [(Duration::ZERO, 1), (VOLATILE - TICK, 1), (TICK, 2)] {
            advance(step).await;
            let Verdict::Invalid(findings) = ask(&validator, &theirs).await.into_verdict() else { panic!("valid") };
            assert_eq!((findings.as_ref(), provider.calls()), (&[Finding::Tenant][..], calls));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn two_validators_share_no_facts() {
    let account = |label: &str| ScriptedProvider::with_identity(ProviderIdentity::new("scripted").with_account(label));
    let (one, two) = (account("one"), account("two"));
    one.put(paid("pi_1"));
    let (first, second) = (validator(&one), validator(&two));
    assert!(is_valid(&ask(&first, &intent("pi_1")).await));
    let Verdict::Invalid(findings) = ask(&second, &intent("pi_1")).await.into_verdict() else { panic!("valid") };
    assert!(findings.has("not_found"));
    assert_eq!((one.calls(), two.calls()), (1, 1));
    let clone = first.clone();
    assert_eq!(ask(&clone, &intent("pi_1")).await.provenance(), Provenance::Replayed, "a clone shares everything");
}
