//! What a validation costs, beside what a user would have written instead.
//!
//! `cargo bench --bench validate` prints one line per figure, `<kind> <name> <value>`, where the kind is `ratio`, `ns`,
//! `allocs`, `bytes`, `ms` or `count`; then criterion prints absolute times. `-- hit` runs one part only, `-- --test` runs everything
//! once and quickly.
//!
//! | part | figures | target |
//! |---|---|---|
//! | `memory` | `bytes entry`, `bytes entry_allocated`, `bytes entry_after_evictions` | 300 |
//! | `validator` | `ns validator`, `bytes validator`; `…_tls` with the client for Stripe | 100,000, 16,384 |
//! | `hit` | `ratio hit_vs_moka`, `ratio hit_vs_quick_cache` | 0.5, 2.0 |
//! | | `ratio hot_vs_moka`, `ratio hot_vs_quick_cache` | published, no target |
//! | | `allocs hit` | 0 |
//! | `engine` | `ns engine`, `allocs engine`, `ns policies` | 2,000, 8, 500 |
//! | `miss` | `ratio miss_vs_reqwest`, `ratio miss_vs_middleware` | 1.05, 1.0 |
//! | | `ratio miss_vs_reqwest_16`, `…_64`, `…_256`: so many callers at once | 1.10 |
//! | `threads` | `ratio hit_threads`, `ratio judged_threads` | 1.6 |
//! | | `ratio hot_threads`: all ask about one payment | 0.9 |
//! | | `…_vs_apart`: as much as two validators | 1.0 |
//! | `growth` | `ms longest_hit` | 5 |
//! | | `ms longest_pause`: of a thread that only reads the clock | what the machine does |
//! | `flights` | `bytes flight`: 100,000 under way, `…_bare_task` | 2,000, published |
//! | | `ms flights_start`: 300,000, `ratio flights_start_vs_spawn` | 1,500, published |
//! | `outage` | `ratio amplification_down` | 1.1 |
//! | `polls` | `count polls_per_hour`: of 100 payments by QR code and 900 debits, polled as told | 16,000 |
//!
//! Everything runs on current-thread runtimes, in `threads` and `growth` on one for each thread. Inside the `block_on` of a
//! multi-thread runtime each spawned leader wakes another thread, and that wake-up would be measured instead.
//!
//! Allocations are counted by an allocator that wraps the system's, per thread and without atomics. It adds about 3 ns to
//! each allocation and each release, for every peer alike; a hit does neither.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    clippy::expect_used,
    reason = "a bench may stop at what it did not expect, and its counts are far below 2^52"
)]

mod answer;
mod checkout;
mod client;
mod engine;
mod figure;
mod flights;
mod growth;
mod hit;
mod memory;
mod miss;
mod outage;
mod polls;
mod threads;
mod turns;
mod validator;

use std::time::Duration;

use criterion::Criterion;

use crate::figure::{Asked, Scale};

/// Prints its figures, and has criterion measure its absolute times.
type Part = fn(Scale, &mut Criterion);

fn main() {
    let asked = Asked::of_arguments();
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();

    let parts: [(&str, Part); 10] = [
        // First: later, the heap has room left over from other parts, and growth would not show.
        ("memory", memory::run),
        ("hit", hit::run),
        ("validator", validator::run),
        ("engine", engine::run),
        ("threads", threads::run),
        ("growth", growth::run),
        ("flights", flights::run),
        ("miss", miss::run),
        // Last: once any clock of the process was paused, reading the time takes longer.
        ("outage", outage::run),
        ("polls", polls::run),
    ];
    for (name, run) in parts {
        if asked.wants(name) {
            run(asked.scale, &mut criterion);
        }
    }
    criterion.final_summary();
}
