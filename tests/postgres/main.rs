//! The store in PostgreSQL, against real servers: a cluster of its own, standbys of it, and PgBouncer before it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "a server that does not do its part fails the test"
)]

#[path = "../support/pgbouncer.rs"]
mod pgbouncer;
#[path = "../support/postgres_server.rs"]
mod postgres_server;
#[path = "../support/servers.rs"]
mod servers;

mod cluster;
