//! The store in PostgreSQL, against real servers: a cluster of its own, standbys of it, and PgBouncer before it.
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
#[path = "../support/forward.rs"]
mod forward;
#[path = "../support/pgbouncer.rs"]
mod pgbouncer;
#[path = "../support/postgres_server.rs"]
mod postgres_server;
#[path = "../support/proxy.rs"]
mod proxy;
#[path = "../support/resp.rs"]
mod resp;
#[path = "../support/servers.rs"]
mod servers;
#[path = "../support/store_use.rs"]
mod store_use;
#[path = "../support/mod.rs"]
mod support;

mod cluster;
mod connections;
mod contract;
mod crashes;
mod homes;
mod isolation;
mod model;
mod outages;
mod races;
mod refusals;
mod restart_loss;
mod rights;
mod shop;
mod standbys;
mod storm;
mod sweeps;
mod tables;
mod transactions;

use std::time::Duration;

use payproof::store::{PostgresStore, PostgresStoreBuilder, StoreError};

use self::postgres_server::PostgresServer;

const HOUR: Duration = Duration::from_secs(3600);

/// With limits that decide no test that does not mean them, on a machine that has other things to do.
fn patient(builder: PostgresStoreBuilder) -> PostgresStore {
    builder.connect_timeout(Duration::from_secs(20)).command_timeout(Duration::from_secs(20)).build().unwrap()
}

fn store(url: impl AsRef<str>) -> PostgresStore {
    patient(PostgresStore::builder(url))
}

/// A store whose table was made just now.
async fn with_table(server: &PostgresServer) -> PostgresStore {
    let store = store(server.url());
    store.create_table().await.unwrap();
    store
}

/// Whether the call did nothing, and another may do better.
fn is_not_sent(error: &StoreError) -> bool {
    !error.is_outcome_unknown() && !error.is_refused()
}
