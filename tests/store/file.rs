//! The store in a file: the contract, what survives, what is refused.
#![cfg(all(feature = "file", unix))]
#![allow(clippy::unwrap_used, reason = "a store that fails where it should not fails the test that asked it")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::task::Poll;
use std::time::Duration;

use crate::folder::Folder;
use crate::support::{ms, poll_now, poll_once, secs, settle};
use ::redb::{Database, TableDefinition};
use payproof::BuildError;
use payproof::store::{Claim, FileStore, RestartLoss, Severity, Store, StoreError, StoreFinding, Swap, contract};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{advance, sleep};

const TTL: Duration = secs(60 * 60);

async fn claimed(store: &FileStore, key: &str, value: &[u8], ttl: Duration) {
    assert_eq!(store.claim(key, value, ttl).await, Ok(Claim::Claimed), "{key}");
}

async fn bytes_of(store: &FileStore, key: &str) -> Option<Vec<u8>> {
    store.get(key).await.unwrap().map(|stored| stored.bytes)
}

fn reason_of(path: &Path) -> String {
    let error = FileStore::open(path).unwrap_err();
    let BuildError::StoreFile { path: named, reason } = &error else { return format!("another error: {error}") };
    assert_eq!(named, path);
    reason.clone()
}

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

#[tokio::test]
async fn a_second_store_on_the_same_file_is_refused_until_the_first_is_dropped() {
    let folder = Folder::new("second");
    let store = FileStore::open(folder.file()).unwrap();
    let clone = store.clone();
    let refused = FileStore::open(folder.file()).unwrap_err();
    assert_eq!(refused, BuildError::StoreFileInUse { path: folder.file() });
    let said = refused.to_string();
    assert!(said.contains("store.redb is in use; end the process that has it open"), "{said}");
    drop(store);
    assert!(FileStore::open(folder.file()).is_err(), "a clone is left");
    claimed(&clone, "key", b"value", TTL).await;
    drop(clone);
    assert_eq!(bytes_of(&FileStore::open(folder.file()).unwrap(), "key").await.unwrap(), b"value");
}

#[tokio::test]
async fn the_file_is_free_as_soon_as_the_store_is_dropped_whatever_was_going_on() {
    let folder = Folder::new("free");
    for round in 0..40 {
        let store = FileStore::open(folder.file()).unwrap();
        claimed(&store, &format!("answered {round}"), b"value", TTL).await;
        let keys: Vec<String> = (0..round).map(|number| format!("{round} {number}")).collect();
        let mut calls: Vec<_> = keys.iter().map(|key| Box::pin(store.claim(key, b"value", TTL))).collect();
        for call in &mut calls {
            let _ = poll_once(call.as_mut()).await;
        }
        drop(calls);
        drop(store);
        let store = FileStore::open(folder.file()).unwrap();
        assert!(bytes_of(&store, &format!("answered {round}")).await.is_some());
    }
}

#[test]
fn a_path_that_cannot_be_used_says_why() {
    let folder = Folder::new("paths");
    let mut wrong = vec![
        (folder.path().to_owned(), "Is a directory"),
        (folder.path().join("missing/store.redb"), "No such file"),
        ("/dev/null".into(), "it is not a regular file"),
        ("/dev/null/store.redb".into(), "Not a directory"),
    ];
    if cfg!(target_os = "linux") {
        // Not even the superuser makes a file here.
        wrong.push(("/sys/payproof.redb".into(), "Permission denied"));
    }
    for (path, reason) in wrong {
        let said = reason_of(&path);
        assert!(said.contains(reason), "{}: {said}", path.display());
        let shown = FileStore::open(&path).unwrap_err().to_string();
        assert!(shown.contains(path.to_str().unwrap()) && shown.contains(reason), "{shown}");
    }
}

#[test]
fn a_file_of_something_else_is_refused_and_left_alone() {
    const OTHERS: TableDefinition<'_, &str, u64> = TableDefinition::new("others");
    let folder = Folder::new("foreign");
    for text in ["not a database", &"long ".repeat(10_000)] {
        fs::write(folder.file(), text).unwrap();
        reason_of(&folder.file());
        assert_eq!(fs::read_to_string(folder.file()).unwrap(), text);
    }
    fs::remove_file(folder.file()).unwrap();
    let database = Database::create(folder.file()).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(OTHERS).unwrap().insert("mine", 1).unwrap();
    transaction.commit().unwrap();
    drop(database);
    assert_eq!(reason_of(&folder.file()), "it is a database of something else");
}

#[test]
fn a_file_of_a_newer_version_is_refused() {
    const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
    let folder = Folder::new("newer");
    drop(FileStore::open(folder.file()).unwrap());
    let database = Database::open(folder.file()).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(META).unwrap().insert("format", 2).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let said = reason_of(&folder.file());
    assert!(said.contains("format 2") && said.contains("use the version that wrote it"), "{said}");
}

#[tokio::test]
async fn a_damaged_file_is_an_error_or_opens_whole() {
    let folder = Folder::new("damaged");
    let store = FileStore::open(folder.file()).unwrap();
    for number in 0..100 {
        claimed(&store, &format!("key {number}"), &[number; 300], TTL).await;
    }
    drop(store);
    let whole = fs::read(folder.file()).unwrap();
    let mut refused = 0;
    // Every so many pages one is damaged, and then cut off with what follows. Seven is prime to what the layout repeats.
    for start in (0..whole.len()).step_by(7 * 4096) {
        let mut damaged = whole.clone();
        damaged[start + 100..start + 300].fill(0xa5);
        for damaged in [damaged, whole[..start].to_vec()] {
            fs::write(folder.file(), damaged).unwrap();
            let Ok(store) = FileStore::open(folder.file()) else {
                refused += 1;
                continue;
            };
            if start == 0 {
                // Nothing was left of it: that is a new file.
                continue;
            }
            for number in 0..100 {
                let key = format!("key {number}");
                assert_eq!(bytes_of(&store, &key).await.unwrap(), [number; 300], "page at {start}, {key}");
            }
        }
    }
    assert!(refused > 2, "{refused} of {} pages", whole.len() / 4096);
}

#[test]
fn a_new_file_is_its_owners_alone() {
    let folder = Folder::new("mode");
    let store = FileStore::open(folder.file()).unwrap();
    assert_eq!(fs::metadata(folder.file()).unwrap().permissions().mode() & 0o777, 0o600);
    drop(store);
}

#[test]
fn an_empty_file_becomes_a_store() {
    let folder = Folder::new("empty");
    fs::write(folder.file(), "").unwrap();
    drop(FileStore::open(folder.file()).unwrap());
    assert!(fs::metadata(folder.file()).unwrap().len() > 0);
}

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

/// Blocking work on the one thread would hold up everybody else on it.
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
