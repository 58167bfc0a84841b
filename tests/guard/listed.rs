//! The list of indeterminate operations: its pages, how long it is kept, and the provider's key of each.

use std::time::Duration;

use payproof::Validator;
use payproof::guard::{Effect, EffectCall, Guard, IndeterminateOperation, Operation, Resolution};
use payproof::health::HealthReason;
use payproof::provider::ProviderError;
use payproof::store::{MemoryStore, Store};
use payproof::testing::{FlakyStore, StoreFault, StoreVerb};
use tokio::time::{advance, sleep};

use crate::resolving::marking_late;
use crate::support::{busy, ms, paused_runtime, secs, settle};
use crate::{Act, DAY, Desk, crash, guard_on, keyed, plain, unkeyed};

/// A validator of its own process, where the tenant's share of the list is this.
fn sharing(store: &(impl Store + Clone), share: usize) -> Validator {
    plain().store(store.clone()).max_indeterminate_per_tenant(share).build().unwrap()
}

async fn fail(guard: &Guard, key: usize) {
    let operation = Operation::new("t", "payout", key.to_string(), Effect::write()).unwrap();
    let lost = |_: EffectCall| async { Err::<(), _>(ProviderError::outcome_unknown("reset")) };
    guard.run(&operation, lost).await.unwrap_err();
}

/// One whose end is unknown, and which may be run again under the provider's key.
async fn fail_keyed(guard: &Guard) {
    let lost = |call: EffectCall| async move {
        let _ = call.provider_key();
        Err::<(), _>(ProviderError::outcome_unknown("reset"))
    };
    guard.run(&keyed(), lost).await.unwrap_err();
}

/// How long the provider's key protects the first on the list.
async fn key_left(guard: &Guard) -> Option<Duration> {
    guard.indeterminate().await.unwrap().iter().next().unwrap().key_left()
}

#[tokio::test(start_paused = true)]
async fn what_one_page_has_no_room_for_is_on_the_next() {
    let store = MemoryStore::new();
    let guard = sharing(&store, 2_000).guard();
    for key in 0..501 {
        fail(&guard, key).await;
    }
    let list = guard.indeterminate().await.unwrap();
    assert_eq!((list.len(), list.not_listed()), (501, 0));
    // Run again, it is listed once, and one that is resolved leaves its page.
    fail(&guard, 500).await;
    let moved = Operation::new("t", "payout", "500", Effect::write()).unwrap();
    assert_eq!(guard.indeterminate().await.unwrap().len(), 501);
    guard.resolve(&moved, Resolution::not_executed(), "ada").await.unwrap();
    let list = guard.indeterminate().await.unwrap();
    assert!(list.len() == 500 && list.iter().all(|one| one.reference() != guard.reference(&moved)));
}

#[tokio::test(start_paused = true)]
async fn a_full_list_is_told_by_health() {
    let validator = sharing(&MemoryStore::new(), 2);
    for key in 0..5 {
        fail(&validator.guard(), key).await;
    }
    let health = validator.health().await;
    let not_listed = HealthReason::NotListed { operations: 3, requests: 0 };
    assert!(health.reasons().contains(&not_listed), "{health:?}");
    let page = serde_json::to_value(&health).unwrap();
    assert!(page.to_string().contains(r#""code":"indeterminate_not_listed""#), "{page}");
}

#[tokio::test(start_paused = true)]
async fn who_lists_for_a_shorter_time_does_not_shorten_the_list() {
    let store = MemoryStore::new();
    let guard = guard_on(&store);
    guard.run(&unkeyed(), Desk::with([Act::Fail(busy())]).keyless()).await.unwrap_err();
    fail(&guard_on(&store).write_retention(secs(3_600)), 1).await;
    advance(secs(7_200)).await;
    let list = guard.indeterminate().await.unwrap();
    assert_eq!(list.iter().map(IndeterminateOperation::reference).collect::<Vec<_>>(), [guard.reference(&unkeyed())]);
}

#[tokio::test(start_paused = true)]
async fn an_operation_whose_provider_key_ends_soon_is_told() {
    let validator = sharing(&MemoryStore::new(), 2_000);
    let guard = validator.guard();
    fail_keyed(&guard).await;
    let ending = async || {
        let health = validator.health().await;
        health.reasons().iter().find(|reason| reason.code() == "provider_keys_ending").cloned()
    };
    let left = key_left(&guard).await.unwrap();
    assert!(left < DAY && left + secs(600) > DAY, "{left:?}");
    assert_eq!(ending().await, None);
    advance(left.saturating_sub(secs(7_000))).await;
    let Some(HealthReason::ProviderKeysEnding { operations: 1, soonest }) = ending().await else {
        panic!("{:?}", validator.health().await)
    };
    assert!((secs(6_990)..=secs(7_000)).contains(&soonest), "{soonest:?}");
    advance(secs(7_000)).await;
    assert_eq!((key_left(&guard).await, ending().await), (None, None), "it is as any other from then on");
    // One that nothing protects has no such time.
    let guard = guard_on(&MemoryStore::new());
    fail(&guard, 1).await;
    assert_eq!(key_left(&guard).await, None);
}

/// How many are on the list, and how many are counted.
async fn counts(guard: &Guard) -> (usize, u64) {
    let list = guard.indeterminate().await.unwrap();
    (list.len(), list.not_listed())
}

async fn resolve_all(guard: &Guard) {
    for one in &guard.indeterminate().await.unwrap() {
        guard.resolve_reference(one.reference(), Resolution::not_executed(), "ada").await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_process_counted_that_is_gone_is_forgotten_once_there_has_long_been_room() {
    let store = MemoryStore::new();
    let gone = sharing(&store, 2).guard();
    for key in 0..4 {
        fail(&gone, key).await;
    }
    drop(gone);
    let guard = sharing(&store, 2).guard();
    advance(secs(3_600)).await;
    assert_eq!(counts(&guard).await, (2, 2), "its tenant's share is full");
    resolve_all(&guard).await;
    advance(secs(240)).await;
    assert_eq!(counts(&guard).await, (0, 2), "its process may be about to list them");
    advance(secs(120)).await;
    assert_eq!(counts(&guard).await, (0, 0));
}

#[tokio::test(start_paused = true)]
async fn several_calls_of_one_operation_count_it_once() {
    let inner = MemoryStore::new();
    for key in 0..2 {
        fail(&sharing(&inner, 1).guard(), key).await;
    }
    let slow = FlakyStore::new(inner.clone());
    slow.always(Some(StoreFault::Slow(ms(10))));
    let guard = sharing(&slow, 1).guard();
    tokio::join!(fail(&guard, 1), fail(&guard, 1), fail(&guard, 1));
    assert_eq!(counts(&guard).await, (1, 2), "once by each process");
}

#[tokio::test(start_paused = true)]
async fn a_look_at_the_list_lists_twenty_at_most_that_waited() {
    let store = MemoryStore::new();
    let guard = sharing(&store, 30).guard();
    for key in 0..60 {
        fail(&guard, key).await;
    }
    resolve_all(&sharing(&store, 30).guard()).await;
    assert_eq!(counts(&guard).await, (20, 10));
    assert_eq!(counts(&guard).await, (30, 0));
}

#[test]
fn what_is_run_again_while_it_is_listed_stays_on_the_list() {
    let inner = MemoryStore::new();
    crash(|| guard_on(&inner), &unkeyed(), &Desk::default());
    paused_runtime().block_on(async {
        let (marking, person) = (marking_late(&inner).await, guard_on(&inner));
        // Until then a person gives it a new round and it is run again.
        person.resolve(&unkeyed(), Resolution::not_executed(), "ops").await.unwrap();
        let run = tokio::spawn(person.run(&unkeyed(), Desk::with([Act::Never]).keyless()).into_future());
        settle().await;
        assert!(marking.await.unwrap());
        assert_eq!(person.indeterminate().await.unwrap().len(), 1, "its process may end without a word");
        run.abort();
    });
}

#[tokio::test(start_paused = true)]
async fn what_becomes_indeterminate_again_while_it_is_taken_off_stays_on_the_list() {
    for reads_list in [false, true] {
        let inner = MemoryStore::new();
        let (slow, other) = (FlakyStore::new(inner.clone()), guard_on(&inner));
        let guard = guard_on(&slow);
        let run = async || other.run(&unkeyed(), Desk::with([Act::Fail(busy())]).keyless()).await.unwrap_err();
        run().await;
        let late = StoreFault::SlowReply(ms(500));
        let taking_off = if reads_list {
            let place = format!("payproof:operation:{{{}}}", guard.reference(&unkeyed()));
            let stored = inner.get(&place).await.unwrap().unwrap();
            inner.remove(&place, &stored.bytes).await.unwrap();
            // The list, its records, and then it is changed.
            slow.script(StoreVerb::Get, [StoreFault::None, late]);
            tokio::spawn(async move { assert!(guard.indeterminate().await.is_ok()) })
        } else {
            // The record, the list, the decisions, the record, and then the list.
            slow.script(StoreVerb::Get, [StoreFault::None, StoreFault::None, StoreFault::None, StoreFault::None, late]);
            let resolving = guard.resolve(&unkeyed(), Resolution::not_executed(), "slow");
            tokio::spawn(async move { resolving.await.unwrap() })
        };
        sleep(ms(250)).await;
        run().await;
        taking_off.await.unwrap();
        assert_eq!(other.indeterminate().await.unwrap().len(), 1, "reads the list: {reads_list}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_listed_already_is_listed_with_its_present_key() {
    let store = FlakyStore::new(MemoryStore::new());
    let guard = guard_on(&store);
    fail_keyed(&guard).await;
    assert!(key_left(&guard).await.unwrap() > DAY / 2);
    advance(DAY / 2).await;
    // It is not taken off: the list cannot be read at that moment.
    store.script(
        StoreVerb::Get,
        [StoreFault::None, StoreFault::None, StoreFault::None, StoreFault::None, StoreFault::Refused],
    );
    guard.resolve(&keyed(), Resolution::not_executed(), "ada").await.unwrap();
    fail_keyed(&guard).await;
    assert!(key_left(&guard).await.unwrap() > DAY / 2, "it is sent under a new key");
}
