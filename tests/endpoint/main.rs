//! Idempotent endpoints, as a client of a service sees them.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what does not hold here fails the test"
)]

mod answers;
mod bodies;
mod bypass;
mod duplicates;
mod failures;
mod fates;
#[path = "../support/forward.rs"]
mod forward;
mod fuzz;
mod identity;
mod keys;
mod listed;
#[cfg(feature = "redis")]
mod processes;
#[cfg(feature = "redis")]
#[path = "../support/redis_server.rs"]
mod redis_server;
mod resolving;
mod sameness;
#[cfg(feature = "redis")]
#[path = "../support/servers.rs"]
mod servers;
mod service;
mod settings;
mod store;
#[path = "../support/subscribers.rs"]
mod subscribers;
#[path = "../support/mod.rs"]
mod support;
