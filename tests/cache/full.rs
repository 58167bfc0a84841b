//! A store that is nearly full is left to what must not be refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use payproof::Validator;
use payproof::cache::{CacheError, HitSource, Space, StoreUse, ttl};
use payproof::store::{Durability, Inspection, MemoryStore, MemoryUse, RestartLoss, Store, StoreError, StoreFinding};
use payproof::testing::ScriptedProvider;
use tokio::time::advance;

use crate::forward::hands_its_verbs_on;
use crate::subscribers::Log;
use crate::support::{Database, PRICES, Sku, TAGGED, loads, ms, process, secs, sku};

/// A store that says how full it is.
#[derive(Clone, Debug, Default)]
struct Memory {
    inner: MemoryStore,
    is_full: Arc<AtomicBool>,
    evicts: bool,
}

impl Store for Memory {
    hands_its_verbs_on!(inner);

    fn durability(&self) -> Durability {
        Durability { shared: true, best_effort: false }
    }

    async fn restart_loss(&self) -> Result<RestartLoss, StoreError> {
        Ok(RestartLoss::Nothing)
    }

    async fn inspect(&self) -> Result<Inspection, StoreError> {
        let mut inspection = Inspection::new("scripted", Duration::ZERO);
        let used_bytes = if self.is_full.load(SeqCst) { 80 } else { 79 };
        inspection.memory = Some(MemoryUse { used_bytes, max_bytes: Some(100) });
        if self.evicts {
            inspection.findings.push(StoreFinding::Evicts { policy: "allkeys-lru".into() });
        }
        Ok(inspection)
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_stored_from_four_fifths_of_the_memory_on_until_a_look_finds_room() {
    let (store, database) = (Memory::default(), Database::of(1));
    let (log, _logs) = Log::install();
    let cache = process(store.clone());
    let prices = loads(&cache, PRICES, &database);
    assert_eq!(prices.get(&sku("a")).await.unwrap().store(), StoreUse::Kept);
    store.is_full.store(true, SeqCst);
    advance(secs(59)).await;
    assert_eq!(prices.get(&sku("b")).await.unwrap().store(), StoreUse::Kept, "it is looked at once a minute");
    advance(secs(1)).await;
    // Beside the call that finds the look due.
    prices.get(&sku("c")).await.unwrap();
    advance(ms(10)).await;
    let records = store.inner.len();
    for key in ["d", "e"] {
        let hit = prices.get(&sku(key)).await.unwrap();
        assert_eq!((hit.source(), hit.store()), (HitSource::Load, StoreUse::NotKept));
    }
    assert_eq!(store.inner.len(), records, "no claim is written either");
    assert_eq!(cache.stats().spaces["price"].not_stored, 2);
    assert!(matches!(prices.put(&sku("f"), 1).await, Err(CacheError::NoRoom)));
    assert_eq!(prices.get(&sku("a")).await.unwrap().source(), HitSource::Store, "what is there is read");
    assert_eq!(log.lines("caches store nothing more").len(), 1, "{}", log.text());
    store.is_full.store(false, SeqCst);
    advance(secs(60)).await;
    prices.get(&sku("g")).await.unwrap();
    advance(ms(10)).await;
    assert_eq!(prices.get(&sku("h")).await.unwrap().store(), StoreUse::Kept);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_makes_room_by_itself_is_used_however_full_it_is() {
    let store = Memory { evicts: true, ..Memory::default() };
    store.is_full.store(true, SeqCst);
    let (cache, database) = (process(store), Database::of(1));
    let prices = loads(&cache, PRICES, &database);
    for key in ["a", "b"] {
        assert_eq!(prices.get(&sku(key)).await.unwrap().store(), StoreUse::Kept);
        advance(ms(10)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_share_that_is_used_up_has_no_room_for_what_is_put() {
    let validator = Validator::builder(ScriptedProvider::new()).store(MemoryStore::new());
    let cache = validator.build().unwrap().cache().share_store(0).build().unwrap();
    let prices = cache.space(Space::<Sku, u64>::per_tenant("price", ttl::SHORT)).unwrap();
    assert!(matches!(prices.put(&sku("a"), 1).await, Err(CacheError::NoRoom)));
}

#[tokio::test(start_paused = true)]
async fn what_finds_no_room_in_a_share_leaves_what_was_put_before() {
    // The tags of all, the space, the tenant and the user, and one entry; or the tag of another user as well.
    for most in [5 * 512 + 10, 6 * 512 + 10] {
        let store = MemoryStore::new();
        let [here, there] = [most, 1_000_000].map(|most| {
            let validator = Validator::builder(ScriptedProvider::new()).store(store.clone()).build().unwrap();
            validator.cache().share_store(most).build().unwrap().space(TAGGED).unwrap()
        });
        here.put(&sku("a"), 1).await.unwrap();
        assert!(matches!(here.put(&sku("a"), 2).await, Err(CacheError::NoRoom)));
        for prices in [here, there] {
            assert_eq!(prices.peek(&sku("a")).await.unwrap().map(|hit| *hit), Some(1), "{most} bytes");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_share_counts_each_record_and_tag_for_as_long_as_the_store_has_it() {
    const SPACE: Space<Sku, u64> = Space::per_tenant("price", secs(60)).exact().stale_if_error(secs(600));
    let validator = Validator::builder(ScriptedProvider::new()).store(MemoryStore::new());
    // The tags of all, the space and the tenant, and one entry.
    let cache = validator.build().unwrap().cache().share_store(4 * 512 + 10).build().unwrap();
    let prices = cache.space(SPACE).unwrap();
    prices.put(&sku("a"), 1).await.unwrap();
    assert!(matches!(prices.put(&sku("b"), 1).await, Err(CacheError::NoRoom)), "a small value is no small record");
    advance(secs(61)).await;
    assert!(matches!(prices.put(&sku("b"), 1).await, Err(CacheError::NoRoom)), "it is kept for want of another one");
    advance(secs(600)).await;
    prices.put(&sku("b"), 1).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_value_that_another_writer_took_the_place_of_takes_no_room() {
    let store = MemoryStore::new();
    let cache = |most| {
        let validator = Validator::builder(ScriptedProvider::new()).store(store.clone()).build().unwrap();
        validator.cache().share_store(most).build().unwrap()
    };
    let (here, there) = (cache(4 * 512 + 10), cache(1_000_000));
    let (database, other) = (Database::of(1), there.space(PRICES).unwrap());
    let prices = loads(&here, PRICES, &database);
    database.takes(secs(2));
    let lost = tokio::spawn({
        let prices = prices.clone();
        async move { prices.get(&sku("a")).await.unwrap().store() }
    });
    tokio::time::sleep(secs(1)).await;
    other.put(&sku("a"), 5).await.unwrap();
    assert_eq!(lost.await.unwrap(), StoreUse::NotKept);
    assert_eq!(prices.get(&sku("b")).await.unwrap().store(), StoreUse::Kept);
}
