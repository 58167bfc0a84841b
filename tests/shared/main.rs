//! Several validators over one store, as several processes have it.
#![cfg(feature = "test-util")]

#[path = "../support/chaos_store.rs"]
mod chaos_store;
#[cfg(all(feature = "file", feature = "redis", unix))]
#[path = "../support/folder.rs"]
mod folder;
#[path = "../support/forward.rs"]
mod forward;
#[path = "../support/record_bytes.rs"]
mod record_bytes;
#[cfg(all(feature = "file", feature = "redis", unix))]
#[path = "../support/redis_server.rs"]
mod redis_server;
#[cfg(all(feature = "file", feature = "redis", unix))]
#[path = "../support/servers.rs"]
mod servers;
#[path = "../support/shifted_store.rs"]
mod shifted_store;
#[path = "../support/mod.rs"]
mod support;

mod accounts;
mod ages;
mod aliases;
mod clock;
mod facts;
mod hanging;
mod record_keys;
mod record_tails;
