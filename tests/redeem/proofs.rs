//! Proofs that are old, of another policy, or of a payment of unknown age.

use payproof::redeem::Occasion;
use payproof::redeem::RedeemError;
use payproof::store::MemoryStore;
use payproof::testing::ScriptedProvider;
use payproof::{Currency, Dispute, Mode, PaymentId, PaymentStatus, ProviderPayment};
use payproof::{Policy, Verdict};

use crate::redeeming;
use crate::support::{intent, paid, proof_of, provider, secs, unbound_intent};

#[tokio::test(start_paused = true)]
async fn an_old_proof_is_asked_about_again_and_a_refund_since_then_is_seen() {
    let (provider, store) = (provider(), MemoryStore::new());
    let validator = redeeming(&provider, &store).build().unwrap();
    let proof = proof_of(&validator, intent("pi_1")).await;
    provider.put(paid("pi_1").with_amount_refunded(1999));
    tokio::time::advance(secs(61)).await;
    match validator.redeem(&proof).await {
        Err(RedeemError::NoLongerValid(verdict)) => assert!(matches!(*verdict, Verdict::Invalid(_))),
        other => panic!("{other:?}"),
    }
    assert!(validator.redemption(proof.payment()).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn the_proof_of_a_laxer_validator_is_judged_again() {
    let (provider, store) = (provider(), MemoryStore::new());
    provider.put(paid("pi_1").with_dispute(Dispute::Open));
    let lax = redeeming(&provider, &store).policy(Policy::default().accept_disputed()).build().unwrap();
    let strict = redeeming(&provider, &store).build().unwrap();
    let proof = proof_of(&lax, intent("pi_1")).await;
    assert!(matches!(strict.redeem(&proof).await, Err(RedeemError::NoLongerValid(_))));
    let _ = lax.redeem(&proof).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_payment_of_unknown_age_is_not_redeemed_and_the_error_says_what_to_state() {
    let (provider, store) = (ScriptedProvider::new(), MemoryStore::new());
    let undated = |id: &str| {
        let facts =
            ProviderPayment::new(id, PaymentStatus::Paid).with_mode(Mode::Live).with_amount(1999, Currency::USD);
        facts.with_amount_received(1999).with_amount_refunded(0).with_metadata("store_id", "store_42")
    };
    provider.put(undated("pi_1"));
    let validator = redeeming(&provider, &store).build().unwrap();
    let pi_1 = PaymentId::parse("pi_1").unwrap();
    // The second proof is answered from memory, and the third is asked for anew by the redemption.
    for wait in [0, 0, 61] {
        let undated = proof_of(&validator, unbound_intent("pi_1")).await;
        tokio::time::advance(secs(wait)).await;
        let error = validator.redeem(undated).order("A").await.unwrap_err();
        assert!(matches!(error, RedeemError::CreatedUnstated), "{error:?}");
        assert!(error.to_string().contains("`ProviderPayment::with_created`"), "{error}");
        assert_eq!((error.code(), error.http_status(), error.retry_after()), ("created_unstated", 500, None));
    }
    assert!(validator.redemption(&pi_1).await.unwrap().is_none());
    provider.put(undated("pi_1").with_created(1_767_225_600).with_as_of(1_767_225_660));
    validator.forget(&pi_1).await.unwrap();
    for is_first in [true, false] {
        let dated = proof_of(&validator, unbound_intent("pi_1")).await;
        let redeemed = validator.redeem(dated).order("A").await.unwrap();
        assert_eq!(redeemed.occasion() == Occasion::First, is_first);
    }
}
