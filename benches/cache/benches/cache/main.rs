//! What the cache kit costs, and what it saves, beside what a service would have used instead.
//!
//! `cargo bench --manifest-path benches/cache/Cargo.toml` prints one line per figure, `<kind> <name> <value>`; `-- memory` and so on
//! run one part. It starts a `redis-server` of its own on loopback.
//!
//! | part | figure | against | target |
//! |---|---|---|---|
//! | `memory` | `ratio memory_hit_vs_moka` | `get_with`, which may load as well | at most 0.6 |
//! | | `ratio memory_hit_vs_moka_by_ref` | `get_with_by_ref`, which clones no key | published |
//! | | `ratio memory_hit_vs_quick_cache`, `…_vs_cached` | a bare look-up | at most 2.0, 1.0 |
//! | | `allocs memory_hit` | | 0 |
//! | `redis` | `ratio redis_hit_vs_handwritten` | `GET` and serde_json; the tenant's generation is known | at most 1.4 |
//! | | `ratio redis_cold_hit_vs_handwritten` | the same; the tenant was not asked for before | at most 1.6 |
//! | | `ratio redis_miss_vs_handwritten` | `GET`, then `SET` with a lifetime | at most 2.0 |
//! | | `ratio get_many_vs_mget` | `MGET` and serde_json, 100 keys | at most 2.5 |
//! | `hung` | `ratio hung_store_p99_vs_no_cache` | the loader alone, after two time-outs | at most 1.05 |
//! | `batches` | `ratio redeem_p99_beside_batches` | redemptions alone; beside them 100 × 64 KiB are read | at most 1.2 |
//! | `fleet` | `ratio loads_per_expiry` | four processes, 1,000 expiries | 1.00 |
//! | | `ratio loads_per_expiry_beside_killed` | without the loads of processes that were killed meanwhile | 1.00 |
//! | | `…_amalgam`, `…_cached`, `…_get_set` | what the peers do | published |

mod batches;
#[path = "../../../validate/checkout.rs"]
#[allow(dead_code, reason = "the other benches use more of it")]
mod checkout;
#[path = "../../../validate/figure.rs"]
#[allow(dead_code, reason = "the other benches use more of it")]
mod figure;
mod fleet;
mod hung;
mod memory;
mod redis;
#[path = "../../../../tests/support/redis_server.rs"]
mod redis_server;
#[path = "../../../../tests/support/servers.rs"]
mod servers;
#[path = "../../../validate/turns.rs"]
#[allow(dead_code, reason = "the other benches use more of it")]
mod turns;

use crate::figure::{Asked, Scale};

/// Prints its figures.
type Part = fn(Scale);

fn main() {
    if fleet::is_process() {
        return;
    }
    let asked = Asked::of_arguments();
    let parts: [(&str, Part); 5] = [
        ("memory", memory::run),
        ("redis", redis::run),
        ("hung", hung::run),
        ("batches", batches::run),
        ("fleet", fleet::run),
    ];
    for (name, run) in parts {
        if asked.wants(name) {
            run(asked.scale);
        }
    }
}
