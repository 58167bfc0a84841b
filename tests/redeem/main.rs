//! One payment pays one order, and one order is paid by one payment.
#![cfg(feature = "test-util")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a fixture that cannot be made fails the test that asked for it"
)]

#[path = "../support/chaos_store.rs"]
mod chaos_store;
#[path = "../support/mod.rs"]
mod support;

mod proofs;
mod races;
mod receipts;
mod stores;

use payproof::store::{MemoryStore, RestartLoss};
use payproof::testing::ScriptedProvider;
use payproof::{Currency, Mode, Money, PaymentIntent, PaymentStatus, ProviderPayment};
use payproof::{Proof, Validator, ValidatorBuilder, Verdict};

use chaos_store::ChaosStore;
use support::{NO_PATTERNS, plain, secs};

fn redeeming(provider: &ScriptedProvider, store: &MemoryStore) -> ValidatorBuilder {
    plain(provider)
        .transient_patterns(NO_PATTERNS)
        .store(store.clone())
        .only_instance()
        .restart_loses_at_most(RestartLoss::All)
}

/// A paid payment that names no order.
fn unbound(id: &str) -> ProviderPayment {
    ProviderPayment::new(id, PaymentStatus::Paid)
        .with_mode(Mode::Live)
        .with_amount(1999, Currency::USD)
        .with_amount_received(1999)
        .with_amount_refunded(0)
        .with_created(1_767_225_600)
        .with_as_of(1_767_225_660)
        .with_metadata("store_id", "store_42")
}

async fn proof(validator: &Validator, tenant: &str, id: &str, order: Option<&str>) -> Proof {
    let money = Money::parse("19.99", Currency::USD).unwrap();
    let mut intent = PaymentIntent::new(tenant, id, money).unwrap();
    if let Some(order) = order {
        intent = intent.with_order(order).unwrap();
    }
    match validator.validate(&intent).await.unwrap().into_verdict() {
        Verdict::Valid(proof) => proof,
        other => panic!("{other:?}"),
    }
}

/// A process of its own, with a proof of each of two payments, and its way to the shared store.
async fn process(provider: &ScriptedProvider, store: &MemoryStore) -> (Validator, ChaosStore, [Proof; 2]) {
    let way = ChaosStore::new(store, 0);
    let validator = plain(provider).transient_patterns(NO_PATTERNS).store(way.clone());
    let validator = validator.proof_max_age(secs(24 * 60 * 60)).build().unwrap();
    let mut proofs = Vec::new();
    for id in ["pi_1", "pi_2"] {
        provider.put(unbound(id));
        proofs.push(proof(&validator, "store_42", id, None).await);
    }
    (validator, way, proofs.try_into().unwrap())
}
