//! Several real processes that share one store, while workers die, servers stall and connections break.
//!
//! The processes are this very test binary, started again to run nothing but [`worker`], or the same binary as it was built
//! from an earlier commit. The provider is in the parent, so that it counts what really reached it. Each run prints its seed; `PAYPROOF_FLEET_SEED` repeats the choices, though not
//! the scheduler's.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what does not hold here fails the test"
)]

mod builds;
mod client;
mod cluster;
mod desk;
mod endpoints;
#[path = "../support/forward.rs"]
mod forward;
mod language;
mod outage;
mod pauses;
#[path = "../support/postgres_server.rs"]
mod postgres_server;
mod process;
mod provider;
#[path = "../support/proxy.rs"]
mod proxy;
mod redemptions;
#[path = "../support/redis_server.rs"]
mod redis_server;
#[path = "../support/resp.rs"]
mod resp;
mod server;
#[path = "../support/servers.rs"]
mod servers;
mod storm;
mod traffic;
mod validations;
mod verdict;
mod work;

use tokio::sync::{Semaphore, SemaphorePermit};

/// What makes this binary a worker: its settings.
const WORKER: &str = "PAYPROOF_FLEET_WORKER";

/// No test, unless the parent started this process to be one of many.
#[test]
fn worker() {
    if let Ok(settings) = std::env::var(WORKER) {
        work::run(&settings);
    }
}

/// Two of these tests run at a time, since they mostly wait: for leases, servers and processes. More would keep the workers
/// from the processor for as long as their leases are.
async fn my_turn() -> SemaphorePermit<'static> {
    static TURNS: Semaphore = Semaphore::const_new(2);
    TURNS.acquire().await.expect("it is never closed")
}

/// What the choices of a run follow from.
fn seed() -> u64 {
    match std::env::var("PAYPROOF_FLEET_SEED") {
        Ok(seed) => seed.parse().expect("PAYPROOF_FLEET_SEED is a number"),
        Err(_) => rand::random_range(0..1_000_000),
    }
}
