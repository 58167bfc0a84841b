//! A store whose clock is moved while records stand in it: set back, and jumped ahead.
#![cfg(all(feature = "test-util", feature = "webhook"))]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a slip fails the test that makes it"
)]

use std::future::IntoFuture as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::shifted_store::ShiftedStore;
use crate::support::{NO_PATTERNS, forgetful, intent, ms, paid, plain, proof_of, provider, secs, settle};
use payproof::guard::{Effect, Operation};
use payproof::provider::ProviderError;
use payproof::redeem::{Occasion, RedeemError};
use payproof::store::{MemoryStore, Store, StoreFinding};
use payproof::testing::webhook::{EventBody, now, sign};
use payproof::testing::{FlakyStore, ScriptedProvider, Step, StoreFault, StoreVerb};
use payproof::webhook::StripeWebhooks;
use payproof::{Provenance, Validator};
use tokio::time::{advance, sleep, timeout};

const HOUR: Duration = secs(60 * 60);

fn process(provider: &ScriptedProvider, store: &ShiftedStore<impl Store + Clone>) -> Validator {
    let builder = plain(provider).transient_patterns(NO_PATTERNS).store(store.clone());
    forgetful(builder).build().unwrap()
}

async fn clock_findings(validator: &Validator) -> Vec<&'static str> {
    let codes = validator.check_store().await.findings.into_iter().map(|finding| StoreFinding::code(&finding));
    codes.filter(|code| code.starts_with("clock")).collect()
}

#[tokio::test(start_paused = true)]
async fn facts_are_asked_for_anew_once_the_stores_clock_was_set_back() {
    let (provider, store) = (provider(), ShiftedStore::new(MemoryStore::new()));
    process(&provider, &store).validate(intent("pi_1")).await.unwrap();
    advance(secs(600)).await;
    let late = process(&provider, &store);
    assert_eq!(late.validate(intent("pi_1")).await.unwrap().age(), secs(600));
    assert_eq!(clock_findings(&late).await, [""; 0]);

    store.set_back(HOUR);
    let after = process(&provider, &store);
    let validation = after.validate(intent("pi_1")).await.unwrap();
    assert_eq!((validation.provenance(), provider.calls()), (Provenance::Fresh, 2), "facts told as 0 s old");
    assert_eq!(clock_findings(&after).await, ["clock_set_back"]);
    let health = after.health().await;
    assert!(health.reasons().iter().any(|reason| reason.code() == "clock_set_back"), "{health:?}");

    advance(HOUR * 24 + secs(1)).await;
    assert_eq!(clock_findings(&after).await, [""; 0], "what was a day ago is over");
}

#[tokio::test(start_paused = true)]
async fn facts_of_before_a_small_correction_of_the_clock_are_served() {
    let (provider, store) = (provider(), ShiftedStore::new(MemoryStore::new()));
    process(&provider, &store).validate(intent("pi_1")).await.unwrap();
    store.set_back(secs(1));
    let late = process(&provider, &store);
    assert_eq!(late.validate(intent("pi_1")).await.unwrap().provenance(), Provenance::Replayed);
    assert_eq!(clock_findings(&late).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn facts_that_were_waited_for_are_asked_for_anew_when_the_clock_is_set_back_meanwhile() {
    let (provider, store) = (provider(), ShiftedStore::new(MemoryStore::new()));
    let (asking, waiting) = (process(&provider, &store), process(&provider, &store));
    provider.script("pi_1", [Step::Wait(secs(3)), Step::from(paid("pi_1"))]);
    let asked = tokio::spawn(async move { asking.validate(intent("pi_1")).await });
    settle().await;
    let waited = tokio::spawn(async move { waiting.validate(intent("pi_1")).await });
    asked.await.unwrap().unwrap();
    // Before the one that waits looks again.
    store.set_back(HOUR);
    let waited = waited.await.unwrap().unwrap();
    assert!(waited.verdict().is_valid(), "{waited:?}");
    assert_eq!((waited.age(), provider.calls()), (Duration::ZERO, 2));
}

#[tokio::test(start_paused = true)]
async fn a_redemption_is_not_told_younger_once_the_clock_was_set_back() {
    let (provider, store) = (provider(), ShiftedStore::new(MemoryStore::new()));
    let validator = process(&provider, &store);
    let proof = proof_of(&validator, intent("pi_1")).await;
    let first = validator.redeem(&proof).await.unwrap();
    assert_eq!(first.occasion(), Occasion::First);
    sleep(secs(30)).await;
    store.set_back(HOUR);
    let again = validator.redeem(&proof).await.unwrap();
    let Occasion::Repeat { age } = again.occasion() else { panic!("{again:?}") };
    assert!(age >= secs(30), "{age:?}");
    let redemption = validator.redemption(proof.payment()).await.unwrap().unwrap();
    assert!(redemption.age() >= secs(30), "{redemption:?}");
    let kept = validator.stored_facts(proof.payment()).await.unwrap().unwrap();
    assert!(kept.age() >= secs(30) && kept.age() <= HOUR * 25, "{kept:?}");
}

#[tokio::test(start_paused = true)]
async fn a_claim_of_before_the_clock_was_set_back_holds_others_up_for_no_longer_than_its_lease() {
    let (provider, way) = (provider(), FlakyStore::new(MemoryStore::new()));
    let store = ShiftedStore::new(way.clone());
    let [crashing, other] = [(), ()].map(|()| process(&provider, &store));
    let (theirs, ours) = (proof_of(&crashing, intent("pi_1")).await, proof_of(&other, intent("pi_1")).await);
    way.script(StoreVerb::Replace, [StoreFault::Never]);
    timeout(ms(500), crashing.redeem(&theirs).part("one").into_future()).await.unwrap_err();
    store.set_back(HOUR);
    let wait = match other.redeem(&ours).part("two").await {
        Err(RedeemError::InProgress { retry_after }) => retry_after,
        told => panic!("its lease is running: {told:?}"),
    };
    sleep(wait).await;
    assert_eq!(other.redeem(&ours).part("two").await.unwrap().occasion(), Occasion::First, "after {wait:?}");
}

/// An effect that nothing protects, and counts how often it is sent.
async fn refund(validator: Validator, sent: Arc<AtomicU32>) -> Result<u32, payproof::guard::GuardError> {
    let operation = Operation::new("store_42", "refund", "order 6735", Effect::write()).unwrap();
    let run = validator.guard().run(&operation, move |_call| {
        let sent = Arc::clone(&sent);
        async move {
            let number = sent.fetch_add(1, Ordering::Relaxed) + 1;
            sleep(secs(20)).await;
            Ok::<u32, ProviderError>(number)
        }
    });
    run.await.map(|done| *done.value())
}

#[tokio::test(start_paused = true)]
async fn an_effect_under_way_is_waited_for_although_the_stores_clock_jumped_ahead() {
    let (provider, store) = (provider(), ShiftedStore::new(MemoryStore::new()));
    let (first, second) = (process(&provider, &store), process(&provider, &store));
    let sent = Arc::new(AtomicU32::new(0));
    let sending = tokio::spawn(refund(first.clone(), Arc::clone(&sent)));
    settle().await;
    // This one has seen the claim before the clock jumps, and the first one has made it.
    let waiting = tokio::spawn(refund(second.clone(), Arc::clone(&sent)));
    sleep(secs(2)).await;
    store.jump_ahead(HOUR);
    let again = tokio::spawn(refund(first.clone(), Arc::clone(&sent)));
    for answer in [sending, waiting, again] {
        assert_eq!(answer.await.unwrap().unwrap(), 1);
    }
    assert_eq!(sent.load(Ordering::Relaxed), 1);
    for validator in [&first, &second] {
        assert_eq!(clock_findings(validator).await, ["clock_jumped_ahead"]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_is_not_handled_twice_in_one_process_when_the_stores_clock_jumps_ahead() {
    let store = ShiftedStore::new(MemoryStore::new());
    let secret = format!("{}_{}", "whsec", "of_the_orders_endpoint");
    let webhooks = StripeWebhooks::builder(&process(&provider(), &store), "orders", secret.clone()).build().unwrap();
    let runs = Arc::new(AtomicU32::new(0));
    let deliver = || {
        let body = EventBody::of_payment("evt_1", "charge.refunded", "pi_1").to_string();
        let runs = Arc::clone(&runs);
        webhooks.receive(Some(&sign(&secret, now(), &body)), &body, move |_| async move {
            runs.fetch_add(1, Ordering::Relaxed);
            sleep(secs(20)).await;
            Ok::<(), String>(())
        })
    };
    let handling = tokio::spawn(deliver());
    settle().await;
    store.jump_ahead(secs(60));
    assert!(deliver().await.unwrap_err().is_in_progress());
    assert_eq!(handling.await.unwrap().unwrap().as_str(), "handled");
    assert_eq!(deliver().await.unwrap().as_str(), "duplicate");
    assert_eq!(runs.load(Ordering::Relaxed), 1);
}
