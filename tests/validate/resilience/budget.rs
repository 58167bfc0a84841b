//! Retries that an outage may cost.

use std::error::Error;
use std::time::Duration;

use payproof::provider::ProviderError;
use payproof::testing::Step;
use payproof::{RetryBudget, Validator};
use tokio::time::{Instant, advance};

use super::{count, start_many, stocked};
use crate::support::{busy, failing, intent, plain, secs};

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
    let provider = failing(busy().with_retry_after(secs(7)));
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
    let provider = failing(ProviderError::refused("no").with_status(401));
    let validator = Validator::builder(provider.clone()).build().unwrap();
    for number in 0..50 {
        validator.validate(intent(&format!("pi_{number}"))).await.unwrap_err();
    }
    provider.always(Some(Step::Fail(busy().with_retry_after(secs(3600)))));
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
