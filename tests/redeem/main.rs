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

mod decisions;
mod proofs;
mod races;
mod receipts;
mod stores;

use payproof::store::MemoryStore;
use payproof::testing::ScriptedProvider;
use payproof::{Proof, Validator, ValidatorBuilder};

use chaos_store::ChaosStore;
use support::{NO_PATTERNS, forgetful, plain, proof_of, secs, unbound, unbound_intent};

fn redeeming(provider: &ScriptedProvider, store: &MemoryStore) -> ValidatorBuilder {
    forgetful(plain(provider).transient_patterns(NO_PATTERNS).store(store.clone()))
}

/// A process of its own, with a proof of each of two payments, and its way to the shared store.
async fn process(provider: &ScriptedProvider, store: &MemoryStore) -> (Validator, ChaosStore, [Proof; 2]) {
    let way = ChaosStore::new(store, 0);
    let validator = plain(provider).transient_patterns(NO_PATTERNS).store(way.clone());
    let validator = validator.proof_max_age(secs(24 * 60 * 60)).build().unwrap();
    let mut proofs = Vec::new();
    for id in ["pi_1", "pi_2"] {
        provider.put(unbound(id));
        proofs.push(proof_of(&validator, unbound_intent(id)).await);
    }
    (validator, way, proofs.try_into().unwrap())
}
