//! The breaker opens, probes and closes.

use std::error::Error;
use std::time::Duration;

use payproof::provider::{ProviderError, RateLimit};
use payproof::telemetry::BreakerState;
use payproof::testing::{ScriptedProvider, Step};
use payproof::{Breaker, Retry, Validator, ValidatorBuilder};
use tokio::time::{Instant, advance, sleep};

use super::{code_of, count, start, start_many, stocked};
use crate::support::{busy, failing, intent, is_valid, ms, paused_runtime, secs, settle};

/// A validator whose breaker opens at four failures; no retries.
fn fused(provider: &ScriptedProvider) -> ValidatorBuilder {
    Validator::builder(provider.clone()).retry(Retry::none()).breaker(Breaker::new().minimum_attempts(4))
}

/// Opens the breaker of such a validator, and makes the provider healthy again.
async fn open(provider: &ScriptedProvider, validator: &Validator) {
    provider.always(Some(Step::Fail(busy())));
    for _ in 0..4 {
        validator.validate(intent("pi_0")).await.unwrap_err();
    }
    provider.always(None);
    assert_eq!(validator.stats().breaker, Some(BreakerState::Open));
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_fails_fast_and_says_until_when() {
    let provider = stocked(10);
    let validator = fused(&provider).build().unwrap();
    open(&provider, &validator).await;
    advance(secs(2)).await;
    let (start, calls) = (Instant::now(), provider.calls());
    let error = validator.validate(intent("pi_1")).await.unwrap_err();
    assert_eq!((start.elapsed(), provider.calls()), (Duration::ZERO, calls));
    assert!(error.is_unavailable());
    assert_eq!((error.code(), error.http_status(), error.retry_after()), ("circuit_open", 503, Some(secs(3))));
    assert!(error.attempts().is_empty());
    assert!(error.source().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_breaker_that_opens_during_a_call_keeps_that_calls_cause() {
    let provider = failing(busy());
    let validator = Validator::builder(provider.clone()).breaker(Breaker::new().minimum_attempts(2)).build().unwrap();
    let error = validator.validate(intent("pi_1")).await.unwrap_err();
    assert_eq!((error.code(), provider.calls(), error.attempts().len()), ("circuit_open", 2, 2));
    assert_eq!(error.source().unwrap().to_string(), "status 503: busy");
    assert!(error.retry_after().is_some_and(|wait| wait <= secs(5)));
}

#[tokio::test(start_paused = true)]
async fn few_failures_open_nothing() {
    let provider = failing(busy());
    let validator = Validator::builder(provider.clone()).retry(Retry::none()).breaker(Breaker::new()).build().unwrap();
    for _ in 0..19 {
        validator.validate(intent("pi_1")).await.unwrap_err();
    }
    assert_eq!(validator.stats().breaker, Some(BreakerState::Closed));
    validator.validate(intent("pi_1")).await.unwrap_err();
    assert_eq!(validator.stats().breaker, Some(BreakerState::Open));
}

#[tokio::test(start_paused = true)]
async fn a_half_open_breaker_admits_its_probes_only_and_closes_after_them() {
    let provider = stocked(20);
    let validator = fused(&provider).build().unwrap();
    open(&provider, &validator).await;
    advance(secs(5)).await;
    assert_eq!(validator.stats().breaker, Some(BreakerState::HalfOpen));
    for number in 0..20 {
        provider.script(format!("pi_{number}"), [Step::Wait(secs(1))]);
    }
    let before = provider.calls();
    let calls = start_many(&validator, 0..20);
    settle().await;
    assert_eq!(provider.calls() - before, 3);
    let mut calls = calls.into_iter();
    let probes: Vec<_> = calls.by_ref().take(3).collect();
    assert_eq!(count(calls.collect(), "circuit_open").await, 17);
    assert_eq!(count(probes, "valid").await, 3);
    assert_eq!(validator.stats().breaker, Some(BreakerState::Closed));
    assert_eq!(count(start_many(&validator, 3..20), "valid").await, 17);
}

#[tokio::test(start_paused = true)]
async fn a_failed_probe_opens_the_breaker_again() {
    let provider = stocked(10);
    let validator = fused(&provider).build().unwrap();
    open(&provider, &validator).await;
    advance(secs(5)).await;
    provider.script("pi_1", [busy()]);
    assert_eq!(validator.validate(intent("pi_1")).await.unwrap_err().code(), "provider_unavailable");
    let error = validator.validate(intent("pi_1")).await.unwrap_err();
    assert_eq!((error.code(), error.retry_after()), ("circuit_open", Some(secs(5))));
    advance(secs(5)).await;
    for number in 0..3 {
        assert!(is_valid(&validator.validate(intent(&format!("pi_{number}"))).await.unwrap()));
    }
    assert_eq!(validator.stats().breaker, Some(BreakerState::Closed));
}

#[tokio::test(start_paused = true)]
async fn refusals_and_rate_limits_do_not_open_the_breaker() {
    let account = ProviderError::refused("slow down").with_status(429).with_rate_limit(RateLimit::Account);
    let answers = [
        ProviderError::refused("no").with_status(404),
        ProviderError::refused("no").with_status(401),
        ProviderError::refused("no"),
        account.clone(),
        account.clone().with_retry_after(secs(1)),
        account.with_rate_limit(RateLimit::Payment),
        ProviderError::unreadable("half a body").with_status(200),
        ProviderError::message("card declined"),
    ];
    for answer in answers {
        let validator = fused(&failing(answer.clone())).build().unwrap();
        for number in 0..50 {
            validator.validate(intent(&format!("pi_{number}"))).await.unwrap_err();
        }
        assert_eq!(validator.stats().breaker, Some(BreakerState::Closed), "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn verdicts_that_are_not_valid_do_not_open_the_breaker() {
    let validator = fused(&ScriptedProvider::new()).build().unwrap();
    assert_eq!(count(start_many(&validator, 0..100), "invalid").await, 100);
    assert_eq!(validator.stats().breaker, Some(BreakerState::Closed));
}

#[tokio::test(start_paused = true)]
async fn callers_without_patience_do_not_open_the_breaker() {
    let provider = stocked(50);
    let validator = fused(&provider).build().unwrap();
    for number in 0..50 {
        let payment = format!("pi_{number}");
        provider.script(payment.clone(), [Step::Wait(secs(5))]);
        let error = validator.validate(intent(&payment)).deadline(ms(10)).await.unwrap_err();
        assert_eq!(error.code(), "deadline_exceeded");
    }
    sleep(secs(6)).await;
    let stats = validator.stats();
    assert_eq!((stats.breaker, stats.in_flight, stats.facts_in_memory), (Some(BreakerState::Closed), 0, 50));
    assert_eq!((provider.completed(), provider.dropped()), (50, 0));
}

#[tokio::test(start_paused = true)]
async fn silence_opens_the_breaker() {
    let provider = stocked(50);
    provider.always(Some(Step::Never));
    let validator = fused(&provider).attempt_timeout(secs(2)).build().unwrap();
    assert_eq!(count(start_many(&validator, 0..4), "provider_timeout").await, 4);
    assert_eq!(validator.stats().breaker, Some(BreakerState::Open));
}

#[tokio::test(start_paused = true)]
async fn silence_opens_the_breaker_also_when_the_deadline_is_the_shorter_limit() {
    // The deadline is the validator's own here, and the provider had all of it.
    let provider = stocked(50);
    provider.always(Some(Step::Never));
    let validator = fused(&provider).total_deadline(secs(2)).build().unwrap();
    assert_eq!(count(start_many(&validator, 0..40), "deadline_exceeded").await, 40);
    assert_eq!(validator.stats().breaker, Some(BreakerState::Open));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_had_little_time_left_says_nothing_about_the_provider() {
    let provider = stocked(50);
    let retry = Retry::new().schedule(payproof::Schedule::waits([ms(1500)])).jitter(payproof::Jitter::None);
    let builder = Validator::builder(provider.clone()).retry(retry).no_retry_budget();
    let breaker = Breaker::new().minimum_attempts(4).failure_share(1.0);
    let validator = builder.total_deadline(secs(2)).breaker(breaker).build().unwrap();
    for number in 0..8 {
        // A lock says that the provider is well; the slow answer after it is cut at half a second.
        let lock = ProviderError::refused("locked").with_status(409).transient_by_code("lock_timeout");
        provider.script(format!("pi_{number}"), [lock.into(), Step::Wait(secs(1))]);
    }
    assert_eq!(count(start_many(&validator, 0..8), "deadline_exceeded").await, 8);
    assert_eq!(validator.stats().breaker, Some(BreakerState::Closed));
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_panics_does_not_wedge_the_breaker() {
    let provider = stocked(10);
    let validator = fused(&provider).build().unwrap();
    open(&provider, &validator).await;
    advance(secs(5)).await;
    provider.script("pi_1", (0..10).map(|_| Step::Panic));
    for _ in 0..10 {
        assert_eq!(validator.validate(intent("pi_1")).await.unwrap_err().code(), "interrupted");
    }
    for number in 0..3 {
        assert!(is_valid(&validator.validate(intent(&format!("pi_{number}"))).await.unwrap()));
    }
    assert_eq!(validator.stats().breaker, Some(BreakerState::Closed));
}

#[test]
fn a_probe_dropped_with_its_runtime_does_not_wedge_the_breaker() {
    let runtime = || paused_runtime();
    let provider = stocked(10);
    let validator = fused(&provider).build().unwrap();
    let first = runtime();
    first.block_on(async {
        open(&provider, &validator).await;
        advance(secs(5)).await;
        provider.always(Some(Step::Never));
        let _probes = start_many(&validator, 0..3);
        settle().await;
        assert_eq!(provider.calls(), 4 + 3);
        assert_eq!(code_of(start(&validator, "pi_9")).await, "circuit_open");
    });
    drop(first);
    provider.always(None);
    assert_eq!((provider.dropped(), validator.stats().in_flight), (3, 0));
    runtime().block_on(async {
        advance(secs(10)).await;
        assert_eq!(count(start_many(&validator, 0..3), "valid").await, 3);
        assert_eq!(validator.stats().breaker, Some(BreakerState::Closed));
    });
}
