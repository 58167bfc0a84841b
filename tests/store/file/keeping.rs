//! What survives, how long, and what is there after a restart.

use payproof::store::{FileStore, Store, contract};
use tokio::time::{advance, sleep};

use super::{TTL, bytes_of, claimed};
use crate::folder::Folder;
use crate::support::{ms, secs};

#[tokio::test]
async fn it_keeps_the_contract_on_one_thread() {
    let folder = Folder::new("one_thread");
    contract::check(FileStore::open(folder.file()).unwrap()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn it_keeps_the_contract_on_many_threads() {
    let folder = Folder::new("many_threads");
    contract::check(FileStore::open(folder.file()).unwrap()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn it_keeps_the_contract_on_a_paused_clock() {
    let folder = Folder::new("paused");
    contract::check(FileStore::open(folder.file()).unwrap()).await.unwrap();
}

#[tokio::test]
async fn records_are_there_after_a_restart() {
    let folder = Folder::new("restart");
    for round in 0..5 {
        let store = FileStore::open(folder.file()).unwrap();
        for earlier in 0..round {
            let stored = store.get(&format!("key {earlier}")).await.unwrap().unwrap();
            assert_eq!(stored.bytes, format!("value {earlier}").into_bytes());
            assert!(stored.ttl_left <= TTL, "{:?}", stored.ttl_left);
        }
        claimed(&store, &format!("key {round}"), format!("value {round}").as_bytes(), TTL).await;
    }
}

#[tokio::test]
async fn time_goes_on_while_nothing_runs() {
    let folder = Folder::new("time_goes_on");
    let store = FileStore::open(folder.file()).unwrap();
    claimed(&store, "brief", b"value", ms(300)).await;
    claimed(&store, "lasting", b"value", TTL).await;
    drop(store);
    sleep(ms(400)).await;
    let store = FileStore::open(folder.file()).unwrap();
    assert_eq!(bytes_of(&store, "brief").await, None);
    let left = store.get("lasting").await.unwrap().unwrap().ttl_left;
    assert!(left <= TTL.checked_sub(ms(400)).unwrap(), "{left:?}");
}

/// A process whose clock was a day ahead is a process whose runtime went on for a day.
#[tokio::test(start_paused = true)]
async fn a_clock_that_was_set_back_keeps_records_and_their_time_left() {
    let folder = Folder::new("set_back");
    let store = FileStore::open(folder.file()).unwrap();
    claimed(&store, "before", b"value", TTL).await;
    advance(secs(24 * 60 * 60)).await;
    claimed(&store, "ahead", b"value", TTL).await;
    drop(store);
    // The system's clock knows nothing of that day.
    let store = FileStore::open(folder.file()).unwrap();
    assert_eq!(bytes_of(&store, "before").await, None, "it was over, and stays so");
    let left = store.get("ahead").await.unwrap().unwrap().ttl_left;
    assert_eq!(left, TTL, "the store's clock stood still while nothing ran");
    advance(TTL).await;
    assert_eq!(bytes_of(&store, "ahead").await, None, "and goes on now");
}
