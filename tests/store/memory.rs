//! The store in memory, beyond the contract: what it holds, what it refuses, what it forgets.
#![allow(clippy::unwrap_used, reason = "a store that fails fails the test that asked it")]

use std::time::Duration;

use crate::support::{ms, secs};
use payproof::store::{Claim, MemoryStore, RestartLoss, Store, StoreFinding, Swap};
use tokio::time::advance;

async fn fill(store: &MemoryStore, records: usize, ttl: Duration) {
    for number in 0..records {
        assert_eq!(store.claim(&format!("{ttl:?} {number}"), b"value", ttl).await, Ok(Claim::Claimed));
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_store_refuses_claims_and_nothing_else() {
    let store = MemoryStore::new().max_records(3);
    fill(&store, 3, secs(60)).await;
    let refused = store.claim("fourth", b"value", secs(60)).await.unwrap_err();
    assert!(refused.is_refused() && !refused.is_outcome_unknown());
    assert_eq!(refused.to_string(), "3 records are held already; raise `max_records`");
    assert!(matches!(store.claim("60s 0", b"other", secs(60)).await, Ok(Claim::Held(_))));
    assert_eq!(store.replace("60s 0", b"value", b"other", secs(60)).await, Ok(Swap::Swapped));
    assert_eq!(store.remove("60s 1", b"value").await, Ok(Swap::Swapped));
    assert_eq!(store.claim("fourth", b"value", secs(60)).await, Ok(Claim::Claimed));
    assert_eq!(store.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn records_whose_time_is_over_make_room_one_by_one() {
    let store = MemoryStore::new().max_records(100);
    fill(&store, 100, secs(1)).await;
    assert!(store.claim("early", b"value", secs(60)).await.is_err());
    advance(secs(1)).await;
    fill(&store, 100, secs(60)).await;
    assert_eq!(store.len(), 100);
    assert!(store.claim("late", b"value", secs(60)).await.is_err(), "all of them live");
}

#[tokio::test(start_paused = true)]
async fn an_ended_record_of_the_same_key_needs_no_room() {
    let store = MemoryStore::new().max_records(1);
    for _ in 0..3 {
        assert_eq!(store.claim("key", b"value", ms(1)).await, Ok(Claim::Claimed));
        advance(ms(1)).await;
    }
    assert_eq!(store.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn ended_records_are_dropped_faster_than_new_ones_come() {
    let store = MemoryStore::new();
    fill(&store, 1000, secs(1)).await;
    advance(secs(1)).await;
    fill(&store, 250, secs(60)).await;
    assert_eq!(store.len(), 250);
}

#[tokio::test(start_paused = true)]
async fn what_was_replaced_or_removed_leaves_no_trace_in_the_sweep() {
    let store = MemoryStore::new();
    store.claim("replaced", b"old", secs(1)).await.unwrap();
    store.replace("replaced", b"old", b"new", secs(60)).await.unwrap();
    store.claim("removed", b"old", secs(1)).await.unwrap();
    store.remove("removed", b"old").await.unwrap();
    store.claim("removed", b"new", secs(60)).await.unwrap();
    advance(secs(2)).await;
    fill(&store, 10, secs(60)).await;
    assert_eq!(store.get("replaced").await.unwrap().unwrap().bytes, b"new");
    assert_eq!(store.get("removed").await.unwrap().unwrap().bytes, b"new");
}

#[tokio::test]
async fn clones_share_everything() {
    let (store, clone) = (MemoryStore::new(), MemoryStore::default());
    assert!(clone.is_empty());
    let clone = store.clone();
    store.claim("key", b"value", secs(60)).await.unwrap();
    assert_eq!(clone.get("key").await.unwrap().unwrap().bytes, b"value");
}

#[tokio::test]
async fn it_says_that_it_is_neither_shared_nor_durable() {
    let store = MemoryStore::new();
    let durability = store.durability();
    assert!(!durability.shared && !durability.best_effort);
    assert_eq!(store.restart_loss().await, Ok(RestartLoss::All));
    let inspection = store.inspect().await.unwrap();
    assert_eq!(&*inspection.server, "memory");
    assert_eq!(inspection.findings, [StoreFinding::NotShared, StoreFinding::Volatile]);
}

#[tokio::test]
async fn debug_shows_how_much_is_held_and_not_what() {
    let store = MemoryStore::new();
    store.claim("a key", b"a value", secs(60)).await.unwrap();
    assert_eq!(format!("{store:?}"), "MemoryStore { len: 1, .. }");
    let stored = store.get("a key").await.unwrap();
    assert!(!format!("{stored:?}").contains("118"), "bytes are not shown: {stored:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_record_has_more_time_left_than_it_was_written_with() {
    let store = MemoryStore::new();
    let callers: Vec<_> = (0..8)
        .map(|caller| {
            let store = store.clone();
            tokio::spawn(async move {
                for round in 0..2000 {
                    let key = format!("key {}", round % 7);
                    if let Claim::Held(held) = store.claim(&key, &[caller], secs(5)).await.unwrap() {
                        assert!(held.ttl_left <= secs(5), "{:?}", held.ttl_left);
                        store.remove(&key, &held.bytes).await.unwrap();
                    }
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
}
