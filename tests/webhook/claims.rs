//! One delivery of an event at a time, by however many processes, and what happens when one of them ends.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;
use std::thread;

use payproof::store::{MemoryStore, Store};
use payproof::testing::{FlakyStore, StoreFault, StoreVerb};
use tokio::task::JoinSet;
use tokio::time::advance;

use crate::chaos_store::ChaosStore;
use crate::support::{ms, paused_runtime, secs, settle};
use crate::{LEASE, Runs, alone, deliver, event, webhooks_on, word};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_duplicates_at_once_run_the_handler_once() {
    let store = Arc::new(MemoryStore::new());
    // Two processes, each with a validator of its own.
    let processes = [webhooks_on(Arc::clone(&store)), webhooks_on(store)];
    let (runs, mut tasks) = (Runs::default(), JoinSet::new());
    for process in processes.iter().cycle().take(200) {
        let (webhooks, runs) = (process.clone(), runs.clone());
        tasks.spawn(async move { runs.deliver_slowly(&webhooks, &event("evt_1"), ms(20)).await });
    }
    let mut answers = BTreeMap::new();
    while let Some(answer) = tasks.join_next().await {
        *answers.entry(answer.unwrap()).or_insert(0) += 1;
    }
    assert_eq!(runs.count(), 1, "{answers:?}");
    assert_eq!(answers.remove("handled"), Some(1), "{answers:?}");
    assert!(answers.keys().all(|answer| ["duplicate", "in_progress"].contains(answer)), "{answers:?}");
    for process in &processes {
        assert_eq!(runs.deliver(process, &event("evt_1")).await, "duplicate");
    }
}

#[tokio::test(start_paused = true)]
async fn while_an_event_is_being_handled_its_duplicate_has_to_come_again() {
    let store = Arc::new(MemoryStore::new());
    let (first, second) = (webhooks_on(Arc::clone(&store)), webhooks_on(store));
    let runs = Runs::default();
    let handling = tokio::spawn({
        let (first, runs) = (first.clone(), runs.clone());
        async move { runs.deliver_slowly(&first, &event("evt_1"), secs(20)).await }
    });
    settle().await;
    advance(secs(10)).await;
    for webhooks in [&first, &second] {
        let error = deliver(webhooks, &event("evt_1"), |_| pending::<Result<(), String>>()).await.unwrap_err();
        assert!(error.is_in_progress());
        assert_eq!((error.code(), error.http_status()), ("in_progress", 409));
        assert_eq!(error.retry_after(), Some(secs(1)), "a handler takes milliseconds, whatever is left of the lease");
    }
    assert_eq!(handling.await.unwrap(), "handled");
    assert_eq!(runs.deliver(&second, &event("evt_1")).await, "duplicate");
    assert_eq!(runs.count(), 1);
}

#[test]
fn an_event_whose_process_ended_is_taken_over_after_its_lease_and_not_before() {
    let (store, runs) = (Arc::new(MemoryStore::new()), Runs::default());
    let dying = paused_runtime();
    dying.block_on(async {
        let (webhooks, runs) = (webhooks_on(Arc::clone(&store)), runs.clone());
        tokio::spawn(async move { runs.deliver_slowly(&webhooks, &event("evt_1"), secs(20)).await });
        settle().await;
    });
    drop(dying);
    assert_eq!(runs.count(), 1, "it ended while it was handling the event");
    paused_runtime().block_on(async {
        let webhooks = webhooks_on(store);
        advance(LEASE - secs(1)).await;
        assert_eq!(runs.deliver(&webhooks, &event("evt_1")).await, "in_progress");
        // The clocks of the two runtimes began a moment apart.
        advance(secs(2)).await;
        assert_eq!(runs.deliver(&webhooks, &event("evt_1")).await, "handled");
        assert_eq!(runs.deliver(&webhooks, &event("evt_1")).await, "duplicate");
    });
    assert_eq!(runs.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn of_those_who_find_a_lease_over_one_takes_over() {
    let (store, runs) = (Arc::new(MemoryStore::new()), Runs::default());
    let cut_off = FlakyStore::new(Arc::clone(&store));
    let lost = webhooks_on(cut_off.clone());
    tokio::spawn({
        let runs = runs.clone();
        async move { runs.deliver_slowly(&lost, &event("evt_1"), secs(20)).await }
    });
    settle().await;
    cut_off.always(Some(StoreFault::NotSent));
    // Past all that the other one may still try.
    advance(secs(200)).await;
    let mut tasks = JoinSet::new();
    for _ in 0..20 {
        let (webhooks, runs) = (webhooks_on(Arc::clone(&store)), runs.clone());
        tasks.spawn(async move { runs.deliver_slowly(&webhooks, &event("evt_1"), secs(1)).await });
    }
    let mut answers = tasks.join_all().await;
    answers.sort_unstable();
    assert_eq!(answers.iter().filter(|answer| **answer == "handled").count(), 1, "{answers:?}");
    assert_eq!(runs.count(), 2, "{answers:?}");
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_after_a_take_over_overwrites_nothing() {
    let (store, runs) = (Arc::new(MemoryStore::new()), Runs::default());
    let slow = FlakyStore::new(Arc::clone(&store));
    let (late, next) = (webhooks_on(slow.clone()), webhooks_on(Arc::clone(&store)));
    // Its word that the event is handled lies in a queue for longer than its lease.
    slow.script(StoreVerb::Replace, [StoreFault::Late(secs(60))]);
    let first = tokio::spawn({
        let runs = runs.clone();
        async move { runs.deliver(&late, &event("evt_1")).await }
    });
    settle().await;
    advance(secs(2)).await;
    slow.always(Some(StoreFault::NotSent));
    assert_eq!(first.await.unwrap(), "not_recorded");
    advance(LEASE).await;
    let taking_over = tokio::spawn({
        let (next, runs) = (next.clone(), runs.clone());
        async move { runs.deliver_slowly(&next, &event("evt_1"), secs(25)).await }
    });
    settle().await;
    slow.always(None);
    advance(secs(15)).await;
    settle().await;
    assert_eq!(runs.deliver(&next, &event("evt_1")).await, "in_progress", "the claim of the successor stands");
    assert_eq!(taking_over.await.unwrap(), "handled");
    assert_eq!(runs.deliver(&next, &event("evt_1")).await, "duplicate");
    assert_eq!(runs.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_outlives_its_lease_is_not_recorded_over_its_successor() {
    let (store, runs) = (Arc::new(MemoryStore::new()), Runs::default());
    let first = webhooks_on(Arc::clone(&store));
    let counted = runs.clone();
    // It holds its thread up, so that no limit can cut it, while another process's clock goes on.
    let error = deliver(&first, &event("evt_1"), move |_| async move {
        counted.begin();
        let elsewhere = thread::spawn(move || {
            paused_runtime().block_on(async {
                advance(LEASE + secs(1)).await;
                counted.deliver(&webhooks_on(store), &event("evt_1")).await
            })
        });
        assert_eq!(elsewhere.join().unwrap(), "handled");
        Ok::<(), String>(())
    });
    assert_eq!(word(error.await), "not_recorded");
    assert_eq!(runs.deliver(&first, &event("evt_1")).await, "duplicate");
    assert_eq!(runs.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_outlives_its_lease_is_recorded_if_no_process_took_over() {
    let (store, runs) = (MemoryStore::new(), Runs::default());
    let way = ChaosStore::new(&store, 0);
    let webhooks = webhooks_on(way.clone());
    let late = deliver(&webhooks, &event("evt_1"), move |_| async move {
        let key = way.keys().into_iter().find(|key| key.contains(":event:")).unwrap();
        let elsewhere = thread::spawn(move || {
            paused_runtime().block_on(async {
                advance(LEASE + secs(1)).await;
                store.get(&key).await.unwrap()
            })
        });
        assert!(elsewhere.join().unwrap().is_some(), "the claim is there for longer than it protects");
        Ok::<(), String>(())
    });
    assert_eq!(word(late.await), "handled");
    assert_eq!(runs.deliver(&webhooks, &event("evt_1")).await, "duplicate");
}

#[tokio::test(start_paused = true)]
async fn other_events_do_not_wait() {
    let (webhooks, runs) = (alone(), Runs::default());
    tokio::spawn({
        let (webhooks, runs) = (webhooks.clone(), runs.clone());
        async move { runs.deliver_slowly(&webhooks, &event("evt_1"), secs(20)).await }
    });
    settle().await;
    assert_eq!(runs.deliver(&webhooks, &event("evt_2")).await, "handled");
}
