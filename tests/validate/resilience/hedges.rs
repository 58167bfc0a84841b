//! An attempt that is silent while later ones are answered is asked once more beside itself.

use payproof::provider::{Attempt, AttemptOutcome, WaitReason};
use payproof::testing::{ScriptedProvider, Step};
use payproof::{Retry, RetryBudget, Validator};
use tokio::time::{Instant, sleep};

use super::{code_of, count, start, start_many, stocked};
use crate::support::{busy, intent, ms, paid, secs, settle};

/// A provider of payments that answers within 50 ms, but for the first payment, of which each test says more.
fn prompt(payments: usize) -> ScriptedProvider {
    let provider = stocked(payments);
    for number in 1..payments {
        let payment = format!("pi_{number}");
        provider.script(payment.clone(), [Step::Wait(ms(50)), paid(&payment).into()]);
    }
    provider
}

#[tokio::test(start_paused = true)]
async fn what_was_overtaken_is_asked_once_more_and_the_first_answer_counts() {
    let provider = prompt(4);
    provider.script("pi_0", [Step::Never, Step::Wait(ms(20)), paid("pi_0").into()]);
    let validator = Validator::builder(provider.clone()).build().unwrap();
    assert_eq!(count(start_many(&validator, 1..2), "valid").await, 1);
    let begin = Instant::now();
    let silent = start(&validator, "pi_0");
    sleep(secs(3)).await;
    assert_eq!(provider.calls(), 2, "nothing that began later was answered");
    assert_eq!(count(start_many(&validator, 2..3), "valid").await, 1);
    let validation = silent.await.unwrap().unwrap();
    assert!(validation.verdict().is_valid());
    assert!(begin.elapsed() < secs(4), "{:?}", begin.elapsed());

    let log = validation.attempts();
    assert_eq!(log.iter().map(Attempt::number).collect::<Vec<_>>(), [1, 2]);
    assert_eq!((log[0].outcome(), log[1].outcome()), (&AttemptOutcome::Abandoned, &AttemptOutcome::Facts));
    assert_eq!(log[0].wait().map(|(_, reason)| reason), Some(WaitReason::Hedge));
    assert!(log[0].duration() > log[1].offset(), "the first stayed open beside the second: {log:?}");
    let stats = validator.stats();
    assert_eq!((stats.hedges, stats.overtaken, stats.retries), (1, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn the_old_attempt_may_still_be_the_first_to_answer() {
    let provider = prompt(4);
    provider.script("pi_0", [Step::Wait(secs(4)), Step::Never]);
    let validator = Validator::builder(provider.clone()).build().unwrap();
    assert_eq!(count(start_many(&validator, 1..2), "valid").await, 1);
    let slow = start(&validator, "pi_0");
    sleep(secs(2)).await;
    assert_eq!(count(start_many(&validator, 2..3), "valid").await, 1);
    let validation = slow.await.unwrap().unwrap();
    let outcomes: Vec<_> = validation.attempts().iter().map(|attempt| attempt.outcome().clone()).collect();
    assert_eq!(outcomes, [AttemptOutcome::Facts, AttemptOutcome::Abandoned]);
    assert_eq!((provider.calls(), provider.dropped()), (4, 1));
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_is_slow_for_all_is_not_asked_twice() {
    let provider = stocked(200);
    for number in 0..200 {
        let payment = format!("pi_{number}");
        provider.script(payment.clone(), [Step::Wait(ms(2_000 + number % 41)), paid(&payment).into()]);
    }
    let validator = Validator::builder(provider.clone()).build().unwrap();
    let mut calls = Vec::new();
    for number in 0..200 {
        calls.push(start(&validator, &format!("pi_{number}")));
        sleep(ms(5)).await;
    }
    assert_eq!(count(calls, "valid").await, 200);
    assert_eq!((validator.stats().hedges, provider.calls()), (0, 200));
}

#[tokio::test(start_paused = true)]
async fn a_hedge_is_a_retry_and_never_the_last_one() {
    let provider = prompt(40);
    provider.script("pi_0", [Step::Never, Step::Never, Step::Never]);
    let validator = Validator::builder(provider.clone()).attempt_timeout(secs(10)).build().unwrap();
    let silent = start(&validator, "pi_0");
    for number in 1..30 {
        assert_eq!(code_of(start(&validator, &format!("pi_{number}"))).await, "valid");
        sleep(ms(500)).await;
    }
    let validation = silent.await.unwrap().unwrap();
    assert!(validation.verdict().is_valid(), "the last retry is for after the silence");
    let outcomes: Vec<_> = validation.attempts().iter().map(|attempt| attempt.outcome().as_str()).collect();
    assert_eq!(outcomes, ["transient", "transient", "transient", "facts"], "two hedges, and the last retry");
    assert_eq!(validator.stats().hedges, 2);
}

#[tokio::test(start_paused = true)]
async fn a_failure_beside_a_silent_attempt_ends_nothing_and_a_refusal_ends_all() {
    for (failure, code) in [(busy(), "valid"), (busy().with_status(401), "provider_refused")] {
        let provider = prompt(4);
        provider.script("pi_0", [Step::Wait(secs(6)), Step::Fail(failure)]);
        let validator = Validator::builder(provider.clone()).build().unwrap();
        assert_eq!(count(start_many(&validator, 1..2), "valid").await, 1);
        let begin = Instant::now();
        let silent = start(&validator, "pi_0");
        sleep(secs(1)).await;
        assert_eq!(count(start_many(&validator, 2..3), "valid").await, 1);
        assert_eq!(code_of(silent).await, code);
        assert_eq!((begin.elapsed() < secs(2), provider.calls()), (code != "valid", 4));
    }
}

type Set = fn(payproof::ValidatorBuilder, RetryBudget) -> payproof::ValidatorBuilder;

#[tokio::test(start_paused = true)]
async fn no_hedge_without_credit_nor_against_the_setting_nor_without_a_retry_to_spare() {
    let poor = RetryBudget::new().at_start(0.0).trickle_per_second(0.0).per_answer(0.1);
    let settings: [Set; 3] = [
        |builder, poor| builder.retry_budget(poor),
        |builder, _| builder.no_hedges(),
        |builder, _| builder.retry(Retry::new().times(1)),
    ];
    for set in settings {
        let provider = prompt(4);
        provider.script("pi_0", [Step::Never]);
        let validator = set(Validator::builder(provider.clone()), poor.clone()).build().unwrap();
        let silent = start(&validator, "pi_0");
        sleep(secs(3)).await;
        assert_eq!(count(start_many(&validator, 1..4), "valid").await, 3);
        sleep(secs(20)).await;
        assert_eq!((provider.calls(), validator.stats().hedges), (4, 0));
        silent.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn hedges_leave_what_retries_of_new_failures_need() {
    for (saved, hedges, left) in [(7.0, 3, 4.0), (4.0, 2, 2.0)] {
        let provider = prompt(10);
        for number in 10..20 {
            provider.script(format!("pi_{number}"), [Step::Never]);
        }
        provider.put(paid("pi_20"));
        provider.script("pi_20", [Step::Fail(busy())]);
        let budget =
            RetryBudget::new().saved(saved).at_start(saved).trickle_per_second(0.0).per_answer(0.0).per_caller(9.0);
        let validator = Validator::builder(provider.clone()).retry_budget(budget).build().unwrap();
        assert_eq!(count(start_many(&validator, 1..2), "valid").await, 1);
        let silent = start_many(&validator, 10..20);
        sleep(secs(2)).await;
        for newcomers in [2..5, 5..8] {
            assert_eq!(count(start_many(&validator, newcomers), "valid").await, 3);
            settle().await;
        }
        assert_eq!((validator.stats().hedges, validator.stats().credit), (hedges, Some(left)));
        let begin = Instant::now();
        assert_eq!(code_of(start(&validator, "pi_20")).await, "valid");
        assert!(begin.elapsed() < ms(200), "its retry is paid for: {:?}", begin.elapsed());
        for call in silent {
            call.abort();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_hang_that_ends_is_over_for_all_who_wait_within_seconds() {
    let provider = stocked(250);
    provider.always(Some(Step::Never));
    let validator = Validator::builder(provider.clone()).build().unwrap();
    let mut waiting = Vec::new();
    for number in 0..100 {
        waiting.push(start(&validator, &format!("pi_{number}")));
        sleep(ms(100)).await;
    }
    provider.always(None);
    let end = Instant::now();
    let mut newcomers = Vec::new();
    for number in 100..250 {
        newcomers.push(start(&validator, &format!("pi_{number}")));
        sleep(ms(100)).await;
    }
    assert_eq!(count(waiting, "valid").await, 100);
    assert!(end.elapsed() <= secs(16), "{:?}", end.elapsed());
    assert_eq!(count(newcomers, "valid").await, 150);
    settle().await;
    assert!(validator.stats().overtaken >= 90, "{:?}", validator.stats());
    assert!(validator.validate(intent("pi_1")).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn where_a_share_of_calls_hangs_the_last_retry_is_left_for_after_the_silence() {
    for one_in in [10, 2] {
        let provider = stocked(100);
        let hangs = |number: usize| number.is_multiple_of(one_in);
        for number in 0..100 {
            // Of what hangs, whatever is asked beside it is silent too, but for what is asked last.
            let step = if hangs(number) { Step::Never } else { Step::Wait(ms(50)) };
            provider.script(format!("pi_{number}"), vec![step; 3]);
        }
        let rich = RetryBudget::new().at_start(1_000.0).saved(1_000.0);
        let validator = Validator::builder(provider.clone()).retry_budget(rich).build().unwrap();
        let mut calls = Vec::new();
        for number in 0..100 {
            calls.push(start(&validator, &format!("pi_{number}")));
            sleep(ms(100)).await;
        }
        for (number, call) in calls.into_iter().enumerate() {
            let validation = call.await.unwrap().unwrap();
            assert!(validation.verdict().is_valid(), "{number}: {validation:?}");
            assert_eq!(validation.attempts().len(), if hangs(number) { 4 } else { 1 }, "{number}");
        }
        let hanging = u64::try_from(100 / one_in).unwrap();
        assert!((hanging..=2 * hanging).contains(&validator.stats().hedges), "{:?}", validator.stats());
    }
}
