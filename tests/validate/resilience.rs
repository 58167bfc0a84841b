//! What keeps an outage from becoming a storm: budget, breaker, limits, and older facts.
#![allow(clippy::unwrap_used, reason = "a fixture that cannot be made fails the test that asked for it")]

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::{busy, failing, intent, intent_of, is_valid, ms, paid, plain, provider, secs, settle};
use payproof::provider::{ProviderError, ProviderIdentity, RateLimit, provider_fn};
use payproof::testing::{ScriptedProvider, Step};
use payproof::{
    Breaker, BreakerState, Currency, Money, PaymentIntent, PaymentStatus, Provenance, ProviderPayment, Retry,
    RetryBudget, ValidateError, Validation, Validator, ValidatorBuilder, WhenProviderIsDown,
};
use tokio::task::JoinHandle;
use tokio::time::{Instant, advance, sleep};

type Answer = Result<Validation, ValidateError>;

/// Starts a call in a task of its own.
fn start(validator: &Validator, payment: &str) -> JoinHandle<Answer> {
    tokio::spawn(validator.validate(intent(payment)).into_future())
}

/// Starts one call for each number.
fn start_many(validator: &Validator, numbers: std::ops::Range<usize>) -> Vec<JoinHandle<Answer>> {
    numbers.map(|number| start(validator, &format!("pi_{number}"))).collect()
}

async fn code_of(call: JoinHandle<Answer>) -> &'static str {
    match call.await.unwrap() {
        Ok(validation) => validation.verdict().as_str(),
        Err(error) => error.code(),
    }
}

/// How many of the calls ended like this.
async fn count(calls: Vec<JoinHandle<Answer>>, code: &str) -> usize {
    let mut codes = Vec::new();
    for call in calls {
        codes.push(code_of(call).await);
    }
    codes.into_iter().filter(|ended| *ended == code).count()
}

/// A provider of these payments that is healthy.
fn stocked(payments: usize) -> ScriptedProvider {
    let provider = ScriptedProvider::new();
    for number in 0..payments {
        provider.put(paid(&format!("pi_{number}")));
    }
    provider
}

// ---- the budget

#[tokio::test(start_paused = true)]
async fn an_outage_costs_at_most_a_tenth_more_calls() {
    let provider = failing(busy());
    let validator = Validator::builder(provider.clone()).no_breaker().build().unwrap();
    assert_eq!(count(start_many(&validator, 0..1000), "provider_unavailable").await, 1000);
    assert!(provider.calls() <= 1100, "{}", provider.calls());
    assert!(provider.calls() >= 1020, "the budget is used");
}

#[tokio::test(start_paused = true)]
async fn an_outage_costs_at_most_a_tenth_more_calls_also_one_after_the_other() {
    let provider = failing(busy());
    let validator = Validator::builder(provider.clone()).no_breaker().build().unwrap();
    for number in 0..1000 {
        validator.validate(intent(&format!("pi_{number}"))).await.unwrap_err();
    }
    assert!(provider.calls() <= 1100, "{}", provider.calls());
}

#[tokio::test(start_paused = true)]
async fn without_a_budget_every_call_uses_all_its_retries() {
    let provider = failing(busy());
    let validator = plain(&provider).build().unwrap();
    assert_eq!(count(start_many(&validator, 0..100), "provider_unavailable").await, 100);
    assert_eq!(provider.calls(), 400);
    assert_eq!((validator.stats().budget_level, validator.stats().breaker), (None, None));
}

#[tokio::test(start_paused = true)]
async fn an_empty_budget_is_noticed_before_waiting_and_keeps_the_real_cause() {
    let provider = failing(busy());
    let empty = RetryBudget::new().at_start(0.0).trickle_per_second(0.0);
    let validator = Validator::builder(provider.clone()).no_breaker().retry_budget(empty).build().unwrap();
    let start = Instant::now();
    let error = validator.validate(intent("pi_1")).await.unwrap_err();
    assert_eq!((start.elapsed(), provider.calls()), (Duration::ZERO, 1));
    assert!(error.to_string().contains("retry budget"), "{error}");
    assert_eq!(error.source().unwrap().to_string(), "status 503: busy");
    assert_eq!((error.code(), error.attempts().len()), ("provider_unavailable", 1));
    assert_eq!(error.attempts()[0].wait(), None);
}

#[tokio::test(start_paused = true)]
async fn an_empty_budget_keeps_the_providers_wait() {
    let provider = failing(busy().retry_after(secs(7)));
    let empty = RetryBudget::new().at_start(0.0);
    let validator = Validator::builder(provider).no_breaker().retry_budget(empty).build().unwrap();
    assert_eq!(validator.validate(intent("pi_1")).await.unwrap_err().retry_after(), Some(secs(7)));
}

#[tokio::test(start_paused = true)]
async fn successes_refill_the_budget() {
    let provider = stocked(20);
    let budget = RetryBudget::new().at_start(0.0).per_success(0.125).trickle_per_second(0.0);
    let validator = Validator::builder(provider.clone()).no_breaker().retry_budget(budget).build().unwrap();
    assert_eq!(count(start_many(&validator, 0..16), "valid").await, 16);
    assert_eq!(validator.stats().budget_level, Some(2.0));
    provider.always(Some(Step::Fail(busy())));
    let before = provider.calls();
    validator.validate(intent("pi_16")).await.unwrap_err();
    assert_eq!(provider.calls() - before, 3, "one attempt, and the two retries that were earned");
}

#[tokio::test(start_paused = true)]
async fn answers_from_memory_do_not_refill_the_budget() {
    let provider = stocked(1);
    let budget = RetryBudget::new().at_start(0.0).trickle_per_second(0.0);
    let validator = Validator::builder(provider).retry_budget(budget).build().unwrap();
    for _ in 0..100 {
        validator.validate(intent("pi_0")).await.unwrap();
    }
    assert!(validator.stats().budget_level.unwrap() < 0.11);
}

#[tokio::test(start_paused = true)]
async fn failures_that_are_not_retried_cost_no_budget() {
    let provider = failing(ProviderError::refused("no").status(401));
    let validator = Validator::builder(provider.clone()).build().unwrap();
    for number in 0..50 {
        validator.validate(intent(&format!("pi_{number}"))).await.unwrap_err();
    }
    provider.always(Some(Step::Fail(busy().retry_after(secs(3600)))));
    validator.validate(intent("pi_1")).await.unwrap_err();
    assert_eq!(validator.stats().budget_level, Some(20.0));
}

#[tokio::test(start_paused = true)]
async fn a_quiet_service_earns_a_few_retries_by_waiting() {
    let provider = failing(busy());
    let budget = RetryBudget::new().at_start(0.0);
    let validator = Validator::builder(provider.clone()).no_breaker().retry_budget(budget).build().unwrap();
    advance(secs(3600)).await;
    assert_eq!(validator.stats().budget_level, Some(5.0));
    assert_eq!(count(start_many(&validator, 0..100), "provider_unavailable").await, 100);
    assert!(provider.calls() <= 106, "{}", provider.calls());
}

// ---- the breaker

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
    let validator = Validator::builder(provider.clone()).retry(Retry::none()).build().unwrap();
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
    let account = ProviderError::refused("slow down").status(429).rate_limit(RateLimit::Account);
    let answers = [
        ProviderError::refused("no").status(404),
        ProviderError::refused("no").status(401),
        ProviderError::refused("no"),
        account.clone(),
        account.clone().retry_after(secs(1)),
        account.rate_limit(RateLimit::Payment),
        ProviderError::unreadable("half a body").status(200),
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
        let lock = ProviderError::refused("locked").status(409).code_decides("lock_timeout", true);
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
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
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

// ---- the concurrency limit

/// A provider that answers after a second, and the most calls it ever saw at once.
fn crowded() -> (Arc<AtomicUsize>, ValidatorBuilder) {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&most);
    let provider = provider_fn(ProviderIdentity::new("acme"), move |payment, _| {
        let (now, most) = (Arc::clone(&now), Arc::clone(&seen));
        async move {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst).saturating_add(1), Ordering::SeqCst);
            sleep(secs(1)).await;
            now.fetch_sub(1, Ordering::SeqCst);
            Ok(paid(payment.as_str()))
        }
    });
    (most, Validator::builder(provider))
}

#[tokio::test(start_paused = true)]
async fn no_more_calls_than_the_limit_are_under_way() {
    let (most, builder) = crowded();
    let validator = builder.max_concurrent(7).build().unwrap();
    let begin = Instant::now();
    assert_eq!(count(start_many(&validator, 0..70), "valid").await, 70);
    assert_eq!((most.load(Ordering::SeqCst), begin.elapsed()), (7, secs(10)));
}

#[tokio::test(start_paused = true)]
async fn by_default_64_calls_are_under_way_at_most() {
    let (most, builder) = crowded();
    assert_eq!(count(start_many(&builder.build().unwrap(), 0..200), "valid").await, 200);
    assert_eq!(most.load(Ordering::SeqCst), 64);
    let (most, builder) = crowded();
    assert_eq!(count(start_many(&builder.unlimited_concurrency().build().unwrap(), 0..200), "valid").await, 200);
    assert_eq!(most.load(Ordering::SeqCst), 200);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_between_attempts_holds_no_place() {
    let provider = stocked(3);
    provider.script("pi_0", [busy().retry_after(secs(10))]);
    let validator = plain(&provider).max_concurrent(1).build().unwrap();
    let waiting = start(&validator, "pi_0");
    settle().await;
    let begin = Instant::now();
    assert_eq!(count(start_many(&validator, 1..3), "valid").await, 2);
    assert_eq!(begin.elapsed(), Duration::ZERO);
    assert_eq!(code_of(waiting).await, "valid");
}

#[tokio::test(start_paused = true)]
async fn places_come_back_from_timeouts_panics_and_dropped_callers() {
    let provider = stocked(30);
    let validator = plain(&provider)
        .max_concurrent(2)
        .attempt_timeout(secs(1))
        .retry(Retry::none())
        .total_deadline(secs(60))
        .build()
        .unwrap();
    for number in 0..10 {
        let steps = match number % 3 {
            0 => Step::Never,
            1 => Step::Panic,
            _ => Step::Fail(busy()),
        };
        provider.script(format!("pi_{number}"), [steps]);
    }
    let calls = start_many(&validator, 0..10);
    for (number, call) in calls.into_iter().enumerate() {
        settle().await;
        if number % 2 == 0 {
            call.abort();
        } else {
            call.await.unwrap().unwrap_err();
        }
    }
    sleep(secs(60)).await;
    assert_eq!(validator.stats().in_flight, 0);
    // Both places are there: two slow calls run side by side.
    for number in 20..24 {
        provider.script(format!("pi_{number}"), [Step::Wait(ms(900))]);
    }
    let begin = Instant::now();
    assert_eq!(count(start_many(&validator, 20..24), "valid").await, 4);
    assert_eq!(begin.elapsed(), ms(1800));
}

#[tokio::test(start_paused = true)]
async fn the_queue_is_bounded_by_the_deadline() {
    let provider = stocked(20);
    provider.always(Some(Step::Never));
    let validator = plain(&provider).max_concurrent(1).total_deadline(secs(10)).build().unwrap();
    let holder = start(&validator, "pi_0");
    sleep(secs(2)).await;
    let begin = Instant::now();
    let mut queue = start_many(&validator, 1..12);
    let second = queue.remove(0);
    assert_eq!(code_of(holder).await, "deadline_exceeded");
    for call in queue {
        let error = call.await.unwrap().unwrap_err();
        assert_eq!((error.code(), begin.elapsed()), ("deadline_exceeded", secs(10)));
        assert!(error.is_timeout() && error.attempts().is_empty(), "{error:?}");
    }
    assert_eq!(second.await.unwrap().unwrap_err().attempts().len(), 1);
    assert_eq!(provider.calls(), 2, "nobody is asked when no time is left for an answer");
    assert_eq!(validator.stats().in_flight, 0);
}

// ---- at capacity

#[tokio::test(start_paused = true)]
async fn more_payments_than_allowed_in_flight_are_refused() {
    let provider = stocked(10);
    let validator = plain(&provider).max_in_flight(2).build().unwrap();
    for number in 0..2 {
        provider.script(format!("pi_{number}"), [Step::Wait(secs(1))]);
    }
    let under_way = start_many(&validator, 0..2);
    settle().await;
    let error = validator.validate(intent("pi_2")).await.unwrap_err();
    assert!(error.is_unavailable());
    assert_eq!((error.code(), error.http_status()), ("at_capacity", 503));
    assert!(error.to_string().contains("max_in_flight"), "{error}");
    let follower = start(&validator, "pi_1");
    assert_eq!(count(under_way, "valid").await, 2);
    assert_eq!(code_of(follower).await, "valid", "to join a flight takes no room");
    assert_eq!(code_of(start(&validator, "pi_2")).await, "valid");
    assert_eq!(validator.stats().errors.get("at_capacity"), Some(&1));
}

#[tokio::test(start_paused = true)]
async fn a_tenant_at_its_share_of_flights_does_not_refuse_another() {
    let provider = provider();
    let validator = plain(&provider).max_in_flight(400).build().unwrap();
    let of = |tenant: &str, payment: &str| {
        PaymentIntent::new(tenant, payment, Money::parse("19.99", Currency::USD).unwrap()).unwrap()
    };
    let flights: Vec<_> = (0..300)
        .map(|number| {
            let payment = format!("pi_greedy_{number}");
            provider.script(payment.as_str(), [Step::Wait(secs(5))]);
            tokio::spawn(validator.validate(of("greedy", &payment)).into_future())
        })
        .collect();
    settle().await;
    assert_eq!(validator.stats().in_flight, 200);
    let error = validator.validate(of("greedy", "pi_1")).await.unwrap_err();
    assert_eq!((error.code(), error.http_status()), ("at_capacity", 503));
    assert!(error.to_string().contains("of this tenant") && error.to_string().contains("max_in_flight_per_tenant"));
    assert!(is_valid(&validator.validate(intent("pi_1")).await.unwrap()));
    assert_eq!(count(flights, "at_capacity").await, 100);
    assert_eq!(validator.stats().in_flight, 0);
    assert!(validator.validate(of("greedy", "pi_2")).await.is_ok(), "its room came back");
}

#[tokio::test(start_paused = true)]
async fn answers_from_memory_take_no_room_in_flight() {
    let provider = stocked(2);
    let validator = plain(&provider).max_in_flight(1).build().unwrap();
    assert!(is_valid(&validator.validate(intent("pi_0")).await.unwrap()));
    provider.always(Some(Step::Never));
    let _busy = start(&validator, "pi_1");
    settle().await;
    assert!(is_valid(&validator.validate(intent("pi_0")).await.unwrap()));
    assert!(!is_valid(&validator.validate(intent_of("pi_0", "1.00")).await.unwrap()));
}

// ---- when the provider is down

fn patient(provider: &ScriptedProvider) -> ValidatorBuilder {
    plain(provider)
        .retry(Retry::none())
        .fresh_for(secs(60))
        .when_provider_is_down(WhenProviderIsDown::ServeStale { up_to: secs(3600) })
}

async fn aged(provider: &ScriptedProvider, validator: &Validator, age: Duration) {
    assert!(is_valid(&validator.validate(intent("pi_1")).await.unwrap()));
    advance(age).await;
    provider.always(Some(Step::Fail(busy())));
}

#[tokio::test(start_paused = true)]
async fn by_default_an_outage_is_an_error() {
    let provider = provider();
    let validator = plain(&provider).retry(Retry::none()).fresh_for(secs(60)).build().unwrap();
    aged(&provider, &validator, secs(61)).await;
    let error = validator.validate(intent("pi_1")).await.unwrap_err();
    assert!(error.is_unavailable());
    assert_ne!(error.http_status(), 402);
}

#[tokio::test(start_paused = true)]
async fn older_facts_are_served_in_an_outage_and_marked() {
    let provider = provider();
    let validator = patient(&provider).build().unwrap();
    aged(&provider, &validator, secs(600)).await;
    let validation = validator.validate(intent("pi_1")).await.unwrap();
    assert!(is_valid(&validation));
    assert_eq!((validation.provenance(), validation.age()), (Provenance::Degraded, secs(600)));
    assert_eq!(validation.attempts().len(), 1, "the provider was asked first");
    assert_eq!(validator.stats().degraded, 1);
    let forged = validator.validate(intent_of("pi_1", "99.00")).await.unwrap();
    assert_eq!((forged.provenance(), forged.verdict().as_str()), (Provenance::Degraded, "invalid"));
    provider.always(None);
    assert_eq!(validator.validate(intent("pi_1")).await.unwrap().provenance(), Provenance::Fresh);
}

#[tokio::test(start_paused = true)]
async fn a_degraded_answer_does_not_make_facts_fresh() {
    let provider = provider();
    let validator = patient(&provider).build().unwrap();
    aged(&provider, &validator, secs(600)).await;
    for _ in 0..3 {
        assert_eq!(validator.validate(intent("pi_1")).await.unwrap().provenance(), Provenance::Degraded);
    }
    assert_eq!(provider.calls(), 4);
    provider.put(paid("pi_1").amount_refunded(1999));
    provider.always(None);
    assert_eq!(validator.validate(intent("pi_1")).await.unwrap().verdict().as_str(), "invalid");
}

#[tokio::test(start_paused = true)]
async fn facts_older_than_allowed_are_not_served() {
    let provider = provider();
    let validator = patient(&provider).build().unwrap();
    aged(&provider, &validator, secs(3600)).await;
    assert_eq!(validator.validate(intent("pi_1")).await.unwrap().provenance(), Provenance::Degraded);
    advance(ms(1)).await;
    assert_eq!(validator.validate(intent("pi_1")).await.unwrap_err().code(), "provider_unavailable");
}

#[tokio::test(start_paused = true)]
async fn a_calls_own_max_age_holds_in_an_outage_too() {
    let provider = provider();
    let validator = patient(&provider).build().unwrap();
    aged(&provider, &validator, secs(600)).await;
    assert!(validator.validate(intent("pi_1")).max_age(secs(600)).await.is_ok());
    assert!(validator.validate(intent("pi_1")).max_age(secs(599)).await.is_err());
    assert!(validator.validate(intent("pi_1")).max_age(Duration::ZERO).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn forgotten_facts_are_not_served_in_an_outage() {
    let provider = provider();
    let validator = patient(&provider).build().unwrap();
    aged(&provider, &validator, secs(600)).await;
    validator.forget(intent("pi_1").payment()).await.unwrap();
    assert!(validator.validate(intent("pi_1")).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn older_facts_do_not_hide_a_configuration_error() {
    let provider = provider();
    let validator = patient(&provider).build().unwrap();
    aged(&provider, &validator, secs(600)).await;
    provider.always(Some(Step::Fail(ProviderError::refused("bad key").status(401))));
    assert!(validator.validate(intent("pi_1")).await.unwrap_err().is_configuration());
}

#[tokio::test(start_paused = true)]
async fn older_facts_do_not_hide_an_answer_that_could_not_be_read() {
    // The provider did answer, and may have contradicted them.
    let provider = provider();
    let validator = patient(&provider).build().unwrap();
    aged(&provider, &validator, secs(600)).await;
    provider.always(Some(Step::Fail(ProviderError::unreadable("half a body"))));
    assert_eq!(validator.validate(intent("pi_1")).await.unwrap_err().code(), "unreadable_answer");
}

#[tokio::test(start_paused = true)]
async fn older_facts_are_served_for_every_way_of_being_down() {
    let provider = provider();
    let breaker = Breaker::new().minimum_attempts(1).open_for(secs(1));
    let validator = patient(&provider).breaker(breaker).attempt_timeout(secs(1)).build().unwrap();
    aged(&provider, &validator, secs(600)).await;
    let ways: [Step; 5] = [
        Step::Never,
        Step::Panic,
        busy().into(),
        ProviderError::not_sent("connection refused").into(),
        ProviderError::refused("slow down").status(429).retry_after(secs(300)).into(),
    ];
    for way in ways {
        provider.always(Some(way.clone()));
        let degraded = validator.validate(intent("pi_1")).await.unwrap();
        assert_eq!(degraded.provenance(), Provenance::Degraded, "{way:?}");
        assert_eq!(validator.validate(intent("pi_1")).await.unwrap().provenance(), Provenance::Degraded, "{way:?}");
        advance(secs(2)).await;
    }
    let hurried = validator.validate(intent("pi_1")).deadline(ms(1)).await.unwrap();
    assert_eq!(hurried.provenance(), Provenance::Degraded, "the caller's own deadline passed");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_settled_is_not_served_in_an_outage() {
    for status in [PaymentStatus::Processing, PaymentStatus::NotFound, PaymentStatus::Declined] {
        let provider = ScriptedProvider::new();
        provider.put(ProviderPayment::new("pi_1", status.clone()));
        let validator = patient(&provider).build().unwrap();
        assert!(!is_valid(&validator.validate(intent("pi_1")).await.unwrap()));
        advance(secs(61)).await;
        provider.always(Some(Step::Fail(busy())));
        assert!(validator.validate(intent("pi_1")).await.is_err(), "{status:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_cannot_be_asked_for_lack_of_room_is_served_older_facts_too() {
    // An outage is what fills the room: every flight then takes its full time.
    let provider = stocked(3);
    let validator = patient(&provider).max_in_flight(1).build().unwrap();
    aged(&provider, &validator, secs(600)).await;
    provider.always(Some(Step::Never));
    let _busy = start(&validator, "pi_2");
    settle().await;
    let validation = validator.validate(intent("pi_1")).await.unwrap();
    assert_eq!(validation.provenance(), Provenance::Degraded);
}

#[tokio::test(start_paused = true)]
async fn errors_are_never_kept() {
    let provider = failing(busy());
    let validator = plain(&provider).retry(Retry::none()).build().unwrap();
    validator.validate(intent("pi_1")).await.unwrap_err();
    provider.always(None);
    let validation = validator.validate(intent("pi_1")).await.unwrap();
    assert_eq!((is_valid(&validation), validation.provenance()), (true, Provenance::Fresh));
    assert_eq!(provider.calls(), 2);
}
