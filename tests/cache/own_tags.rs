//! Tags that a value names: what is stored under one ends with it, whatever order its end and the load come in.

use payproof::cache::{Cache, CacheError, HitSource, Space, StoreUse, Tag, Tags, ttl};
use payproof::store::{MemoryStore, Store};
use tokio::time::{advance, sleep};

use crate::chaos_store::{ChaosStore, Fate, Verb};
use crate::support::{Database, Sku, TAGGED, loads, ms, process, secs, sku, two};

#[tokio::test(start_paused = true)]
async fn a_first_load_under_a_tag_that_was_never_seen_is_stored_and_ends_with_the_tag() {
    let database = Database::of(7);
    let ([one, _], [here, there]) = two(TAGGED, &database);
    database.takes(ms(50));
    assert_eq!(here.get(&sku("a")).await.unwrap().store(), StoreUse::Kept);
    advance(secs(2)).await;
    assert_eq!(there.get(&sku("a")).await.unwrap().source(), HitSource::Store);
    one.invalidate(&Tag::new("user", 8)).await.unwrap();
    advance(secs(2)).await;
    assert_eq!(there.get(&sku("a")).await.unwrap().source(), HitSource::Store, "another user's end");
    one.invalidate(&Tag::new("user", 7)).await.unwrap();
    advance(secs(2)).await;
    let hit = there.get(&sku("a")).await.unwrap();
    assert_eq!((hit.source(), hit.store(), database.loads()), (HitSource::Load, StoreUse::Kept, 2));
}

#[tokio::test(start_paused = true)]
async fn a_value_counts_under_own_tags_that_are_older_than_its_load_whatever_others_end_meanwhile() {
    let database = Database::of(7);
    let ([_, other], [here, there]) = two(TAGGED, &database);
    there.get(&sku("b")).await.unwrap();
    advance(secs(2)).await;
    database.takes(secs(1));
    let loading = tokio::spawn(async move { here.get(&sku("a")).await.unwrap().store() });
    sleep(ms(500)).await;
    other.invalidate(&Tag::new("user", 8)).await.unwrap();
    assert_eq!(loading.await.unwrap(), StoreUse::Kept);
}

#[tokio::test(start_paused = true)]
async fn a_value_whose_own_tag_ended_while_it_was_loaded_is_not_stored() {
    let database = Database::of(7);
    let ([_, other], [here, there]) = two(TAGGED, &database);
    other.invalidate(&Tag::new("user", 7)).await.unwrap();
    advance(secs(2)).await;
    database.takes(secs(1));
    let loading = tokio::spawn(async move { here.get(&sku("a")).await.unwrap().store() });
    sleep(ms(500)).await;
    other.invalidate(&Tag::new("user", 7)).await.unwrap();
    assert_eq!(loading.await.unwrap(), StoreUse::NotKept);
    assert_eq!(there.get(&sku("a")).await.unwrap().source(), HitSource::Load);
}

#[tokio::test(start_paused = true)]
async fn an_own_tag_that_ended_while_a_value_was_loaded_counts_against_it_even_where_the_store_lost_it() {
    let (inner, database) = (MemoryStore::new(), Database::of(7));
    let chaos = ChaosStore::new(&inner, 1);
    let (one, other) = (process(inner.clone()), process(chaos.clone()));
    let here = loads(&one, TAGGED, &database);
    database.takes(secs(1));
    let loading = tokio::spawn(async move { here.get(&sku("a")).await.unwrap().store() });
    sleep(ms(500)).await;
    other.invalidate(&Tag::new("user", 7)).await.unwrap();
    // The witness, if it is there, and the tag.
    let key = chaos.keys().into_iter().nth(1).unwrap();
    let tag = inner.get(&key).await.unwrap().unwrap();
    inner.remove(&key, &tag.bytes).await.unwrap();
    assert_eq!(loading.await.unwrap(), StoreUse::NotKept);
}

/// A process whose way to the store can be slow, and one whose way is not.
fn slow_and_sound() -> (ChaosStore, [Cache; 2]) {
    let store = MemoryStore::new();
    let slow = ChaosStore::new(&store, 1);
    let processes = [process(slow.clone()), process(store)];
    (slow, processes)
}

/// Long, and within the time-out of the cache's calls.
const STALL: Fate = Fate::StallBefore(ms(80));

#[tokio::test(start_paused = true)]
async fn a_tag_that_is_about_to_end_takes_along_what_is_stored_meanwhile() {
    let ((slow, [one, other]), database) = (slow_and_sound(), Database::of(7));
    let here = loads(&other, TAGGED, &database);
    database.takes(ms(20));
    // Another tag, so that the witness is there to be removed.
    database.set(8);
    here.get(&sku("b")).await.unwrap();
    database.set(7);
    slow.script_verb(Verb::Remove, [STALL]);
    let ending = tokio::spawn(async move {
        sleep(ms(10)).await;
        one.invalidate(&Tag::new("user", 7)).await.unwrap();
    });
    here.get(&sku("a")).await.unwrap();
    ending.await.unwrap();
    advance(secs(2)).await;
    assert_eq!(here.get(&sku("a")).await.unwrap().source(), HitSource::Load);
}

#[tokio::test(start_paused = true)]
async fn a_tag_that_ended_before_it_was_asked_for_is_not_one_that_never_was() {
    let ((slow, [one, other]), database) = (slow_and_sound(), Database::of(7));
    let here = loads(&one, TAGGED, &database);
    database.takes(ms(100));
    let loading = tokio::spawn(async move { here.get(&sku("a")).await.unwrap().store() });
    sleep(ms(50)).await;
    // The first is of its own tag.
    slow.script_verb(Verb::Claim, [STALL]);
    sleep(ms(90)).await;
    other.invalidate(&Tag::new("user", 7)).await.unwrap();
    assert_eq!(loading.await.unwrap(), StoreUse::NotKept);
}

#[tokio::test(start_paused = true)]
async fn a_generation_that_was_asked_for_before_a_load_and_told_after_it_began_may_be_younger() {
    let ((slow, [one, other]), database) = (slow_and_sound(), Database::of(7));
    let [here, there] = [&one, &other].map(|cache| loads(cache, TAGGED, &database));
    there.get(&sku("stored")).await.unwrap();
    // From here on the entry is read by itself, and after it the tag that it names.
    database.set(8);
    here.get(&sku("other")).await.unwrap();
    database.set(7);
    slow.script_verb(Verb::Get, [Fate::Made, STALL]);
    let reading = tokio::spawn({
        let here = here.clone();
        async move { here.get(&sku("stored")).await.unwrap() }
    });
    sleep(ms(5)).await;
    database.takes(ms(100));
    let loading = tokio::spawn(async move { here.get(&sku("a")).await.unwrap().store() });
    sleep(ms(30)).await;
    other.invalidate(&Tag::new("user", 7)).await.unwrap();
    reading.await.unwrap();
    assert_eq!(loading.await.unwrap(), StoreUse::NotKept);
}

#[tokio::test(start_paused = true)]
async fn an_own_tag_that_ended_during_the_load_is_not_older_for_being_read_after_the_claim() {
    let ((slow, [here, there]), database) = (slow_and_sound(), Database::of(7));
    let sessions = loads(&here, TAGGED, &database);
    there.invalidate(&Tag::new("user", 7)).await.unwrap();
    advance(secs(2)).await;
    database.takes(ms(40));
    let loading = tokio::spawn(async move { sessions.get(&sku("a")).await.unwrap().store() });
    while database.loads() == 0 {
        sleep(ms(1)).await;
    }
    // Once it is loaded the tag is looked for, and then the claim, the witness and the tag are read, each by itself.
    slow.script_verb(Verb::Get, [Fate::Made, Fate::Made, Fate::Made, Fate::StallBefore(ms(5))]);
    // Less after the claim than the tag takes to be read.
    sleep(ms(1)).await;
    there.invalidate(&Tag::new("user", 7)).await.unwrap();
    assert_eq!(loading.await.unwrap(), StoreUse::NotKept);
}

#[tokio::test(start_paused = true)]
async fn what_is_put_is_stored_under_a_tag_of_its_own_that_was_never_seen() {
    let database = Database::of(1);
    let ([_, other], [here, there]) = two(TAGGED, &database);
    assert_eq!(here.put(&sku("a"), 7).await.unwrap().store(), StoreUse::Kept);
    assert_eq!(there.get(&sku("a")).await.unwrap().source(), HitSource::Store);
    other.invalidate(&Tag::new("user", 7)).await.unwrap();
    advance(secs(2)).await;
    assert_eq!(here.get(&sku("a")).await.unwrap().source(), HitSource::Load);
}

/// More tags than a value may have, for values from 100 on.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "values are given by reference, whatever their type")]
fn too_many(value: &u64, tags: &mut Tags) {
    for about in 0..=if *value < 100 { 0 } else { 16 } {
        tags.add("part", about);
    }
}

#[tokio::test(start_paused = true)]
async fn a_value_whose_own_tags_are_refused_is_an_error_and_not_remembered_without_them() {
    const SPACE: Space<Sku, u64> = Space::per_tenant("parts", ttl::LONG).tagged(too_many);
    for cache in [process(MemoryStore::new()), Cache::in_memory().build().unwrap()] {
        let database = Database::of(100);
        let parts = loads(&cache, SPACE, &database);
        let refused = [parts.get(&sku("a")).await, parts.put(&sku("a"), 100).await];
        assert!(refused.iter().all(|answer| matches!(answer, Err(CacheError::InvalidKey { .. }))), "{refused:?}");
        database.set(1);
        assert_eq!(*parts.get(&sku("a")).await.unwrap(), 1);
    }
}
