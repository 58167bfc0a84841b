//! A hit in memory, beside a look-up in the caches that a service would have used.
//!
//! All hold the same prices in an `Arc`, are asked in the same random order, and have room for twice as many. payproof and
//! moka's `get_with` are asked with a loader; the others only look up. payproof alone looks whether the value was invalidated
//! and how long ago it was checked, and counts.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use payproof::cache::{Cache, Loads, Space};
use payproof_bench_cache::{Price, keys, price_of};
use tokio::runtime::{Builder, Runtime};

use crate::figure::{self, Scale};
use crate::turns::{Peer, take_turns, timed};

const HOUR: Duration = Duration::from_secs(3600);

const PRICES: Space<String, Price> = Space::global("price", HOUR).memory_for(HOUR).memory(64 * 1024 * 1024);

/// More than a core's own caches hold, and few enough for the memory of one space.
const MANY: usize = 30_000;

/// What every cache near the core holds.
const HOT: usize = 1_000;

/// Long enough that reading the clock does not show, short enough that neighbors meet the same machine.
const BATCH: u64 = 2_000;

const ROUNDS: usize = 1_000;

/// Of every price.
const AMOUNT: u64 = 2_000;

type Cached = cached::ShardedLruTtlCache<String, Arc<Price>>;

struct Memories {
    keys: Vec<String>,
    own: Loads<String, Price>,
    moka: moka::future::Cache<String, Arc<Price>>,
    quick_cache: quick_cache::sync::Cache<String, Arc<Price>>,
    cached: Cached,
}

impl Memories {
    fn filled(runtime: &Runtime, count: usize) -> Self {
        let (room, keys) = (count * 2, keys(count));
        let cache = Cache::in_memory().build().expect("the settings fit");
        let own = cache.space(PRICES).expect("the settings fit");
        let own = own.loads(async |key: String| Ok::<_, std::convert::Infallible>(price_of(&key)));
        let moka = moka::future::Cache::builder().max_capacity(room as u64).time_to_live(HOUR).build();
        let quick_cache = quick_cache::sync::Cache::new(room);
        let cached = Cached::builder().max_size(room).ttl(HOUR).build().expect("the settings fit");
        runtime.block_on(async {
            for key in &keys {
                own.get(key).await.expect("it loads");
                let price = Arc::new(price_of(key));
                moka.insert(key.clone(), Arc::clone(&price)).await;
                quick_cache.insert(key.clone(), Arc::clone(&price));
                let _ = cached::ConcurrentCached::cache_set(&cached, key.clone(), price);
            }
            moka.run_pending_tasks().await;
        });
        Self { keys, own, moka, quick_cache, cached }
    }

    fn own<'m>(&'m self, runtime: &'m Runtime) -> Peer<'m> {
        asking(runtime, &self.keys, async |key| {
            black_box(self.own.get(key).await).is_ok_and(|price| price.amount == AMOUNT)
        })
    }

    fn peers<'m>(&'m self, runtime: &'m Runtime) -> [(&'static str, Peer<'m>); 4] {
        [
            (
                "moka",
                asking(runtime, &self.keys, async |key| {
                    black_box(self.moka.get_with(key.clone(), async { Arc::new(price_of(key)) }).await).amount == AMOUNT
                }),
            ),
            (
                "moka_by_ref",
                asking(runtime, &self.keys, async |key| {
                    black_box(self.moka.get_with_by_ref(key, async { Arc::new(price_of(key)) }).await).amount == AMOUNT
                }),
            ),
            (
                "quick_cache",
                asking(runtime, &self.keys, async |key| {
                    black_box(self.quick_cache.get(key)).is_some_and(|price| price.amount == AMOUNT)
                }),
            ),
            (
                "cached",
                asking(runtime, &self.keys, async |key| {
                    let found = cached::ConcurrentCached::cache_get(&self.cached, key);
                    black_box(found).is_ok_and(|price| price.is_some_and(|price| price.amount == AMOUNT))
                }),
            ),
        ]
    }
}

/// Asks about one after the other, round and round.
fn asking<'k>(runtime: &'k Runtime, keys: &'k [String], ask: impl AsyncFn(&'k String) -> bool + 'k) -> Peer<'k> {
    let mut keys = keys.iter().cycle();
    Box::new(move |count| {
        let (time, good) = runtime.block_on(timed(async {
            let mut good = 0;
            for key in keys.by_ref().take(usize::try_from(count).expect("a count in memory")) {
                good += u64::from(ask(key).await);
            }
            good
        }));
        assert_eq!(good, count, "everything that was put in is still there");
        time
    })
}

pub(crate) fn run(scale: Scale) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("room for a runtime");
    for (count, prefix) in [(MANY, "memory_hit"), (HOT, "memory_hot_hit")] {
        let memories = Memories::filled(&runtime, scale.of(count));
        let mut own = memories.own(&runtime);
        figure::allocs(prefix, allocations(&mut own));
        // Two at a time: a third would empty the core's caches for the other two.
        for (name, mut peer) in memories.peers(&runtime) {
            let [own, peer] = take_turns(scale.of(ROUNDS), BATCH, [&mut own, &mut peer]);
            figure::ratio(&format!("{prefix}_vs_{name}"), own.ratio_to(&peer));
            figure::ns(&format!("{prefix}_beside_{name}"), own.ns());
            figure::ns(&format!("{prefix}_{name}"), peer.ns());
        }
    }
}

/// Allocations of a hit.
fn allocations(own: &mut Peer<'_>) -> f64 {
    let mut counted = |hits: u64| {
        let counts = allocation_counter::measure(|| {
            let _: Duration = own(hits);
        });
        counts.count_total
    };
    // Entering the runtime is no part of a hit.
    let entering = counted(0);
    (counted(BATCH) - entering) as f64 / BATCH as f64
}
