//! Full stores, full queues, and runtimes that end.

use std::fs;
use std::sync::mpsc;
use std::task::Poll;

use payproof::BuildError;
use payproof::store::{Claim, FileStore, Store, StoreError, Swap};
use tokio::runtime::{Builder, Runtime};
use tokio::time::advance;

use super::{TTL, bytes_of, claimed};
use crate::folder::Folder;
use crate::support::{poll_now, poll_once, secs};

#[tokio::test(start_paused = true)]
async fn a_full_store_refuses_and_what_is_over_makes_room() {
    let folder = Folder::new("full");
    let store = FileStore::builder(folder.file()).max_bytes(2 << 20).build().unwrap();
    let large = vec![1; 1 << 20];
    claimed(&store, "first", &large, secs(10)).await;
    let refused = store.claim("second", &large, secs(10)).await.unwrap_err();
    assert!(refused.is_refused());
    assert_eq!(refused.to_string(), "2097152 bytes of records are held already; raise `max_bytes`");
    assert!(matches!(store.claim("first", b"other", TTL).await, Ok(Claim::Held(_))));
    claimed(&store, "small", b"fits", TTL).await;
    assert!(store.replace("small", b"fits", &large, TTL).await.unwrap_err().is_refused());
    assert_eq!(bytes_of(&store, "small").await.unwrap(), b"fits");
    assert_eq!(store.replace("first", &large, &large, secs(10)).await, Ok(Swap::Swapped));
    advance(secs(10)).await;
    claimed(&store, "second", &large, secs(10)).await;
    assert_eq!(store.remove("second", &large).await, Ok(Swap::Swapped));
    claimed(&store, "third", &large, secs(10)).await;
    drop(store);
    let store = FileStore::builder(folder.file()).max_bytes(2 << 20).build().unwrap();
    assert!(store.claim("fourth", &large, TTL).await.unwrap_err().is_refused(), "the account survives");
}

#[test]
fn a_limit_below_one_record_is_refused() {
    let folder = Folder::new("limit");
    let refused = FileStore::builder(folder.file()).max_bytes(1 << 20).build().unwrap_err();
    assert!(matches!(refused, BuildError::OutOfRange { setting: "max_bytes", .. }), "{refused}");
    assert!(!folder.file().exists());
}

#[tokio::test(start_paused = true)]
async fn records_whose_time_is_over_leave_the_file() {
    let folder = Folder::new("swept");
    let store = FileStore::open(folder.file()).unwrap();
    let mut sizes = Vec::new();
    for round in 0..40 {
        let calls: Vec<_> = (0..100)
            .map(|number| {
                let store = store.clone();
                tokio::spawn(async move { claimed(&store, &format!("{round} {number}"), &[1; 3000], secs(10)).await })
            })
            .collect();
        for call in calls {
            call.await.unwrap();
        }
        advance(secs(10)).await;
        sizes.push(fs::metadata(folder.file()).unwrap().len());
    }
    assert_eq!(sizes[9], sizes[39], "4,000 records of 3 KB went through: {sizes:?}");
}

#[tokio::test]
async fn what_changes_nothing_writes_nothing() {
    let folder = Folder::new("writes_nothing");
    let store = FileStore::open(folder.file()).unwrap();
    claimed(&store, "key", b"value", TTL).await;
    let before = fs::read(folder.file()).unwrap();
    for _ in 0..20 {
        assert!(matches!(store.claim("key", b"other", TTL).await, Ok(Claim::Held(_))));
        assert!(matches!(store.replace("key", b"other", b"third", TTL).await, Ok(Swap::Lost(Some(_)))));
        assert!(matches!(store.remove("key", b"other").await, Ok(Swap::Lost(Some(_)))));
        assert_eq!(store.remove("absent", b"other").await, Ok(Swap::Lost(None)));
        assert_eq!(bytes_of(&store, "absent").await, None);
    }
    assert!(fs::read(folder.file()).unwrap() == before, "the file is as it was");
}

/// A runtime whose only thread for blocking tasks is busy until the sender is dropped.
fn busy_runtime() -> (Runtime, mpsc::Sender<()>) {
    let runtime = Builder::new_current_thread().enable_time().max_blocking_threads(1).build().unwrap();
    let (release, released) = mpsc::channel::<()>();
    runtime.spawn_blocking(move || released.recv().is_ok());
    (runtime, release)
}

#[test]
fn beyond_a_full_queue_calls_wait_for_room_and_do_nothing_if_they_leave() {
    let folder = Folder::new("queue");
    let store = FileStore::open(folder.file()).unwrap();
    let (runtime, release) = busy_runtime();
    runtime.block_on(async {
        let keys: Vec<String> = (0..5000).map(|number| number.to_string()).collect();
        let mut calls: Vec<_> = keys.iter().map(|key| Box::pin(store.claim(key, b"value", TTL))).collect();
        for call in &mut calls {
            assert!(poll_once(call.as_mut()).await.is_pending());
        }
        // The queue holds 4,096 of them.
        let left = calls.split_off(4500);
        drop(left);
        drop(release);
        for call in calls {
            assert_eq!(call.await, Ok(Claim::Claimed));
        }
        for (number, key) in keys.iter().enumerate() {
            assert_eq!(bytes_of(&store, key).await.is_some(), number < 4500, "{key}");
        }
    });
}

#[test]
fn a_runtime_that_ends_before_it_ran_the_store_leaves_it_usable() {
    let folder = Folder::new("runtime_ends");
    let store = FileStore::open(folder.file()).unwrap();
    let (dying, release) = busy_runtime();
    let living = Builder::new_current_thread().enable_time().build().unwrap();
    let mut lost = Box::pin(store.claim("lost", b"value", TTL));
    dying.block_on(async { assert!(poll_once(lost.as_mut()).await.is_pending()) });
    // Waits in the same queue, for a worker of the other runtime.
    let mut waiting = Box::pin(store.claim("waiting", b"value", TTL));
    living.block_on(async { assert!(poll_once(waiting.as_mut()).await.is_pending()) });
    dying.shutdown_background();
    drop(release);
    living.block_on(async {
        for call in [lost, waiting] {
            let answer = call.await;
            let not_sent = answer.as_ref().is_err_and(|error| !error.is_outcome_unknown() && !error.is_refused());
            assert!(not_sent || answer == Ok(Claim::Claimed), "{answer:?}");
        }
        claimed(&store, "after", b"value", TTL).await;
    });
}

#[test]
fn without_a_runtime_it_says_so() {
    let folder = Folder::new("no_runtime");
    let store = FileStore::open(folder.file()).unwrap();
    let Poll::Ready(Err(error)) = poll_now(store.get("key")) else { panic!("an answer from nowhere") };
    assert_eq!(error, StoreError::not_sent("there is no tokio runtime here"));
}

#[tokio::test]
async fn keys_and_values_beyond_the_contract_are_refused() {
    let folder = Folder::new("beyond");
    let store = FileStore::open(folder.file()).unwrap();
    for key in [String::new(), "x".repeat(513)] {
        assert!(store.get(&key).await.unwrap_err().is_refused());
        assert!(store.claim(&key, b"value", TTL).await.unwrap_err().is_refused());
    }
    let large = vec![0; (1 << 20) + 1];
    assert!(store.claim("key", &large, TTL).await.unwrap_err().is_refused());
    claimed(&store, "key", &large[1..], TTL).await;
    assert!(matches!(store.remove("key", &large).await, Ok(Swap::Lost(Some(_)))));
    assert!(matches!(store.replace("key", &large, b"", TTL).await, Ok(Swap::Lost(Some(_)))));
}
