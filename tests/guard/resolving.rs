//! What an operator knows, and the list of what is open.

use std::collections::BTreeMap;

use payproof::Validator;
use payproof::guard::{
    Effect, EffectCall, Guard, Operation, OperationReference, OperationStatus, Resolution, ResolveError,
};
use payproof::provider::ProviderError;
use payproof::store::{MemoryStore, Store};
use payproof::testing::{FlakyStore, ScriptedProvider, StoreFault, StoreVerb};
use tokio::task::JoinHandle;
use tokio::time::{advance, sleep};

use crate::support::{busy, ms, paused_runtime, secs, settle};
use crate::who_may_speak::on_the_list;
use crate::{Act, Desk, LEASE, crash, guard_on, plain, unkeyed};

#[tokio::test(start_paused = true)]
async fn a_person_who_knows_resolves_it() {
    let guard = guard_on(&MemoryStore::new());
    for (by_reference, resolution, executed) in [
        (false, Resolution::done(&41_u32), true),
        (true, Resolution::done(&41_u32), true),
        (false, Resolution::not_executed(), false),
        (true, Resolution::not_executed(), false),
    ] {
        let key = format!("{by_reference} {executed}");
        let operation = Operation::new("store_42", "payout", key, Effect::write()).unwrap();
        let desk = Desk::with([Act::Fail(busy())]);
        guard.run(&operation, desk.keyless()).await.unwrap_err();
        let listed = guard.indeterminate().await.unwrap();
        let entry = listed.iter().next().unwrap();
        assert_eq!((listed.len(), entry.tenant(), entry.name()), (1, "store_42", "payout"));
        assert_eq!(entry.reference(), guard.reference(&operation));
        if by_reference {
            let reference = entry.reference().to_string().parse::<OperationReference>().unwrap();
            guard.resolve_reference(reference, resolution, "ada@ops").await.unwrap();
        } else {
            guard.resolve(&operation, resolution, "ada@ops").await.unwrap();
        }
        assert!(guard.indeterminate().await.unwrap().is_empty());
        let done = guard.run(&operation, desk.keyless()).await.unwrap();
        assert_eq!((*done.value(), desk.requests()), if executed { (41, 1) } else { (1, 2) });
    }
}

fn is_under_way(resolved: &Result<(), ResolveError>) -> bool {
    matches!(resolved, Err(ResolveError::InProgress { .. }))
}

#[tokio::test(start_paused = true)]
async fn what_is_not_open_cannot_be_resolved() {
    let guard = guard_on(&MemoryStore::new());
    let say = |operation: &Operation| guard.resolve(operation, Resolution::not_executed(), "ops");
    let nothing = |error: &ResolveError| matches!(error, ResolveError::NothingToResolve { .. });
    assert!(nothing(&say(&unkeyed()).await.unwrap_err()), "never run");

    let desk = Desk::with([Act::Slow(secs(1))]);
    let run = tokio::spawn(guard.run(&unkeyed(), desk.keyless()));
    settle().await;
    assert!(is_under_way(&say(&unkeyed()).await));
    run.await.unwrap().unwrap();
    let error = say(&unkeyed()).await.unwrap_err();
    assert!(nothing(&error) && error.to_string().contains("it was executed"), "{error}");
    assert_eq!((error.code(), error.http_status()), ("nothing_to_resolve", 409));

    let open = Operation::new("t", "open", "k", Effect::write()).unwrap();
    let desk = Desk::with([Act::LostAnswer]);
    guard.run(&open, desk.keyless()).await.unwrap_err();
    for who in ["", " \n"] {
        let error = guard.resolve(&open, Resolution::not_executed(), who).await.unwrap_err();
        assert_eq!(error, ResolveError::Unsigned);
        assert_eq!((error.code(), error.http_status()), ("invalid_resolution", 400));
    }
    let unwritable = BTreeMap::from([((1, 2), 3)]);
    let error = guard.resolve(&open, Resolution::done(&unwritable), "ops").await.unwrap_err();
    assert_eq!(error, ResolveError::Unwritable);
    let error = guard.resolve(&open, Resolution::done(&"x".repeat(300_000)), "ops").await.unwrap_err();
    assert_eq!(error, ResolveError::TooLarge);
    assert_eq!(guard.status(&open).await.unwrap(), OperationStatus::Indeterminate);
    guard.resolve(&open, Resolution::done_without_result(), "ops").await.unwrap();
    assert!(guard.run(&open, desk.keyless()).await.unwrap_err().is_result_missing());
    assert!("no reference".parse::<OperationReference>().is_err());
}

#[test]
fn a_crash_that_no_caller_ran_again_can_be_resolved_once_its_lease_is_over() {
    let (store, desk) = (MemoryStore::new(), Desk::default());
    crash(|| guard_on(&store), &unkeyed(), &desk);
    paused_runtime().block_on(async {
        let guard = guard_on(&store);
        assert!(is_under_way(&guard.resolve(&unkeyed(), Resolution::not_executed(), "ops").await));
        advance(LEASE).await;
        guard.resolve(&unkeyed(), Resolution::not_executed(), "ops").await.unwrap();
        assert!(guard.run(&unkeyed(), desk.keyless()).await.is_ok());
    });
}

#[tokio::test(start_paused = true)]
async fn the_list_of_what_is_indeterminate_is_bounded_and_says_what_is_missing() {
    let guard = plain().store(MemoryStore::new()).max_indeterminate_per_tenant(500).build().unwrap().guard();
    let operation = |number: usize| Operation::new("t", "payout", format!("{number}"), Effect::write()).unwrap();
    let fail = |_call: EffectCall| async { Err::<(), _>(ProviderError::outcome_unknown("reset")) };
    for number in 0..503 {
        guard.run(&operation(number), fail).await.unwrap_err();
        advance(secs(1)).await;
    }
    let list = guard.indeterminate().await.unwrap();
    assert_eq!((list.len(), list.not_listed()), (500, 3));
    let oldest = list.oldest().unwrap();
    assert!(oldest >= secs(503) && oldest < secs(504), "{oldest:?}");
    assert!(list.iter().zip(list.iter().skip(1)).all(|(older, newer)| older.age() >= newer.age()));
    for number in [502, 0] {
        guard.resolve(&operation(number), Resolution::not_executed(), "ops").await.unwrap();
    }
    let list = guard.indeterminate().await.unwrap();
    assert_eq!((list.len(), list.not_listed()), (500, 1), "the place went to one that waited for it");
    let other = Validator::builder(ScriptedProvider::test_mode()).mode(payproof::Mode::Test).build().unwrap();
    assert!(other.guard().indeterminate().await.unwrap().is_empty());
}

/// Where the record of an operation stands.
fn place(guard: &Guard, operation: &Operation) -> String {
    format!("payproof:operation:{{{}}}", guard.reference(operation))
}

#[tokio::test(start_paused = true)]
async fn reading_the_list_drops_what_records_do_not_bear_out_at_most_twenty_at_a_time() {
    let inner = MemoryStore::new();
    let store = FlakyStore::new(inner.clone());
    let guard = guard_on(&store);
    for number in 0..30 {
        let operation = Operation::new("t", "payout", format!("{number}"), Effect::write()).unwrap();
        guard.run(&operation, Desk::with([Act::Fail(busy())]).keyless()).await.unwrap_err();
        if number < 29 {
            let stored = inner.get(&place(&guard, &operation)).await.unwrap().unwrap();
            inner.remove(&place(&guard, &operation), &stored.bytes).await.unwrap();
        }
    }
    let mut left = 30;
    for _ in 0..200 {
        let before = store.calls(StoreVerb::Get);
        let now = guard.indeterminate().await.unwrap().len();
        assert!(store.calls(StoreVerb::Get) - before <= 22, "the list, at most 20 records, and the list again");
        assert!(left - now <= 20);
        left = now;
    }
    assert_eq!(left, 1, "what is open stays");
}

/// Another process marks what a crashed one left, and reads the list late, so that it writes it late. It is about to do so, and
/// says in the end whether its caller is told that the operation is indeterminate.
pub(crate) async fn marking_late(inner: &MemoryStore) -> JoinHandle<bool> {
    advance(LEASE).await;
    let slow = FlakyStore::new(inner.clone());
    slow.script(StoreVerb::Get, [StoreFault::Slow(ms(900))]);
    let run = guard_on(&slow).run(&unkeyed(), Desk::default().keyless()).into_future();
    let marking = tokio::spawn(async move { run.await.unwrap_err().is_indeterminate() });
    sleep(ms(500)).await;
    marking
}

#[test]
fn what_is_resolved_between_its_mark_and_its_listing_is_not_listed() {
    let inner = MemoryStore::new();
    crash(|| guard_on(&inner), &unkeyed(), &Desk::default());
    paused_runtime().block_on(async {
        let (marking, person) = (marking_late(&inner).await, guard_on(&inner));
        person.resolve(&unkeyed(), Resolution::done(&1_u32), "ops").await.unwrap();
        assert!(marking.await.unwrap());
        assert_eq!(on_the_list(&inner).await, 0);
    });
}

#[tokio::test(start_paused = true)]
async fn an_orphan_that_others_marked_is_removed_and_leaves_the_list() {
    let inner = MemoryStore::new();
    let store = FlakyStore::new(inner.clone());
    let renewing =
        |store: FlakyStore<MemoryStore>| plain().store(store).renewed_lease(secs(14)).build().unwrap().guard();
    let (first, second) = (renewing(store.clone()), renewing(FlakyStore::new(inner.clone())));
    store.script(StoreVerb::Claim, [StoreFault::LostReply, StoreFault::NotSent]);
    assert!(first.run(&unkeyed(), Desk::default().keyless()).await.unwrap_err().is_store());
    store.always(Some(StoreFault::NotSent));
    sleep(secs(15)).await;
    assert!(second.run(&unkeyed(), Desk::default().keyless()).await.unwrap_err().is_indeterminate());
    assert_eq!(on_the_list(&inner).await, 1);
    store.always(None);
    sleep(secs(70)).await;
    assert_eq!(second.status(&unkeyed()).await.unwrap(), OperationStatus::Absent);
    assert_eq!(on_the_list(&inner).await, 0);
}
