//! The store in a file: the contract, what survives, what is refused.
#![cfg(all(feature = "file", unix))]
#![allow(clippy::unwrap_used, reason = "a store that fails where it should not fails the test that asked it")]

mod files;
mod inspection;
mod keeping;
mod limits;

use std::time::Duration;

use payproof::store::{Claim, FileStore, Store};

use crate::support::secs;

const TTL: Duration = secs(60 * 60);

async fn claimed(store: &FileStore, key: &str, value: &[u8], ttl: Duration) {
    assert_eq!(store.claim(key, value, ttl).await, Ok(Claim::Claimed), "{key}");
}

async fn bytes_of(store: &FileStore, key: &str) -> Option<Vec<u8>> {
    store.get(key).await.unwrap().map(|stored| stored.bytes)
}
