//! The command line, end to end: the built program against the sandbox, a real Redis, and endpoints made for it.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what does not go as expected fails the test"
)]

#[cfg(feature = "audit")]
mod audit;
mod cache;
#[path = "../support/certificates.rs"]
mod certificates;
mod csv_peers;
mod deploy;
mod endpoint;
mod exports;
#[path = "../support/folder.rs"]
mod folder;
mod http2;
mod input;
mod many;
mod migrate;
mod one;
#[path = "../support/postgres_server.rs"]
mod postgres_server;
mod program;
#[path = "../support/promtool.rs"]
mod promtool;
mod reconcile;
#[path = "../support/redis_server.rs"]
mod redis_server;
mod requests;
mod sandbox;
mod secrets;
#[path = "../support/servers.rs"]
mod servers;
mod store;
mod verify;
#[cfg(feature = "audit")]
mod wrong_twin;
