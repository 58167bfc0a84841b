//! Many payments at once: facts made ready before they are needed, and intents validated as they come.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "numbers are small, and a fixture that cannot be made fails the test that asked for it"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use payproof::provider::{ProviderError, ProviderIdentity, provider_fn};
use payproof::store::MemoryStore;
use payproof::testing::{FlakyStore, ScriptedProvider, Step, StoreFault, StoreVerb};
use payproof::{PaymentId, PaymentIntent, Validator, Verdict};
use tokio::time::{Instant, advance, sleep};

use crate::support::{intent, is_valid, ms, paid, plain, provider, secs, settle};

fn id(payment: &str) -> PaymentId {
    intent(payment).payment().clone()
}

fn ids(count: usize) -> Vec<PaymentId> {
    (0..count).map(|number| id(&format!("pi_{number}"))).collect()
}

fn intents(count: usize) -> Vec<PaymentIntent> {
    (0..count).map(|number| intent(&format!("pi_{number}"))).collect()
}

/// How often a provider was asked, and how often at once at most.
#[derive(Default)]
struct Load {
    calls: AtomicUsize,
    at_once: AtomicUsize,
    most: AtomicUsize,
}

/// A provider that has every payment, and takes this long to say so.
fn slow(wait: Duration) -> (Arc<Load>, Validator) {
    let load = Arc::new(Load::default());
    let seen = Arc::clone(&load);
    let provider = provider_fn(ProviderIdentity::new("acme"), move |payment: PaymentId, _| {
        let seen = Arc::clone(&seen);
        async move {
            seen.calls.fetch_add(1, Ordering::SeqCst);
            seen.most.fetch_max(seen.at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            sleep(wait).await;
            seen.at_once.fetch_sub(1, Ordering::SeqCst);
            Ok(paid(payment.as_str()))
        }
    });
    (load, Validator::builder(provider).no_hedges().build().unwrap())
}

/// A validator over this store, with a provider that has so many payments.
fn over(store: &FlakyStore<MemoryStore>, payments: usize) -> (ScriptedProvider, Validator) {
    let provider = ScriptedProvider::new();
    for payment in ids(payments) {
        provider.put(paid(payment.as_str()));
    }
    let validator = plain(&provider).store(store.clone()).build().unwrap();
    (provider, validator)
}

/// Has the payments looked up by another process, so that the store has their facts.
async fn known_elsewhere(store: &FlakyStore<MemoryStore>, payments: usize) {
    let (_, elsewhere) = over(store, payments);
    assert_eq!(elsewhere.prefetch(ids(payments)).await.from_provider(), payments);
}

#[tokio::test(start_paused = true)]
async fn prefetched_payments_are_validated_without_another_call() {
    let (load, validator) = slow(secs(1));
    let begun = Instant::now();
    // Each of them twice.
    let prefetch = validator.prefetch(ids(100).into_iter().chain(ids(100))).at_once(10);
    assert_eq!(load.calls.load(Ordering::SeqCst), 0, "nothing is asked before it is awaited");
    let ready = prefetch.await;
    assert_eq!(begun.elapsed(), secs(10));
    assert_eq!((ready.from_provider(), ready.from_store(), ready.in_memory()), (100, 0, 0));
    assert!(ready.failures().is_empty());
    for intent in intents(100) {
        assert!(is_valid(&validator.validate(intent).await.unwrap()));
    }
    let again = validator.prefetch(ids(100)).await;
    assert_eq!((again.in_memory(), again.from_provider()), (100, 0));
    assert_eq!(load.calls.load(Ordering::SeqCst), 100);
    assert_eq!(load.most.load(Ordering::SeqCst), 10);
}

#[tokio::test(start_paused = true)]
async fn a_payment_that_cannot_be_looked_up_is_told_and_stops_no_other() {
    let provider = provider();
    for payment in ids(3) {
        provider.put(paid(payment.as_str()));
    }
    provider.script("pi_1", vec![Step::Fail(ProviderError::refused("no")); 10]);
    let validator = plain(&provider).build().unwrap();
    let ready = validator.prefetch(ids(3)).at_once(0).await;
    assert_eq!(ready.from_provider(), 2);
    let failed: Vec<&str> = ready.failures().iter().map(|(payment, _)| payment.as_str()).collect();
    assert_eq!(failed, ["pi_1"]);
}

#[tokio::test(start_paused = true)]
async fn what_the_store_knows_is_read_by_the_hundred_and_kept_in_memory() {
    let store = FlakyStore::new(MemoryStore::new());
    known_elsewhere(&store, 250).await;
    let (provider, validator) = over(&store, 260);
    let calls = || [StoreVerb::Get, StoreVerb::Claim, StoreVerb::Replace].map(|verb| store.calls(verb));
    let before = calls();
    let ready = validator.prefetch(ids(260)).await;
    assert_eq!((ready.from_store(), ready.from_provider()), (250, 10));
    // Three batches, and for each payment that no process knew of a claim and what came of it.
    assert_eq!(calls(), [before[0] + 3, before[1] + 10, before[2] + 10]);
    assert_eq!(provider.calls(), 10);
    let before = calls();
    for intent in intents(260) {
        assert!(is_valid(&validator.validate(intent).await.unwrap()));
    }
    assert_eq!((calls(), provider.calls()), (before, 10));
    // Later the store is asked again, since others may have forgotten them.
    advance(secs(6)).await;
    validator.validate(intent("pi_0")).await.unwrap();
    assert!(calls() > before);
    assert_eq!(provider.calls(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_payment_that_is_forgotten_while_the_store_is_read_is_asked_about_anew() {
    let store = FlakyStore::new(MemoryStore::new());
    known_elsewhere(&store, 3).await;
    let (provider, validator) = over(&store, 3);
    store.script(StoreVerb::Get, [StoreFault::SlowReply(ms(500))]);
    let prefetch = tokio::spawn(validator.prefetch(ids(3)).into_future());
    sleep(ms(100)).await;
    provider.put(paid("pi_1").with_amount_refunded(1999));
    validator.forget(&id("pi_1")).await.unwrap();
    prefetch.await.unwrap();
    let validation = validator.validate(intent("pi_1")).await.unwrap();
    assert!(matches!(validation.verdict(), Verdict::Invalid(_)), "{validation:?}");
}

#[tokio::test(start_paused = true)]
async fn a_payment_that_was_forgotten_elsewhere_is_not_made_ready_by_a_look_up_from_before() {
    let store = FlakyStore::new(MemoryStore::new());
    known_elsewhere(&store, 1).await;
    let ((_, elsewhere), (provider, validator)) = (over(&store, 1), over(&store, 1));
    store.script(StoreVerb::Claim, [StoreFault::SlowReply(ms(500))]);
    let before = tokio::spawn(validator.validate(intent("pi_0")).into_future());
    sleep(ms(100)).await;
    provider.put(paid("pi_0").with_amount_refunded(1999));
    elsewhere.forget(&id("pi_0")).await.unwrap();
    // The look-up under way has read the store before.
    let ready = validator.prefetch(ids(1)).await;
    assert!(is_valid(&before.await.unwrap().unwrap()), "that caller came before it was forgotten");
    assert_eq!((ready.from_store(), ready.from_provider(), provider.calls()), (0, 1, 1));
    let validation = validator.validate(intent("pi_0")).await.unwrap();
    assert!(matches!(validation.verdict(), Verdict::Invalid(_)), "{validation:?}");
}

#[tokio::test(start_paused = true)]
async fn facts_that_are_newer_than_the_stores_stay_in_memory() {
    let store = FlakyStore::new(MemoryStore::new());
    known_elsewhere(&store, 1).await;
    let (provider, validator) = over(&store, 1);
    store.script(StoreVerb::Get, [StoreFault::SlowReply(ms(500))]);
    let prefetch = tokio::spawn(validator.prefetch(ids(1)).into_future());
    sleep(ms(100)).await;
    provider.put(paid("pi_0").with_amount_refunded(1999));
    // Asked by a caller who accepts no age, while the batch is under way.
    let anew = validator.validate(intent("pi_0")).max_age(Duration::ZERO).await.unwrap();
    assert!(matches!(anew.verdict(), Verdict::Invalid(_)));
    prefetch.await.unwrap();
    let validation = validator.validate(intent("pi_0")).await.unwrap();
    assert!(matches!(validation.verdict(), Verdict::Invalid(_)), "{validation:?}");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_down_costs_a_prefetch_no_payment() {
    let store = FlakyStore::new(MemoryStore::new());
    let (provider, validator) = over(&store, 5);
    store.always(Some(StoreFault::NotSent));
    let ready = validator.prefetch(ids(5)).await;
    assert_eq!((ready.from_provider(), provider.calls()), (5, 5));
}

#[tokio::test(start_paused = true)]
async fn a_prefetch_that_is_dropped_sends_nothing_further() {
    let (load, validator) = slow(secs(1));
    let prefetch = tokio::spawn(validator.prefetch(ids(50)).at_once(5).into_future());
    sleep(ms(1500)).await;
    prefetch.abort();
    settle().await;
    sleep(secs(60)).await;
    assert_eq!(load.calls.load(Ordering::SeqCst), 10);
    assert_eq!(validator.prefetch(ids(10)).await.in_memory(), 10, "what was under way is known");
}

#[tokio::test(start_paused = true)]
async fn answers_come_in_the_order_of_their_intents_however_long_each_takes() {
    let provider = ScriptedProvider::new();
    for (number, payment) in ids(20).iter().enumerate() {
        provider.put(paid(payment.as_str()));
        let wait = Step::Wait(ms(u64::try_from(100 * (20 - number)).unwrap()));
        provider.script(payment.as_str(), [wait, Step::from(paid(payment.as_str()))]);
    }
    provider.script("pi_20", [Step::Fail(ProviderError::refused("no"))]);
    let validator = plain(&provider).no_hedges().build().unwrap();
    let begun = Instant::now();
    let answers: Vec<_> = validator.validate_all(stream::iter(intents(21))).collect().await;
    assert_eq!(begun.elapsed(), secs(2), "all at once");
    let order: Vec<&str> = answers.iter().map(|(intent, _)| intent.payment().as_str()).collect();
    assert_eq!(order, ids(21).iter().map(PaymentId::as_str).collect::<Vec<_>>());
    assert!(answers[..20].iter().all(|(_, answer)| answer.as_ref().is_ok_and(is_valid)));
    assert!(answers[20].1.is_err());
}

#[tokio::test(start_paused = true)]
async fn no_more_are_validated_at_once_than_allowed_and_few_are_taken_ahead() {
    let (load, validator) = slow(secs(1));
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&taken);
    let source = stream::iter(intents(100)).inspect(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
    });
    let mut answers = validator.validate_all(source).at_once(10);
    assert_eq!(taken.load(Ordering::SeqCst), 0, "nothing is taken before it is polled");
    let (begun, mut given) = (Instant::now(), 0);
    while let Some((_, answer)) = answers.next().await {
        answer.unwrap();
        given += 1;
        assert!(taken.load(Ordering::SeqCst) <= given + 20);
    }
    assert_eq!((given, load.most.load(Ordering::SeqCst)), (100, 10));
    assert_eq!(begun.elapsed(), secs(10));
    assert!(answers.next().await.is_none(), "it may be polled after its end");
}

#[tokio::test(start_paused = true)]
async fn intents_that_are_there_together_have_the_store_read_once() {
    let store = FlakyStore::new(MemoryStore::new());
    known_elsewhere(&store, 100).await;
    let (provider, validator) = over(&store, 100);
    let before = (store.calls(StoreVerb::Get), store.calls(StoreVerb::Claim));
    let mut answers = validator.validate_all(stream::iter(intents(100))).at_once(50);
    while let Some((_, answer)) = answers.next().await {
        assert!(is_valid(&answer.unwrap()));
    }
    assert_eq!((store.calls(StoreVerb::Get), store.calls(StoreVerb::Claim)), (before.0 + 2, before.1));
    assert_eq!(provider.calls(), 0);
    // Callers who accept no age are answered by the provider.
    let fresh = validator.validate_all(stream::iter(intents(3))).max_age(Duration::ZERO).collect::<Vec<_>>().await;
    assert_eq!((fresh.len(), provider.calls()), (3, 3));
}
