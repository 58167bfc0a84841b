//! What a store that hangs costs the calls of a service: two time-outs, and then nothing.
//!
//! Calls with the cache and without it take turns, by as many callers at once; each is for another key, so that all load.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use payproof::cache::{Cache, Loads, Space, StoreUse};
use payproof::store::RedisStore;
use payproof_bench_cache::{Price, price_of};
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::figure::{self, Scale};
use crate::redis_server::RedisServer;

const PRICES: Space<String, Price> = Space::global("price", Duration::from_secs(3600));

/// What the database takes.
const LOAD: Duration = Duration::from_millis(5);

const CALLERS: usize = 16;

/// Of each caller, in each turn.
const CALLS: usize = 10;

/// Some seconds, in which the store is probed several times.
const TURNS: usize = 100;

pub(crate) fn run(scale: Scale) {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("room for a runtime");
    runtime.block_on(async {
        let server = RedisServer::start().await;
        let store = RedisStore::new(server.url()).expect("the URL is one");
        let cache = Cache::builder(store).namespace("bench").build().expect("the settings fit");
        let prices = cache
            .space(PRICES)
            .expect("the settings fit")
            .loads(async |key: String| Ok::<_, Infallible>(from_the_database(&key).await));
        prices.get(&"first".to_owned()).await.expect("it loads");
        server.hang();
        let begun = Instant::now();
        let mut hung = 0;
        loop {
            let hit = prices.get(&format!("hung_{hung}")).await.expect("a store that hangs is no error");
            hung += 1;
            assert!(hung < 10, "the store is asked on and on");
            assert_eq!(hit.store(), StoreUse::Down);
            if hit.age() < LOAD * 4 {
                break;
            }
        }
        figure::ms("hung_store_until_it_is_not_asked", begun.elapsed().as_secs_f64() * 1e3);
        let prices = Arc::new(prices);
        let (mut own, mut bare) = (Vec::new(), Vec::new());
        for _ in 0..scale.of(TURNS) {
            own.extend(turn(Some(&prices)).await);
            bare.extend(turn(None).await);
        }
        server.resume();
        let (own, bare) = (percentile(own, 99), percentile(bare, 99));
        figure::ratio("hung_store_p99_vs_no_cache", own.as_secs_f64() / bare.as_secs_f64());
        figure::ms("hung_store_p99", own.as_secs_f64() * 1e3);
        figure::ms("hung_store_p99_no_cache", bare.as_secs_f64() * 1e3);
    });
}

async fn from_the_database(key: &str) -> Price {
    sleep(LOAD).await;
    price_of(key)
}

/// How long each call took, of callers that ask at the same time, each for one key after the other.
async fn turn(prices: Option<&Arc<Loads<String, Price>>>) -> Vec<Duration> {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let prices = prices.cloned();
        callers.spawn(async move {
            let mut times = Vec::with_capacity(CALLS);
            for _ in 0..CALLS {
                let key = format!("sku_{}", NEXT.fetch_add(1, Ordering::Relaxed));
                let begun = Instant::now();
                let amount = match &prices {
                    Some(prices) => prices.get(&key).await.expect("a store that hangs is no error").amount,
                    None => from_the_database(&key).await.amount,
                };
                times.push(begun.elapsed());
                assert_eq!(amount, 2_000);
            }
            times
        });
    }
    callers.join_all().await.concat()
}

/// The time within which so many of a hundred were.
pub(crate) fn percentile(mut times: Vec<Duration>, of_a_hundred: usize) -> Duration {
    times.sort_unstable();
    times[times.len() * of_a_hundred / 100]
}
