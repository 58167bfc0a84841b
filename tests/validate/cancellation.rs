//! Callers, and runtimes, that leave at any point.
#![allow(clippy::unwrap_used, reason = "a fixture that cannot be made fails the test that asked for it")]

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use crate::support::{NO_PATTERNS, busy, intent, is_valid, ms, paid, paused_runtime, poll_once, secs, settle};
use payproof::provider::ProviderError;
use payproof::telemetry::BreakerState;
use payproof::testing::{ScriptedProvider, Step};
use payproof::{Breaker, Jitter, Retry, Schedule, Validate, Validator};
use tokio::time::{Instant, advance, sleep};

/// How far the clock goes between two polls.
const STEP: Duration = ms(250);

/// More steps than the longest call takes.
const MOST_STEPS: usize = 100;

const DEADLINE: Duration = secs(20);

/// Everything that can go on at the provider while a caller leaves.
fn behaviors() -> Vec<(&'static str, Vec<Step>, Option<Step>)> {
    let limited = || ProviderError::refused("slow down").with_status(429).with_retry_after(secs(1));
    vec![
        ("answers at once", vec![], None),
        ("answers slowly", vec![Step::Wait(ms(1900))], None),
        ("fails once", vec![busy().into()], None),
        ("fails slowly, then answers", vec![Step::Wait(secs(1)), busy().into(), Step::Wait(secs(1))], None),
        ("fails for ever", vec![], Some(Step::Fail(busy()))),
        ("refuses", vec![], Some(Step::Fail(ProviderError::refused("no").with_status(401)))),
        ("limits the rate, then answers", vec![limited().into(), limited().into()], None),
        ("never answers", vec![], Some(Step::Never)),
        ("never answers, then does", vec![Step::Never], None),
        ("panics", vec![Step::Panic], None),
        ("panics late", vec![Step::Wait(secs(1)), Step::Panic], None),
        ("fails, then never answers", vec![busy().into(), Step::Never], None),
    ]
}

fn validator(provider: &ScriptedProvider) -> Validator {
    let retry = Retry::new().schedule(Schedule::waits([ms(300), secs(1)])).jitter(Jitter::None);
    Validator::builder(provider.clone())
        .total_deadline(DEADLINE)
        .attempt_timeout(secs(3))
        .retry(retry)
        .max_concurrent(1)
        .max_in_flight(3)
        .breaker(Breaker::new().minimum_attempts(1000))
        .transient_patterns(NO_PATTERNS)
        .build()
        .unwrap()
}

fn provider(steps: &[Step], always: Option<&Step>) -> ScriptedProvider {
    let provider = ScriptedProvider::new();
    for payment in ["pi_1", "pi_2", "pi_3"] {
        provider.put(paid(payment));
    }
    provider.script("pi_1", steps.to_vec());
    provider.always(always.cloned());
    provider
}

/// Polls up to `polls` times with a step of time in between; true if it came to an answer.
async fn poll_times(validate: &mut std::pin::Pin<Box<Validate>>, polls: usize) -> bool {
    for _ in 0..polls {
        if let Poll::Ready(_answer) = poll_once(validate.as_mut()).await {
            return true;
        }
        settle().await;
        advance(STEP).await;
        settle().await;
    }
    false
}

/// Fails unless everything that a call takes has come back.
async fn all_is_back(provider: &ScriptedProvider, validator: &Validator, shown: &str) {
    let stats = validator.stats();
    assert_eq!(stats.in_flight, 0, "{shown}");
    let ended = provider.completed().saturating_add(provider.dropped());
    assert_eq!(provider.calls(), ended, "a provider call runs on: {shown}");
    let budget = stats.credit.unwrap();
    assert!((0.0..=21.0).contains(&budget), "{budget}: {shown}");
    assert_eq!(stats.breaker, Some(BreakerState::Closed), "{shown}");
    // The one place, the room for three flights, and each payment are usable.
    provider.always(None);
    let begin = Instant::now();
    for payment in ["pi_2", "pi_3"] {
        assert!(is_valid(&validator.validate(intent(payment)).await.unwrap()), "{shown}");
    }
    assert_eq!(begin.elapsed(), Duration::ZERO, "{shown}");
    let answer = validator.validate(intent("pi_1")).await;
    assert!(
        answer.is_ok() || !answer.as_ref().unwrap_err().is_unavailable() || answer.unwrap_err().code() == "interrupted"
    );
}

#[test]
fn a_caller_may_leave_at_any_poll() {
    for (name, steps, always) in behaviors() {
        for polls in 0..MOST_STEPS {
            let shown = format!("the provider {name}, {polls} polls");
            let answered = paused_runtime().block_on(async {
                let provider = provider(&steps, always.as_ref());
                let validator = validator(&provider);
                let mut validate = Box::pin(validator.validate(intent("pi_1")));
                let answered = poll_times(&mut validate, polls).await;
                drop(validate);
                sleep(DEADLINE).await;
                settle().await;
                if polls == 0 {
                    assert_eq!(provider.calls(), 0, "{shown}");
                }
                all_is_back(&provider, &validator, &shown).await;
                answered
            });
            if answered {
                break;
            }
            assert!(polls + 1 < MOST_STEPS, "no answer ever: {shown}");
        }
    }
}

#[test]
fn a_caller_may_leave_at_any_moment_of_its_own_deadline() {
    for (name, steps, always) in behaviors() {
        for limit in (0..25_u64).map(|quarter| ms(quarter * 250)) {
            let shown = format!("the provider {name}, deadline {limit:?}");
            paused_runtime().block_on(async {
                let provider = provider(&steps, always.as_ref());
                let validator = validator(&provider);
                let begin = Instant::now();
                let answer = validator.validate(intent("pi_1")).deadline(limit).await;
                assert!(begin.elapsed() <= limit, "{:?}: {shown}", begin.elapsed());
                if let Err(error) = answer
                    && error.is_timeout()
                {
                    assert_eq!(begin.elapsed(), limit, "{shown}");
                }
                sleep(DEADLINE).await;
                settle().await;
                all_is_back(&provider, &validator, &shown).await;
            });
        }
    }
}

#[test]
fn a_leader_and_followers_may_leave_at_any_poll_and_the_rest_are_served() {
    for (name, steps, always) in behaviors() {
        for polls in 1..16 {
            for leaver in 0..3 {
                let shown = format!("the provider {name}, caller {leaver} leaves after {polls} polls");
                paused_runtime().block_on(async {
                    let provider = provider(&steps, always.as_ref());
                    let validator = validator(&provider);
                    let mut callers: Vec<_> =
                        (0..3).map(|_| Some(Box::pin(validator.validate(intent("pi_1"))))).collect();
                    for caller in callers.iter_mut().flatten() {
                        if poll_once(caller.as_mut()).await.is_ready() {
                            // Answered by the runtime in between; there is nothing to leave.
                            return;
                        }
                    }
                    let mut leaving = callers[leaver].take().unwrap();
                    if poll_times(&mut leaving, polls).await {
                        return;
                    }
                    drop(leaving);
                    let mut codes = Vec::new();
                    for caller in callers.into_iter().flatten() {
                        codes.push(caller.await.map_err(|error| error.code()).map(|answer| is_valid(&answer)));
                    }
                    assert_eq!(codes[0], codes[1], "{shown}");
                    let attempts = provider.calls();
                    assert!(attempts <= 4, "one flight for all: {attempts} calls, {shown}");
                    sleep(DEADLINE).await;
                    all_is_back(&provider, &validator, &shown).await;
                });
            }
        }
    }
}

#[test]
fn a_caller_may_leave_the_queue_at_any_poll() {
    for polls in 0..30 {
        paused_runtime().block_on(async {
            let provider = provider(&[Step::Wait(ms(2500))], None);
            let validator = validator(&provider);
            let holder = tokio::spawn(validator.validate(intent("pi_1")).into_future());
            settle().await;
            let mut queued = Box::pin(validator.validate(intent("pi_2")));
            let answered = poll_times(&mut queued, polls).await;
            drop(queued);
            assert!(is_valid(&holder.await.unwrap().unwrap()));
            sleep(DEADLINE).await;
            assert!(!answered || polls >= 10, "the place was taken");
            all_is_back(&provider, &validator, &format!("{polls} polls")).await;
        });
    }
}

#[test]
fn a_runtime_may_shut_down_at_any_moment_of_a_flight() {
    for (name, steps, always) in behaviors() {
        for polls in 1..MOST_STEPS {
            let shown = format!("the provider {name}, shut down after {polls} polls");
            let provider = provider(&steps, always.as_ref());
            let validator = validator(&provider);
            let (dying, living) = (paused_runtime(), paused_runtime());
            let mut follower = Box::pin(validator.validate(intent("pi_1")));
            let answered = dying.block_on(async {
                let mut leader = Box::pin(validator.validate(intent("pi_1")));
                let queued = tokio::spawn(validator.validate(intent("pi_2")).into_future());
                let answered = poll_times(&mut leader, 1).await || poll_once(follower.as_mut()).await.is_ready();
                let answered = answered || poll_times(&mut leader, polls).await;
                queued.abort();
                answered
            });
            drop(dying);
            assert_eq!(validator.stats().in_flight, 0, "{shown}");
            assert_eq!(provider.calls(), provider.completed() + provider.dropped(), "{shown}");
            if !answered {
                // Either it was lost with the runtime, or it had landed; in no case does it hang.
                let answer = living.block_on(async { poll_once(follower.as_mut()).await });
                assert!(answer.is_ready(), "{shown}");
            }
            living.block_on(async {
                // The other runtime's clock was further on.
                advance(DEADLINE * 2).await;
                settle().await;
                all_is_back(&provider, &validator, &shown).await;
            });
            if answered {
                break;
            }
        }
    }
}

#[test]
fn a_half_open_breaker_survives_callers_and_runtimes_that_leave() {
    for (name, steps, always) in behaviors() {
        for polls in 1..20 {
            let shown = format!("the provider {name}, {polls} polls");
            let provider = provider(&[], None);
            let breaker = Breaker::new().minimum_attempts(1).probes(1).open_for(secs(1));
            let validator = Validator::builder(provider.clone())
                .total_deadline(secs(5))
                .attempt_timeout(secs(3))
                .breaker(breaker)
                .transient_patterns(NO_PATTERNS)
                .build()
                .unwrap();
            let (dying, living) = (paused_runtime(), paused_runtime());
            dying.block_on(async {
                provider.script("pi_1", [busy()]);
                validator.validate(intent("pi_1")).await.unwrap_err();
                assert_ne!(validator.stats().breaker, Some(BreakerState::Closed));
                advance(secs(1)).await;
                provider.script("pi_1", steps.clone());
                provider.always(always.clone());
                let mut probe = Box::pin(validator.validate(intent("pi_1")));
                poll_times(&mut probe, polls).await;
            });
            drop(dying);
            provider.always(None);
            living.block_on(async {
                // Past the other runtime's clock, and past whatever a rate limit asked for.
                advance(secs(60)).await;
                assert!(is_valid(&validator.validate(intent("pi_2")).await.unwrap()), "{shown}");
                assert_eq!(validator.stats().breaker, Some(BreakerState::Closed), "{shown}");
            });
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callers_that_are_aborted_at_random_leave_nothing_behind() {
    let provider = Arc::new(ScriptedProvider::new());
    for number in 0..50 {
        provider.put(paid(&format!("pi_{number}")));
    }
    let validator = Validator::builder(Arc::clone(&provider)).max_concurrent(3).facts_in_memory(0).build().unwrap();
    for round in 0..40 {
        let callers: Vec<_> = (0..50)
            .map(|number| tokio::spawn(validator.validate(intent(&format!("pi_{}", number % 25))).into_future()))
            .collect();
        for _ in 0..round % 7 {
            tokio::task::yield_now().await;
        }
        for caller in callers.iter().step_by(2) {
            caller.abort();
        }
        for (number, caller) in callers.into_iter().enumerate() {
            match caller.await {
                Ok(answer) => assert!(is_valid(&answer.unwrap())),
                Err(aborted) => assert!(number % 2 == 0 && aborted.is_cancelled()),
            }
        }
    }
    // Flights whose callers left may be on their last steps.
    for _ in 0..100_000 {
        if validator.stats().in_flight == 0 {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(validator.stats().in_flight, 0);
    assert_eq!(provider.calls(), provider.completed());
    assert_eq!(provider.dropped(), 0);
}
