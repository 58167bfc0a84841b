//! Many callers, one question: who leads, who follows, and what a lost leader leaves behind.
#![allow(clippy::unwrap_used, reason = "a fixture that cannot be made fails the test that asked for it")]

use std::future::{Future, pending};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::support::{
    NO_PATTERNS, busy, intent, intent_of, is_valid, ms, paid, plain, poll_now, poll_once, provider, secs, settle,
};
use payproof::provider::{Provider, ProviderError, ProviderIdentity, provider_fn};
use payproof::store::RestartLoss;
use payproof::testing::{ScriptedProvider, Step};
use payproof::{Effect, Operation, Provenance, ProviderPayment, Retry, Validate, ValidateError, Validation, Validator};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{advance, sleep, timeout};

type Answer = Result<Validation, ValidateError>;

fn start(validator: &Validator, payment: &str) -> JoinHandle<Answer> {
    tokio::spawn(validator.validate(intent(payment)).into_future())
}

/// A runtime on one thread with a paused clock.
fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

/// A provider whose answers wait for permits, and how often it was asked.
fn held_back() -> (Arc<Semaphore>, Arc<AtomicUsize>, Validator) {
    let (permits, calls) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let (waiting, counter) = (Arc::clone(&permits), Arc::clone(&calls));
    let provider = provider_fn(ProviderIdentity::new("acme"), move |payment, _| {
        let waiting = Arc::clone(&waiting);
        counter.fetch_add(1, Ordering::SeqCst);
        async move {
            waiting.acquire().await.unwrap().forget();
            Ok(paid(payment.as_str()))
        }
    });
    (permits, calls, Validator::builder(provider).transient_patterns(NO_PATTERNS).build().unwrap())
}

/// A provider that answers its first call like the first of these, its second like the second, and so on.
fn answering(answers: impl IntoIterator<Item = (Duration, ProviderPayment)>) -> (Arc<AtomicUsize>, Validator) {
    let calls = Arc::new(AtomicUsize::new(0));
    let (counter, answers) = (Arc::clone(&calls), Vec::from_iter(answers));
    let provider = provider_fn(ProviderIdentity::new("acme"), move |_, _| {
        let (wait, facts) = answers.get(counter.fetch_add(1, Ordering::SeqCst)).cloned().unwrap();
        async move {
            sleep(wait).await;
            Ok(facts)
        }
    });
    (calls, Validator::builder(provider).build().unwrap())
}

fn refunded() -> ProviderPayment {
    paid("pi_1").amount_refunded(1999)
}

// ---- one call for all

async fn hundred_callers_share_one_call() {
    let (permits, calls, validator) = held_back();
    let arrived = Arc::new(AtomicUsize::new(0));
    let callers: Vec<_> = (0..100)
        .map(|_| {
            let (validate, arrived) = (validator.validate(intent("pi_1")), Arc::clone(&arrived));
            tokio::spawn(async move {
                let mut validate = pin!(validate);
                assert!(poll_once(validate.as_mut()).await.is_pending());
                arrived.fetch_add(1, Ordering::SeqCst);
                validate.await
            })
        })
        .collect();
    while arrived.load(Ordering::SeqCst) < 100 || calls.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    permits.add_permits(100);
    let mut fresh = Vec::new();
    for caller in callers {
        let validation = caller.await.unwrap().unwrap();
        assert!(is_valid(&validation));
        assert_eq!(validation.attempts().len(), 1, "all see the attempts of the flight they shared");
        fresh.push(validation.provenance() == Provenance::Fresh);
    }
    let fresh = fresh.into_iter().filter(|fresh| *fresh).count();
    assert_eq!((calls.load(Ordering::SeqCst), fresh), (1, 1));
    let stats = validator.stats();
    assert_eq!((stats.misses, stats.coalesced, stats.attempts, stats.in_flight), (1, 99, 1, 0));
}

#[tokio::test]
async fn concurrent_calls_about_one_payment_share_one_provider_call_on_one_thread() {
    hundred_callers_share_one_call().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_calls_about_one_payment_share_one_provider_call_on_many_threads() {
    for _ in 0..20 {
        hundred_callers_share_one_call().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_payment_is_asked_about_once_however_calls_meet() {
    for _ in 0..200 {
        let provider = provider();
        let validator = plain(&provider).transient_patterns(NO_PATTERNS).build().unwrap();
        let callers: Vec<_> = (0..16).map(|_| start(&validator, "pi_1")).collect();
        for caller in callers {
            assert!(is_valid(&caller.await.unwrap().unwrap()));
        }
        assert_eq!(provider.calls(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn calls_about_different_payments_do_not_meet() {
    let provider = provider();
    for payment in ["pi_1", "pi_2", "PI_1", "pi_11"] {
        provider.put(paid(payment));
        provider.script(payment, [Step::Wait(secs(1))]);
    }
    let validator = plain(&provider).build().unwrap();
    let calls = ["pi_1", "pi_2", "PI_1", "pi_11"].map(|payment| start(&validator, payment));
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().provenance(), Provenance::Fresh);
    }
    assert_eq!(provider.calls(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_forged_amount_gets_its_own_verdict_and_costs_no_call() {
    let provider = provider();
    provider.script("pi_1", [Step::Wait(secs(1))]);
    let validator = plain(&provider).build().unwrap();
    let honest = start(&validator, "pi_1");
    settle().await;
    let forged = validator.validate(intent_of("pi_1", "0.01")).await.unwrap();
    assert_eq!((forged.verdict().as_str(), forged.provenance()), ("invalid", Provenance::Coalesced));
    assert!(is_valid(&honest.await.unwrap().unwrap()));
    for (amount, verdict) in [("19.99", "valid"), ("199.99", "invalid"), ("19.98", "invalid"), ("19.99", "valid")] {
        let again = validator.validate(intent_of("pi_1", amount)).await.unwrap();
        assert_eq!((again.verdict().as_str(), again.provenance()), (verdict, Provenance::Replayed));
        assert!(again.attempts().is_empty());
    }
    assert_eq!(provider.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_forged_leader_does_not_spoil_its_followers() {
    let provider = provider();
    provider.script("pi_1", [Step::Wait(secs(1))]);
    let validator = plain(&provider).build().unwrap();
    let forged = tokio::spawn(validator.validate(intent_of("pi_1", "0.01")).into_future());
    settle().await;
    assert!(is_valid(&validator.validate(intent("pi_1")).await.unwrap()));
    assert!(!is_valid(&forged.await.unwrap().unwrap()));
    assert!(is_valid(&validator.validate(intent("pi_1")).await.unwrap()));
    assert_eq!(provider.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn followers_share_the_leaders_error() {
    let provider = provider();
    provider.script("pi_1", [Step::Wait(secs(1)), busy().into()]);
    let validator = plain(&provider).retry(Retry::none()).build().unwrap();
    let callers: Vec<_> = (0..10).map(|_| start(&validator, "pi_1")).collect();
    for caller in callers {
        let error = caller.await.unwrap().unwrap_err();
        assert_eq!((error.code(), error.attempts().len()), ("provider_unavailable", 1));
    }
    assert_eq!(provider.calls(), 1);
    assert!(is_valid(&validator.validate(intent("pi_1")).await.unwrap()));
}

// ---- leaders that leave

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
async fn a_validation_that_is_never_awaited_asks_nobody() {
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

// ---- how recent is recent enough

#[tokio::test(start_paused = true)]
async fn a_call_joins_only_a_flight_whose_attempt_started_within_its_max_age() {
    let (calls, validator) = answering([(secs(10), refunded()), (ms(0), paid("pi_1"))]);
    let calls = || calls.load(Ordering::SeqCst);
    let old = start(&validator, "pi_1");
    sleep(secs(5)).await;
    let joins = tokio::spawn(validator.validate(intent("pi_1")).max_age(secs(5)).into_future());
    settle().await;
    assert_eq!(calls(), 1);
    let newer = validator.validate(intent("pi_1")).max_age(ms(4999)).await.unwrap();
    assert_eq!((calls(), newer.provenance()), (2, Provenance::Fresh));
    assert!(is_valid(&newer));
    let joined = joins.await.unwrap().unwrap();
    assert_eq!((joined.verdict().as_str(), joined.provenance()), ("invalid", Provenance::Coalesced));
    assert_eq!(old.await.unwrap().unwrap().verdict().as_str(), "invalid");
    let kept = validator.validate(intent("pi_1")).await.unwrap();
    assert!(is_valid(&kept), "the older flight landed later, and settles nothing");
    assert_eq!((calls(), kept.provenance()), (2, Provenance::Replayed));
}

#[tokio::test(start_paused = true)]
async fn a_flight_between_attempts_can_be_joined_by_anybody() {
    let provider = provider();
    provider.script("pi_1", [busy().retry_after(secs(10))]);
    let validator = plain(&provider).build().unwrap();
    let leader = start(&validator, "pi_1");
    sleep(secs(5)).await;
    let follower = validator.validate(intent("pi_1")).max_age(Duration::ZERO).await.unwrap();
    assert_eq!(follower.provenance(), Provenance::Coalesced, "its attempt is still to come");
    assert!(is_valid(&leader.await.unwrap().unwrap()));
    assert_eq!(provider.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn facts_in_memory_older_than_max_age_are_asked_for_again() {
    let provider = provider();
    let validator = plain(&provider).build().unwrap();
    for claims in [intent("pi_1"), intent_of("pi_1", "1.00")] {
        validator.validate(&claims).await.unwrap();
        advance(secs(10)).await;
        let ask = |age| validator.validate(&claims).max_age(age);
        assert_eq!(ask(secs(10)).await.unwrap().provenance(), Provenance::Replayed);
        assert_eq!(ask(ms(9_999)).await.unwrap().provenance(), Provenance::Fresh);
        assert_eq!(ask(ms(9_999)).await.unwrap().provenance(), Provenance::Replayed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_max_age_of_zero_always_asks_even_in_the_same_instant() {
    let provider = provider();
    let validator = plain(&provider).build().unwrap();
    for _ in 0..3 {
        let validation = validator.validate(intent("pi_1")).max_age(Duration::ZERO).await.unwrap();
        assert_eq!(validation.provenance(), Provenance::Fresh);
    }
    assert_eq!(provider.calls(), 3);
}

#[tokio::test(start_paused = true)]
async fn facts_are_served_until_they_are_no_longer_fresh() {
    let provider = provider();
    let validator = plain(&provider).build().unwrap();
    validator.validate(intent("pi_1")).await.unwrap();
    let almost = ms(15 * 60 * 1000 - 1);
    advance(almost).await;
    let validation = validator.validate(intent("pi_1")).await.unwrap();
    assert_eq!((validation.provenance(), validation.age()), (Provenance::Replayed, almost));
    advance(ms(1)).await;
    assert_eq!(validator.validate(intent("pi_1")).await.unwrap().provenance(), Provenance::Fresh);
}

// ---- forget

#[tokio::test(start_paused = true)]
async fn forget_lets_followers_have_the_answer_and_keeps_nothing() {
    let provider = provider();
    provider.script("pi_1", [Step::Wait(secs(2)), paid("pi_1").into()]);
    let validator = plain(&provider).build().unwrap();
    let callers: Vec<_> = (0..3).map(|_| start(&validator, "pi_1")).collect();
    settle().await;
    validator.forget(intent("pi_1").payment()).await.unwrap();
    for caller in callers {
        assert!(is_valid(&caller.await.unwrap().unwrap()));
    }
    assert_eq!(validator.stats().facts_in_memory, 0);
    provider.put(paid("pi_1").amount_refunded(1999));
    let validation = validator.validate(intent("pi_1")).await.unwrap();
    assert_eq!((validation.verdict().as_str(), validation.provenance()), ("invalid", Provenance::Fresh));
    assert_eq!(provider.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn after_forget_a_call_starts_a_new_flight_and_keeps_its_answer() {
    let (_, validator) = answering([(secs(5), paid("pi_1")), (secs(1), refunded())]);
    let before = start(&validator, "pi_1");
    settle().await;
    validator.forget(intent("pi_1").payment()).await.unwrap();
    let after = validator.validate(intent("pi_1")).await.unwrap();
    assert_eq!((after.verdict().as_str(), after.provenance()), ("invalid", Provenance::Fresh));
    assert!(is_valid(&before.await.unwrap().unwrap()));
    let kept = validator.validate(intent("pi_1")).await.unwrap();
    assert_eq!((kept.verdict().as_str(), kept.provenance()), ("invalid", Provenance::Replayed));
}

#[tokio::test(start_paused = true)]
async fn an_answer_from_before_forget_proves_nothing_about_one_that_lands_in_the_same_instant() {
    // Both flights land at the same reading of the clock. The first found the claims valid; the second, which counts,
    // says refunded.
    let (_, validator) = answering([(secs(2), paid("pi_1")), (secs(1), refunded())]);
    let before = start(&validator, "pi_1");
    sleep(secs(1)).await;
    validator.forget(intent("pi_1").payment()).await.unwrap();
    let after = start(&validator, "pi_1");
    let (before, after) = (before.await.unwrap().unwrap(), after.await.unwrap().unwrap());
    assert_eq!((before.verdict().as_str(), after.verdict().as_str()), ("valid", "invalid"));
    let kept = validator.validate(intent("pi_1")).await.unwrap();
    assert_eq!((kept.verdict().as_str(), kept.provenance()), ("invalid", Provenance::Replayed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_call_after_forget_never_sees_what_was_true_before() {
    for round in 0..400 {
        let provider = provider();
        let validator = plain(&provider).transient_patterns(NO_PATTERNS).build().unwrap();
        let racing: Vec<_> = (0..3).map(|_| start(&validator, "pi_1")).collect();
        for _ in 0..round % 8 {
            tokio::task::yield_now().await;
        }
        provider.put(paid("pi_1").amount_refunded(1999));
        validator.forget(intent("pi_1").payment()).await.unwrap();
        let after: Vec<_> = (0..3).map(|_| start(&validator, "pi_1")).collect();
        for call in after {
            assert_eq!(call.await.unwrap().unwrap().verdict().as_str(), "invalid");
        }
        for call in racing {
            call.await.unwrap().unwrap();
        }
        assert_eq!(validator.validate(intent("pi_1")).await.unwrap().verdict().as_str(), "invalid");
        // A flight that nobody waits for any more may be on its last steps.
        for _ in 0..1000 {
            if validator.stats().in_flight == 0 {
                break;
            }
            tokio::task::yield_now().await;
        }
        assert_eq!(validator.stats().in_flight, 0);
    }
}

// ---- room

#[test]
fn one_call_after_the_other_needs_room_for_one() {
    // A caller polls all the time here, so it sees the answer as early as it can be seen.
    let provider = ScriptedProvider::new();
    let validator = plain(&provider).max_in_flight(1).unlimited_concurrency().build().unwrap();
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

// ---- runtimes

#[test]
fn a_runtime_that_shuts_down_fails_its_flights_for_callers_on_another() {
    let provider = provider();
    provider.script("pi_1", [Step::Never]);
    let validator = plain(&provider).build().unwrap();
    let (first, second) = (runtime(), runtime());
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
fn a_runtime_that_nobody_drives_holds_callers_elsewhere_no_longer_than_the_worst_case() {
    let provider = provider();
    let validator = plain(&provider).total_deadline(secs(10)).build().unwrap();
    let (idle, driven) = (runtime(), runtime());
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
fn a_flight_that_nobody_drives_does_not_block_its_payment_for_ever() {
    let validator = plain(&provider()).total_deadline(secs(10)).build().unwrap();
    let (idle, driven) = (runtime(), runtime());
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
    let idle = runtime();
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
    let driven = runtime();
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
    runtime().block_on(async {
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
    let validator = builder.restart_loses_at_most(RestartLoss::All).build().unwrap();
    let operation = |key: &str| Operation::new("store_42", "refund", key, Effect::write()).unwrap();
    let stuck = validator.guard().run(&operation("one"), |_| pending::<Result<(), ProviderError>>());
    let _idle = left_standing([stuck.into_future()]);
    runtime().block_on(async {
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
        panic!("there is nobody to drive a flight")
    };
    assert!(error.is_configuration());
    assert_eq!((error.code(), validator.stats().in_flight), ("no_runtime", 0));
    assert!(is_valid(&runtime().block_on(validator.validate(intent("pi_1")).into_future()).unwrap()));
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
    let runtime = runtime();
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

#[tokio::test(start_paused = true)]
async fn clones_share_everything() {
    let provider = provider();
    let validator = plain(&provider).build().unwrap();
    validator.clone().validate(intent("pi_1")).await.unwrap();
    assert_eq!(validator.validate(intent("pi_1")).await.unwrap().provenance(), Provenance::Replayed);
    validator.clone().forget(intent("pi_1").payment()).await.unwrap();
    assert_eq!(validator.validate(intent("pi_1")).await.unwrap().provenance(), Provenance::Fresh);
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
