//! Slots, shards, and what hits may have to wait for.

use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::sync::mpsc;
use std::task::Poll;
use std::thread;

use super::*;
use crate::intent::currency::Currency;
use crate::intent::money::Money;
use crate::intent::payment_intent::PaymentIntent;
use crate::payment::facts::PaymentStatus;
use crate::provider::{ProviderIdentity, provider_fn};
use crate::validator::Validator;

thread_local! {
    /// Slots whose place in a table was looked for anew.
    pub(super) static MOVED: Cell<usize> = const { Cell::new(0) };
}

#[test]
fn a_slot_is_one_cache_line() {
    assert_eq!(size_of::<Slot>(), 64);
}

#[test]
fn payments_at_the_same_position_are_told_apart() {
    let (cache, now, hour) = (FactsCache::new(100), Instant::now(), Duration::from_secs(60 * 60));
    let (one, other) = (PaymentId::parse("pi_1").unwrap(), PaymentId::parse("pi_2").unwrap());
    let facts = ProviderPayment::new("pi_1", PaymentStatus::Paid);
    cache.keep(&one, &facts, cache.stamp(Moment::at(now)), Some(ShelfLife { fresh_for: hour, lasting: true }).into());
    assert!(cache.get(&other.at_position_of(&one), now).is_none());
    assert_eq!(cache.get(&one, now).unwrap().facts::<&str>().unwrap().id, "pi_1");
}

pub(super) fn id(at: usize) -> PaymentId {
    PaymentId::parse(format!("pi_{at}")).unwrap()
}

pub(super) fn facts_of(at: usize) -> ProviderPayment {
    ProviderPayment::new(id(at).as_str(), PaymentStatus::Paid)
}

fn keep(cache: &FactsCache, at: usize) {
    let life = ShelfLife { fresh_for: Duration::from_secs(60), lasting: true };
    cache.keep(&id(at), &facts_of(at), cache.stamp(Moment::at(Instant::now())), Some(life).into());
}

/// Keeps the facts of this many payments.
fn fill(cache: &FactsCache, payments: usize) {
    (0..payments).for_each(|at| keep(cache, at));
}

/// One shard, as large as they get.
fn one_shard() -> FactsCache {
    let one = [Shard(Mutex::default())].into();
    FactsCache { shards: one, shard_capacity: MAX_SHARD_CAPACITY, ..FactsCache::new(1) }
}

// At 50 to 200 ns for each, hits wait for two milliseconds at most.
#[test]
fn hits_wait_while_no_more_payments_are_moved_than_one_shard_holds() {
    for capacity in [1, 256, 100_000, 10_000_000, MAX_SHARDS * MAX_SHARD_CAPACITY] {
        assert!(FactsCache::new(capacity).shard_capacity <= MAX_SHARD_CAPACITY, "{capacity}");
    }
    let cache = one_shard();
    let moves = (0..4 * MAX_SHARD_CAPACITY).map(|at| {
        MOVED.set(0);
        keep(&cache, at);
        MOVED.get()
    });
    let most = moves.max().unwrap();
    assert!((MAX_SHARD_CAPACITY / 2..=MAX_SHARD_CAPACITY).contains(&most), "{most}");
}

// A lock that is asked for all the same is never given here.
#[test]
fn a_call_that_accepts_no_age_asks_for_no_lock_of_the_facts() {
    let silent = provider_fn(ProviderIdentity::new("acme"), |_, _| pending());
    let validator = Validator::builder(silent).single_tenant().build().unwrap();
    let intent = PaymentIntent::new("shop", "pi_1", Money::parse("19.99", Currency::USD).unwrap()).unwrap();
    let held: Vec<_> = validator.0.cache.shards.iter().map(Shard::lock).collect();
    let (passed, is_past) = mpsc::channel();
    let outcome = thread::scope(|scope| {
        scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            runtime.block_on(async {
                let mut asking = pin!(validator.validate(&intent).max_age(Duration::ZERO));
                assert!(poll_fn(|cx| Poll::Ready(asking.as_mut().poll(cx).is_pending())).await);
            });
            passed.send(()).unwrap();
        });
        let outcome = is_past.recv_timeout(Duration::from_secs(20));
        drop(held);
        outcome
    });
    assert_eq!(outcome, Ok(()));
}

#[test]
fn evictions_do_not_make_the_table_of_a_full_shard_grow() {
    let cache = one_shard();
    fill(&cache, 4 * MAX_SHARD_CAPACITY);
    let table = cache.shards[0].lock();
    assert_eq!((table.slots.len(), table.slots.num_buckets()), (MAX_SHARD_CAPACITY, 1 << 13));
}

#[test]
fn many_payments_are_spread_over_many_small_shards() {
    let cache = FactsCache::new(10_000_000);
    assert!(cache.shards.len() > 10_000_000 / (MAX_SHARD_CAPACITY + 1) && cache.shard_capacity > 6_000);
    fill(&cache, 40 * cache.shards.len());
    assert!(cache.shards.iter().all(|shard| (5..120).contains(&shard.lock().slots.len())));
    assert_eq!(FactsCache::new(usize::MAX).shards.len(), MAX_SHARDS);
    assert_eq!((FactsCache::new(0).shards.len(), FactsCache::new(255).shards.len()), (1, 1));
}
