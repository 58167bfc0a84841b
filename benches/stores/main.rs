//! What sharing costs, beside the bare client of the same server.
//!
//! `cargo bench --all-features --bench stores` prints one line per figure, `<kind> <name> <value>`; `-- redis`, `-- line`, `-- crowds`,
//! `-- rest`, `-- file` and `-- postgres` run one part. It starts a `redis-server` and a `postgres` of its own on loopback, and a
//! stand-in for the REST server.
//!
//! | part | figure | against | target |
//! |---|---|---|---|
//! | `redis` | `ratio redis_hit_vs_get` | a replay, against one bare multiplexed GET | at most 1.25 |
//! | | `ratio redis_miss_vs_2rtt` | claim and settle, against two bare SETs | at most 1.3 |
//! | | `ratio redis_throughput_uncovered` | replays per second by 256 tasks, each asking the store, against bare GETs by as many | |
//! | | `ratio redis_*_idle` | the same where each call comes after 2 ms in which nothing happens | |
//! | | `count redis_trips_*`, `count redis_commands_*` | round trips and commands of a replay and a miss | 1 and 2 trips |
//! | `line` | `ratio redis_throughput` | the same with the facts in memory, covered by the line | above 1.0 |
//! | | `ratio covered_replay_vs_memory` | a replay of covered facts, against one of a process without a store | at most 1.05 |
//! | | `ns forget_to_first_miss_*` | from the answer to `forget` to the first call in another process that memory does not answer | p99 below 1 ms |
//! | `crowds` | `count redis_commands_of_1000_waiters_*` | the server's commands while duplicates of one guarded call wait | |
//! | | `count redis_burst_of_3000_refused` | payments validated and redeemed at once, default limits | 0 |
//! | `rest` | `ratio rest_hit_vs_post` | a replay, against a bare POST of the same body | at most 1.1 |
//! | `file` | `ratio file_claims` | claims per second, against bare commits of the same database | at least 0.8 |
//! | `postgres` | `ratio pg_claim_vs_insert` | a claim, against one bare INSERT … ON CONFLICT | at most 1.1; 1.5 where an fsync takes 0.2 ms |
//! | | `ratio pg_replay_vs_select` | a replay, against one bare SELECT | at most 3 |
//! | | `ratio pg_redeem_vs_insert` | a redemption, against one bare INSERT | at most 2 |
//! | | `ratio pg_throughput_vs_redis` | replays per second by 64 tasks, against those through Redis | at least 0.2 |
//! | | `ratio pg_*_idle` | the same, each call after 2 ms in which nothing happens | |
//!
//! Ratios of `redis` and `postgres` are the medians of five rounds with connections of their own, and `range` says from where to
//! where these go. `<name>_own` and `<name>_peer` are the nanoseconds of a call.
//!
//! Validations keep no facts in memory here, so that each asks the store, but in `line`. `redis` runs on a multi-thread runtime with two
//! workers, as services do, and again on one thread (`_one_thread`), where there are no wake-ups between threads to hide
//! what the work itself costs.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    clippy::expect_used,
    reason = "a bench may stop at what it did not expect, and its counts are far below 2^52"
)]

#[path = "../validate/checkout.rs"]
#[allow(dead_code, reason = "the other bench uses more of it")]
mod checkout;
#[path = "../validate/client.rs"]
mod client;
mod crowds;
#[path = "../validate/figure.rs"]
#[allow(dead_code, reason = "the other bench uses more of it")]
mod figure;
mod file;
mod line;
mod peers;
mod postgres;
#[path = "../../tests/support/postgres_server.rs"]
mod postgres_server;
mod redis;
#[path = "../../tests/support/redis_server.rs"]
mod redis_server;
mod rest;
mod rounds;
#[path = "../../tests/support/servers.rs"]
mod servers;
#[path = "../validate/turns.rs"]
#[allow(dead_code, reason = "the other bench uses more of it")]
mod turns;
#[path = "../../tests/support/upstash/mod.rs"]
mod upstash;

use crate::figure::{Asked, Scale};

/// Prints its figures.
type Part = fn(Scale);

fn main() {
    let asked = Asked::of_arguments();
    let parts: [(&str, Part); 6] = [
        ("redis", redis::run),
        ("line", line::run),
        ("crowds", crowds::run),
        ("rest", rest::run),
        ("file", file::run),
        ("postgres", postgres::run),
    ];
    for (name, run) in parts {
        if asked.wants(name) {
            run(asked.scale);
        }
    }
}
