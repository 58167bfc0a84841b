//! The store in Redis, against real servers: one, a Cluster, and a primary with sentinels.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "a server that does not do its part fails the test"
)]

#[path = "../support/certificates.rs"]
mod certificates;
#[path = "../support/folder.rs"]
mod folder;
#[cfg(all(feature = "cache", feature = "tower", feature = "webhook"))]
#[path = "../support/generated.rs"]
mod generated;
#[path = "../support/proxy.rs"]
mod proxy;
#[path = "../support/redis_server.rs"]
mod redis_server;
#[path = "../support/resp.rs"]
mod resp;
#[path = "../support/servers.rs"]
mod servers;
#[path = "../support/store_use.rs"]
mod store_use;
#[path = "../support/mod.rs"]
mod support;

mod bursts;
#[cfg(feature = "cache")]
mod cached;
mod cluster;
#[cfg(all(feature = "cache", feature = "tower", feature = "webhook"))]
mod costs;
#[cfg(feature = "cache")]
mod full;
mod line;
mod losses;
mod many;
mod outages;
mod refusals;
mod restart_loss;
mod rights;
mod sentinel;
mod urls;
mod verbs;

use std::time::Duration;

use payproof::store::{Claim, RedisStore, RedisStoreBuilder, Store, StoreError};
use tokio::time::{Instant, sleep};

const MINUTE: Duration = Duration::from_secs(60);

/// With limits that decide no test that does not mean them, on a machine that has other things to do.
fn patient(builder: RedisStoreBuilder) -> RedisStore {
    builder.connect_timeout(Duration::from_secs(10)).command_timeout(Duration::from_secs(10)).build().unwrap()
}

fn store(url: impl AsRef<str>) -> RedisStore {
    patient(RedisStore::builder(url))
}

/// Whether the call did nothing, and another may do better.
fn is_not_sent(error: &StoreError) -> bool {
    !error.is_outcome_unknown() && !error.is_refused()
}

/// Claims until it works, and returns how long that took and the errors on the way.
async fn claimed_at_last(store: &RedisStore, key: &str, within: Duration) -> (Duration, Vec<StoreError>) {
    let begun = Instant::now();
    let mut errors = Vec::new();
    loop {
        match store.claim(key, b"at last", MINUTE).await {
            // An earlier claim, whose answer was lost, may have been made.
            Ok(Claim::Claimed) => return (begun.elapsed(), errors),
            Ok(Claim::Held(held)) if held.bytes == b"at last" => return (begun.elapsed(), errors),
            Ok(other) => panic!("{other:?}"),
            Err(error) => errors.push(error),
        }
        assert!(begun.elapsed() < within, "not within {within:?}: {:?}", errors.last());
        sleep(Duration::from_millis(50)).await;
    }
}
