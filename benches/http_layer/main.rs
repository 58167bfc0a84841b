//! What an idempotent endpoint costs, beside the same endpoint without the layer.
//!
//! `cargo bench --all-features --bench http_layer` prints one line per figure, `<kind> <name> <value>`; `-- calls`,
//! `-- loopback` and `-- redis` run one part. It starts a `redis-server` of its own on loopback.
//!
//! | part | figure | against | target |
//! |---|---|---|---|
//! | `calls` | `ns first_over_bare` | a first-time request, less the bare handler; both called in this process | at most 10,000 |
//! | | `ratio replay_vs_bare_call` | a replay, against the bare handler called in this process | published, no target |
//! | | `allocs first`, `allocs replay`, `allocs bare` | heap allocations of a request | published, no target |
//! | `loopback` | `ratio replay_vs_bare` | a replay, against the bare handler, as a client sees them over HTTP | at most 1.2 |
//! | | `ratio first_vs_bare` | a first-time request, the same | published, no target |
//! | `redis` | `ratio first_vs_2rtt` | a first-time request on Redis, against two bare SETs | at most 1.3 |
//! | | `ratio first_vs_2rtt_idle` | the same, each after 2 ms in which nothing happens | |
//! | | `count first_trips` | calls to the store | 2 |
//!
//! Ratios of `redis` are the medians of five rounds with connections of their own, and `range` says from where to where these go.
//!
//! The handler reads a small JSON body and answers with another. Called in this process it takes a microsecond, which no
//! client ever sees alone; a client pays for a connection too, so that is where a replay is compared.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    clippy::expect_used,
    reason = "a bench may stop at what it did not expect, and its counts are far below 2^52"
)]

mod calls;
#[path = "../validate/checkout.rs"]
#[allow(dead_code, reason = "the other bench uses more of it")]
mod checkout;
#[path = "../validate/client.rs"]
mod client;
mod endpoint;
#[path = "../validate/figure.rs"]
#[allow(dead_code, reason = "the other bench uses more of it")]
mod figure;
mod loopback;
mod redis;
#[path = "../../tests/support/redis_server.rs"]
mod redis_server;
#[path = "../stores/rounds.rs"]
#[allow(dead_code, reason = "the other bench uses more of it")]
mod rounds;
#[path = "../../tests/support/servers.rs"]
mod servers;
#[path = "../validate/turns.rs"]
#[allow(dead_code, reason = "the other bench uses more of it")]
mod turns;

use crate::figure::{Asked, Scale};

/// Prints its figures.
type Part = fn(Scale);

fn main() {
    let asked = Asked::of_arguments();
    let parts: [(&str, Part); 3] = [("calls", calls::run), ("loopback", loopback::run), ("redis", redis::run)];
    for (name, run) in parts {
        if asked.wants(name) {
            run(asked.scale);
        }
    }
}
