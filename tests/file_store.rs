//! The store in a file.
#![cfg(feature = "file")]
#![allow(clippy::unwrap_used, reason = "x")]

mod support;

use payproof::store::{FileStore, contract};

#[tokio::test]
async fn contract_real() {
    let path = format!("{}/x1.redb", env!("CARGO_TARGET_TMPDIR"));
    let _ = std::fs::remove_file(&path);
    println!("{}", contract::check(FileStore::open(&path).unwrap()).await.unwrap());
}
#[tokio::test(start_paused = true)]
async fn contract_paused() {
    let path = format!("{}/x2.redb", env!("CARGO_TARGET_TMPDIR"));
    let _ = std::fs::remove_file(&path);
    println!("{}", contract::check(FileStore::open(&path).unwrap()).await.unwrap());
}
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn contract_multi() {
    let path = format!("{}/x3.redb", env!("CARGO_TARGET_TMPDIR"));
    let _ = std::fs::remove_file(&path);
    println!("{}", contract::check(FileStore::open(&path).unwrap()).await.unwrap());
}
