//! Counters: added to by all processes, within a window, and by nothing that the cache does with values.
#![allow(clippy::unwrap_used, reason = "a counter that cannot be read fails the test that asked for it")]

use std::time::Duration;

use futures_util::future::join_all;
use payproof::cache::{Cache, CacheError, Counter, For, HitSource, StoreUse, Tag, Tenant, ttl};
use payproof::provider::ProviderIdentity;
use payproof::store::{MemoryStore, Store};
use payproof::testing::ScriptedProvider;
use payproof::{Mode, Validator};
use tokio::time::advance;

use crate::chaos_store::{ChaosStore, Fate, Trouble};
use crate::support::{Database, PRICES, loads, process, secs, sku};

const LOGINS: Counter<For<String>> = Counter::per_tenant("login", ttl::SHORT);
const RESETS: Counter<For<String>> = Counter::per_tenant("reset", ttl::SHORT);

fn address(tenant: &str) -> For<String> {
    For::new(&Tenant::new(tenant), "198.51.100.7".to_owned())
}

async fn count(cache: &Cache, by: i64) -> Result<(i64, Duration), CacheError> {
    cache.count(&LOGINS, &address("store_42"), by).await.map(|now| (now.count(), now.left()))
}

async fn counted(cache: &Cache) -> Option<(i64, Duration)> {
    cache.counted(&LOGINS, &address("store_42")).await.unwrap().map(|now| (now.count(), now.left()))
}

#[tokio::test(start_paused = true)]
async fn all_processes_add_to_one_counter_and_the_first_addition_begins_its_window() {
    let store = MemoryStore::new();
    let [one, other] = [process(store.clone()), process(store)];
    assert_eq!(counted(&one).await, None);
    assert_eq!(count(&one, 1).await.unwrap(), (1, secs(60)));
    advance(secs(20)).await;
    assert_eq!(count(&other, 4).await.unwrap(), (5, secs(40)));
    assert_eq!([counted(&one).await, counted(&one).await], [Some((5, secs(40))); 2], "reading adds nothing");
    assert_eq!(count(&one, -2).await.unwrap(), (3, secs(40)));
    advance(secs(40)).await;
    assert_eq!((counted(&other).await, count(&other, 1).await.unwrap()), (None, (1, secs(60))));
    one.reset(&LOGINS, &address("store_42")).await.unwrap();
    one.reset(&LOGINS, &address("store_42")).await.unwrap();
    assert_eq!(counted(&other).await, None);
}

#[tokio::test(start_paused = true)]
async fn additions_at_once_are_all_counted() {
    for cache in [process(MemoryStore::new()), Cache::in_memory().build().unwrap()] {
        let sums = join_all((0..100).map(|_| count(&cache, 1))).await;
        let mut sums: Vec<i64> = sums.into_iter().map(|sum| sum.unwrap().0).collect();
        sums.sort_unstable();
        assert_eq!(sums, (1..=100).collect::<Vec<i64>>());
    }
}

#[tokio::test(start_paused = true)]
async fn counters_of_other_tenants_modes_namespaces_and_names_share_nothing() {
    let store = MemoryStore::new();
    let validator = |mode| {
        let identity = ProviderIdentity::new("scripted").with_mode(mode).with_account("acct_1");
        Validator::builder(ScriptedProvider::with_identity(identity)).mode(mode).store(store.clone()).build().unwrap()
    };
    let caches = [
        validator(Mode::Live).cache().share_store(0).build().unwrap(),
        validator(Mode::Test).cache().share_store(0).build().unwrap(),
        process(store.clone()),
        Cache::builder(store.clone()).namespace("other").build().unwrap(),
    ];
    for cache in &caches {
        for tenant in ["store_42", "store_43"] {
            for counter in [LOGINS, RESETS] {
                assert_eq!(cache.count(&counter, &address(tenant), 1).await.unwrap().count(), 1);
            }
        }
    }
    assert_eq!(count(&caches[0], 1).await.unwrap().0, 2);
    let none = caches[0].count(&LOGINS, &address(""), 1).await;
    assert!(matches!(none, Err(CacheError::InvalidKey { .. })), "a tenant that is not there counts nothing");
}

#[tokio::test(start_paused = true)]
async fn what_ends_values_ends_no_counter_and_a_space_of_its_name_is_another_place() {
    let (cache, database) = (process(MemoryStore::new()), Database::of(7));
    count(&cache, 3).await.unwrap();
    let logins = loads(&cache, payproof::cache::Space::per_tenant("login", ttl::SHORT), &database);
    assert_eq!(logins.get(&address("store_42")).await.unwrap().source(), HitSource::Load);
    cache.invalidate(&Tag::all()).await.unwrap();
    cache.invalidate(&Tag::tenant(&Tenant::new("store_42"))).await.unwrap();
    assert_eq!(counted(&cache).await.map(|now| now.0), Some(3));
}

#[tokio::test(start_paused = true)]
async fn an_addition_that_is_refused_adds_nothing() {
    let chaos = ChaosStore::new(&MemoryStore::new(), 1);
    let cache = process(chaos.clone());
    count(&cache, i64::MAX).await.unwrap();
    let refused = count(&cache, 1).await.unwrap_err();
    assert!(matches!(&refused, CacheError::Store(_)), "{refused:?}");
    assert_eq!(counted(&cache).await.map(|now| now.0), Some(i64::MAX));
    let place = chaos.keys().pop().unwrap();
    cache.reset(&LOGINS, &address("store_42")).await.unwrap();
    chaos.beneath().claim(&place, b"no number", secs(60)).await.unwrap();
    assert!(count(&cache, 1).await.is_err());
    let unreadable = cache.counted(&LOGINS, &address("store_42")).await.unwrap_err();
    assert_eq!(unreadable.code(), "record_unreadable");
    assert_eq!(chaos.beneath().get(&place).await.unwrap().unwrap().bytes, b"no number");
    cache.reset(&LOGINS, &address("store_42")).await.unwrap();
    assert_eq!(count(&cache, 1).await.unwrap().0, 1);
}

#[tokio::test(start_paused = true)]
async fn what_a_counter_refuses_says_nothing_of_the_store() {
    let (cache, database) = (process(MemoryStore::new()), Database::of(7));
    count(&cache, i64::MAX).await.unwrap();
    for _ in 0..3 {
        assert!(count(&cache, 1).await.is_err());
    }
    let prices = loads(&cache, PRICES, &database);
    assert_eq!(prices.get(&sku("a")).await.unwrap().store(), StoreUse::Kept);
}

#[tokio::test(start_paused = true)]
async fn an_addition_whose_reply_was_lost_is_not_sent_again() {
    let chaos = ChaosStore::new(&MemoryStore::new(), 1);
    let cache = process(chaos.clone());
    chaos.script([Fate::ReplyLost]);
    assert!(count(&cache, 1).await.is_err());
    assert_eq!(counted(&cache).await.map(|now| now.0), Some(1));
}

#[tokio::test(start_paused = true)]
async fn the_store_is_asked_for_a_count_however_it_did_before() {
    let chaos = ChaosStore::new(&MemoryStore::new(), 1);
    let (cache, database) = (process(chaos.clone()), Database::of(7));
    let prices = loads(&cache, PRICES, &database);
    chaos.script([Fate::NotSent; 100]);
    for key in ["a", "b", "c"] {
        assert_eq!(prices.get(&sku(key)).await.unwrap().store(), StoreUse::Down);
    }
    chaos.trouble(Trouble::NONE);
    let before = chaos.calls();
    assert_eq!(prices.get(&sku("d")).await.unwrap().store(), StoreUse::Down);
    assert_eq!(chaos.calls(), before, "calls that can go on without the store leave it alone");
    assert_eq!(count(&cache, 1).await.unwrap().0, 1);
}
