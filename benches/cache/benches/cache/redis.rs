//! Hits and misses in Redis, beside the bare client and serde_json.
//!
//! Nothing is kept in memory here, so that each call asks the store. Both sides read the same JSON and send their commands over
//! a multiplexed connection of their own.

use std::convert::Infallible;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use payproof::cache::{Cache, For, HitSource, Loads, Space, Tenant};
use payproof::store::RedisStore;
use payproof_bench_cache::{Handwritten, Price, keys, price_of};
use tokio::runtime::{Builder, Runtime};

use crate::figure::{self, Scale};
use crate::redis_server::RedisServer;
use crate::turns::{Peer, acting, take_turns};

const HOUR: Duration = Duration::from_secs(3600);

/// The generations of tags are remembered, the values are not.
const PRICES: Space<For<String>, Price> = Space::per_tenant("price", HOUR).memory(0).memory_for(HOUR);

const ROUNDS: usize = 600;
const BATCH: u64 = 20;

/// Of one call for many.
const MANY: usize = 100;

type Key = For<String>;

pub(crate) fn run(scale: Scale) {
    let workers = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("room for a runtime");
    let server = workers.block_on(RedisServer::start());
    figures(scale, &workers, &server, "");
    // A runtime that is there and idle wakes no task.
    let one_thread = Builder::new_current_thread().enable_all().build().expect("room for a runtime");
    figures(scale, &one_thread, &server, "_one_thread");
}

/// A process of the service.
fn process(server: &RedisServer) -> Loads<Key, Price> {
    let store = RedisStore::new(server.url()).expect("the URL is one");
    let cache = Cache::builder(store).namespace("bench").build().expect("the settings fit");
    let prices = cache.space(PRICES).expect("the settings fit");
    prices.loads(async |key: Key| Ok::<_, Infallible>(price_of(key.key())))
}

fn one_tenant(names: impl Iterator<Item = String>) -> Arc<[Key]> {
    let tenant = Tenant::new("store_42");
    names.map(|name| Key::new(&tenant, name)).collect()
}

fn figures(scale: Scale, runtime: &Runtime, server: &RedisServer, on: &str) {
    server.command(&["FLUSHALL"]);
    let handwritten = runtime.block_on(Handwritten::connect(&server.url(), HOUR));
    let rounds = scale.of(ROUNDS);
    let names: Arc<[String]> = keys(1_000).into();
    runtime.block_on(async {
        for name in names.iter() {
            handwritten.set(name, &price_of(name)).await.expect("the server answers");
        }
    });
    let mut gets = acting(runtime, Arc::clone(&names), |_| Box::pin(async {}), {
        let handwritten = handwritten.clone();
        move |name: &String| {
            let (handwritten, name) = (handwritten.clone(), name.clone());
            async move { assert!(black_box(handwritten.get(&name).await).is_ok_and(|found| found.is_some())) }
        }
    });

    let warm = one_tenant(names.iter().cloned());
    let filled = process(server);
    runtime.block_on(fill(&filled, &warm));
    let mut hits = asking(runtime, filled.clone(), Arc::clone(&warm), HitSource::Store);
    report(&format!("redis_hit_vs_handwritten{on}"), take_turns(rounds, BATCH, [&mut hits, &mut gets]));

    let batch: Arc<[Vec<String>]> = names.chunks(MANY).map(<[String]>::to_vec).collect();
    let mut lists = acting(runtime, Arc::clone(&batch), |_| Box::pin(async {}), {
        let handwritten = handwritten.clone();
        move |names: &Vec<String>| {
            let (handwritten, names) = (handwritten.clone(), names.clone());
            async move {
                let found = handwritten.get_many(&names).await;
                assert!(black_box(found).is_ok_and(|found| found.iter().all(Option::is_some)));
            }
        }
    });
    let batch: Arc<[Vec<Key>]> = warm.chunks(MANY).map(<[Key]>::to_vec).collect();
    let mut batches = acting(runtime, batch, |_| Box::pin(async {}), {
        let filled = filled.clone();
        move |keys: &Vec<Key>| {
            let (filled, keys) = (filled.clone(), keys.clone());
            async move {
                let found = filled.get_many(&keys).await;
                assert!(
                    black_box(found).iter().all(|hit| hit.as_ref().is_ok_and(|hit| hit.source() == HitSource::Store))
                );
            }
        }
    });
    report(&format!("get_many_vs_mget{on}"), take_turns(rounds / 2, 2, [&mut batches, &mut lists]));

    // Each of a tenant that this process has not asked for before.
    let calls = usize::try_from(BATCH).expect("a small number") * (rounds + rounds / 10);
    let cold: Arc<[Key]> =
        (0..calls).map(|number| Key::new(&Tenant::new(number.to_string()), "sku".to_owned())).collect();
    runtime.block_on(fill(&process(server), &cold));
    let fresh = process(server);
    // The generations of the space and of all are known.
    runtime.block_on(fill(&fresh, &warm[..1]));
    let mut cold_hits = asking(runtime, fresh, cold, HitSource::Store);
    report(&format!("redis_cold_hit_vs_handwritten{on}"), take_turns(rounds, BATCH, [&mut cold_hits, &mut gets]));

    let absent: Arc<[String]> = (0..calls).map(|number| format!("new_{number:08}")).collect();
    let mut misses = asking(runtime, filled.clone(), one_tenant(absent.iter().cloned()), HitSource::Load);
    let mut fills = acting(runtime, absent, |_| Box::pin(async {}), {
        let handwritten = handwritten.clone();
        move |name: &String| {
            let (handwritten, name) = (handwritten.clone(), name.clone());
            async move {
                let loaded = handwritten.get_or_load(&name, async { price_of(&name) }).await;
                assert!(black_box(loaded).is_ok());
            }
        }
    });
    report(&format!("redis_miss_vs_handwritten{on}"), take_turns(rounds, BATCH, [&mut misses, &mut fills]));
}

/// Loads what is missing, and waits until all of it is stored.
async fn fill(prices: &Loads<Key, Price>, keys: &[Key]) {
    for key in keys {
        prices.get(key).await.expect("it loads");
    }
}

/// Asks for one after the other, and makes sure where each came from.
fn asking(runtime: &Runtime, prices: Loads<Key, Price>, keys: Arc<[Key]>, from: HitSource) -> Peer<'_> {
    acting(
        runtime,
        keys,
        |_| Box::pin(async {}),
        move |key: &Key| {
            let (prices, key) = (prices.clone(), key.clone());
            async move {
                let hit = prices.get(&key).await.expect("it loads");
                assert_eq!(hit.source(), from, "{hit:?}");
                black_box(&hit.amount);
            }
        },
    )
}

fn report(name: &str, [own, peer]: [crate::turns::Batches; 2]) {
    figure::ratio(name, own.ratio_to(&peer));
    figure::ns(name, own.ns());
    figure::ns(&format!("{name}_peer"), peer.ns());
}
