//! What the store says of itself.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use payproof::store::{Claim, FileStore, RestartLoss, Severity, Store, StoreFinding};

use super::{TTL, claimed};
use crate::folder::Folder;
use crate::support::{poll_once, settle};

#[tokio::test]
async fn only_instance_is_what_makes_it_shared() {
    let folder = Folder::new("only_instance");
    let store = FileStore::open(folder.file()).unwrap();
    assert!(!store.durability().shared && !store.durability().best_effort);
    assert_eq!(store.inspect().await.unwrap().findings, [StoreFinding::NotShared]);
    drop(store);
    let store = FileStore::builder(folder.file()).only_instance().build().unwrap();
    assert!(store.durability().shared);
    let inspection = store.inspect().await.unwrap();
    assert_eq!(inspection.findings, []);
    assert_eq!((&*inspection.server, inspection.version.as_deref()), ("file", Some("format 1")));
    assert!(inspection.latency > Duration::ZERO, "it commits once");
}

#[tokio::test]
async fn a_restart_loses_nothing_of_a_file_and_all_of_one_that_is_gone() {
    let folder = Folder::new("restart");
    let store = FileStore::open(folder.file()).unwrap();
    assert_eq!(store.restart_loss().await, Ok(RestartLoss::Nothing));
    assert_eq!(store.inspect().await.unwrap().restart_loss, RestartLoss::Nothing);
    fs::remove_file(folder.file()).unwrap();
    assert_eq!(store.restart_loss().await, Ok(RestartLoss::All));
    assert_eq!(store.inspect().await.unwrap().restart_loss, RestartLoss::All);
}

/// Linux has a file system in memory here.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_restart_loses_all_of_a_file_in_memory() {
    let path = Path::new("/dev/shm").join(format!("payproof-{}.redb", std::process::id()));
    let store = FileStore::open(&path);
    let _ = fs::remove_file(&path);
    assert_eq!(store.unwrap().restart_loss().await, Ok(RestartLoss::All));
}

#[tokio::test]
async fn a_file_that_was_deleted_under_the_store_is_found_out() {
    let folder = Folder::new("deleted");
    let store = FileStore::builder(folder.file()).only_instance().build().unwrap();
    fs::remove_file(folder.file()).unwrap();
    let [finding] = &*store.inspect().await.unwrap().findings else { panic!("nothing was found") };
    assert_eq!(finding.severity(), Severity::Error);
    assert!(finding.to_string().contains("moved or deleted"), "{finding}");
}

#[tokio::test]
async fn debug_shows_the_path_and_nothing_of_what_is_held() {
    let folder = Folder::new("debug");
    let store = FileStore::open(folder.file()).unwrap();
    claimed(&store, "a key", b"a value", TTL).await;
    let shown = format!("{store:?}");
    assert!(shown.contains("store.redb") && !shown.contains("key") && !shown.contains("value"), "{shown}");
}

/// Blocking work on the one thread would hold up every other task on it.
#[tokio::test]
async fn calls_wait_without_the_runtimes_thread() {
    let folder = Folder::new("beside");
    let store = Arc::new(FileStore::open(folder.file()).unwrap());
    for number in 0..50 {
        let key = number.to_string();
        let mut call = Box::pin(store.claim(&key, b"value", TTL));
        assert!(poll_once(call.as_mut()).await.is_pending(), "a call that answers at once has used this thread");
        settle().await;
        assert_eq!(call.await, Ok(Claim::Claimed));
    }
}
