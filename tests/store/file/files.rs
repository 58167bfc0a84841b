//! Files that cannot be used, are damaged, or are of something else.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use ::redb::{Database, TableDefinition};
use payproof::BuildError;
use payproof::store::{FileStore, Store};

use super::{TTL, bytes_of, claimed};
use crate::folder::Folder;
use crate::support::poll_once;

fn reason_of(path: &Path) -> String {
    let error = FileStore::open(path).unwrap_err();
    let BuildError::StoreFile { path: named, reason } = &error else { return format!("another error: {error}") };
    assert_eq!(named, path);
    reason.clone()
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
