//! Leaders that leave.

use std::pin::pin;
use std::time::Duration;

use payproof::Provenance;
use payproof::testing::Step;

use super::start;
use crate::support::{intent, is_valid, plain, poll_once, provider, secs, settle};

#[tokio::test(start_paused = true)]
async fn a_dropped_leader_drops_neither_the_call_nor_its_followers() {
    let provider = provider();
    provider.script("pi_1", [Step::Wait(secs(1))]);
    let validator = plain(&provider).build().unwrap();
    let leader = start(&validator, "pi_1");
    settle().await;
    let follower = start(&validator, "pi_1");
    settle().await;
    leader.abort();
    let validation = follower.await.unwrap().unwrap();
    assert_eq!((is_valid(&validation), validation.provenance()), (true, Provenance::Coalesced));
    assert_eq!((provider.calls(), provider.dropped()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_leader_dropped_at_its_first_await_still_brings_the_facts() {
    let provider = provider();
    let validator = plain(&provider).build().unwrap();
    {
        let mut validate = pin!(validator.validate(intent("pi_1")));
        assert!(poll_once(validate.as_mut()).await.is_pending());
    }
    settle().await;
    assert_eq!(validator.validate(intent("pi_1")).await.unwrap().provenance(), Provenance::Replayed);
    assert_eq!(provider.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_validation_that_is_never_awaited_asks_no_provider() {
    let provider = provider();
    let validator = plain(&provider).build().unwrap();
    drop(validator.validate(intent("pi_1")));
    settle().await;
    assert_eq!((provider.calls(), validator.stats().in_flight), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn impatient_callers_neither_cancel_nor_restart_the_flight() {
    let provider = provider();
    provider.script("pi_1", [Step::Wait(secs(10))]);
    let validator = plain(&provider).build().unwrap();
    for _ in 0..5 {
        let error = validator.validate(intent("pi_1")).deadline(secs(1)).await.unwrap_err();
        assert!(error.is_timeout() && error.attempts().is_empty());
        assert_eq!((error.code(), error.http_status()), ("deadline_exceeded", 504));
        assert!(error.to_string().contains("1s"), "{error}");
    }
    let validation = validator.validate(intent("pi_1")).deadline(secs(10)).await.unwrap();
    assert_eq!(validation.provenance(), Provenance::Coalesced);
    assert_eq!((provider.calls(), provider.completed(), provider.dropped()), (1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_callers_longer_deadline_does_not_lengthen_the_validators() {
    let provider = provider();
    provider.always(Some(Step::Never));
    let validator = plain(&provider).total_deadline(secs(5)).build().unwrap();
    let begin = tokio::time::Instant::now();
    validator.validate(intent("pi_1")).deadline(secs(60)).await.unwrap_err();
    assert_eq!(begin.elapsed(), secs(5));
    validator.validate(intent("pi_1")).deadline(Duration::MAX).await.unwrap_err();
    assert_eq!(begin.elapsed(), secs(10));
}

#[tokio::test(start_paused = true)]
async fn a_panicking_provider_fails_its_followers_and_the_next_call_starts_anew() {
    let provider = provider();
    provider.script("pi_1", [Step::Wait(secs(1)), Step::Panic]);
    let validator = plain(&provider).build().unwrap();
    let callers: Vec<_> = (0..10).map(|_| start(&validator, "pi_1")).collect();
    for caller in callers {
        let error = caller.await.unwrap().unwrap_err();
        assert!(error.is_unavailable());
        assert_eq!((error.code(), error.http_status()), ("interrupted", 503));
    }
    assert_eq!(validator.stats().in_flight, 0);
    let validation = validator.validate(intent("pi_1")).await.unwrap();
    assert_eq!((is_valid(&validation), validation.provenance()), (true, Provenance::Fresh));
    assert_eq!(provider.calls(), 2);
}
