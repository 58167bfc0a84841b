//! What a call gets, from where, and what it costs.

use std::sync::OnceLock;

use futures_util::FutureExt as _;
use payproof::cache::{Cache, CacheError, Cached, HitSource, Loads, Space, StoreUse, Tags, ttl};
use payproof::store::MemoryStore;
use tokio::time::{advance, sleep};

use crate::support::{Database, PRICES, Sku, loads, ms, process, secs, sku, tick, two};

#[tokio::test(start_paused = true)]
async fn a_value_is_loaded_once_for_all_processes() {
    let database = Database::of(7);
    let (_, [here, there]) = two(PRICES, &database);
    let hit = here.get(&sku("a")).await.unwrap();
    assert_eq!((*hit, hit.source(), hit.store(), hit.origin()), (7, HitSource::Load, StoreUse::Kept, "primary"));
    let hit = there.get(&sku("a")).await.unwrap();
    assert_eq!((*hit, hit.source(), hit.store()), (7, HitSource::Store, StoreUse::Kept));
    let hit = here.get(&sku("a")).await.unwrap();
    assert_eq!((*hit, hit.source()), (7, HitSource::Memory));
    assert_eq!(database.loads(), 1);
    assert_eq!(*there.get(&sku("b")).await.unwrap(), 7);
    assert_eq!(database.loads(), 2, "another key is another value");
}

#[tokio::test(start_paused = true)]
async fn calls_at_once_share_one_load_in_and_between_processes() {
    let (store, database) = (MemoryStore::new(), Database::of(7));
    database.takes(secs(3));
    let processes = [process(store.clone()), process(store)];
    let calls: Vec<_> = (0..50)
        .map(|at| {
            let prices = loads(&processes[at % 2], PRICES, &database);
            tokio::spawn(async move { *prices.get(&sku("a")).await.unwrap() })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap(), 7);
    }
    assert_eq!(database.loads(), 1);
    let stats = processes.map(|process| process.stats().spaces["price"].clone());
    assert_eq!(stats.iter().map(|stats| stats.coalesced).sum::<u64>(), 48);
    assert_eq!(stats.iter().map(|stats| stats.misses + stats.store_hits).sum::<u64>(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_key_is_invalidated_in_all_processes() {
    let database = Database::of(1);
    let (_, [here, there]) = two(PRICES, &database);
    assert_eq!([*here.get(&sku("a")).await.unwrap(), *there.get(&sku("a")).await.unwrap()], [1, 1]);
    tick().await;
    database.set(2);
    here.invalidate(&sku("a")).await.unwrap();
    tick().await;
    assert_eq!(*here.get(&sku("a")).await.unwrap(), 2);
    assert_eq!(*there.get(&sku("a")).await.unwrap(), 1, "the other process asks the store once a second");
    advance(secs(1)).await;
    assert_eq!(*there.get(&sku("a")).await.unwrap(), 2);
    assert_eq!(database.loads(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_loader_that_fails_is_told_and_not_kept() {
    let (cache, database) = (process(MemoryStore::new()), Database::of(1));
    let prices = loads(&cache, PRICES, &database);
    database.fails(1);
    let error = prices.get(&sku("a")).await.unwrap_err();
    assert!(matches!(&error, CacheError::Load { source } if source.to_string() == "the database is down"), "{error:?}");
    assert_eq!(*prices.get(&sku("a")).await.unwrap(), 1, "the next call loads at once");
}

#[tokio::test(start_paused = true)]
async fn a_value_lives_for_its_time_and_no_longer() {
    const EXACT: Space<Sku, u64> = Space::per_tenant("exact", ms(150)).exact();
    let (cache, database) = (process(MemoryStore::new()), Database::of(1));
    let prices = loads(&cache, EXACT, &database);
    assert_eq!(*prices.get(&sku("a")).await.unwrap(), 1);
    database.set(2);
    advance(ms(100)).await;
    assert_eq!(*prices.get(&sku("a")).await.unwrap(), 1);
    advance(ms(50)).await;
    assert_eq!(*prices.get(&sku("a")).await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_memory_answers_counts_alike_in_a_batch_and_by_itself() {
    const SPACE: Space<Sku, u64> = Space::per_tenant("price", secs(10)).exact().stale_while_revalidate(secs(20));
    let (cache, database) = (Cache::in_memory().build().unwrap(), Database::of(1));
    let prices = loads(&cache, SPACE, &database);
    prices.get_many(&[sku("a"), sku("b")]).await;
    advance(secs(12)).await;
    assert!(prices.get_many(&[sku("a")]).await[0].as_ref().unwrap().is_stale());
    assert!(prices.get(&sku("b")).await.unwrap().is_stale());
    let stats = &cache.stats().spaces["price"];
    assert_eq!((stats.memory_hits, stats.stale), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_cache_in_memory_needs_no_store() {
    let (cache, database) = (Cache::in_memory().build().unwrap(), Database::of(1));
    let prices = loads(&cache, PRICES, &database);
    let hit = prices.get(&sku("a")).await.unwrap();
    assert_eq!((*hit, hit.store()), (1, StoreUse::Unused));
    advance(secs(60)).await;
    assert_eq!(prices.get(&sku("a")).await.unwrap().source(), HitSource::Memory);
    database.set(2);
    prices.invalidate(&sku("a")).await.unwrap();
    assert_eq!(*prices.get(&sku("a")).await.unwrap(), 2);
}

/// Asks for the value of the key that is being put, so that a flight begins meanwhile.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "values are given by reference, whatever their type")]
fn asks_meanwhile(value: &u64, tags: &mut Tags) {
    tags.add("value", value);
    if let Some(prices) = MEANWHILE.get().filter(|_| *value == 2) {
        assert!(prices.get(&sku("a")).now_or_never().is_none(), "it loads");
    }
}

static MEANWHILE: OnceLock<Loads<Sku, u64>> = OnceLock::new();

#[tokio::test(start_paused = true)]
async fn a_load_that_began_while_a_value_was_put_in_memory_does_not_take_its_place() {
    const SPACE: Space<Sku, u64> = Space::per_tenant("meanwhile", ttl::LONG).tagged(asks_meanwhile);
    let (cache, database) = (Cache::in_memory().build().unwrap(), Database::of(1));
    let prices = MEANWHILE.get_or_init(|| loads(&cache, SPACE, &database));
    prices.put(&sku("a"), 2).await.unwrap();
    sleep(ms(10)).await;
    assert_eq!(database.loads(), 1);
    assert_eq!(*prices.get(&sku("a")).await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_space_that_fills_up_evicts_its_own_and_all_spaces_keep_to_the_budget() {
    const QUARTER: usize = 256 * 1024;
    let cache = Cache::in_memory().memory(1024 * 1024).build().unwrap();
    let open = |name| cache.space(Space::<u32, String>::global(name, secs(60)).memory(QUARTER)).unwrap();
    let bytes = |name| cache.stats().spaces[name].memory_bytes;
    let fill = async |space: &Cached<u32, String>, values| {
        for key in 0..values {
            space.put(&key, "x".repeat(998)).await.unwrap();
        }
    };
    fill(&open("quiet"), 50).await;
    assert_eq!(bytes("quiet"), 50 * (1_000 + 320 + 3 * 32));
    let names = ["a", "b", "c"];
    for name in names {
        fill(&open(name), 500).await;
        assert!(bytes(name) > 225_000 && bytes(name) <= 256 * 1024, "{}", bytes(name));
    }
    assert_eq!(bytes("quiet"), 50 * (1_000 + 320 + 3 * 32), "what others keep pushes nothing out");
    let more = ["d", "e", "f", "g"];
    for name in more {
        fill(&open(name), 500).await;
    }
    let all: u64 = cache.stats().spaces.values().map(|space| space.memory_bytes).sum();
    assert!(all <= 1024 * 1024, "{all}");
    assert!(more.iter().chain(&names).all(|name| bytes(name) > 100_000), "each has its share");
}

#[tokio::test(start_paused = true)]
async fn a_value_that_does_not_read_back_takes_its_bytes_of_memory() {
    let cache = Cache::in_memory().build().unwrap();
    let lists = cache.space(Space::<u32, Vec<f64>>::global("list", secs(60))).unwrap();
    lists.put(&1, vec![f64::NAN; 10_000]).await.unwrap();
    assert!(cache.stats().spaces["list"].memory_bytes > 50_000, "each is written as null, and reads as no number");
}

#[tokio::test(start_paused = true)]
async fn marks_that_the_store_confirmed_make_room_for_others() {
    let (cache, database) = (process(MemoryStore::new()), Database::of(1));
    let prices = loads(&cache, PRICES, &database);
    prices.get(&sku("kept")).await.unwrap();
    for other in 0..9_999 {
        prices.invalidate(&sku(&other.to_string())).await.unwrap();
    }
    assert_eq!(prices.get(&sku("kept")).await.unwrap().source(), HitSource::Memory);
    advance(secs(60)).await;
    for other in ["one", "more"] {
        prices.invalidate(&sku(other)).await.unwrap();
    }
    assert_eq!(prices.get(&sku("kept")).await.unwrap().source(), HitSource::Store, "not all of it was marked");
}
