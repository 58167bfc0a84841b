//! What an invalidation promises: no later call returns a value whose load began before it.

use std::sync::Arc;

use payproof::cache::{Cache, CacheError, HitSource, Loads, Space, StoreUse, Tag, Tenant, ttl};
use payproof::store::{MemoryStore, Store as _};
use payproof::testing::{FlakyStore, StoreFault, StoreVerb};
use tokio::time::{advance, sleep, timeout};

use crate::chaos_store::ChaosStore;
use crate::support::{Database, PRICES, Sku, loads, ms, process, secs, sku, tick, two};

#[tokio::test(start_paused = true)]
async fn each_tag_ends_its_entries_in_all_processes_and_no_others() {
    let tenant = Tenant::new("store_42");
    for tag in [Tag::tenant(&tenant), Tag::space(PRICES), Tag::all()] {
        let database = Database::of(1);
        let ([one, _], [here, there]) = two(PRICES, &database);
        assert_eq!([*here.get(&sku("a")).await.unwrap(), *there.get(&sku("a")).await.unwrap()], [1, 1]);
        tick().await;
        database.set(2);
        one.invalidate(&Tag::tenant(&Tenant::new("another"))).await.unwrap();
        one.invalidate(&Tag::new("user", 7)).await.unwrap();
        advance(secs(2)).await;
        assert_eq!(*here.get(&sku("a")).await.unwrap(), 1);
        one.invalidate(&tag).await.unwrap();
        advance(secs(1)).await;
        assert_eq!([*here.get(&sku("a")).await.unwrap(), *there.get(&sku("a")).await.unwrap()], [2, 2], "{tag:?}");
        assert_eq!(database.loads(), 2, "{tag:?}: no process undid the other's load");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_loaded_while_it_is_invalidated_is_for_those_alone_who_asked_before() {
    for by_tag in [false, true] {
        let (cache, database) = (process(MemoryStore::new()), Database::of(1));
        let prices = loads(&cache, PRICES, &database);
        database.takes(secs(2));
        let before = tokio::spawn({
            let prices = prices.clone();
            async move { *prices.get(&sku("a")).await.unwrap() }
        });
        sleep(secs(1)).await;
        database.set(2);
        if by_tag {
            cache.invalidate(&Tag::tenant(&Tenant::new("store_42"))).await.unwrap();
        } else {
            prices.invalidate(&sku("a")).await.unwrap();
        }
        assert_eq!(*prices.get(&sku("a")).await.unwrap(), 2, "by tag: {by_tag}");
        assert_eq!(before.await.unwrap(), 1);
        assert_eq!(*prices.get(&sku("a")).await.unwrap(), 2, "what came late is not kept");
        assert_eq!(database.loads(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_load_that_another_process_invalidated_is_not_stored() {
    for by_tag in [false, true] {
        let database = Database::of(1);
        let ([_, other], [here, there]) = two(PRICES, &database);
        database.takes(secs(2));
        let loading = tokio::spawn({
            let here = here.clone();
            async move { here.get(&sku("a")).await.unwrap() }
        });
        sleep(secs(1)).await;
        database.set(2);
        if by_tag {
            other.invalidate(&Tag::all()).await.unwrap();
        } else {
            there.invalidate(&sku("a")).await.unwrap();
        }
        let hit = loading.await.unwrap();
        assert_eq!((*hit, hit.store()), (1, StoreUse::NotKept), "by tag: {by_tag}");
        assert_eq!(*here.get(&sku("a")).await.unwrap(), 2, "it was not kept in memory either");
        assert_eq!(*there.get(&sku("a")).await.unwrap(), 2);
        assert_eq!(database.loads(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn who_joins_late_does_not_get_what_was_invalidated_elsewhere_long_before() {
    let database = Database::of(1);
    let (_, [here, there]) = two(PRICES, &database);
    database.takes(secs(4));
    let loading = tokio::spawn({
        let here = here.clone();
        async move { *here.get(&sku("a")).await.unwrap() }
    });
    sleep(secs(1)).await;
    database.set(2);
    there.invalidate(&sku("a")).await.unwrap();
    // This process has not heard of it, and its flight is still under way.
    sleep(ms(1_500)).await;
    assert_eq!(*here.get(&sku("a")).await.unwrap(), 2);
    assert_eq!(loading.await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_invalidation_that_the_store_did_not_hear_of_holds_here_and_is_made_up_for() {
    let (inner, database) = (MemoryStore::new(), Database::of(1));
    let flaky = Arc::new(FlakyStore::new(inner.clone()));
    let (one, other) = (process(Arc::clone(&flaky)), process(inner));
    let (here, there) = (loads(&one, PRICES, &database), loads(&other, PRICES, &database));
    assert_eq!([*here.get(&sku("a")).await.unwrap(), *there.get(&sku("a")).await.unwrap()], [1, 1]);
    tick().await;
    database.set(2);
    flaky.always(Some(StoreFault::NotSent));
    let error = here.invalidate(&sku("a")).await.unwrap_err();
    assert!(matches!(error, CacheError::Store(_)), "{error:?}");
    assert_eq!(*here.get(&sku("a")).await.unwrap(), 2, "the store is down, and the loader asked");
    flaky.always(None);
    tick().await;
    let before = flaky.executed(StoreVerb::Replace);
    advance(ms(1_001)).await;
    assert_eq!(*here.get(&sku("a")).await.unwrap(), 2, "the store still has the entry, and it is not served here");
    for _ in 0..40 {
        sleep(ms(100)).await;
    }
    assert!(flaky.executed(StoreVerb::Replace) > before, "it is tried again");
    assert_eq!(*there.get(&sku("a")).await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_tag_that_the_store_lost_revives_nothing() {
    let (inner, database) = (MemoryStore::new(), Database::of(1));
    let chaos = ChaosStore::new(&inner, 1);
    let cache = process(chaos.clone());
    let prices = loads(&cache, PRICES, &database);
    assert_eq!(*prices.get(&sku("a")).await.unwrap(), 1);
    advance(secs(2)).await;
    database.set(2);
    let tags: Vec<_> = chaos.keys().into_iter().filter(|key| key.contains(":cache-tag:")).collect();
    assert!(!tags.is_empty());
    for key in tags {
        if let Some(stored) = inner.get(&key).await.unwrap() {
            inner.remove(&key, &stored.bytes).await.unwrap();
        }
    }
    assert_eq!(*prices.get(&sku("a")).await.unwrap(), 2);
    assert_eq!(prices.get(&sku("a")).await.unwrap().store(), StoreUse::Kept);
}

#[tokio::test(start_paused = true)]
async fn a_generation_that_is_only_remembered_decides_nothing_against_a_newer_value() {
    let database = Database::of(1);
    let ([one, _], [here, there]) = two(PRICES, &database);
    there.get(&sku("b")).await.unwrap();
    tick().await;
    one.invalidate(&Tag::tenant(&Tenant::new("store_42"))).await.unwrap();
    tick().await;
    assert_eq!(here.get(&sku("a")).await.unwrap().store(), StoreUse::Kept);
    // The other process remembers the tenant's generation of a moment ago.
    assert_eq!(there.get(&sku("a")).await.unwrap().source(), HitSource::Store);
    assert_eq!(here.get(&sku("a")).await.unwrap().source(), HitSource::Memory);
    assert_eq!(database.loads(), 2, "no process loads anew what another one has just loaded");
}

type Flaky = Arc<FlakyStore<MemoryStore>>;

/// Two processes on one store; the first one's replies can be late.
fn late_and_sound(database: &Database) -> (Flaky, [Cache; 2], [Loads<Sku, u64>; 2]) {
    let flaky = Arc::new(FlakyStore::new(MemoryStore::new()));
    let processes = [process(Arc::clone(&flaky)), process(flaky.inner().clone())];
    let loads = processes.each_ref().map(|process| loads(process, PRICES, database));
    (flaky, processes, loads)
}

#[tokio::test(start_paused = true)]
async fn what_was_read_counts_from_when_it_was_asked_for_and_not_from_its_reply() {
    let database = Database::of(1);
    let (flaky, _, [late, sound]) = late_and_sound(&database);
    sound.get(&sku("a")).await.unwrap();
    tick().await;
    flaky.script(StoreVerb::Get, [StoreFault::SlowReply(ms(80))]);
    let reading = tokio::spawn({
        let late = late.clone();
        async move { *late.get(&sku("a")).await.unwrap() }
    });
    sleep(ms(10)).await;
    database.set(2);
    sound.invalidate(&sku("a")).await.unwrap();
    assert_eq!(reading.await.unwrap(), 1, "it was asked for before");
    sleep(ms(970)).await;
    assert_eq!(*late.get(&sku("a")).await.unwrap(), 2, "more than a second after the end, and less after the reply");
}

#[tokio::test(start_paused = true)]
async fn what_was_recent_when_an_entry_was_asked_for_is_not_asked_for_again_once_it_is_read() {
    let database = Database::of(1);
    let (flaky, _, [late, sound]) = late_and_sound(&database);
    for name in ["a", "b"] {
        sound.get(&sku(name)).await.unwrap();
    }
    late.get(&sku("a")).await.unwrap();
    advance(ms(950)).await;
    flaky.script(StoreVerb::Get, [StoreFault::SlowReply(ms(80))]);
    let before = flaky.executed(StoreVerb::Get);
    assert_eq!(late.get(&sku("b")).await.unwrap().source(), HitSource::Store);
    assert_eq!(flaky.executed(StoreVerb::Get), before + 1);
}

#[tokio::test(start_paused = true)]
async fn a_generation_that_was_asked_for_before_its_end_is_not_remembered_after_it() {
    let database = Database::of(1);
    let (flaky, [cache, _], [late, sound]) = late_and_sound(&database);
    sound.get(&sku("a")).await.unwrap();
    tick().await;
    flaky.script(StoreVerb::Get, [StoreFault::SlowReply(ms(80))]);
    let reading = tokio::spawn({
        let late = late.clone();
        async move { late.get(&sku("a")).await.map(|hit| *hit) }
    });
    sleep(ms(10)).await;
    cache.invalidate(&Tag::tenant(&Tenant::new("store_42"))).await.unwrap();
    reading.await.unwrap().unwrap();
    let before = database.loads();
    assert_eq!(late.get(&sku("b")).await.unwrap().store(), StoreUse::Kept);
    advance(secs(2)).await;
    assert_eq!(sound.get(&sku("b")).await.unwrap().source(), HitSource::Store, "it was stored under what stands");
    assert_eq!(database.loads(), before + 1);
}

#[tokio::test(start_paused = true)]
async fn an_invalidation_that_was_cut_off_holds_here_all_the_same() {
    let database = Database::of(1);
    let (flaky, _, [here, _]) = late_and_sound(&database);
    here.get(&sku("a")).await.unwrap();
    tick().await;
    database.set(2);
    flaky.script(StoreVerb::Claim, [StoreFault::Never]);
    assert!(timeout(ms(10), here.invalidate(&sku("a"))).await.is_err());
    assert_eq!(*here.get(&sku("a")).await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn who_joins_late_does_not_get_an_older_value_that_was_invalidated_elsewhere_long_before() {
    const SPACE: Space<Sku, u64> = Space::per_tenant("price", secs(10)).exact().stale_if_error(secs(60));
    let database = Database::of(1);
    let ([_, other], [here, there]) = two(SPACE, &database);
    there.get(&sku("a")).await.unwrap();
    advance(secs(15)).await;
    // This process reads the generations now, and the older value under them almost a second later.
    here.get(&sku("b")).await.unwrap();
    sleep(ms(50)).await;
    other.invalidate(&Tag::tenant(&Tenant::new("store_42"))).await.unwrap();
    sleep(ms(850)).await;
    database.takes(ms(900));
    database.fails(u64::MAX);
    let first = tokio::spawn({
        let here = here.clone();
        async move { here.get(&sku("a")).await.map(|hit| *hit) }
    });
    sleep(ms(800)).await;
    let late = here.get(&sku("a")).await;
    assert!(matches!(late, Err(CacheError::Load { .. })), "{late:?}");
    assert_eq!(first.await.unwrap().unwrap(), 1, "it began within a second");
}

#[tokio::test(start_paused = true)]
async fn a_put_that_is_refused_leaves_what_was_there() {
    const SPACE: Space<Sku, String> = Space::per_tenant("text", ttl::LONG).max_value(100);
    let store = MemoryStore::new();
    let [here, there] = [process(store.clone()), process(store)].map(|cache| cache.space(SPACE).unwrap());
    here.put(&sku("a"), "kept".into()).await.unwrap();
    assert!(matches!(here.put(&sku("a"), "x".repeat(200)).await, Err(CacheError::InvalidValue)));
    for text in [here, there] {
        assert_eq!(*text.peek(&sku("a")).await.unwrap().unwrap(), "kept");
    }
}
