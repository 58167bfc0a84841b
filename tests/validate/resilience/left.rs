//! Callers that leave while their call waits: nothing further is sent for them, and they hold nothing.

use payproof::provider::{ProviderError, RateLimit};
use payproof::testing::{ScriptedProvider, Step};
use payproof::{Jitter, Provenance, Retry, Schedule, Validator};
use tokio::time::{Instant, sleep};

use super::line::poor;
use super::{code_of, count, start, start_many, stocked};
use crate::support::{busy, intent, ms, paid, plain, secs, settle};

/// Retries only after ten seconds.
fn slow_to_retry() -> Retry {
    Retry::new().schedule(Schedule::waits([secs(10); 3])).jitter(Jitter::None)
}

#[tokio::test(start_paused = true)]
async fn a_call_in_line_leaves_it_with_its_last_caller() {
    let provider = stocked(10);
    provider.script("pi_0", [Step::Fail(busy())]);
    provider.script("pi_1", [Step::Fail(busy())]);
    let validator = poor(&provider).build().unwrap();
    let (dropped, other) = (start(&validator, "pi_0"), start(&validator, "pi_0"));
    let impatient = tokio::spawn(validator.validate(intent("pi_1")).deadline(secs(2)).into_future());
    settle().await;
    assert_eq!((validator.stats().in_line, validator.stats().in_flight), (2, 2));
    dropped.abort();
    settle().await;
    assert_eq!(validator.stats().in_line, 2, "the other one waits still");
    other.abort();
    settle().await;
    assert_eq!((validator.stats().in_line, validator.stats().in_flight), (1, 1));
    assert_eq!(code_of(impatient).await, "deadline_exceeded");
    settle().await;
    assert_eq!((validator.stats().in_line, validator.stats().in_flight), (0, 0));
    assert_eq!(count(start_many(&validator, 2..6), "valid").await, 4);
    assert_eq!(
        (validator.stats().credit, provider.calls()),
        (Some(2.0), 6),
        "no retry was paid for, and none was sent"
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_to_retry_ends_with_its_last_caller_and_gives_its_credit_back() {
    let provider = stocked(1);
    provider.script("pi_0", [Step::Fail(busy())]);
    let validator = Validator::builder(provider.clone()).retry(slow_to_retry()).build().unwrap();
    let caller = start(&validator, "pi_0");
    settle().await;
    assert_eq!(validator.stats().credit, Some(8.8), "a retry, and what a failure takes away");
    caller.abort();
    settle().await;
    assert_eq!((validator.stats().credit, validator.stats().in_flight), (Some(9.8), 0));
    sleep(secs(60)).await;
    assert_eq!(provider.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_at_a_closed_gate_ends_with_its_last_caller() {
    let provider = stocked(2);
    let limited = ProviderError::refused("slow down").with_status(429).with_rate_limit(RateLimit::Account);
    provider.script("pi_0", [Step::Fail(limited.with_retry_after(secs(10)))]);
    let validator = plain(&provider).build().unwrap();
    let callers = [start(&validator, "pi_0"), {
        settle().await;
        start(&validator, "pi_1")
    }];
    settle().await;
    for caller in callers {
        caller.abort();
    }
    settle().await;
    assert_eq!((validator.stats().in_flight, provider.calls()), (0, 1));
    sleep(secs(60)).await;
    assert_eq!(provider.calls(), 1);
    assert_eq!(code_of(start(&validator, "pi_1")).await, "valid", "the gate's probe is left to the next call");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_comes_before_the_call_has_ended_keeps_it_and_one_that_comes_later_leads_a_new_one() {
    for comes_later in [false, true] {
        let provider = stocked(1);
        provider.script("pi_0", [Step::Fail(busy())]);
        let validator = plain(&provider).retry(slow_to_retry()).build().unwrap();
        let first = start(&validator, "pi_0");
        settle().await;
        first.abort();
        // An aborted task is dropped when it is run next: a caller that joins before that is never alone.
        if comes_later {
            settle().await;
        }
        let begin = Instant::now();
        let validation = validator.validate(intent("pi_0")).await.unwrap();
        let expected = if comes_later { (Provenance::Fresh, 1) } else { (Provenance::Coalesced, 2) };
        assert_eq!((validation.provenance(), validation.attempts().len()), expected);
        assert_eq!((begin.elapsed() < secs(1), provider.calls()), (comes_later, 2));
    }
}

#[tokio::test(start_paused = true)]
async fn callers_that_come_and_go_at_any_moment_never_hear_that_no_caller_waits() {
    for pause in 0..60 {
        let provider = stocked(1);
        provider.script("pi_0", vec![Step::Fail(busy()); 3]);
        let waits = Retry::new().schedule(Schedule::waits([ms(20); 3])).jitter(Jitter::None);
        let validator = plain(&provider).retry(waits).build().unwrap();
        for _ in 0..3 {
            let _ = validator.validate(intent("pi_0")).deadline(ms(pause)).await.map_err(|error| {
                assert_eq!(error.code(), "deadline_exceeded", "{pause} ms");
            });
        }
        assert_eq!(code_of(start(&validator, "pi_0")).await, "valid", "{pause} ms");
        assert!(provider.calls() <= 4, "{pause} ms: {}", provider.calls());
    }
}

/// One silent look-up, whose caller is there, and a validator that knows how long an answer takes.
async fn silent(first: Step) -> (ScriptedProvider, Validator) {
    let provider = stocked(9);
    provider.script("pi_0", [first, paid("pi_0").into()]);
    let validator = Validator::builder(provider.clone()).build().unwrap();
    assert_eq!(count(start_many(&validator, 1..2), "valid").await, 1);
    let caller = start(&validator, "pi_0");
    sleep(secs(3)).await;
    caller.abort();
    settle().await;
    assert_eq!(count(start_many(&validator, 2..3), "valid").await, 1, "it is overtaken");
    settle().await;
    assert_eq!((provider.calls(), validator.stats().hedges), (3, 0));
    assert_eq!((validator.stats().credit, validator.stats().in_flight), (Some(10.0), 1));
    (provider, validator)
}

#[tokio::test(start_paused = true)]
async fn what_is_silent_and_overtaken_without_a_caller_is_not_asked_again_and_its_late_answer_is_kept() {
    let (provider, validator) = silent(Step::Wait(secs(20))).await;
    sleep(secs(20)).await;
    let validation = validator.validate(intent("pi_0")).await.unwrap();
    assert_eq!((validation.provenance(), provider.calls()), (Provenance::Replayed, 3));

    let (provider, validator) = silent(Step::Never).await;
    sleep(secs(30)).await;
    assert_eq!((validator.stats().in_flight, provider.calls()), (0, 3), "its time is over, and no retry follows");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_joins_what_was_overtaken_has_it_asked_once_more() {
    let (provider, validator) = silent(Step::Never).await;
    let begin = Instant::now();
    let validation = validator.validate(intent("pi_0")).await.unwrap();
    assert_eq!((validation.provenance(), validation.attempts().len()), (Provenance::Coalesced, 2));
    assert!(begin.elapsed() < secs(1), "{:?}", begin.elapsed());
    assert_eq!((provider.calls(), validator.stats().hedges), (4, 1));
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_caller_leaves_beside_its_hedge_leaves_nothing_behind() {
    let provider = stocked(9);
    provider.script("pi_0", vec![Step::Never; 4]);
    let validator = Validator::builder(provider.clone()).build().unwrap();
    assert_eq!(count(start_many(&validator, 1..2), "valid").await, 1);
    let caller = start(&validator, "pi_0");
    sleep(secs(3)).await;
    assert_eq!(count(start_many(&validator, 2..3), "valid").await, 1);
    settle().await;
    assert_eq!((validator.stats().credit, provider.calls()), (Some(9.0), 4), "it was asked once more");
    caller.abort();
    for number in 3..9 {
        sleep(secs(3)).await;
        assert_eq!(code_of(start(&validator, &format!("pi_{number}"))).await, "valid");
    }
    sleep(secs(20)).await;
    assert_eq!((validator.stats().hedges, validator.stats().in_flight, provider.calls()), (1, 0, 10));
    let tenths = validator.stats().credit.map(|credit| (credit * 10.0).round());
    assert_eq!((provider.dropped(), tenths), (2, Some(96.0)), "each attempt had its time, and failed");
}
