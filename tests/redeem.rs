//! One payment pays one order, and one order is paid by one payment.
#![cfg(feature = "test-util")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a fixture that cannot be made fails the test that asked for it"
)]

mod support;

use std::sync::Arc;

use payproof::store::MemoryStore;
use payproof::testing::ScriptedProvider;
use payproof::{Currency, Mode, Money, PaymentIntent, PaymentStatus, ProviderPayment};
use payproof::{Policy, Proof, RedeemError, Validator, ValidatorBuilder, Verdict};

use support::{NO_PATTERNS, paid, plain, provider, secs};

fn redeeming(provider: &ScriptedProvider, store: &MemoryStore) -> ValidatorBuilder {
    plain(provider).transient_patterns(NO_PATTERNS).store(store.clone()).allow_volatile_redemption()
}

/// A paid payment that names no order.
fn unbound(id: &str) -> ProviderPayment {
    ProviderPayment::new(id, PaymentStatus::Paid)
        .mode(Mode::Live)
        .amount(1999, Currency::USD)
        .amount_received(1999)
        .amount_refunded(0)
        .metadata("store_id", "store_42")
}

async fn proof(validator: &Validator, tenant: &str, id: &str, order: Option<&str>) -> Proof {
    let money = Money::parse("19.99", Currency::USD).unwrap();
    let mut intent = PaymentIntent::new(tenant, id, money).unwrap();
    if let Some(order) = order {
        intent = intent.order(order).unwrap();
    }
    match validator.validate(&intent).await.unwrap().into_verdict() {
        Verdict::Valid(proof) => proof,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_payment_and_order_get_the_same_receipt() {
    let (provider, store) = (provider(), MemoryStore::new());
    let validator = redeeming(&provider, &store).build().unwrap();
    let proof = proof(&validator, "store_42", "pi_1", Some("6735")).await;
    let first = validator.redeem(&proof).await.unwrap();
    assert_eq!((first.tenant(), first.order(), first.part()), ("store_42", "6735", None));
    assert_eq!(validator.redeem(&proof).await.unwrap(), first);
    assert_eq!(validator.redeem_for(&proof, "6735").await.unwrap(), first);
    let redemption = validator.redemption(proof.payment()).await.unwrap().unwrap();
    assert_eq!(redemption.receipt(), &first);
}

#[tokio::test(start_paused = true)]
async fn one_payment_pays_one_order_and_one_order_is_paid_once() {
    let (provider, store) = (provider(), MemoryStore::new());
    for id in ["pi_1", "pi_2"] {
        provider.put(unbound(id));
    }
    let validator = redeeming(&provider, &store).build().unwrap();
    let (one, two) =
        (proof(&validator, "store_42", "pi_1", None).await, proof(&validator, "store_42", "pi_2", None).await);
    assert!(matches!(validator.redeem(&one).await, Err(RedeemError::OrderMissing)));
    let receipt = validator.redeem_for(&one, "A").await.unwrap();
    match validator.redeem_for(&one, "B").await {
        Err(RedeemError::AlreadyRedeemed { by }) => assert_eq!(by.as_deref(), Some("A")),
        other => panic!("{other:?}"),
    }
    match validator.redeem_for(&two, "A").await {
        Err(RedeemError::OrderAlreadyPaid { by }) => assert_eq!(by.as_str(), "pi_1"),
        other => panic!("{other:?}"),
    }
    assert!(validator.redemption(two.payment()).await.unwrap().is_none(), "it is free again");
    validator.redeem_for(&two, "A").part("gift card").await.unwrap();
    validator.release(&receipt).await.unwrap();
    validator.release(&receipt).await.unwrap();
    validator.redeem_for(&one, "B").await.unwrap();
    assert!(matches!(validator.release(&receipt).await, Err(RedeemError::AlreadyRedeemed { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_payment_used_by_one_tenant_is_used_for_all_and_tells_them_nothing() {
    let (provider, store) = (ScriptedProvider::new(), MemoryStore::new());
    let facts = ProviderPayment::new("pi_1", PaymentStatus::Paid).mode(Mode::Live).amount(1999, Currency::USD);
    provider.put(facts.amount_received(1999).amount_refunded(0));
    let validator = redeeming(&provider, &store).single_tenant().build().unwrap();
    let (ours, theirs) =
        (proof(&validator, "ours", "pi_1", None).await, proof(&validator, "theirs", "pi_1", None).await);
    validator.redeem_for(ours, "secret order").await.unwrap();
    let error = validator.redeem_for(theirs, "secret order").await.unwrap_err();
    assert!(matches!(&error, RedeemError::AlreadyRedeemed { by: None }));
    assert!(!format!("{error} {error:?}").contains("secret"));
}

#[tokio::test(start_paused = true)]
async fn an_old_proof_is_asked_about_again_and_a_refund_since_then_is_seen() {
    let (provider, store) = (provider(), MemoryStore::new());
    let validator = redeeming(&provider, &store).build().unwrap();
    let proof = proof(&validator, "store_42", "pi_1", Some("6735")).await;
    provider.put(paid("pi_1").amount_refunded(1999));
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
    provider.put(paid("pi_1").disputed(true));
    let lax = redeeming(&provider, &store).policy(Policy::default().accept_disputed()).build().unwrap();
    let strict = redeeming(&provider, &store).build().unwrap();
    let proof = proof(&lax, "store_42", "pi_1", Some("6735")).await;
    assert!(matches!(strict.redeem(&proof).await, Err(RedeemError::NoLongerValid(_))));
    lax.redeem(&proof).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_volatile_store_is_refused() {
    let validator = plain(&provider()).build().unwrap();
    let proof = proof(&validator, "store_42", "pi_1", Some("6735")).await;
    let error = validator.redeem(&proof).await.unwrap_err();
    assert!(matches!(error, RedeemError::VolatileStore), "{error}");
    assert_eq!(proof.redemption_key().len(), 43);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_at_once_one_wins() {
    let (provider, store) = (ScriptedProvider::new(), MemoryStore::new());
    for payment in 0..4 {
        provider.put(unbound(&format!("pi_{payment}")));
    }
    for round in 0..30 {
        let store = store.clone();
        let validators: Vec<_> = (0..4).map(|_| Arc::new(redeeming(&provider, &store).build().unwrap())).collect();
        let mut tasks = Vec::new();
        for task in 0..64_usize {
            let (validator, id) = (Arc::clone(&validators[task % 4]), format!("pi_{}", task % 4));
            let order = format!("{round}-{}", (task / 4) % 4);
            tasks.push(tokio::spawn(async move {
                let proof = proof(&validator, "store_42", &id, None).await;
                let outcome = validator.redeem_for(proof, &order).await;
                (id, order, outcome)
            }));
        }
        let mut receipts = Vec::new();
        for task in tasks {
            let (id, order, outcome) = task.await.unwrap();
            match outcome {
                Ok(receipt) => receipts.push((id, order, receipt)),
                Err(RedeemError::AlreadyRedeemed { .. } | RedeemError::OrderAlreadyPaid { .. }) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
        let mut payments: Vec<_> = receipts.iter().map(|(id, order, _)| (id.clone(), order.clone())).collect();
        payments.sort();
        payments.dedup();
        let orders: std::collections::HashSet<_> = payments.iter().map(|(_, order)| order).collect();
        let ids: std::collections::HashSet<_> = payments.iter().map(|(id, _)| id).collect();
        assert_eq!((payments.len(), orders.len()), (ids.len(), ids.len()), "round {round}: {payments:?}");
        assert!(!payments.is_empty());
        for (_, _, receipt) in &receipts {
            validators[0].release(receipt).await.unwrap();
        }
    }
}
