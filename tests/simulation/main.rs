//! Several processes over a store that goes wrong in every way, on a clock that jumps: one simulation per subsystem.
#![cfg(feature = "test-util")]

#[path = "../support/chaos_store.rs"]
mod chaos_store;
#[path = "../support/simulation.rs"]
mod simulation;
#[path = "../support/mod.rs"]
mod support;

#[cfg(feature = "cache")]
mod cache;
mod endpoint;
mod numbering;
mod redeem;
mod sessions;
mod shared;
mod thin;
mod webhook;
