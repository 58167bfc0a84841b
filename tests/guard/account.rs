//! What operations and validations of one provider account share: gate, breaker and room.

use std::time::Duration;

use payproof::guard::{Effect, Operation};
use payproof::provider::{ProviderError, RateLimit};
use payproof::store::MemoryStore;
use payproof::telemetry::BreakerState;
use payproof::testing::ScriptedProvider;
use payproof::{Breaker, Validator};
use tokio::time::{Instant, sleep};

use crate::support::{busy, forgetful, intent, is_valid, paid, poll_once, secs, settle};
use crate::{Act, Desk, plain, unkeyed};

#[tokio::test(start_paused = true)]
async fn a_limit_of_the_whole_account_holds_validations_back_too_and_no_other_does() {
    let bare = ProviderError::refused("slow down").with_status(429).with_retry_after(secs(10));
    let cases = [
        (bare.clone(), false),
        (bare.clone().with_rate_limit(RateLimit::Endpoint), false),
        (bare.with_rate_limit(RateLimit::Account), true),
    ];
    for (limited, holds_back) in cases {
        let provider = ScriptedProvider::new();
        provider.put(paid("pi_1"));
        let builder = Validator::builder(provider.clone()).store(MemoryStore::new());
        let validator = forgetful(builder).build().unwrap();
        let desk = Desk::with([Act::Fail(limited.clone())]);
        let run = tokio::spawn(validator.guard().run(&unkeyed(), desk.keyless()));
        settle().await;
        let begin = Instant::now();
        assert!(is_valid(&validator.validate(intent("pi_1")).await.unwrap()));
        assert_eq!(begin.elapsed() >= secs(10), holds_back, "{limited:?}");
        assert!(run.await.unwrap().is_ok());
        let stats = validator.stats();
        assert_eq!((stats.attempts, stats.retries), (3, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn twenty_five_unknown_refunds_and_an_hours_wait_stop_no_checkout() {
    let provider = ScriptedProvider::new();
    for number in 0..10 {
        provider.put(paid(&format!("pi_{number}")));
    }
    let validator = forgetful(Validator::builder(provider.clone())).build().unwrap();
    let guard = validator.guard();
    let desk = Desk::default();
    for number in 0..25 {
        desk.script([Act::Fail(busy())]);
        let refund = Operation::new("store_42", "refund", format!("order {number}"), Effect::write()).unwrap();
        let error = guard.run(&refund, desk.keyless()).await.unwrap_err();
        assert!(error.is_indeterminate() || error.code() == "circuit_open", "{error:?}");
    }
    assert_eq!(validator.stats().guarded_breaker, Some(BreakerState::Open));
    assert_eq!(validator.health().await.reasons()[0].code(), "guarded_breaker_open");
    sleep(secs(6)).await;
    desk.0.lock().unwrap().script.clear();
    let hour = ProviderError::refused("slow down")
        .with_status(429)
        .with_rate_limit(RateLimit::Endpoint)
        .with_retry_after(secs(3600));
    desk.script([Act::Fail(hour)]);
    let refund = Operation::new("store_42", "refund", "the last", Effect::write()).unwrap();
    assert!(guard.run(&refund, desk.keyless()).await.unwrap_err().is_rate_limited());
    let begin = Instant::now();
    for number in 0..10 {
        assert!(is_valid(&validator.validate(intent(&format!("pi_{number}"))).await.unwrap()));
    }
    assert_eq!((begin.elapsed(), validator.stats().breaker), (Duration::ZERO, None));
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_keeps_a_write_from_being_sent_and_gives_it_back() {
    let breaker = Breaker::new().minimum_attempts(1).open_for(secs(5));
    let guard = plain().guard_breaker(breaker).store(MemoryStore::new()).build().unwrap().guard();
    let desk = Desk::with([Act::Fail(busy())]);
    let other = Operation::new("t", "other", "k", Effect::write()).unwrap();
    guard.run(&other, desk.keyless()).await.unwrap_err();
    let error = guard.run(&unkeyed(), desk.keyless()).await.unwrap_err();
    assert_eq!((error.code(), error.is_unavailable()), ("circuit_open", true));
    assert!(error.retry_after().is_some());
    sleep(secs(6)).await;
    assert!(guard.run(&unkeyed(), desk.keyless()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn runs_under_way_are_bounded_with_the_flights() {
    let guard = plain().max_in_flight(1).store(MemoryStore::new()).build().unwrap().guard();
    let desk = Desk::with([Act::Slow(secs(5))]);
    let other = Operation::new("t", "other", "k", Effect::write()).unwrap();
    drop(poll_once(Box::pin(guard.run(&unkeyed(), desk.keyless())).as_mut()).await);
    settle().await;
    let error = guard.run(&other, desk.keyless()).await.unwrap_err();
    assert_eq!((error.code(), error.is_unavailable()), ("at_capacity", true));
    sleep(secs(6)).await;
    assert!(guard.run(&other, desk.keyless()).await.is_ok());
}
