//! Retries that an outage may cost, and who pays for them.

use std::error::Error;
use std::time::Duration;

use payproof::provider::ProviderError;
use payproof::testing::Step;
use payproof::{Retry, RetryBudget, Validator};
use tokio::time::{Instant, advance};

use super::{count, start_many, stocked};
use crate::support::{busy, failing, intent, plain, secs};

/// A budget of what is said and no more: nothing comes by waiting or is lost by failures, and no call waits in line.
fn strict() -> RetryBudget {
    RetryBudget::new().at_start(0.0).trickle_per_second(0.0).per_failure(0.0).patience(Duration::ZERO)
}

#[tokio::test(start_paused = true)]
async fn an_outage_costs_at_most_a_tenth_more_calls() {
    let provider = failing(busy());
    let validator = Validator::builder(provider.clone()).build().unwrap();
    assert_eq!(count(start_many(&validator, 0..1000), "provider_unavailable").await, 1000);
    assert!(provider.calls() <= 1100, "{}", provider.calls());
    assert!(provider.calls() >= 1008, "the budget is used, of which failures take a part: {}", provider.calls());
}

#[tokio::test(start_paused = true)]
async fn an_outage_costs_at_most_a_tenth_more_calls_also_one_after_the_other() {
    let provider = failing(busy());
    let budget = RetryBudget::new().patience(Duration::ZERO);
    let validator = Validator::builder(provider.clone()).retry_budget(budget).build().unwrap();
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
    assert_eq!((validator.stats().credit, validator.stats().in_line), (None, 0));
}

#[tokio::test(start_paused = true)]
async fn without_patience_an_empty_budget_is_noticed_before_waiting_and_keeps_the_real_cause() {
    let provider = failing(busy());
    let validator = Validator::builder(provider.clone()).retry_budget(strict()).build().unwrap();
    let start = Instant::now();
    let error = validator.validate(intent("pi_1")).await.unwrap_err();
    assert_eq!((start.elapsed(), provider.calls()), (Duration::ZERO, 1));
    assert!(error.to_string().contains("retry budget"), "{error}");
    assert_eq!(error.source().unwrap().to_string(), "status 503: busy");
    assert_eq!((error.code(), error.attempts().len()), ("provider_unavailable", 1));
    assert_eq!((error.attempts()[0].wait(), error.retry_after()), (None, None));
}

#[tokio::test(start_paused = true)]
async fn an_empty_budget_keeps_the_providers_wait() {
    let provider = failing(busy().with_retry_after(secs(7)));
    let validator = Validator::builder(provider).retry_budget(strict()).build().unwrap();
    assert_eq!(validator.validate(intent("pi_1")).await.unwrap_err().retry_after(), Some(secs(7)));
}

#[tokio::test(start_paused = true)]
async fn answers_earn_retries_a_refusal_too_and_a_failure_none() {
    let provider = stocked(20);
    let budget = strict().per_answer(0.125);
    let validator = Validator::builder(provider.clone()).retry_budget(budget).build().unwrap();
    assert_eq!(count(start_many(&validator, 0..15), "valid").await, 15);
    validator.validate(intent("pi_unknown")).await.unwrap();
    assert_eq!(validator.stats().credit, Some(2.0));
    provider.always(Some(Step::Fail(busy())));
    let before = provider.calls();
    validator.validate(intent("pi_16")).await.unwrap_err();
    assert_eq!(provider.calls() - before, 3, "one attempt, and the two retries that were earned");
    assert_eq!(validator.stats().credit, Some(0.0));
}

#[tokio::test(start_paused = true)]
async fn a_server_error_and_silence_take_away_from_what_was_saved_and_a_limit_does_not() {
    let limited = ProviderError::refused("slow down").with_status(429);
    let steps = [
        (Step::Fail(busy()), 7.5),
        (Step::Never, 7.5),
        (Step::Fail(ProviderError::not_sent("no route")), 7.5),
        (Step::Fail(limited), 8.0),
        (Step::Fail(busy().with_status(401)), 8.25),
    ];
    for (step, left) in steps {
        let provider = failing(busy());
        provider.always(Some(step.clone()));
        let budget = strict().at_start(8.0).per_failure(0.5).per_answer(0.25);
        let builder = Validator::builder(provider.clone()).retry(Retry::none()).retry_budget(budget);
        let validator = builder.attempt_timeout(secs(1)).build().unwrap();
        validator.validate(intent("pi_1")).await.unwrap_err();
        assert_eq!(validator.stats().credit, Some(left), "{step:?}");
    }
    let validator = Validator::builder(failing(busy())).retry_budget(strict().per_failure(0.5)).build().unwrap();
    validator.validate(intent("pi_1")).await.unwrap_err();
    assert_eq!(validator.stats().credit, Some(0.0), "and never more than is there");
}

#[tokio::test(start_paused = true)]
async fn answers_from_memory_earn_nothing() {
    let provider = stocked(1);
    let validator = Validator::builder(provider).retry_budget(strict()).build().unwrap();
    for _ in 0..100 {
        validator.validate(intent("pi_0")).await.unwrap();
    }
    assert_eq!(validator.stats().credit, Some(0.5), "one answer of the provider");
}

#[tokio::test(start_paused = true)]
async fn savings_are_bounded_by_a_share_of_what_was_called_of_late() {
    let provider = stocked(2_000);
    let validator = Validator::builder(provider).build().unwrap();
    assert_eq!(count(start_many(&validator, 0..2_000), "valid").await, 2_000);
    assert_eq!(validator.stats().credit, Some(100.0), "5 % of 2,000");
    let provider = stocked(100);
    let validator = Validator::builder(provider).build().unwrap();
    assert_eq!(count(start_many(&validator, 0..100), "valid").await, 100);
    assert_eq!(validator.stats().credit, Some(10.0), "5 % of 100 would be less than what a quiet service saves");
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
    assert_eq!(validator.stats().credit, Some(9.8), "a server error, and no retry");
}

#[tokio::test(start_paused = true)]
async fn a_quiet_service_earns_a_few_retries_by_waiting() {
    let provider = failing(busy());
    let budget = RetryBudget::new().at_start(0.0).patience(Duration::ZERO);
    let validator = Validator::builder(provider.clone()).retry_budget(budget).build().unwrap();
    // An hour in which no task ran at all, as on a machine that slept.
    advance(secs(3600)).await;
    assert_eq!(validator.stats().credit, Some(5.0));
    assert_eq!(count(start_many(&validator, 0..100), "provider_unavailable").await, 100);
    assert!(provider.calls() <= 106, "{}", provider.calls());
}
