//! The command line, end to end: the built program against the sandbox, a real Redis, and endpoints made for it.
#![cfg(all(feature = "cli", feature = "test-util"))]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what does not go as expected fails the test"
)]

#[path = "cli/endpoint.rs"]
mod endpoint;
#[path = "cli/input.rs"]
mod input;
#[path = "cli/many.rs"]
mod many;
#[path = "cli/one.rs"]
mod one;
#[path = "cli/program.rs"]
mod program;
#[path = "support/redis_server.rs"]
mod redis_server;
#[path = "cli/secrets.rs"]
mod secrets;
#[path = "cli/store.rs"]
mod store;
#[path = "cli/verify.rs"]
mod verify;
