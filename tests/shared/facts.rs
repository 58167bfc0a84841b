//! Several validators that share a store, as several processes do.
#![cfg(feature = "test-util")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::similar_names,
    clippy::unchecked_time_subtraction,
    clippy::unwrap_used,
    reason = "numbers are small, and what is not as it should be fails the test"
)]

mod callers;
mod keys;
mod leases;
mod memory;
mod once;
mod records;
mod stale;
mod trouble;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use payproof::provider::{Provider, ProviderIdentity, provider_fn};
use payproof::store::{MemoryStore, Store, Swap};
use payproof::testing::{FlakyStore, ScriptedProvider};
use payproof::{
    Currency, Degradation, IdempotencyKey, Mode, PaymentStatus, Provenance, ProviderPayment, Validation, Validator,
    ValidatorBuilder, WhenProviderIsDown,
};
use tokio::time::sleep;

use crate::chaos_store::ChaosStore;
use crate::support::{NO_PATTERNS, intent, ms, plain, secs};

/// Longer than any answer takes where no call has to wait for a lease.
const PROMPT: Duration = secs(10);

fn sharing(provider: &ScriptedProvider, store: &MemoryStore) -> Validator {
    plain(provider).store(store.clone()).facts_in_memory_for(ms(0)).build().unwrap()
}

/// A process whose way to the store fails on script.
fn flaky(provider: &ScriptedProvider, store: &MemoryStore) -> (Validator, FlakyStore<MemoryStore>) {
    let way = FlakyStore::new(store.clone());
    (plain(provider).store(way.clone()).facts_in_memory_for(ms(0)).build().unwrap(), way)
}

/// A provider that always takes this long, and counts.
fn slow(time: Duration, facts: fn() -> ProviderPayment) -> (impl Provider + Clone, Arc<AtomicU64>) {
    let calls = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&calls);
    let provider = provider_fn(ProviderIdentity::new("scripted").only_account(), move |_payment, _call| {
        counted.fetch_add(1, Ordering::Relaxed);
        async move {
            let facts = facts();
            sleep(time).await;
            Ok(facts)
        }
    });
    (Arc::new(provider), calls)
}

fn over(provider: &(impl Provider + Clone), store: &MemoryStore) -> ValidatorBuilder {
    let builder = Validator::builder(provider.clone()).no_retry_budget().transient_patterns(NO_PATTERNS);
    builder.store(store.clone()).facts_in_memory_for(ms(0))
}

fn key(text: &str) -> IdempotencyKey {
    IdempotencyKey::parse(text).unwrap()
}

/// The one record of facts in a store, by its key.
async fn record(store: &MemoryStore, kind: &str, provider: &ScriptedProvider) -> (String, Vec<u8>) {
    let spy = ChaosStore::new(store, 0);
    let validator = plain(provider).store(spy.clone()).build().unwrap();
    validator.validate(intent("pi_1").with_key(key("click-1"))).await.unwrap();
    let place = spy.keys().into_iter().find(|key| key.contains(kind)).unwrap();
    let bytes = store.get(&place).await.unwrap().unwrap().bytes;
    (place, bytes)
}

async fn put(store: &MemoryStore, key: &str, bytes: &[u8]) {
    if let Some(stored) = store.get(key).await.unwrap() {
        assert_eq!(store.replace(key, &stored.bytes, bytes, secs(600)).await.unwrap(), Swap::Swapped);
    } else {
        store.claim(key, bytes, secs(600)).await.unwrap();
    }
}

fn marked(validation: &Validation) -> (Provenance, Option<Degradation>) {
    (validation.provenance(), validation.degraded())
}

fn out_of_order() -> ProviderPayment {
    ProviderPayment::new("pi_1", PaymentStatus::Paid)
        .with_mode(Mode::Live)
        .with_amount(1999, Currency::USD)
        .with_amount_received(1999)
        .with_amount_refunded(0)
        .with_metadata("store_id", "store_42")
}

// The provider is down.

fn serving_stale(provider: &ScriptedProvider, store: &MemoryStore) -> ValidatorBuilder {
    let up_to = WhenProviderIsDown::ServeStale { up_to: secs(60 * 60) };
    plain(provider).store(store.clone()).facts_in_memory_for(ms(0)).when_provider_is_down(up_to)
}
