//! How many flights there are, and runtimes that stop, block or are missing.

use std::future::{Future, pending};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, mpsc};
use std::task::{Context, Poll, Waker};

use payproof::guard::{Effect, Operation};
use payproof::provider::{Provider, ProviderError, ProviderIdentity, provider_fn};
use payproof::testing::{ScriptedProvider, Step};
use payproof::{Provenance, Validate, ValidateError, Validation, Validator};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{advance, sleep, timeout};

use super::{answering, refunded, start};
use crate::support::{
    busy, forgetful, intent, intent_of, is_valid, ms, paid, paused_runtime, plain, poll_now, poll_once, provider, secs,
    settle,
};

#[test]
fn one_call_after_the_other_needs_room_for_one() {
    // A caller polls all the time here, so it sees the answer as early as it can be seen.
    let provider = ScriptedProvider::new();
    let validator = plain(&provider).max_in_flight(1).build().unwrap();
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    let _inside = runtime.enter();
    for number in 0..3000 {
        let mut validate = pin!(validator.validate(intent(&format!("pi_{number}"))));
        let answer = loop {
            match validate.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(answer) => break answer,
                Poll::Pending => std::hint::spin_loop(),
            }
        };
        let answer = answer.map_err(|error| error.code()).map(|validation| validation.verdict().as_str());
        assert_eq!((number, answer), (number, Ok("invalid")), "the flight before was over");
    }
}

#[test]
fn a_runtime_that_shuts_down_fails_its_flights_for_callers_on_another() {
    let provider = provider();
    provider.script("pi_1", [Step::Never]);
    let validator = plain(&provider).build().unwrap();
    let (first, second) = (paused_runtime(), paused_runtime());
    first.block_on(async {
        let _leader = start(&validator, "pi_1");
        settle().await;
    });
    let mut follower = Box::pin(validator.validate(intent("pi_1")));
    second.block_on(async {
        assert!(poll_once(follower.as_mut()).await.is_pending());
    });
    drop(first);
    let error = second.block_on(follower).unwrap_err();
    assert_eq!(error.code(), "interrupted");
    assert!(is_valid(&second.block_on(validator.validate(intent("pi_1")).into_future()).unwrap()));
    assert_eq!((validator.stats().in_flight, provider.dropped()), (0, 1));
}

#[test]
fn a_runtime_that_no_thread_drives_holds_callers_elsewhere_no_longer_than_the_worst_case() {
    let provider = provider();
    let validator = plain(&provider).total_deadline(secs(10)).build().unwrap();
    let (idle, driven) = (paused_runtime(), paused_runtime());
    // A handler with a time limit of its own gives up, and its thread goes on to other things.
    idle.block_on(async {
        let mut leader = pin!(validator.validate(intent("pi_1")));
        assert!(poll_once(leader.as_mut()).await.is_pending());
    });
    let held = driven.block_on(async {
        let begin = tokio::time::Instant::now();
        let _ = timeout(secs(100), validator.validate(intent("pi_1"))).await;
        begin.elapsed()
    });
    assert!(held <= validator.worst_case(), "held for {held:?}");
}

/// Blocks the thread that it is called on until the other end is dropped, or for a minute; then states that it is paid.
fn blocking() -> (mpsc::Sender<()>, impl Provider) {
    let (release, released) = mpsc::channel();
    let released = Mutex::new(released);
    let provider = provider_fn(ProviderIdentity::new("acme"), move |payment, _| {
        let _ = released.lock().unwrap().recv_timeout(secs(60));
        async move { Ok(paid(payment.as_str())) }
    });
    (release, provider)
}

#[test]
fn a_provider_that_blocks_its_thread_holds_the_leader_no_longer_than_the_deadline() {
    let (release, provider) = blocking();
    let validator = Validator::builder(provider).total_deadline(ms(50)).build().unwrap();
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    let led = runtime.block_on(async { start(&validator, "pi_1").await.unwrap() });
    // Held as long as the provider blocks, the leader would have its answer.
    let error = led.unwrap_err();
    assert_eq!(error.code(), "deadline_exceeded");
    assert!(error.to_string().contains("50ms"), "the limit that was set is said: {error}");
    drop(release);
}

#[tokio::test(start_paused = true)]
async fn a_leader_hears_what_the_flight_says_of_its_end() {
    let provider = provider();
    provider.script("pi_1", [Step::Fail(busy()), Step::Never]);
    let validator = plain(&provider).total_deadline(secs(10)).build().unwrap();
    let begin = tokio::time::Instant::now();
    let error = validator.validate(intent("pi_1")).await.unwrap_err();
    assert_eq!((error.code(), error.attempts().len()), ("deadline_exceeded", 2), "{error:?}");
    assert_eq!(begin.elapsed(), secs(10));
}

#[test]
fn a_flight_that_no_thread_drives_does_not_block_its_payment_for_ever() {
    let validator = plain(&provider()).total_deadline(secs(10)).build().unwrap();
    let (idle, driven) = (paused_runtime(), paused_runtime());
    idle.block_on(async {
        let mut leader = pin!(validator.validate(intent("pi_1")));
        assert!(poll_once(leader.as_mut()).await.is_pending());
    });
    driven.block_on(async {
        let begin = tokio::time::Instant::now();
        let _ = timeout(secs(100), validator.validate(intent("pi_1")).deadline(secs(60))).await;
        assert!(begin.elapsed() <= validator.worst_case(), "whatever the caller's own deadline: {:?}", begin.elapsed());
        advance(secs(11)).await;
        // The flight should have ended long ago.
        assert!(is_valid(&validator.validate(intent("pi_1")).await.unwrap()));
    });
}

/// Starts calls on a runtime of its own that is then left to stand still.
fn left_standing(calls: impl IntoIterator<Item = impl Future<Output: Send> + Send + 'static>) -> Runtime {
    let idle = paused_runtime();
    idle.block_on(async {
        for call in calls {
            tokio::spawn(call);
        }
        settle().await;
    });
    idle
}

#[test]
fn flights_on_a_stopped_runtime_give_their_room_back_once_the_longest_validation_is_over() {
    let provider = provider();
    provider.script("pi_8", [Step::Never]);
    provider.script("pi_9", [Step::Never]);
    let validator = plain(&provider).max_in_flight(2).total_deadline(secs(10)).build().unwrap();
    let idle = left_standing(["pi_8", "pi_9"].map(|payment| validator.validate(intent(payment)).into_future()));
    assert_eq!(validator.stats().in_flight, 2);
    let driven = paused_runtime();
    driven.block_on(async {
        advance(secs(9)).await;
        let error = validator.validate(intent("pi_1")).await.unwrap_err();
        assert_eq!(error.code(), "at_capacity");
        advance(validator.worst_case()).await;
        assert!(is_valid(&validator.validate(intent("pi_1")).await.unwrap()));
    });
    // What they give back afterwards is not counted twice: the limit is still two.
    driven.block_on(async {
        for payment in ["pi_2", "pi_3"] {
            provider.script(payment, [Step::Wait(secs(5))]);
            let _held = start(&validator, payment);
        }
        settle().await;
    });
    drop(idle);
    assert_eq!(validator.stats().in_flight, 2);
    driven.block_on(async {
        assert_eq!(validator.validate(intent("pi_4")).await.unwrap_err().code(), "at_capacity");
    });
}

#[test]
fn provider_calls_on_a_stopped_runtime_give_their_places_back_to_the_queue() {
    let provider = provider();
    let payments = ["pi_5", "pi_6", "pi_7", "pi_8", "pi_9"];
    for payment in payments {
        provider.script(payment, [Step::Never]);
    }
    let validator = plain(&provider).max_concurrent(2).total_deadline(secs(10)).build().unwrap();
    // Two hold the places, and three queue: a place that comes back may be handed to one of those, who stand still too.
    let idle = left_standing(payments.map(|payment| validator.validate(intent(payment)).into_future()));
    assert_eq!(provider.calls(), 2);
    paused_runtime().block_on(async {
        sleep(secs(5)).await;
        let begin = tokio::time::Instant::now();
        assert!(is_valid(&validator.validate(intent("pi_1")).await.unwrap()));
        assert!(begin.elapsed() <= secs(7), "a second after the deadline of those before: {:?}", begin.elapsed());
        idle.shutdown_background();
        // Both places are there, and no third.
        for payment in ["pi_2", "pi_3"] {
            provider.script(payment, [Step::Wait(secs(5))]);
        }
        let calls = ["pi_2", "pi_3", "pi_4"].map(|payment| start(&validator, payment));
        settle().await;
        assert_eq!(provider.calls(), 5);
        for call in calls {
            call.await.unwrap().unwrap();
        }
    });
}

#[test]
fn guarded_runs_on_a_stopped_runtime_give_their_room_back() {
    let builder = plain(&provider()).max_in_flight(1).total_deadline(secs(10));
    let validator = forgetful(builder).build().unwrap();
    let operation = |key: &str| Operation::new("store_42", "refund", key, Effect::write()).unwrap();
    let stuck = validator.guard().run(&operation("one"), |_| pending::<Result<(), ProviderError>>());
    let _idle = left_standing([stuck.into_future()]);
    paused_runtime().block_on(async {
        let run = || validator.guard().run(&operation("two"), |_| async { Ok(()) }).into_future();
        assert_eq!(run().await.unwrap_err().code(), "at_capacity");
        advance(validator.worst_case()).await;
        run().await.unwrap();
    });
}

#[test]
fn outside_a_runtime_a_question_is_a_configuration_error_and_a_hit_is_a_hit() {
    let provider = provider();
    let validator = plain(&provider).build().unwrap();
    let Poll::Ready(Err(error)) = poll_now(validator.validate(intent("pi_1"))) else {
        panic!("no thread drives a flight")
    };
    assert!(error.is_configuration());
    assert_eq!((error.code(), validator.stats().in_flight), ("no_runtime", 0));
    assert!(is_valid(&paused_runtime().block_on(validator.validate(intent("pi_1")).into_future()).unwrap()));
    let Poll::Ready(Ok(hit)) = poll_now(validator.validate(intent("pi_1"))) else { panic!("facts are in memory") };
    assert_eq!((is_valid(&hit), hit.provenance()), (true, Provenance::Replayed));
    let Poll::Ready(Ok(forged)) = poll_now(validator.validate(intent_of("pi_1", "1.00"))) else {
        panic!("facts are in memory")
    };
    assert_eq!(forged.verdict().as_str(), "invalid");
    assert!(matches!(poll_now(validator.forget(intent("pi_1").payment())), Poll::Ready(Ok(()))));
    assert_eq!(provider.calls(), 1);
}

#[test]
fn a_follower_outside_a_runtime_does_not_panic_whatever_its_deadline() {
    let provider = provider();
    provider.script("pi_1", [Step::Wait(secs(1))]);
    let validator = plain(&provider).build().unwrap();
    let runtime = paused_runtime();
    runtime.block_on(async {
        let _leader = start(&validator, "pi_1");
        settle().await;
    });
    assert!(poll_now(validator.validate(intent("pi_1"))).is_pending());
    let limited = poll_now(validator.validate(intent("pi_1")).deadline(secs(5)));
    if let Poll::Ready(answer) = limited {
        assert_eq!(answer.unwrap_err().code(), "no_runtime");
    }
}

#[test]
fn a_call_outside_a_runtime_does_not_fail_calls_inside_one() {
    let provider = provider();
    let validator = plain(&provider).facts_in_memory(0).build().unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let _ = poll_now(validator.validate(intent("pi_1")));
            }
        });
        let codes: Vec<_> = Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
            let mut codes = Vec::new();
            for _ in 0..2000 {
                codes.extend(validator.validate(intent("pi_1")).await.err().map(|error| error.code()));
            }
            codes
        });
        done.store(true, Ordering::Relaxed);
        assert!(codes.is_empty(), "{} of 2000, such as {}", codes.len(), codes[0]);
    });
}

#[test]
fn a_runtime_without_a_timer_gives_an_error() {
    let validator = plain(&provider()).build().unwrap();
    let timeless = Builder::new_current_thread().build().unwrap();
    timeless.block_on(validator.validate(intent("pi_1")).into_future()).unwrap_err();
    assert_eq!(validator.stats().in_flight, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_validation_can_be_spawned() {
    let validator = plain(&provider()).build().unwrap();
    let owned = tokio::spawn(validator.validate(intent("pi_1")));
    let claims = intent("pi_1");
    let borrowed = tokio::spawn(validator.clone().validate(&claims).max_age(secs(1)).deadline(secs(9)));
    assert!(is_valid(&owned.await.unwrap().unwrap()));
    assert!(is_valid(&borrowed.await.unwrap().unwrap()));
    let forget = tokio::spawn(validator.forget(intent("pi_1").payment()));
    forget.await.unwrap().unwrap();
}

#[test]
fn handles_cross_threads() {
    fn crosses<T: Send + Sync + Clone + std::fmt::Debug + 'static>() {}
    fn moves<T: Send + Unpin + 'static>() {}
    crosses::<Validator>();
    crosses::<Validation>();
    crosses::<ValidateError>();
    moves::<Validate>();
}

#[test]
fn futures_and_answers_stay_small() {
    let validator = plain(&provider()).build().unwrap();
    let claims = intent("pi_1");
    let validate = size_of_val(&validator.validate(&claims));
    assert!(validate <= 128, "{validate}");
    assert!(size_of::<Validation>() <= 96, "{}", size_of::<Validation>());
    assert_eq!(size_of::<ValidateError>(), 8);
    assert_eq!(size_of::<Validator>(), 8);
}

#[tokio::test(start_paused = true)]
async fn older_facts_are_not_believed_over_an_overtaken_flight() {
    // Paid in memory; a newer question is told "refunded", but was overtaken by one that is still on its way.
    let answers = [(ms(0), paid("pi_1")), (secs(1), refunded()), (secs(5), refunded())];
    let (_, validator) = answering(answers);
    assert!(is_valid(&validator.validate(intent("pi_1")).await.unwrap()));
    sleep(secs(60)).await;
    let ask = || tokio::spawn(validator.validate(intent("pi_1")).max_age(ms(10)).into_future());
    let overtaken = ask();
    sleep(ms(100)).await;
    let overtaking = ask();
    assert_eq!(overtaken.await.unwrap().unwrap().verdict().as_str(), "invalid");
    let plain = validator.validate(intent("pi_1")).await.unwrap();
    assert_eq!((plain.verdict().as_str(), plain.provenance()), ("invalid", Provenance::Coalesced));
    assert_eq!(overtaking.await.unwrap().unwrap().verdict().as_str(), "invalid");
}
