//! Compressed values: read where the feature `cache-lz4` is, and left alone where it is not.
//!
//! What a process with the feature stored stands in `packed.txt`: a line for each record, with its key, its time to live in
//! milliseconds and its bytes. `PAYPROOF_WRITE_GOLDEN_FILES=1` has a build with the feature write it anew.
#![allow(clippy::unwrap_used, reason = "a fixture that cannot be read fails the test that asked for it")]

use std::time::Duration;

use payproof::cache::{Cache, HitSource, Loads, Space, StoreUse, ttl};
use payproof::store::{Claim, MemoryStore, Store};

use crate::subscribers::Log;
use crate::support::{Database, process};

const TEXTS: Space<u32, String> = Space::global("text", ttl::DAY).exact();

/// What stands in the file, by the key of the space.
const KEY: u32 = 7;

#[cfg(feature = "cache-lz4")]
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cache/packed.txt");

fn text() -> String {
    "price ".repeat(3_500)
}

fn texts(cache: &Cache, database: &Database) -> Loads<u32, String> {
    let database = database.clone();
    cache.space(TEXTS).unwrap().loads(move |_| {
        let database = database.clone();
        async move { database.load().await.map(|_| text()) }
    })
}

/// A store with what the file says. The entry is the record whose key names the space.
async fn store() -> (MemoryStore, String, Vec<u8>) {
    let (store, mut entry) = (MemoryStore::new(), None);
    for line in include_str!("packed.txt").lines() {
        let (key, rest) = line.split_once(' ').unwrap();
        let (ttl_ms, bytes) = rest.split_once(' ').unwrap();
        let bytes: Vec<u8> = bytes
            .as_bytes()
            .chunks_exact(2)
            .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect();
        let claim = store.claim(key, &bytes, Duration::from_millis(ttl_ms.parse().unwrap())).await.unwrap();
        assert_eq!(claim, Claim::Claimed);
        if key.contains(":text:") {
            entry = Some((key.to_owned(), bytes));
        }
    }
    let (key, bytes) = entry.unwrap();
    (store, key, bytes)
}

#[cfg(not(feature = "cache-lz4"))]
#[tokio::test(start_paused = true)]
async fn a_process_without_the_feature_loads_for_itself_and_leaves_the_record_alone() {
    let ((store, key, bytes), database) = (store().await, Database::of(1));
    let (log, _logs) = Log::install();
    let cache = process(store.clone());
    let texts = texts(&cache, &database);
    for loads in 1..=2 {
        let hit = texts.get(&KEY).await.unwrap();
        assert_eq!((hit.source(), hit.store(), hit.len()), (HitSource::Load, StoreUse::Bypassed, text().len()));
        assert_eq!(database.loads(), loads);
        tokio::time::advance(Duration::from_secs(2)).await;
    }
    assert!(texts.peek(&KEY).await.is_err());
    assert_eq!(store.get(&key).await.unwrap().unwrap().bytes, bytes);
    // Once for a space, since the record stays so for each call.
    let said = log.lines("build with the feature `cache-lz4`");
    assert_eq!(said.len(), 1, "{}", log.text());
    // What is said to the record itself reaches it all the same.
    texts.invalidate(&KEY).await.unwrap();
    assert_ne!(store.get(&key).await.unwrap().unwrap().bytes, bytes);
}

#[cfg(feature = "cache-lz4")]
mod with_the_feature {
    use std::fmt::Write as _;

    use crate::chaos_store::ChaosStore;
    use crate::record_bytes;

    use super::*;

    /// Stores the value as a process does, and says what stands in the store then.
    async fn written() -> (usize, String) {
        let (chaos, database) = (ChaosStore::new(&MemoryStore::new(), 1), Database::of(1));
        let cache = process(chaos.clone());
        let texts = texts(&cache, &database);
        assert_eq!(texts.get(&KEY).await.unwrap().store(), StoreUse::Kept);
        let mut keys = chaos.keys();
        keys.sort();
        keys.dedup();
        let (mut lines, mut entry) = (String::new(), 0);
        for key in keys {
            let Some(stored) = chaos.beneath().get(&key).await.unwrap() else { continue };
            let bytes = stored.bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
            writeln!(lines, "{key} {} {bytes}", stored.ttl_left.as_millis()).unwrap();
            entry = entry.max(stored.bytes.len());
        }
        (entry, lines)
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_value_is_stored_in_fewer_bytes_and_read_by_other_processes() {
        let (entry, lines) = written().await;
        assert!(entry < text().len() / 10, "{entry} bytes");
        if std::env::var_os("PAYPROOF_WRITE_GOLDEN_FILES").is_some() {
            std::fs::write(FILE, lines).unwrap();
        }
        let ((store, ..), database) = (store().await, Database::of(1));
        let cache = process(store);
        let hit = texts(&cache, &database).get(&KEY).await.unwrap();
        assert_eq!((hit.source(), &*hit, database.loads()), (HitSource::Store, &text(), 0));
        let bytes = cache.stats().spaces["text"].memory_bytes;
        assert!(bytes > text().len() as u64, "memory counts what is in memory: {bytes} bytes");
    }

    #[tokio::test(start_paused = true)]
    async fn a_value_that_states_more_than_any_has_is_a_miss_and_one_event() {
        let ((store, key, bytes), database) = (store().await, Database::of(1));
        // The length of the JSON as the record has it, and two megabytes in its place, in as many bytes.
        let (stated, bomb) = ([0x8A, 0xA4, 0x01], [0xFF, 0xFF, 0x7F]);
        let mut body = record_bytes::body(&bytes).to_vec();
        let at = body.windows(3).position(|window| window == stated).unwrap();
        body[at..at + 3].copy_from_slice(&bomb);
        store.replace(&key, &bytes, &record_bytes::with_checksum(&body), ttl::DAY).await.unwrap();
        let (log, _logs) = Log::install();
        let cache = process(store);
        let hit = texts(&cache, &database).get(&KEY).await.unwrap();
        assert_eq!((hit.source(), hit.store()), (HitSource::Load, StoreUse::Kept), "it was replaced");
        assert_eq!((log.lines("cannot be used").len(), database.loads()), (1, 1), "{}", log.text());
    }
}
