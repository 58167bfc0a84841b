//! The line: a call that cannot pay for its retry waits until others' answers have earned it.

use payproof::provider::WaitReason;
use payproof::testing::Step;
use payproof::{RetryBudget, Validator, ValidatorBuilder};
use tokio::time::{Instant, advance, sleep};

use super::{code_of, count, start, start_many, stocked};
use crate::support::{busy, intent, ms, secs, settle};

/// Nothing saved, nothing by waiting, nothing lost; two answers earn a retry.
pub(super) fn poor(provider: &payproof::testing::ScriptedProvider) -> ValidatorBuilder {
    let budget = RetryBudget::new().at_start(0.0).trickle_per_second(0.0).per_answer(0.5).per_failure(0.0);
    Validator::builder(provider.clone()).retry_budget(budget)
}

#[tokio::test(start_paused = true)]
async fn who_cannot_pay_waits_for_others_answers_and_goes_first_come_first_served() {
    let provider = stocked(10);
    for first in ["pi_0", "pi_1"] {
        provider.script(first, [Step::Fail(busy())]);
    }
    let validator = poor(&provider).build().unwrap();
    let first = start(&validator, "pi_0");
    settle().await;
    let second = start(&validator, "pi_1");
    settle().await;
    assert_eq!((validator.stats().in_line, provider.calls()), (2, 2));
    sleep(secs(3)).await;
    assert_eq!(count(start_many(&validator, 2..4), "valid").await, 2);
    let first = first.await.unwrap().unwrap();
    assert!(first.verdict().is_valid());
    let (waited, reason) = first.attempts()[0].wait().unwrap();
    assert_eq!((reason, first.attempts().len()), (WaitReason::Line, 2));
    assert!((secs(3)..secs(4)).contains(&waited), "{waited:?}");
    assert_eq!(validator.stats().in_line, 1, "the second waits still");
    assert_eq!(count(start_many(&validator, 4..5), "valid").await, 1, "a newcomer never stands behind the line");
    assert_eq!(code_of(second).await, "valid", "the first one's answer counts too");
}

#[tokio::test(start_paused = true)]
async fn patience_ends_and_says_how_long_the_line_would_still_take() {
    let provider = stocked(10);
    let validator = poor(&provider).build().unwrap();
    provider.script("pi_0", [Step::Fail(busy())]);
    let begin = Instant::now();
    let error = validator.validate(intent("pi_0")).await.unwrap_err();
    assert_eq!((begin.elapsed(), error.retry_after()), (secs(10), None), "nothing is being answered");
    assert_eq!(error.attempts()[0].wait(), Some((secs(10), WaitReason::Line)));
    assert!(error.to_string().contains("retry budget"), "{error}");
    assert_eq!(validator.stats().in_line, 0);

    // One place of three was served within the patience.
    for payment in ["pi_1", "pi_2", "pi_3"] {
        provider.script(payment, [Step::Fail(busy())]);
    }
    let waiting = start_many(&validator, 1..4);
    settle().await;
    sleep(secs(5)).await;
    assert_eq!(count(start_many(&validator, 4..5), "valid").await, 1);
    assert_eq!(count(start_many(&validator, 5..6), "valid").await, 1);
    let mut ended = Vec::new();
    for call in waiting {
        ended.push(call.await.unwrap());
    }
    assert!(ended[0].is_ok());
    let error = ended[2].as_ref().unwrap_err();
    assert_eq!(error.retry_after(), Some(secs(10)), "one place left, and one was served within ten seconds");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_leaves_the_line_in_time() {
    let provider = stocked(1);
    provider.script("pi_0", [Step::Fail(busy())]);
    let validator = poor(&provider).build().unwrap();
    let begin = Instant::now();
    let error = validator.validate(intent("pi_0")).deadline(ms(500)).await.unwrap_err();
    assert_eq!((begin.elapsed(), error.code()), (ms(500), "deadline_exceeded"));

    provider.script("pi_0", [Step::Fail(busy())]);
    let validator = poor(&provider).total_deadline(ms(500)).build().unwrap();
    let begin = Instant::now();
    let error = validator.validate(intent("pi_0")).await.unwrap_err();
    assert_eq!((begin.elapsed(), error.code()), (ms(500), "provider_unavailable"));
    assert_eq!(validator.stats().in_line, 0);
}

#[tokio::test(start_paused = true)]
async fn what_the_provider_asks_to_wait_holds_in_line_too() {
    let provider = stocked(4);
    provider.script("pi_0", [Step::Fail(busy().with_retry_after(secs(4)))]);
    let validator = poor(&provider).build().unwrap();
    let begin = Instant::now();
    let call = start(&validator, "pi_0");
    settle().await;
    assert_eq!(count(start_many(&validator, 1..4), "valid").await, 3);
    assert_eq!(code_of(call).await, "valid");
    assert!((secs(4)..secs(6)).contains(&begin.elapsed()), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn waiting_alone_moves_the_line_slowly() {
    let provider = stocked(1);
    provider.script("pi_0", [Step::Fail(busy())]);
    let budget = RetryBudget::new().at_start(0.0).trickle_per_second(0.2);
    let validator = Validator::builder(provider.clone()).retry_budget(budget).build().unwrap();
    let begin = Instant::now();
    assert!(validator.validate(intent("pi_0")).await.unwrap().verdict().is_valid());
    assert!((secs(5)..ms(5_100)).contains(&begin.elapsed()), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_runtime_that_ends_with_a_call_in_line_leaves_nothing_behind() {
    let provider = stocked(6);
    let validator = poor(&provider).build().unwrap();
    let (other, script) = (validator.clone(), provider.clone());
    std::thread::spawn(move || {
        let runtime = crate::support::paused_runtime();
        runtime.block_on(async {
            script.script("pi_0", [Step::Fail(busy())]);
            start(&other, "pi_0");
            settle().await;
            assert_eq!(other.stats().in_line, 1);
        });
    })
    .join()
    .unwrap();
    assert_eq!(validator.stats().in_line, 0);
    assert_eq!(count(start_many(&validator, 1..3), "valid").await, 2);
    assert_eq!(validator.stats().credit, Some(1.0), "no retry was paid for");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_stood_still_for_an_hour_serves_no_crowd() {
    let provider = stocked(300);
    let validator = Validator::builder(provider.clone()).build().unwrap();
    provider.always(Some(Step::Fail(busy())));
    let waiting = start_many(&validator, 0..200);
    sleep(secs(1)).await;
    let (in_line, before) = (validator.stats().in_line, provider.calls());
    assert!(in_line >= 180, "{in_line}");
    // As on a machine that slept: no task ran meanwhile.
    advance(secs(3600)).await;
    assert_eq!(count(waiting, "provider_unavailable").await, 200, "their patience is over");
    assert!(provider.calls() - before <= 5, "what an hour alone earns: {}", provider.calls() - before);
    assert_eq!(validator.stats().in_line, 0);
    provider.always(None);
    assert_eq!(count(start_many(&validator, 200..300), "valid").await, 100);
}
