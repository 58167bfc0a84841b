//! A store that is away, slow, full of other things; loaders that fail, nest and hang.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use payproof::Mode;
use payproof::Validator;
use payproof::cache::{Cache, CacheError, HitSource, Loads, Space, StoreUse, Tag};
use payproof::provider::ProviderIdentity;
use payproof::store::{MemoryStore, Store as _};
use payproof::testing::{FlakyStore, ScriptedProvider, StoreFault};
use tokio::time::{Instant, advance, sleep};

use crate::chaos_store::{ChaosStore, Fate, Trouble};
use crate::subscribers::Log;
use crate::support::{Database, PRICES, Sku, loads, ms, paused_runtime, process, secs, sku, two};

#[tokio::test(start_paused = true)]
async fn a_hung_store_costs_two_time_outs_and_then_nothing() {
    let (flaky, database) = (FlakyStore::new(MemoryStore::new()), Database::of(1));
    flaky.always(Some(StoreFault::Never));
    let cache = process(Arc::new(flaky));
    let prices = loads(&cache, PRICES, &database);
    let mut took = Vec::new();
    for name in ["a", "b", "c", "d"] {
        let began = Instant::now();
        let hit = prices.get(&sku(name)).await.unwrap();
        assert_eq!((*hit, hit.store()), (1, StoreUse::Down));
        took.push(began.elapsed());
    }
    assert_eq!(took, [ms(100), ms(100), ms(0), ms(0)]);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_back_is_used_again() {
    let (flaky, database) = (Arc::new(FlakyStore::new(MemoryStore::new())), Database::of(1));
    let cache = process(Arc::clone(&flaky));
    let prices = loads(&cache, PRICES, &database);
    flaky.always(Some(StoreFault::NotSent));
    for name in ["a", "b", "c"] {
        assert_eq!(prices.get(&sku(name)).await.unwrap().store(), StoreUse::Down);
    }
    flaky.always(None);
    assert_eq!(prices.get(&sku("d")).await.unwrap().store(), StoreUse::Down, "it was not probed yet");
    sleep(ms(1_001)).await;
    assert_eq!(prices.get(&sku("e")).await.unwrap().store(), StoreUse::Kept);
}

#[test]
fn a_store_that_is_back_is_used_again_where_no_probe_comes_to_its_end() {
    let (flaky, database) = (Arc::new(FlakyStore::new(MemoryStore::new())), Database::of(1));
    let cache = process(Arc::clone(&flaky));
    let prices = loads(&cache, PRICES, &database);
    flaky.always(Some(StoreFault::NotSent));
    paused_runtime().block_on(async {
        for name in ["a", "b", "c"] {
            assert_eq!(prices.get(&sku(name)).await.unwrap().store(), StoreUse::Down);
        }
    });
    flaky.always(None);
    // Its prober ended with the first runtime.
    paused_runtime().block_on(async {
        advance(secs(60)).await;
        assert_eq!(prices.get(&sku("d")).await.unwrap().store(), StoreUse::Kept);
    });
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_back_soon_hears_of_what_was_invalidated_meanwhile() {
    let (store, database) = (MemoryStore::new(), Database::of(1));
    let flaky = Arc::new(FlakyStore::new(store.clone()));
    let (here, there) = (process(Arc::clone(&flaky)), process(store));
    let (here, there) = (loads(&here, PRICES, &database), loads(&there, PRICES, &database));
    assert_eq!(*there.get(&sku("a")).await.unwrap(), 1);
    flaky.always(Some(StoreFault::NotSent));
    database.set(2);
    assert!(here.invalidate(&sku("a")).await.is_err());
    // By now it is tried again every 30 s, and the last time was 9 s ago.
    sleep(secs(100)).await;
    flaky.always(None);
    here.get(&sku("b")).await.unwrap();
    sleep(secs(2)).await;
    assert_eq!(*there.get(&sku("a")).await.unwrap(), 2);
}

#[test]
fn a_runtime_that_ended_leaves_what_is_overdue_to_the_next_one() {
    let (store, database) = (MemoryStore::new(), Database::of(1));
    let flaky = Arc::new(FlakyStore::new(store.clone()));
    let (here, there) = (process(Arc::clone(&flaky)), process(store));
    let (here, there) = (loads(&here, PRICES, &database), loads(&there, PRICES, &database));
    paused_runtime().block_on(async {
        assert_eq!(*there.get(&sku("a")).await.unwrap(), 1);
        flaky.always(Some(StoreFault::NotSent));
        assert!(here.invalidate(&sku("a")).await.is_err());
    });
    database.set(2);
    paused_runtime().block_on(async {
        assert!(here.invalidate(&sku("b")).await.is_err());
        flaky.always(None);
        sleep(secs(60)).await;
        assert_eq!(*there.get(&sku("a")).await.unwrap(), 2);
    });
}

#[tokio::test(start_paused = true)]
async fn an_invalidation_that_fails_lastingly_holds_none_of_the_others_up() {
    let (chaos, database) = (ChaosStore::new(&MemoryStore::new(), 1), Database::of(1));
    let (one, other) = (process(chaos.clone()), process(chaos.clone()));
    let (here, there) = (loads(&one, PRICES, &database), loads(&other, PRICES, &database));
    one.invalidate(&Tag::new("user", 7)).await.unwrap();
    let place = chaos.keys().pop().unwrap();
    let stood = chaos.beneath().get(&place).await.unwrap().unwrap();
    chaos.beneath().replace(&place, &stood.bytes, b"damaged", stood.ttl_left).await.unwrap();
    assert!(one.invalidate(&Tag::new("user", 7)).await.is_err());
    assert_eq!(*there.get(&sku("a")).await.unwrap(), 1);
    chaos.script([Fate::NotSent; 4]);
    assert!(here.invalidate(&sku("a")).await.is_err());
    chaos.trouble(Trouble::NONE);
    database.set(2);
    sleep(secs(100)).await;
    assert_eq!(*there.get(&sku("a")).await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_used_is_told_once_for_a_space() {
    let (chaos, database) = (ChaosStore::new(&MemoryStore::new(), 1), Database::of(1));
    loads(&process(chaos.clone()), PRICES, &database).get(&sku("a")).await.unwrap();
    for place in chaos.keys().into_iter().filter(|key| key.contains(":cache-tag:")) {
        let stood = chaos.beneath().get(&place).await.unwrap().unwrap();
        chaos.beneath().replace(&place, &stood.bytes, b"damaged", stood.ttl_left).await.unwrap();
    }
    let (log, _logs) = Log::install();
    let prices = loads(&process(chaos.clone()), PRICES, &database);
    for key in ["a", "b", "c"] {
        assert_eq!(prices.get(&sku(key)).await.unwrap().store(), StoreUse::Bypassed);
    }
    assert_eq!(log.lines("cannot be used").len(), 1, "{}", log.text());
}

#[tokio::test(start_paused = true)]
async fn a_value_past_its_life_is_served_where_the_loader_fails_and_only_so_long() {
    const SPACE: Space<Sku, u64> = Space::per_tenant("price", secs(10)).exact().stale_if_error(secs(20));
    let (cache, database) = (process(MemoryStore::new()), Database::of(1));
    let prices = loads(&cache, SPACE, &database);
    assert_eq!(*prices.get(&sku("a")).await.unwrap(), 1);
    database.fails(u64::MAX);
    advance(secs(15)).await;
    let hit = prices.get(&sku("a")).await.unwrap();
    assert!(*hit == 1 && hit.is_stale());
    advance(secs(15)).await;
    assert!(matches!(prices.get(&sku("a")).await, Err(CacheError::Load { .. })));
}

#[tokio::test(start_paused = true)]
async fn an_invalidated_value_is_not_served_where_the_loader_fails() {
    const SPACE: Space<Sku, u64> =
        Space::per_tenant("price", secs(10)).exact().stale_if_error(secs(20)).stale_while_revalidate(secs(20));
    let (cache, database) = (process(MemoryStore::new()), Database::of(1));
    let prices = loads(&cache, SPACE, &database);
    assert_eq!(*prices.get(&sku("a")).await.unwrap(), 1);
    advance(secs(15)).await;
    prices.invalidate(&sku("a")).await.unwrap();
    database.fails(1);
    assert!(prices.get(&sku("a")).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_stale_value_is_served_at_once_and_loaded_anew_once() {
    const SPACE: Space<Sku, u64> = Space::per_tenant("price", secs(10)).exact().stale_while_revalidate(secs(20));
    let database = Database::of(1);
    let (_, [here, there]) = two(SPACE, &database);
    assert_eq!(*here.get(&sku("a")).await.unwrap(), 1);
    database.set(2);
    database.takes(secs(1));
    advance(secs(12)).await;
    let began = Instant::now();
    let stale = [here.get(&sku("a")).await.unwrap(), there.get(&sku("a")).await.unwrap()];
    assert!(stale.iter().all(|hit| **hit == 1 && hit.is_stale()) && began.elapsed() < ms(10));
    sleep(secs(3)).await;
    assert_eq!([*here.get(&sku("a")).await.unwrap(), *there.get(&sku("a")).await.unwrap()], [2, 2]);
    assert_eq!(database.loads(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_expired_value_is_served_while_it_is_loaded_anew() {
    const SPACE: Space<Sku, u64> = Space::per_tenant("price", secs(100)).stale_while_revalidate(secs(20));
    let (cache, database) = (process(MemoryStore::new()), Database::of(1));
    let prices = loads(&cache, SPACE, &database);
    assert_eq!(*prices.get(&sku("a")).await.unwrap(), 1);
    advance(secs(2)).await;
    database.set(2);
    prices.expire(&sku("a")).await.unwrap();
    let hit = prices.get(&sku("a")).await.unwrap();
    assert!(*hit == 1 && hit.is_stale());
    sleep(ms(10)).await;
    assert_eq!(*prices.get(&sku("a")).await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn one_broken_process_does_not_fail_the_others() {
    let (store, broken, sound) = (MemoryStore::new(), Database::of(1), Database::of(2));
    let (one, other) = (process(store.clone()), process(store));
    let (here, there) = (loads(&one, PRICES, &broken), loads(&other, PRICES, &sound));
    broken.fails(u64::MAX);
    broken.takes(secs(1));
    let fails = tokio::spawn(async move { here.get(&sku("a")).await.is_err() });
    sleep(ms(100)).await;
    assert_eq!(*there.get(&sku("a")).await.unwrap(), 2);
    assert!(fails.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn waiters_fail_with_two_processes_and_newcomers_load() {
    let (store, database) = (MemoryStore::new(), Database::of(1));
    database.fails(2);
    database.takes(secs(1));
    let calls: Vec<_> = (0..3)
        .map(|_| {
            let prices = loads(&process(store.clone()), PRICES, &database);
            tokio::spawn(async move { prices.get(&sku("a")).await.map(|hit| *hit) })
        })
        .collect();
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.await.unwrap());
    }
    let elsewhere = answers.iter().filter(|answer| matches!(answer, Err(CacheError::FailedElsewhere))).count();
    assert_eq!((elsewhere, database.loads()), (1, 2), "{answers:?}");
    assert_eq!(*loads(&process(store), PRICES, &database).get(&sku("a")).await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_loader_that_asks_for_its_own_key_is_told_so() {
    let cache = process(MemoryStore::new());
    let prices = cache.space(PRICES).unwrap();
    let again = prices.clone();
    let loads: Loads<Sku, u64> = prices.loads(move |key: Sku| {
        let again = again.clone();
        async move { again.get_or_load(&key, || async { Ok::<_, CacheError>(1) }).await.map(|hit| *hit) }
    });
    let Err(CacheError::Load { source }) = loads.get(&sku("a")).await else { panic!("it was answered") };
    assert!(source.to_string().contains("asks for the value itself"), "{source}");
}

#[tokio::test(start_paused = true)]
async fn a_loader_that_hangs_or_panics_ends_its_calls_with_an_error() {
    let cache = process(MemoryStore::new());
    let prices = cache.space(PRICES).unwrap();
    let hangs = prices.get_or_load(&sku("a"), std::future::pending::<Result<u64, CacheError>>).await;
    assert!(matches!(hangs, Err(CacheError::LoadTimedOut { limit }) if limit == secs(10)));
    let panics = prices.get_or_load(&sku("b"), || async { Err::<u64, _>(panicking()) }).await;
    assert!(matches!(panics, Err(CacheError::Interrupted)));
    let limited =
        prices.get_or_load(&sku("c"), std::future::pending::<Result<u64, CacheError>>).deadline(secs(1)).await;
    assert!(matches!(limited, Err(CacheError::Deadline { .. })));
}

#[allow(clippy::panic, reason = "it is the loader that panics")]
fn panicking() -> CacheError {
    panic!("the loader has a bug")
}

#[tokio::test(start_paused = true)]
async fn a_batch_asks_a_loader_of_many_once_and_each_key_has_its_value() {
    let (store, calls) = (MemoryStore::new(), Arc::new(AtomicU64::new(0)));
    let cache = process(store);
    let counted = Arc::clone(&calls);
    let lengths = cache.space(PRICES).unwrap().loads_many(move |keys: Vec<Sku>| {
        counted.fetch_add(1, SeqCst);
        async move { Ok::<_, CacheError>(keys.iter().map(|key| key.key().len() as u64).collect()) }
    });
    let keys: Vec<Sku> = (1..=120).map(|length| sku(&"x".repeat(length))).collect();
    let loaded: Vec<u64> = lengths.get_many(&keys).await.into_iter().map(|hit| *hit.unwrap()).collect();
    assert_eq!(loaded, (1..=120).collect::<Vec<u64>>());
    assert_eq!(calls.load(SeqCst), 1);
    advance(secs(2)).await;
    let again = lengths.get_many(&keys).await;
    assert!(again.iter().all(|hit| hit.as_ref().unwrap().source() == HitSource::Store));
    assert_eq!(calls.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_put_is_seen_everywhere_and_ends_loads_under_way() {
    let database = Database::of(1);
    let (_, [here, there]) = two(PRICES, &database);
    database.takes(secs(2));
    let loading = tokio::spawn({
        let here = here.clone();
        async move { here.get(&sku("a")).await.unwrap().store() }
    });
    sleep(secs(1)).await;
    there.put(&sku("a"), 5).await.unwrap();
    assert_eq!(loading.await.unwrap(), StoreUse::NotKept);
    let hits = [here.get(&sku("a")).await.unwrap(), there.get(&sku("a")).await.unwrap()];
    assert!(hits.iter().all(|hit| **hit == 5 && hit.origin() == "put"));
}

#[tokio::test(start_paused = true)]
async fn caches_of_other_modes_and_namespaces_share_nothing_and_a_shared_store_has_to_be_said() {
    let (store, database) = (MemoryStore::new(), Database::of(1));
    let validator = |mode| {
        let identity = ProviderIdentity::new("scripted").with_mode(mode).with_account("acct_1");
        Validator::builder(ScriptedProvider::with_identity(identity)).mode(mode).store(store.clone()).build().unwrap()
    };
    assert!(validator(Mode::Live).cache().build().is_err());
    let caches: Vec<Cache> = vec![
        validator(Mode::Live).cache().share_store(1_000_000).build().unwrap(),
        validator(Mode::Test).cache().share_store(1_000_000).build().unwrap(),
        process(store.clone()),
        Cache::builder(store.clone()).namespace("other").build().unwrap(),
    ];
    for cache in &caches {
        assert_eq!(loads(cache, PRICES, &database).get(&sku("a")).await.unwrap().source(), HitSource::Load);
    }
    let again = validator(Mode::Live).cache().share_store(1_000_000).build().unwrap();
    assert_eq!(loads(&again, PRICES, &database).get(&sku("a")).await.unwrap().source(), HitSource::Store);
    let full = validator(Mode::Live).cache().share_store(0).build().unwrap();
    assert_eq!(loads(&full, PRICES, &database).get(&sku("b")).await.unwrap().store(), StoreUse::NotKept);
    assert!(Cache::builder(store).build().is_err(), "a namespace has to be said");
}
