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

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use payproof::provider::{Provider, ProviderError, ProviderIdentity, provider_fn};
use payproof::store::{MemoryStore, RestartLoss, Store, Swap};
use payproof::testing::{FlakyStore, ScriptedProvider, Step, StoreFault, StoreVerb};
use payproof::{
    BuildError, Currency, Degradation, IdempotencyKey, Mode, PaymentStatus, Provenance, ProviderPayment, Validation,
    Validator, ValidatorBuilder, WhenProviderIsDown,
};
use tokio::join;
use tokio::time::{Instant, sleep, timeout};

use crate::chaos_store::{self, ChaosStore};
use crate::support::{
    NO_PATTERNS, busy, intent, intent_of, is_valid, ms, paid, plain, poll_now, provider, secs, settle,
};

/// Longer than any answer takes where nobody has to wait for a lease.
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
    let builder = Validator::builder(provider.clone()).no_breaker().no_retry_budget().transient_patterns(NO_PATTERNS);
    builder.store(store.clone()).facts_in_memory_for(ms(0))
}

fn key(text: &str) -> IdempotencyKey {
    IdempotencyKey::parse(text).unwrap()
}

/// The one record of facts in a store, by its key.
async fn record(store: &MemoryStore, kind: &str, provider: &ScriptedProvider) -> (String, Vec<u8>) {
    let spy = ChaosStore::new(store, 0);
    let validator = plain(provider).store(spy.clone()).build().unwrap();
    validator.validate(intent("pi_1").key(key("click-1"))).await.unwrap();
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
        .mode(Mode::Live)
        .amount(1999, Currency::USD)
        .amount_received(1999)
        .amount_refunded(0)
        .metadata("store_id", "store_42")
}

#[tokio::test(start_paused = true)]
async fn what_one_process_asked_another_replays() {
    let (provider, store) = (provider(), MemoryStore::new());
    let (first, second) = (sharing(&provider, &store), sharing(&provider, &store));
    assert_eq!(first.validate(intent("pi_1")).await.unwrap().provenance(), Provenance::Fresh);
    tokio::time::advance(secs(60)).await;
    let replayed = second.validate(intent("pi_1")).await.unwrap();
    assert!(is_valid(&replayed));
    assert_eq!((replayed.provenance(), replayed.age()), (Provenance::Replayed, secs(60)));
    assert_eq!(provider.calls(), 1);
    tokio::time::advance(secs(15 * 60 - 59)).await;
    assert_eq!(second.validate(intent("pi_1")).await.unwrap().provenance(), Provenance::Fresh);
    assert_eq!(provider.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn two_processes_ask_once_and_both_answer() {
    let (provider, store) = (provider(), MemoryStore::new());
    provider.script("pi_1", [Step::Wait(secs(2))]);
    let (first, second) = (sharing(&provider, &store), sharing(&provider, &store));
    let (one, two) = (intent("pi_1"), intent_of("pi_1", "20.00"));
    let (one, two) = join!(first.validate(&one), async {
        settle().await;
        second.validate(&two).await
    });
    let (one, two) = (one.unwrap(), two.unwrap());
    assert!(is_valid(&one) && !is_valid(&two), "each by its own claims");
    assert_eq!((one.provenance(), two.provenance()), (Provenance::Fresh, Provenance::Coalesced));
    assert_eq!(provider.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_elsewhere_fail_with_the_flight() {
    let (provider, store) = (provider(), MemoryStore::new());
    provider.script("pi_1", [Step::Wait(secs(2)), ProviderError::refused("no").status(404).into()]);
    let (first, second) = (sharing(&provider, &store), sharing(&provider, &store));
    provider.always(Some(Step::Fail(busy())));
    let claims = intent("pi_1");
    let (one, two) = join!(first.validate(&claims), async {
        settle().await;
        second.validate(&claims).await
    });
    assert_eq!(one.unwrap_err().code(), "provider_refused");
    // A refused credential may be this process's own trouble, so the other asks for itself.
    assert_eq!(two.unwrap_err().code(), "provider_unavailable");
}

#[tokio::test(start_paused = true)]
async fn forgetting_reaches_a_flight_in_another_process() {
    let (provider, store) = (provider(), MemoryStore::new());
    provider.script("pi_1", [Step::Wait(secs(2))]);
    let (first, second) = (sharing(&provider, &store), sharing(&provider, &store));
    let claims = intent("pi_1");
    let (one, ()) = join!(first.validate(&claims), async {
        settle().await;
        second.forget(claims.payment()).await.unwrap();
        provider.put(paid("pi_1").amount_refunded(1999));
    });
    let one = one.unwrap();
    assert_eq!(one.degraded(), Some(Degradation::NotRecorded), "it gets its answer, and leaves nothing behind");
    assert!(!is_valid(&second.validate(&claims).await.unwrap()));
    assert!(!is_valid(&first.validate(&claims).await.unwrap()));
}

#[tokio::test(start_paused = true)]
async fn a_key_used_elsewhere_with_other_claims_is_refused_before_any_answer() {
    let (provider, store) = (provider(), MemoryStore::new());
    let (first, second) = (sharing(&provider, &store), sharing(&provider, &store));
    let key = IdempotencyKey::parse("click-1").unwrap();
    first.validate(intent("pi_1").key(key.clone())).await.unwrap();
    second.validate(intent("pi_1")).await.unwrap();
    let reused = second.validate(intent_of("pi_1", "20.00").key(key.clone())).await.unwrap_err();
    assert!(reused.is_key_reused());
    assert!(is_valid(&second.validate(intent("pi_1").key(key)).await.unwrap()));
}

// What was lost on the way.

#[tokio::test(start_paused = true)]
async fn a_claim_whose_reply_was_lost_is_recognised() {
    let (provider, store) = (provider(), MemoryStore::new());
    let (first, way) = flaky(&provider, &store);
    way.script(StoreVerb::Claim, [StoreFault::LostReply]);
    let one = first.validate(intent("pi_1")).await.unwrap();
    assert_eq!(marked(&one), (Provenance::Fresh, None));
    assert_eq!((provider.calls(), way.executed(StoreVerb::Claim)), (1, 2));
    assert_eq!(marked(&first.validate(intent("pi_1")).await.unwrap()), (Provenance::Replayed, None));
    let second = sharing(&provider, &store).validate(intent("pi_1")).await.unwrap();
    assert_eq!((marked(&second), provider.calls()), ((Provenance::Replayed, None), 1));
}

#[tokio::test(start_paused = true)]
async fn a_settling_whose_reply_was_lost_is_recognised() {
    let (provider, store) = (provider(), MemoryStore::new());
    let (first, way) = flaky(&provider, &store);
    way.script(StoreVerb::Replace, [StoreFault::LostReply]);
    assert_eq!(marked(&first.validate(intent("pi_1")).await.unwrap()), (Provenance::Fresh, None));
    assert_eq!(marked(&first.validate(intent("pi_1")).await.unwrap()), (Provenance::Replayed, None));
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_nobody_heard_of_holds_up_neither_its_own_process_nor_others() {
    let (provider, store) = (provider(), MemoryStore::new());
    let (first, way) = flaky(&provider, &store);
    way.script(StoreVerb::Claim, [StoreFault::NeverReplies]);
    let one = first.validate(intent("pi_1")).await.unwrap();
    assert_eq!(marked(&one), (Provenance::Degraded, Some(Degradation::StoreDown)));
    let start = Instant::now();
    let own = first.validate(intent("pi_1")).await;
    let own = (own.map(|validation| is_valid(&validation)).map_err(|error| error.code()), start.elapsed());
    let start = Instant::now();
    let other = sharing(&provider, &store).validate(intent("pi_1")).await;
    let other = (other.map(|validation| is_valid(&validation)).map_err(|error| error.code()), start.elapsed());
    assert!(own.0 == Ok(true) && own.1 < PROMPT, "own retry: {own:?}");
    assert!(other.0 == Ok(true) && other.1 < PROMPT, "another process: {other:?}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_could_not_be_recorded_holds_nobody_up() {
    let (provider, store) = (provider(), MemoryStore::new());
    let (first, way) = flaky(&provider, &store);
    way.script(StoreVerb::Replace, [StoreFault::NotSent, StoreFault::NotSent]);
    let one = first.validate(intent("pi_1")).await.unwrap();
    assert!(is_valid(&one));
    assert_eq!(marked(&one), (Provenance::Fresh, Some(Degradation::NotRecorded)));
    let start = Instant::now();
    let own = first.validate(intent("pi_1")).await;
    let own = (own.map(|validation| is_valid(&validation)).map_err(|error| error.code()), start.elapsed());
    let start = Instant::now();
    let other = sharing(&provider, &store).validate(intent("pi_1")).await;
    let other = (other.map(|validation| is_valid(&validation)).map_err(|error| error.code()), start.elapsed());
    assert!(own.0 == Ok(true) && own.1 < PROMPT, "own retry: {own:?}");
    assert!(other.0 == Ok(true) && other.1 < PROMPT, "another process: {other:?}");
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_could_not_be_recorded_holds_nobody_up() {
    let (provider, store) = (provider(), MemoryStore::new());
    let (first, way) = flaky(&provider, &store);
    provider.script("pi_1", [ProviderError::refused("no").status(404)]);
    way.script(StoreVerb::Remove, [StoreFault::NotSent, StoreFault::NotSent]);
    assert_eq!(first.validate(intent("pi_1")).await.unwrap_err().code(), "provider_refused");
    let start = Instant::now();
    let own = first.validate(intent("pi_1")).await;
    let own = (own.map(|validation| is_valid(&validation)).map_err(|error| error.code()), start.elapsed());
    assert!(own.0 == Ok(true) && own.1 < PROMPT, "own retry: {own:?}");
}

#[tokio::test(start_paused = true)]
async fn what_was_forgotten_does_not_come_back_with_a_repeated_claim() {
    let (store, (provider, _)) = (MemoryStore::new(), slow(secs(10), || paid("pi_1")));
    let spy = ChaosStore::new(&store, 0);
    spy.script([chaos_store::Fate::Ghost(secs(8))]);
    let first = over(&provider, &store).store(spy).build().unwrap();
    let second = over(&provider, &store).build().unwrap();
    let claims = intent("pi_1");
    let (one, ()) = join!(first.validate(&claims), async {
        sleep(secs(1)).await;
        second.forget(claims.payment()).await.unwrap();
    });
    assert_eq!(one.unwrap().degraded(), Some(Degradation::NotRecorded));
    let later = second.validate(&claims).await.unwrap();
    assert_eq!(later.provenance(), Provenance::Fresh, "facts from before the forgetting: {later:?}");
}

// The store is down.

#[tokio::test(start_paused = true)]
async fn a_store_that_is_down_costs_no_answer_and_is_said() {
    for fault in [StoreFault::NotSent, StoreFault::LostRequest, StoreFault::Refused, StoreFault::Never] {
        let (provider, store) = (provider(), MemoryStore::new());
        let (first, way) = flaky(&provider, &store);
        way.always(Some(fault));
        let one = first.validate(intent("pi_1")).await.unwrap();
        assert!(is_valid(&one));
        assert_eq!(marked(&one), (Provenance::Degraded, Some(Degradation::StoreDown)), "{fault:?}");
        assert_eq!(provider.calls(), 1);
        assert!(first.stats().store_failures >= 1);
        let error = first.forget(intent("pi_1").payment()).await.unwrap_err();
        assert!(error.is_store(), "to forget is to be sure: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_is_compared_in_this_process_while_the_store_is_down() {
    let (provider, store) = (provider(), MemoryStore::new());
    let (first, way) = flaky(&provider, &store);
    way.always(Some(StoreFault::NotSent));
    let one = first.validate(intent("pi_1").key(key("click-1"))).await.unwrap();
    assert_eq!(marked(&one), (Provenance::Degraded, Some(Degradation::StoreDown)));
    let reused = first.validate(intent_of("pi_1", "20.00").key(key("click-1"))).await.unwrap_err();
    assert!(reused.is_key_reused());
}

#[tokio::test(start_paused = true)]
async fn a_key_bound_while_the_store_was_down_is_bound_for_all_once_it_is_back() {
    let (provider, store) = (provider(), MemoryStore::new());
    let (first, way) = flaky(&provider, &store);
    let second = sharing(&provider, &store);
    way.always(Some(StoreFault::NotSent));
    first.validate(intent("pi_1").key(key("click-1"))).await.unwrap();
    way.always(None);
    let again = first.validate(intent("pi_1").key(key("click-1"))).await.unwrap();
    assert_eq!(again.degraded(), None, "the store is back");
    let reused = second.validate(intent_of("pi_1", "20.00").key(key("click-1"))).await;
    assert!(reused.is_err_and(|error| error.is_key_reused()), "an answer without a mark said that it was compared");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_others_use_by_now_is_reused_here_too() {
    let (provider, store) = (provider(), MemoryStore::new());
    let (first, second) = (sharing(&provider, &store), sharing(&provider, &store));
    let third = sharing(&provider, &store);
    let hour = 60 * 60;
    first.validate(intent("pi_1").key(key("click-1"))).await.unwrap();
    tokio::time::advance(secs(23 * hour)).await;
    second.validate(intent("pi_1").key(key("click-1"))).await.unwrap();
    tokio::time::advance(secs(hour + 1)).await;
    third.validate(intent_of("pi_1", "20.00").key(key("click-1"))).await.unwrap();
    let reused = second.validate(intent("pi_1").key(key("click-1"))).await;
    assert!(reused.is_err_and(|error| error.is_key_reused()), "since an hour ago it means something else");
}

#[tokio::test(start_paused = true)]
async fn the_binding_of_a_key_survives_a_lost_reply() {
    let (provider, store) = (provider(), MemoryStore::new());
    let (first, way) = flaky(&provider, &store);
    way.script(StoreVerb::Claim, [StoreFault::LostReply]);
    let one = first.validate(intent("pi_1").key(key("click-1"))).await.unwrap();
    assert_eq!(marked(&one), (Provenance::Fresh, None));
    let second = sharing(&provider, &store);
    assert!(is_valid(&second.validate(intent("pi_1").key(key("click-1"))).await.unwrap()));
    let reused = second.validate(intent_of("pi_1", "20.00").key(key("click-1"))).await.unwrap_err();
    assert!(reused.is_key_reused());
}

// What stands in the store and cannot be used.

#[tokio::test(start_paused = true)]
async fn foreign_bytes_under_our_key_are_an_error_and_no_miss() {
    for foreign in [&b"OK"[..], b"", b"{\"a\":1}", &[1], &[1, 0, 255, 255], &[0; 100]] {
        let (provider, store) = (provider(), MemoryStore::new());
        let (facts, _) = record(&store, ":facts:", &provider).await;
        put(&store, &facts, foreign).await;
        let (calls, validator) = (provider.calls(), sharing(&provider, &store));
        let error = validator.validate(intent("pi_1")).await.unwrap_err();
        assert!(error.is_store(), "{foreign:?}: {error}");
        assert_eq!((error.code(), provider.calls()), ("record_unreadable", calls));
        validator.forget(intent("pi_1").payment()).await.unwrap();
        assert!(is_valid(&validator.validate(intent("pi_1")).await.unwrap()), "forgotten, it is asked about again");
    }
}

#[tokio::test(start_paused = true)]
async fn a_damaged_record_of_ours_is_an_error_or_nothing_worse() {
    let (provider, store) = (provider(), MemoryStore::new());
    let (facts, bytes) = record(&store, ":facts:", &provider).await;
    for at in 0..bytes.len() {
        put(&store, &facts, &bytes[..at]).await;
        let error = sharing(&provider, &store).validate(intent("pi_1")).await.unwrap_err();
        assert!(error.is_store(), "cut at {at}: {error}");
    }
    put(&store, &facts, &[&*bytes, b"x"].concat()).await;
    assert!(sharing(&provider, &store).validate(intent("pi_1")).await.unwrap_err().is_store());
}

#[tokio::test(start_paused = true)]
async fn a_foreign_record_of_a_key_is_an_error_and_no_miss() {
    let (provider, store) = (provider(), MemoryStore::new());
    let (place, _) = record(&store, ":key:", &provider).await;
    put(&store, &place, b"OK").await;
    let error = sharing(&provider, &store).validate(intent("pi_1").key(key("click-1"))).await.unwrap_err();
    assert_eq!(error.code(), "record_unreadable");
}

#[tokio::test(start_paused = true)]
async fn a_record_of_a_newer_release_counts_as_a_store_that_is_down() {
    let (provider, store) = (provider(), MemoryStore::new());
    let (facts, mut bytes) = record(&store, ":facts:", &provider).await;
    bytes[0] += 1;
    put(&store, &facts, &bytes).await;
    let calls = provider.calls();
    let one = sharing(&provider, &store).validate(intent("pi_1")).await.unwrap();
    assert_eq!(marked(&one), (Provenance::Degraded, Some(Degradation::StoreDown)));
    assert_eq!(provider.calls(), calls + 1);
    assert_eq!(store.get(&facts).await.unwrap().unwrap().bytes, bytes, "it is left alone");
}

#[tokio::test(start_paused = true)]
async fn records_of_another_record_key_are_unreadable_in_both_directions() {
    for (ours, theirs) in [(Some([1; 32]), None), (None, Some([1; 32])), (Some([1; 32]), Some([2; 32]))] {
        let (provider, store) = (provider(), MemoryStore::new());
        let with = |record_key: Option<[u8; 32]>| {
            let builder = plain(&provider).store(store.clone());
            record_key.map_or_else(|| plain(&provider).store(store.clone()), |key| builder.record_key(key))
        };
        let (first, second) = (with(ours).build().unwrap(), with(theirs).build().unwrap());
        first.validate(intent("pi_1")).await.unwrap();
        assert_eq!(second.validate(intent("pi_1")).await.unwrap_err().code(), "record_unreadable");
        let same = with(ours).build().unwrap();
        assert_eq!(same.validate(intent("pi_1")).await.unwrap().provenance(), Provenance::Replayed);
    }
}

#[tokio::test(start_paused = true)]
async fn processes_that_read_other_metadata_extend_what_is_kept() {
    let (provider, store) = (provider(), MemoryStore::new());
    provider.put(paid("pi_1").metadata("shop", "store_42").metadata("cart", "6735"));
    let builder = || plain(&provider).store(store.clone()).facts_in_memory_for(ms(0));
    let first = builder().build().unwrap();
    let second = builder().tenant_proof(payproof::TenantProof::metadata("shop")).order_key("cart").build().unwrap();
    for round in 0..5 {
        for validator in [&first, &second] {
            let answer = validator.validate(intent("pi_1")).await.unwrap();
            assert!(is_valid(&answer), "round {round}: {answer:?}");
            tokio::time::advance(secs(1)).await;
        }
    }
    assert!(provider.calls() <= 3, "they asked {} times", provider.calls());
}

// In memory.

#[tokio::test(start_paused = true)]
async fn lasting_facts_of_the_store_are_in_memory_for_five_seconds() {
    let (provider, store) = (provider(), MemoryStore::new());
    let way = FlakyStore::new(store.clone());
    let first = plain(&provider).store(way.clone()).build().unwrap();
    sharing(&provider, &store).validate(intent("pi_1")).await.unwrap();
    first.validate(intent("pi_1")).await.unwrap();
    assert_eq!(way.calls(StoreVerb::Claim), 1);
    tokio::time::advance(ms(4_999)).await;
    first.validate(intent("pi_1")).await.unwrap();
    first.validate(intent_of("pi_1", "20.00")).await.unwrap();
    assert_eq!(way.calls(StoreVerb::Claim), 1);
    tokio::time::advance(ms(2)).await;
    first.validate(intent("pi_1")).await.unwrap();
    assert_eq!((way.calls(StoreVerb::Claim), provider.calls()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn what_may_change_at_any_moment_is_not_in_memory() {
    let (provider, store) = (provider(), MemoryStore::new());
    provider.put(ProviderPayment::new("pi_1", PaymentStatus::Processing).mode(Mode::Live));
    let way = FlakyStore::new(store.clone());
    let first = plain(&provider).store(way.clone()).build().unwrap();
    for calls in 1..=3 {
        first.validate(intent("pi_1")).await.unwrap();
        assert_eq!(way.calls(StoreVerb::Claim), calls);
    }
    assert_eq!(provider.calls(), 1, "but it is in the store, for two seconds");
    tokio::time::advance(secs(2)).await;
    first.validate(intent("pi_1")).await.unwrap();
    assert_eq!(provider.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn after_forgetting_elsewhere_memory_serves_no_longer_than_it_says() {
    let (provider, store) = (provider(), MemoryStore::new());
    let way = FlakyStore::new(store.clone());
    let first = plain(&provider).store(way.clone()).build().unwrap();
    let second = sharing(&provider, &store);
    second.validate(intent("pi_1")).await.unwrap();
    way.script(StoreVerb::Claim, [StoreFault::SlowReply(ms(900))]);
    let claims = intent("pi_1");
    let (_, ()) = join!(first.validate(&claims), async {
        sleep(ms(100)).await;
        second.forget(claims.payment()).await.unwrap();
        provider.put(paid("pi_1").amount_refunded(1999));
    });
    tokio::time::advance(ms(5_000 - 800 + 10)).await;
    assert!(!is_valid(&first.validate(intent("pi_1")).await.unwrap()), "5.01 s after the forgetting");
}

#[tokio::test(start_paused = true)]
async fn after_forgetting_elsewhere_what_was_asked_without_the_store_is_served_no_longer_than_memory_says() {
    let store = MemoryStore::new();
    let (provider, calls) = slow(secs(3), || paid("pi_1"));
    let way = FlakyStore::new(store.clone());
    let first = over(&provider, &store).store(way.clone()).facts_in_memory_for(secs(5)).build().unwrap();
    let second = over(&provider, &store).build().unwrap();
    way.script(StoreVerb::Claim, [StoreFault::NotSent, StoreFault::NotSent]);
    let claims = intent("pi_1");
    let (one, ()) = join!(first.validate(&claims), async {
        sleep(secs(1)).await;
        second.forget(claims.payment()).await.unwrap();
    });
    assert_eq!(one.unwrap().degraded(), Some(Degradation::StoreDown));
    sleep(ms(3_500)).await;
    let later = first.validate(&claims).await.unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 2, "5.5 s after the forgetting, facts from before: {later:?}");
}

#[tokio::test(start_paused = true)]
async fn what_can_be_mended_is_asked_about_again_after_two_seconds() {
    let (provider, store) = (provider(), MemoryStore::new());
    provider.put(out_of_order());
    let (first, second) = (sharing(&provider, &store), sharing(&provider, &store));
    assert!(!is_valid(&first.validate(intent("pi_1")).await.unwrap()));
    provider.put(paid("pi_1"));
    tokio::time::advance(ms(1_900)).await;
    assert!(!is_valid(&second.validate(intent("pi_1")).await.unwrap()));
    assert_eq!(provider.calls(), 1);
    tokio::time::advance(ms(200)).await;
    let mended = second.validate(intent("pi_1")).await.unwrap();
    assert!(is_valid(&mended), "{mended:?}");
    assert_eq!((mended.provenance(), provider.calls()), (Provenance::Fresh, 2));
}

// The provider is down.

fn serving_stale(provider: &ScriptedProvider, store: &MemoryStore) -> ValidatorBuilder {
    let up_to = WhenProviderIsDown::ServeStale { up_to: secs(60 * 60) };
    plain(provider).store(store.clone()).facts_in_memory_for(ms(0)).when_provider_is_down(up_to)
}

#[tokio::test(start_paused = true)]
async fn while_the_provider_is_down_even_a_process_that_never_saw_the_payment_serves_it() {
    let (provider, store) = (provider(), MemoryStore::new());
    let (first, second) =
        (serving_stale(&provider, &store).build().unwrap(), serving_stale(&provider, &store).build().unwrap());
    let start = Instant::now();
    first.validate(intent("pi_1")).await.unwrap();
    tokio::time::advance(secs(20 * 60)).await;
    provider.always(Some(Step::Fail(busy())));
    for validator in [&first, &second, &first] {
        let stale = validator.validate(intent("pi_1")).await.unwrap();
        assert!(is_valid(&stale));
        assert_eq!(marked(&stale), (Provenance::Degraded, Some(Degradation::ProviderDown)));
        assert!(stale.age() >= start.elapsed() - ms(1), "{:?} of {:?}", stale.age(), start.elapsed());
    }
    tokio::time::advance(secs(60 * 60)).await;
    assert_eq!(second.validate(intent("pi_1")).await.unwrap_err().code(), "provider_unavailable");
}

#[tokio::test(start_paused = true)]
async fn facts_grow_older_while_the_provider_is_asked_in_vain() {
    let (provider, store) = (provider(), MemoryStore::new());
    let (first, second) =
        (serving_stale(&provider, &store).build().unwrap(), serving_stale(&provider, &store).build().unwrap());
    let start = Instant::now();
    first.validate(intent("pi_1")).await.unwrap();
    tokio::time::advance(secs(20 * 60)).await;
    provider.always(Some(Step::Never));
    for round in 0..3 {
        for validator in [&first, &second] {
            let stale = validator.validate(intent("pi_1")).await.unwrap();
            assert_eq!(marked(&stale), (Provenance::Degraded, Some(Degradation::ProviderDown)));
            let truth = start.elapsed();
            assert!(stale.age() >= truth - secs(1), "round {round}: {:?} of {truth:?}", stale.age());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn facts_grow_older_under_a_lease_that_is_renewed() {
    let (provider, store) = (provider(), MemoryStore::new());
    let renewing = || serving_stale(&provider, &store).renewed_lease(secs(6)).build().unwrap();
    let (first, second) = (renewing(), renewing());
    let start = Instant::now();
    first.validate(intent("pi_1")).await.unwrap();
    tokio::time::advance(secs(20 * 60)).await;
    provider.always(Some(Step::Never));
    let claims = intent("pi_1");
    let (_, stale) = join!(first.validate(&claims), async {
        settle().await;
        let stale = second.validate(&claims).deadline(secs(40)).await.unwrap();
        (stale, start.elapsed())
    });
    let (stale, truth) = stale;
    assert_eq!(marked(&stale), (Provenance::Degraded, Some(Degradation::ProviderDown)));
    assert!(stale.age() >= truth - secs(1), "{:?} of {truth:?}", stale.age());
}

#[tokio::test(start_paused = true)]
async fn neither_a_crash_nor_a_panic_nor_a_lost_failure_loses_what_was_known() {
    for how in ["crash", "panic", "lost failure"] {
        let (provider, store) = (provider(), MemoryStore::new());
        let spy = ChaosStore::new(&store, 0);
        let (first, second) = (
            serving_stale(&provider, &store).store(spy.clone()).build().unwrap(),
            serving_stale(&provider, &store).build().unwrap(),
        );
        second.validate(intent("pi_1")).await.unwrap();
        tokio::time::advance(secs(20 * 60)).await;
        match how {
            "crash" => {
                provider.script("pi_1", [Step::Never]);
                timeout(secs(1), first.validate(intent("pi_1"))).await.unwrap_err();
                spy.crash();
            }
            "panic" => {
                provider.script("pi_1", [Step::Panic]);
                first.validate(intent("pi_1")).await.unwrap();
                settle().await;
            }
            _ => {
                provider.always(Some(Step::Fail(busy())));
                spy.script([chaos_store::Fate::Made, chaos_store::Fate::Made]);
                spy.script([chaos_store::Fate::NotSent, chaos_store::Fate::NotSent]);
                first.validate(intent("pi_1")).await.unwrap();
            }
        }
        provider.always(Some(Step::Fail(busy())));
        // Long enough for every lease, and for the claims themselves.
        tokio::time::advance(secs(10 * 60)).await;
        let stale = second.validate(intent("pi_1")).await;
        assert!(stale.is_ok_and(|stale| is_valid(&stale)), "after a {how}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_can_be_mended_is_served_stale_too_while_the_provider_is_down() {
    let (provider, store) = (provider(), MemoryStore::new());
    provider.put(out_of_order());
    let shared = serving_stale(&provider, &store).build().unwrap();
    let up_to = WhenProviderIsDown::ServeStale { up_to: secs(60 * 60) };
    let alone = plain(&provider).when_provider_is_down(up_to).build().unwrap();
    for validator in [&shared, &alone] {
        validator.validate(intent("pi_1")).await.unwrap();
    }
    tokio::time::advance(secs(60)).await;
    provider.always(Some(Step::Fail(busy())));
    for validator in [&alone, &shared] {
        let stale = validator.validate(intent("pi_1")).await.unwrap();
        assert_eq!(marked(&stale), (Provenance::Degraded, Some(Degradation::ProviderDown)));
    }
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_elsewhere_fail_alike_and_those_who_come_later_ask_anew() {
    let (provider, store) = (provider(), MemoryStore::new());
    let error = ProviderError::refused("later").status(429).retry_after(secs(90));
    provider.script("pi_1", [Step::Wait(secs(2)), error.into()]);
    let (first, second) = (sharing(&provider, &store), sharing(&provider, &store));
    let claims = intent("pi_1");
    let (one, two) = join!(first.validate(&claims), async {
        settle().await;
        second.validate(&claims).await
    });
    let (one, two) = (one.unwrap_err(), two.unwrap_err());
    assert_eq!((one.code(), two.code()), ("rate_limited", "rate_limited"));
    assert_eq!((one.retry_after(), two.retry_after()), (Some(secs(90)), Some(secs(90))));
    assert!(two.is_rate_limited() && two.http_status() == one.http_status());
    assert_eq!(provider.calls(), 1);
    let third = sharing(&provider, &store).validate(&claims).await.unwrap();
    assert_eq!((third.provenance(), provider.calls()), (Provenance::Fresh, 2), "no failure is kept for newcomers");
}

// Leases.

#[test]
fn a_lease_shorter_than_the_longest_validation_is_refused_with_both_numbers() {
    let build = |lease| plain(&provider()).store(MemoryStore::new()).lease(lease).build();
    let error = build(secs(60)).unwrap_err();
    let BuildError::Contradiction { shorter_value, longer_value, .. } = &error else { panic!("{error:?}") };
    let worst_case = plain(&provider()).store(MemoryStore::new()).build().unwrap().worst_case();
    assert!(*shorter_value > worst_case && *longer_value == secs(60), "{error}");
    let text = error.to_string();
    assert!(text.contains("60s") && text.contains(&format!("{shorter_value:?}")), "{text}");
    build(*shorter_value).unwrap();
    build(*shorter_value - ms(1)).unwrap_err();
    plain(&provider()).store(MemoryStore::new()).renewed_lease(secs(6)).build().unwrap();
    plain(&provider()).store(MemoryStore::new()).renewed_lease(secs(5)).build().unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_renewed_lease_holds_for_as_long_as_the_provider_takes() {
    let store = MemoryStore::new();
    let (provider, calls) = slow(secs(25), || paid("pi_1"));
    let renewing = || over(&provider, &store).renewed_lease(secs(6)).build().unwrap();
    let (first, second, claims) = (renewing(), renewing(), intent("pi_1"));
    let (one, two) = join!(first.validate(&claims), async {
        sleep(secs(1)).await;
        second.validate(&claims).await
    });
    assert_eq!(marked(&one.unwrap()), (Provenance::Fresh, None));
    assert_eq!(marked(&two.unwrap()), (Provenance::Coalesced, None));
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_crashed_is_taken_over_from_when_its_lease_is_over() {
    let store = MemoryStore::new();
    let (provider, calls) = slow(secs(3), || paid("pi_1"));
    let spy = ChaosStore::new(&store, 0);
    let first = over(&provider, &store).store(spy.clone()).renewed_lease(secs(6)).build().unwrap();
    let second = over(&provider, &store).renewed_lease(secs(6)).build().unwrap();
    let claims = intent("pi_1");
    let crashed = tokio::spawn(first.validate(&claims));
    sleep(secs(1)).await;
    spy.crash();
    crashed.abort();
    let start = Instant::now();
    let two = second.validate(&claims).await.unwrap();
    assert_eq!(marked(&two), (Provenance::Fresh, None));
    assert!(start.elapsed() < secs(6 + 3 + 1), "{:?}", start.elapsed());
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_crashed_process_is_told_how_long() {
    let store = MemoryStore::new();
    let (provider, _) = slow(secs(3), || paid("pi_1"));
    let spy = ChaosStore::new(&store, 0);
    let first = over(&provider, &store).store(spy.clone()).lease(secs(160)).build().unwrap();
    let second = over(&provider, &store).total_deadline(secs(20)).build().unwrap();
    let claims = intent("pi_1");
    let crashed = tokio::spawn(first.validate(&claims));
    sleep(secs(1)).await;
    spy.crash();
    crashed.abort();
    let start = Instant::now();
    let error = second.validate(&claims).await.unwrap_err();
    assert!(error.is_in_progress(), "{error}");
    assert!(start.elapsed() <= secs(20));
    let wait = error.retry_after().unwrap();
    assert!(wait > secs(130) && wait < secs(160), "{wait:?}");
    sleep(wait).await;
    assert!(is_valid(&second.validate(&claims).await.unwrap()));
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_provider_gives_its_place_to_those_who_wait_elsewhere() {
    let (provider, store) = (provider(), MemoryStore::new());
    provider.script("pi_1", [Step::Wait(secs(2)), Step::Panic]);
    let (first, second) = (sharing(&provider, &store), sharing(&provider, &store));
    let claims = intent("pi_1");
    let start = Instant::now();
    let (one, two) = join!(first.validate(&claims), async {
        settle().await;
        second.validate(&claims).await
    });
    assert_eq!(one.unwrap_err().code(), "interrupted");
    assert!(is_valid(&two.unwrap()));
    assert!(start.elapsed() < PROMPT, "{:?}", start.elapsed());
}

// Callers.

#[tokio::test(start_paused = true)]
async fn an_impatient_caller_leaves_alone_and_a_dropped_one_drops_nothing() {
    let store = MemoryStore::new();
    let (provider, calls) = slow(secs(5), || paid("pi_1"));
    let (first, second) = (over(&provider, &store).build().unwrap(), over(&provider, &store).build().unwrap());
    let claims = intent("pi_1");
    timeout(secs(1), first.validate(&claims)).await.unwrap_err();
    let start = Instant::now();
    let error = second.validate(&claims).deadline(secs(1)).await.unwrap_err();
    assert_eq!((error.code(), start.elapsed()), ("deadline_exceeded", secs(1)));
    assert!(is_valid(&second.validate(&claims).await.unwrap()));
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn the_longest_validation_takes_no_longer_than_it_says() {
    let (provider, store) = (provider(), MemoryStore::new());
    provider.put(out_of_order());
    sharing(&provider, &store).validate(intent("pi_1")).await.unwrap();
    tokio::time::advance(secs(60)).await;
    provider.always(Some(Step::Never));
    let spy = ChaosStore::new(&store, 0);
    let first = serving_stale(&provider, &store).store(spy.clone()).total_deadline(secs(20)).build().unwrap();
    // Each call to the store breaks at the last moment, and is answered at the last moment when it is repeated.
    spy.script([chaos_store::Fate::Breaks(ms(990)), chaos_store::Fate::StallBefore(ms(990))].repeat(40));
    let start = Instant::now();
    let _ = first.validate(intent("pi_1").key(key("click-1"))).await;
    assert!(start.elapsed() <= first.worst_case(), "{:?} of {:?}", start.elapsed(), first.worst_case());
}

#[tokio::test(start_paused = true)]
async fn a_caller_with_a_key_is_told_its_own_deadline() {
    let (provider, store) = (provider(), MemoryStore::new());
    let (first, way) = flaky(&provider, &store);
    provider.script("pi_1", [Step::Never]);
    way.script(StoreVerb::Claim, [StoreFault::SlowReply(ms(900))]);
    let error = first.validate(intent("pi_1").key(key("click-1"))).deadline(secs(2)).await.unwrap_err();
    assert!(error.to_string().contains("2s"), "{error}");
}

#[test]
fn outside_a_runtime_there_is_an_error_and_no_panic() {
    let (provider, store) = (provider(), MemoryStore::new());
    let validator = sharing(&provider, &store);
    for claims in [intent("pi_1"), intent("pi_1").key(key("click-1"))] {
        match poll_now(validator.validate(&claims)) {
            std::task::Poll::Ready(Err(error)) => assert_eq!(error.code(), "no_runtime"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn to_forget_outside_a_runtime_is_an_error_and_no_panic() {
    let (provider, store) = (provider(), MemoryStore::new());
    let validator = sharing(&provider, &store);
    assert!(matches!(poll_now(validator.forget(intent("pi_1").payment())), std::task::Poll::Ready(Err(_))));
}

// One provider call for all.

#[tokio::test(start_paused = true)]
async fn a_call_that_joined_a_flight_stays_with_it_however_long_it_takes() {
    let store = MemoryStore::new();
    let (provider, calls) = slow(secs(10), || paid("pi_1"));
    let validators: Vec<_> = (0..5).map(|_| over(&provider, &store).build().unwrap()).collect();
    let mut tasks = Vec::new();
    for validator in &validators {
        tasks.push(tokio::spawn(validator.validate(intent("pi_1")).max_age(secs(2))));
        settle().await;
    }
    for task in tasks {
        assert!(is_valid(&task.await.unwrap().unwrap()));
    }
    assert_eq!(calls.load(Ordering::Relaxed), 1, "the attempt started within everybody's max_age");
}

#[tokio::test(start_paused = true)]
async fn those_who_waited_take_the_answer_even_where_nothing_is_fresh() {
    let store = MemoryStore::new();
    let (provider, calls) = slow(secs(3), || paid("pi_1"));
    let validators: Vec<_> = (0..5).map(|_| over(&provider, &store).fresh_for(secs(0)).build().unwrap()).collect();
    let (mut tasks, start) = (Vec::new(), Instant::now());
    for validator in &validators {
        tasks.push(tokio::spawn(validator.validate(intent("pi_1"))));
        settle().await;
    }
    for task in tasks {
        assert!(is_valid(&task.await.unwrap().unwrap()));
    }
    assert_eq!((calls.load(Ordering::Relaxed), start.elapsed() < secs(6)), (1, true), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_renewed_lease_does_not_make_an_attempt_younger() {
    let store = MemoryStore::new();
    let (provider, calls) = slow(secs(25), || paid("pi_1"));
    let renewing = || over(&provider, &store).renewed_lease(secs(6)).build().unwrap();
    let (first, second, claims) = (renewing(), renewing(), intent("pi_1"));
    let (_, two) = join!(first.validate(&claims), async {
        sleep(secs(20)).await;
        second.validate(&claims).max_age(secs(3)).await
    });
    assert!(is_valid(&two.unwrap()));
    assert_eq!(calls.load(Ordering::Relaxed), 2, "the first attempt started 20 s before, and 3 s were allowed");
}

#[tokio::test(start_paused = true)]
async fn who_asks_after_a_forgetting_elsewhere_does_not_join_a_flight_from_before() {
    let (provider, store) = (provider(), MemoryStore::new());
    // The provider reads the payment, and takes its time to answer.
    provider.script("pi_1", [Step::from(paid("pi_1"))]);
    let read_then_wait = {
        let provider = provider.clone();
        provider_fn(ProviderIdentity::new("scripted").only_account(), move |payment, call| {
            let provider = provider.clone();
            async move {
                let facts = provider.look_up(&payment, &call).await;
                sleep(secs(3)).await;
                facts
            }
        })
    };
    let read_then_wait = Arc::new(read_then_wait);
    let (first, second) =
        (over(&read_then_wait, &store).build().unwrap(), over(&read_then_wait, &store).build().unwrap());
    let claims = intent("pi_1");
    let (one, later) = join!(first.validate(&claims), async {
        sleep(secs(1)).await;
        provider.put(paid("pi_1").amount_refunded(1999));
        second.forget(claims.payment()).await.unwrap();
        sleep(secs(1)).await;
        first.validate(&claims).await
    });
    assert!(is_valid(&one.unwrap()), "it began before");
    assert!(!is_valid(&later.unwrap()), "it began after the payment was forgotten, and is told of before");
}

// Secrets.

#[tokio::test(start_paused = true)]
async fn no_store_key_and_no_debug_text_says_whose_payment_it_is() {
    let (provider, store) = (provider(), MemoryStore::new());
    let spy = ChaosStore::new(&store, 0);
    let builder = plain(&provider)
        .store(spy.clone())
        .record_key([0xAB; 32])
        .only_instance()
        .restart_loses_at_most(RestartLoss::All);
    let shown = format!("{builder:?} {builder:#?}");
    let validator = builder.build().unwrap();
    let shown = format!("{shown} {validator:?}");
    for secret in ["171, 171", "abab", "ABAB", "0xab"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    let claims = intent("pi_1").key(key("click-secret"));
    let validation = validator.validate(&claims).await.unwrap();
    let payproof::Verdict::Valid(proof) = validation.into_verdict() else { panic!("it is paid") };
    let receipt = validator.redeem(&proof).await.unwrap().into_receipt();
    validator.redemption(proof.payment()).await.unwrap();
    validator.release(&receipt).await.unwrap();
    validator.forget(proof.payment()).await.unwrap();
    let keys = spy.keys();
    assert!(keys.iter().any(|key| key.contains(":order:")) && keys.iter().any(|key| key.contains(":key:")));
    for key in keys {
        for text in ["pi_1", "store_42", "6735", "click", "secret"] {
            assert!(!key.contains(text), "{text} in {key}");
        }
        assert!(key.starts_with("payproof:") && key.len() < 100, "{key}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_waited_and_stood_still_gets_no_stale_valid() {
    let (provider, store) = (provider(), MemoryStore::new());
    provider.script("pi_1", [Step::Wait(ms(300))]);
    let (asks, waits) = (sharing(&provider, &store), sharing(&provider, &store));
    let leader = tokio::spawn(async move { asks.validate(intent("pi_1")).await });
    sleep(ms(10)).await;
    let waiter = tokio::spawn(async move { waits.validate(intent("pi_1")).max_age(secs(30)).await });
    leader.await.unwrap().unwrap();
    // The process that waits stands still for two hours, and the payment is refunded meanwhile.
    provider.put(paid("pi_1").amount_refunded(1999));
    tokio::time::advance(secs(7200)).await;
    assert!(!waiter.await.unwrap().is_ok_and(|validation| is_valid(&validation)));
}

#[tokio::test(start_paused = true)]
async fn callers_of_a_hot_payment_share_their_flights() {
    let (provider, store) = (provider(), MemoryStore::new());
    let slow = FlakyStore::new(store);
    slow.always(Some(StoreFault::SlowReply(ms(20))));
    let validator = plain(&provider).store(slow.clone()).facts_in_memory_for(ms(0)).build().unwrap();
    validator.validate(intent("pi_1")).await.unwrap();
    let before = slow.calls(StoreVerb::Claim);
    let mut callers = Vec::new();
    for _ in 0..200 {
        let validator = validator.clone();
        callers.push(tokio::spawn(async move {
            let begin = Instant::now();
            validator.validate(intent("pi_1")).await.unwrap();
            begin.elapsed()
        }));
        sleep(ms(1)).await;
    }
    for caller in callers {
        assert!(caller.await.unwrap() <= ms(65), "its own look, and at most one that began before it");
    }
    assert!(slow.calls(StoreVerb::Claim) - before <= 15);
}
