//! What a value may be, what a version voids, and how deep loads may nest.
#![allow(clippy::unwrap_used, reason = "a value that cannot be got fails the test that asked for it")]

use futures_util::future::join_all;
use payproof::cache::{Cache, CacheValue, HitSource, Loads, Space, StoreUse, ttl};
use payproof::store::{MemoryStore, Store as _};
use tokio::time::advance;

use crate::chaos_store::ChaosStore;
use crate::support::{Database, PRICES, loads, process, secs, sku};

/// What the store keeps of a value that one process loaded, and what another one finds.
async fn passed_on<V: CacheValue + Clone>(value: V) -> (StoreUse, Option<V>) {
    let store = MemoryStore::new();
    let space = Space::<u8, V>::global("value", ttl::HOUR);
    let [here, there] = [process(store.clone()), process(store)].map(|cache| cache.space(space).unwrap());
    let kept = here.get_or_load(&1, || async { Ok::<_, std::io::Error>(value) }).await.unwrap().store();
    (kept, there.peek(&1).await.unwrap().map(payproof::cache::Hit::into_value))
}

#[tokio::test(start_paused = true)]
async fn what_reads_back_is_passed_on_and_what_does_not_is_served_alone() {
    for number in [0.1 + 0.2, 1e300, f64::MIN_POSITIVE, 8.41, 5e-324] {
        assert_eq!(passed_on(number).await, (StoreUse::Kept, Some(number)));
    }
    assert_eq!(passed_on(()).await, (StoreUse::Kept, Some(())));
    assert_eq!(passed_on(None::<u8>).await, (StoreUse::Kept, Some(None)));
    assert_eq!(passed_on(Some(None::<u8>)).await, (StoreUse::NotKept, None), "it would read as None");
    assert_eq!(passed_on(f64::NAN).await.0, StoreUse::NotKept);
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_cannot_be_read_is_replaced_and_a_generation_is_left_alone() {
    for (kind, kept) in [(":cache:", StoreUse::Kept), (":cache-tag:", StoreUse::Bypassed)] {
        let chaos = ChaosStore::new(&MemoryStore::new(), 1);
        let database = Database::of(1);
        loads(&process(chaos.clone()), PRICES, &database).get(&sku("a")).await.unwrap();
        let place = chaos.keys().into_iter().find(|key| key.contains(kind)).unwrap();
        let stood = chaos.beneath().get(&place).await.unwrap().unwrap();
        chaos.beneath().replace(&place, &stood.bytes, b"damaged", stood.ttl_left).await.unwrap();
        let hit = loads(&process(chaos.clone()), PRICES, &database).get(&sku("a")).await.unwrap();
        assert_eq!((hit.source(), hit.store()), (HitSource::Load, kept), "{kind}");
        let stands = chaos.beneath().get(&place).await.unwrap().unwrap().bytes;
        assert_eq!(stands == b"damaged", kept == StoreUse::Bypassed, "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_another_key_sealed_is_left_alone() {
    let (store, database) = (MemoryStore::new(), Database::of(1));
    let with = |keys: &[u8]| {
        let builder = Cache::builder(store.clone()).namespace("shop");
        let keys: Vec<_> = keys.iter().map(|key| [*key; 32]).collect();
        if keys.is_empty() { builder.build().unwrap() } else { builder.record_keys(keys).build().unwrap() }
    };
    loads(&with(&[1]), PRICES, &database).get(&sku("a")).await.unwrap();
    let renewed = loads(&with(&[2, 1]), PRICES, &database);
    // Under generations that the first key sealed.
    renewed.get(&sku("b")).await.unwrap();
    for (keys, name) in [(&[2][..], "a"), (&[], "a"), (&[1], "b")] {
        let hit = loads(&with(keys), PRICES, &database).get(&sku(name)).await.unwrap();
        assert_eq!((hit.source(), hit.store()), (HitSource::Load, StoreUse::Bypassed), "{keys:?}");
    }
    for name in ["a", "b"] {
        let hit = loads(&with(&[2, 1]), PRICES, &database).get(&sku(name)).await.unwrap();
        assert_eq!(hit.source(), HitSource::Store, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_is_invalidated_in_the_version_that_is_named_beside_its_own() {
    const NEWER: Space<payproof::cache::For<String>, u64> = PRICES.version(2);
    for (newer, source) in [(NEWER.also(1), HitSource::Load), (NEWER, HitSource::Store)] {
        let (store, database) = (MemoryStore::new(), Database::of(1));
        let caches = [process(store.clone()), process(store)];
        let older = loads(&caches[0], PRICES, &database);
        let newer = loads(&caches[1], newer, &database);
        older.get(&sku("a")).await.unwrap();
        newer.invalidate(&sku("a")).await.unwrap();
        advance(secs(2)).await;
        assert_eq!(older.get(&sku("a")).await.unwrap().source(), source);
    }
}

/// The sum of a key's children in the same space, as long as it has some.
fn sums(cache: &Cache) -> Loads<u32, u32> {
    let space = cache.space(Space::<u32, u32>::global("sum", ttl::HOUR).max_loads(1)).unwrap();
    let inner = space.clone();
    space.loads(move |key| {
        let inner = inner.clone();
        async move {
            let children: Vec<u32> = if key == 0 { (1..=64).collect() } else { Vec::new() };
            let values = children.iter().map(|child| inner.get_or_load(child, || async { Ok::<_, std::io::Error>(1) }));
            let values = join_all(values).await.into_iter().collect::<Result<Vec<_>, _>>()?;
            Ok::<_, payproof::cache::CacheError>(values.iter().map(|value| **value).sum())
        }
    })
}

#[tokio::test(start_paused = true)]
async fn a_value_that_is_made_of_64_others_of_its_space_takes_no_more_permits_than_one() {
    for cache in [process(MemoryStore::new()), Cache::in_memory().build().unwrap()] {
        assert_eq!(*sums(&cache).get(&0).await.unwrap(), 64);
    }
}

/// A space whose loader asks for the value of 0, which the others all need, and which takes one load at once.
fn based(cache: &Cache) -> Loads<u32, u32> {
    let space = cache.space(Space::<u32, u32>::global("based", ttl::HOUR).max_loads(1)).unwrap();
    let inner = space.clone();
    space.loads(move |key| {
        let inner = inner.clone();
        async move {
            let base = match key {
                0 => return Ok(10),
                _ => inner.get_or_load(&0, || async { Ok::<_, std::io::Error>(10) }).await?,
            };
            Ok::<_, payproof::cache::CacheError>(base.saturating_add(key))
        }
    })
}

#[tokio::test(start_paused = true)]
async fn loads_that_hold_all_permits_do_not_wait_for_one_that_needs_one() {
    for cache in [process(MemoryStore::new()), Cache::in_memory().build().unwrap()] {
        let values = based(&cache).get_many(&[1, 2, 0]).await;
        let values: Vec<u32> = values.into_iter().map(|value| *value.unwrap()).collect();
        assert_eq!(values, [11, 12, 10]);
    }
}
