//! Callers that leave, that are impatient, and settings that break the promise.

use std::time::Duration;

use payproof::guard::Effect;
use payproof::provider::ProviderError;
use payproof::store::MemoryStore;
use payproof::{Provenance, RetryBudget};
use tokio::time::{Instant, advance, sleep};

use crate::support::{ms, poll_now, poll_once, secs, settle};
use crate::{Act, Desk, LEASE, guard_on, keyed, operation, plain, read, unkeyed};

#[tokio::test(start_paused = true)]
async fn a_caller_may_leave_at_any_poll_and_the_operation_goes_on() {
    for polls in 0..12 {
        let guard = guard_on(&MemoryStore::new());
        let desk = Desk::with([Act::Slow(secs(1))]);
        let mut run = Box::pin(guard.run(&unkeyed(), desk.keyless()));
        for _ in 0..polls {
            if poll_once(run.as_mut()).await.is_ready() {
                break;
            }
            settle().await;
            advance(ms(200)).await;
        }
        drop(run);
        settle().await;
        assert_eq!(desk.requests(), usize::from(polls > 0), "lazy, and then on its way");
        sleep(secs(5)).await;
        let done = guard.run(&unkeyed(), desk.keyless()).await.unwrap();
        assert_eq!((*done.value(), desk.requests()), (1, 1), "{polls} polls");
    }
}

#[tokio::test(start_paused = true)]
async fn an_impatient_caller_is_told_that_it_goes_on() {
    let guard = guard_on(&MemoryStore::new());
    let desk = Desk::with([Act::Slow(secs(10))]);
    let begin = Instant::now();
    for limit in [ms(0), ms(1), secs(1), secs(2)] {
        let start = Instant::now();
        let error = guard.run(&unkeyed(), desk.keyless()).deadline(limit).await.unwrap_err();
        assert!(error.is_in_progress(), "{error}");
        assert!(start.elapsed() <= limit + ms(1));
        assert!(error.retry_after().unwrap() <= LEASE);
    }
    let done = guard.run(&unkeyed(), desk.keyless()).await.unwrap();
    assert_eq!(done.provenance(), Provenance::Coalesced);
    assert!(begin.elapsed() >= secs(10));
    assert_eq!(desk.requests(), 1);
}

#[test]
fn outside_a_runtime_a_run_is_a_configuration_error() {
    let guard = plain().build().unwrap().guard();
    let desk = Desk::default();
    let polled = poll_now(guard.run(&unkeyed(), desk.keyless()));
    let std::task::Poll::Ready(Err(error)) = polled else { panic!("{polled:?}") };
    assert!(error.is_configuration());
}

#[tokio::test(start_paused = true)]
async fn settings_that_break_the_promise_are_refused_with_their_values() {
    let guard = guard_on(&MemoryStore::new());
    let desk = Desk::default();
    for kept_for in [Duration::ZERO, secs(209)] {
        let error = guard.run(&operation(Effect::keyed_write(kept_for)), desk.keyed()).await.unwrap_err();
        assert!(error.is_configuration());
        assert!(error.to_string().contains(&format!("{kept_for:?}")) && error.to_string().contains("210s"), "{error}");
    }
    let error = guard.clone().write_retention(LEASE).run(&unkeyed(), desk.keyless()).await.unwrap_err();
    assert!(error.is_configuration() && error.to_string().contains("159s"), "{error}");
    let error = guard.clone().read_retention(Duration::ZERO).run(&read(), desk.keyless()).await.unwrap_err();
    assert!(error.is_configuration());
    assert_eq!(desk.requests(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_operation_whose_caller_left_is_tried_again_all_the_same() {
    let desk = Desk::with([Act::Fail(ProviderError::refused("busy").with_status(503))]);
    let poor = RetryBudget::new().at_start(0.0).trickle_per_second(1.0);
    let validator = plain().retry_budget(poor).build().unwrap();
    let caller = tokio::spawn(validator.guard().run(&keyed(), desk.keyed()));
    settle().await;
    assert_eq!(validator.stats().in_line, 1);
    caller.abort();
    settle().await;
    assert_eq!(validator.stats().in_line, 1, "what has begun goes to its end");
    sleep(secs(5)).await;
    assert_eq!(desk.requests(), 2, "its retry was paid for by waiting");
}
