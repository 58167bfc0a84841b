//! The cache kit: what it promises, through its public API.

#[path = "../support/chaos_store.rs"]
mod chaos_store;
#[path = "../support/forward.rs"]
mod forward;
#[cfg(feature = "cache-lz4")]
#[path = "../support/record_bytes.rs"]
mod record_bytes;
#[path = "../support/subscribers.rs"]
mod subscribers;

mod calls;
mod counters;
mod full;
mod keys;
mod own_tags;
mod packed;
mod promise;
mod settings;
mod support;
mod trouble;
mod values;
