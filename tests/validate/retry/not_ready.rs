//! What the provider calls paid and has still to write down.

use std::time::Duration;

use payproof::provider::{Attempt, AttemptOutcome, ProviderError, WaitReason};
use payproof::testing::{ScriptedProvider, Step};
use payproof::{Breaker, PaymentStatus, Validator, Verdict};
use tokio::time::Instant;

use crate::support::{busy, intent, is_valid, paid, provider, secs, waits};

fn fresh(id: &str) -> Step {
    paid(id).not_ready("charge_missing").into()
}

/// A provider which has still to write down so many answers about this payment.
fn behind(id: &str, answers: usize) -> ScriptedProvider {
    let provider = provider();
    provider.put(paid(id));
    provider.script(id, (0..answers).map(|_| fresh(id)));
    provider
}

fn outcomes(attempts: &[Attempt]) -> Vec<&str> {
    attempts.iter().map(|attempt| attempt.outcome().as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn it_is_asked_for_again_after_one_two_and_four_seconds_and_then_pending() {
    for (answers, took, calls) in [(0, secs(0), 1), (1, secs(1), 2), (2, secs(3), 3), (3, secs(7), 4)] {
        let (provider, start) = (behind("pi_1", answers), Instant::now());
        let validator = Validator::builder(provider.clone()).build().unwrap();
        assert!(is_valid(&validator.validate(intent("pi_1")).await.unwrap()), "{answers}");
        assert_eq!((start.elapsed(), provider.calls()), (took, calls), "{answers}");
    }
    let (provider, start) = (behind("pi_1", 4), Instant::now());
    let validator = Validator::builder(provider.clone()).build().unwrap();
    let validation = validator.validate(intent("pi_1")).await.unwrap();
    let Verdict::Pending(pending) = validation.verdict() else { panic!("{validation:?}") };
    assert_eq!((pending.status(), pending.reason()), (&PaymentStatus::Processing, Some("charge_missing")));
    assert_eq!(pending.poll_after(), secs(2));
    assert_eq!((start.elapsed(), provider.calls()), (secs(7), 4));
    assert_eq!(outcomes(validation.attempts()), ["not_ready"; 4]);
    assert_eq!(waits(validation.attempts()), [secs(1), secs(2), secs(4)]);
    let mut reasons = validation.attempts().iter().filter_map(|attempt| Some(attempt.wait()?.1));
    assert!(reasons.all(|reason| reason == WaitReason::NotReady));
    // Two seconds later it is asked for anew.
    tokio::time::advance(secs(2)).await;
    assert!(is_valid(&validator.validate(intent("pi_1")).await.unwrap()));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_is_too_short_for_the_wait_ends_it_with_what_is_known() {
    let provider = behind("pi_1", 4);
    let validator = Validator::builder(provider.clone()).total_deadline(secs(3)).build().unwrap();
    let (start, validation) = (Instant::now(), validator.validate(intent("pi_1")).await.unwrap());
    assert!(matches!(validation.verdict(), Verdict::Pending(_)), "{validation:?}");
    assert_eq!((start.elapsed(), provider.calls()), (secs(1), 2));
}

#[tokio::test(start_paused = true)]
async fn failures_in_between_have_their_own_retries() {
    let provider = provider();
    let steps = [fresh("pi_1"), busy().into(), fresh("pi_1"), busy().into(), busy().into(), fresh("pi_1")];
    provider.script("pi_1", steps);
    let validator = Validator::builder(provider).build().unwrap();
    let validation = validator.validate(intent("pi_1")).await.unwrap();
    assert!(is_valid(&validation));
    let expected = ["not_ready", "transient", "not_ready", "transient", "transient", "not_ready", "facts"];
    assert_eq!(outcomes(validation.attempts()), expected);
}

/// Validates so many payments at once, and says what the credit was before and after.
async fn burst(provider: &ScriptedProvider, validator: &Validator) -> (Option<f64>, Option<f64>) {
    let before = validator.stats().credit;
    let ids: Vec<String> = (0..200).map(|number| format!("pi_{number}")).collect();
    for id in &ids {
        provider.script(id.as_str(), (0..4).map(|_| fresh(id)));
    }
    let calls: Vec<_> = ids.iter().map(|id| tokio::spawn(validator.validate(intent(id)).into_future())).collect();
    for call in calls {
        assert!(matches!(call.await.unwrap().unwrap().verdict(), Verdict::Pending(_)));
    }
    (before, validator.stats().credit)
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_them_leaves_credit_and_breaker_as_they_were() {
    let provider = provider();
    let breaker = Breaker::new().failure_share(0.5).minimum_attempts(4);
    let validator = Validator::builder(provider.clone()).breaker(breaker).build().unwrap();
    let (before, after) = burst(&provider, &validator).await;
    assert_eq!((before, provider.calls()), (after, 800));
    // Each counted as an answer, so a few failures among them open nothing.
    provider.put(paid("pi_last"));
    provider.script("pi_last", [busy(), busy(), busy()]);
    let last = validator.validate(intent("pi_last")).await.unwrap();
    assert!(is_valid(&last), "{last:?}");
    assert_eq!(last.attempts().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_ready_is_an_answer_of_a_half_open_breaker() {
    let provider = provider();
    let breaker = Breaker::new().minimum_attempts(4).probes(1).open_for(secs(5));
    let validator = Validator::builder(provider.clone()).breaker(breaker).no_retry_budget().build().unwrap();
    provider.always(Some(Step::Fail(ProviderError::refused("down").with_status(503))));
    assert!(validator.validate(intent("pi_1")).await.is_err());
    provider.always(None);
    provider.script("pi_1", [fresh("pi_1")]);
    tokio::time::advance(Duration::from_secs(6)).await;
    let validation = validator.validate(intent("pi_1")).await.unwrap();
    assert!(is_valid(&validation));
    assert_eq!(*validation.attempts()[0].outcome(), AttemptOutcome::NotReady);
}

#[tokio::test(start_paused = true)]
async fn no_more_is_asked_once_the_last_caller_has_left() {
    let provider = behind("pi_1", 4);
    let validator = Validator::builder(provider.clone()).build().unwrap();
    let left = tokio::time::timeout(secs(2), validator.validate(intent("pi_1")).into_future()).await;
    assert!(left.is_err());
    tokio::time::sleep(secs(60)).await;
    assert_eq!((provider.calls(), validator.stats().in_flight), (2, 0));
}
