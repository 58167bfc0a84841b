//! How often is tried again, and how long in between.

use std::error::Error;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use payproof::provider::{Reach, WaitReason};
use payproof::testing::Step;
use payproof::{Jitter, Retry, Schedule, ValidatorBuilder};
use tokio::time::Instant;

use super::{TICK, exact, refused_after, rule_of};
use crate::support::{NO_PATTERNS, busy, failing, intent, is_valid, ms, paused_runtime, plain, provider, secs, waits};

#[tokio::test(start_paused = true)]
async fn a_lasting_failure_gets_one_attempt_and_three_retries() {
    let (error, _, calls) = refused_after(busy(), |builder| builder).await;
    assert_eq!(calls, 4);
    let numbers: Vec<_> = error.attempts().iter().map(payproof::provider::Attempt::number).collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
    assert!(error.attempts().iter().all(|attempt| attempt.reach() == Reach::Answered && attempt.status() == Some(503)));
    assert_eq!(error.attempts()[3].wait(), None, "nothing is waited for after the last attempt");
    assert!(error.is_unavailable());
    assert_eq!((error.code(), error.http_status()), ("provider_unavailable", 503));
    assert_eq!(error.source().unwrap().to_string(), "status 503: busy");
}

#[tokio::test(start_paused = true)]
async fn a_passing_failure_costs_one_retry() {
    let provider = provider();
    provider.script("pi_1", [busy()]);
    let validator = plain(&provider).build().unwrap();
    let validation = validator.validate(intent("pi_1")).await.unwrap();
    assert!(is_valid(&validation));
    assert_eq!(provider.calls(), 2);
    let log: Vec<_> = validation.attempts().iter().map(|attempt| rule_of(attempt.outcome())).collect();
    assert_eq!(log, ["transient by status 503", "Facts"]);
}

#[tokio::test(start_paused = true)]
async fn the_logged_waits_are_the_time_that_passes() {
    for seed in 0..20 {
        let provider = provider();
        provider.always(Some(Step::Fail(busy())));
        provider.script("pi_1", (0..4).flat_map(|_| [Step::Wait(ms(70)), Step::Fail(busy())]));
        let validator = plain(&provider).seed(seed).transient_patterns(NO_PATTERNS).build().unwrap();
        let start = Instant::now();
        let error = validator.validate(intent("pi_1")).await.unwrap_err();
        let log = error.attempts();
        for pair in log.windows(2) {
            let gap = pair[1].offset().saturating_sub(pair[0].offset() + pair[0].duration());
            let (wait, reason) = pair[0].wait().unwrap();
            assert_eq!(reason, WaitReason::Schedule);
            assert!(gap >= wait && gap <= wait + TICK, "{gap:?} for a wait of {wait:?}");
        }
        assert!(log.iter().all(|attempt| attempt.duration() == ms(70)));
        let spent = waits(log).iter().sum::<Duration>() + 4 * ms(70);
        assert!(start.elapsed() >= spent && start.elapsed() <= spent + 4 * TICK, "{:?} for {spent:?}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn no_wait_is_above_its_nominal_value_and_every_part_below_is_used() {
    let nominal = [ms(100), ms(500), ms(5000)];
    let mut seen = [[false; 4]; 3];
    for seed in 0..100 {
        let (error, elapsed, _) =
            refused_after(busy(), |builder| builder.seed(seed).transient_patterns(NO_PATTERNS)).await;
        let waits = waits(error.attempts());
        assert_eq!(waits.len(), 3);
        assert!(elapsed <= ms(5600) + 3 * TICK);
        for ((wait, nominal), seen) in waits.into_iter().zip(nominal).zip(&mut seen) {
            assert!(wait <= nominal, "{wait:?}");
            let quarter = wait.as_nanos() * 4 / nominal.as_nanos();
            seen[usize::try_from(quarter).unwrap().min(3)] = true;
        }
    }
    assert_eq!(seen, [[true; 4]; 3], "jitter is full at every step");
}

#[tokio::test(start_paused = true)]
async fn each_call_draws_its_own_jitter() {
    let validator = plain(&failing(busy())).build().unwrap();
    let mut drawn = Vec::new();
    for number in 0..20 {
        let error = validator.validate(intent(&format!("pi_{number}"))).await.unwrap_err();
        drawn.push(waits(error.attempts()));
    }
    drawn.sort();
    drawn.dedup();
    assert_eq!(drawn.len(), 20);
}

#[tokio::test(start_paused = true)]
async fn validators_without_a_seed_draw_different_jitter() {
    let (one, ..) = refused_after(busy(), |builder| builder).await;
    let (two, ..) = refused_after(busy(), |builder| builder).await;
    assert_ne!(waits(one.attempts()), waits(two.attempts()));
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_draws_the_same_jitter() {
    let (one, ..) = refused_after(busy(), |builder| builder.seed(7)).await;
    let (two, ..) = refused_after(busy(), |builder| builder.seed(7)).await;
    let (three, ..) = refused_after(busy(), |builder| builder.seed(8)).await;
    assert_eq!(waits(one.attempts()), waits(two.attempts()));
    assert_ne!(waits(one.attempts()), waits(three.attempts()));
}

#[tokio::test(start_paused = true)]
async fn without_jitter_the_waits_are_exact() {
    let retry = Retry::new().jitter(Jitter::None);
    let (error, elapsed, calls) = refused_after(busy(), |builder| builder.retry(retry.clone())).await;
    assert_eq!(waits(error.attempts()), [ms(100), ms(500), ms(5000)]);
    assert_eq!((elapsed, calls), (ms(5600), 4));
}

#[tokio::test(start_paused = true)]
async fn equal_jitter_keeps_at_least_half() {
    for seed in 0..50 {
        let retry = Retry::new().jitter(Jitter::Equal);
        let (error, ..) =
            refused_after(busy(), |builder| builder.retry(retry.clone()).seed(seed).transient_patterns(NO_PATTERNS))
                .await;
        for (wait, nominal) in waits(error.attempts()).into_iter().zip([ms(100), ms(500), ms(5000)]) {
            assert!(wait >= nominal / 2 && wait <= nominal, "{wait:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_retries_means_one_attempt() {
    for retry in [Retry::none(), Retry::new().times(0), Retry::none().schedule(Schedule::waits([]))] {
        let (error, elapsed, calls) = refused_after(busy(), |builder| builder.retry(retry.clone())).await;
        assert_eq!((elapsed, calls), (Duration::ZERO, 1));
        assert!(error.is_unavailable());
    }
}

#[tokio::test(start_paused = true)]
async fn an_exponential_schedule_grows_up_to_its_cap() {
    let retry = exact(6, Schedule::exponential(ms(100), 3.0, secs(2)));
    let (error, elapsed, calls) = refused_after(busy(), |builder| builder.retry(retry.clone())).await;
    assert_eq!(waits(error.attempts()), [100, 300, 900, 2000, 2000, 2000].map(ms));
    assert_eq!((elapsed, calls), (ms(7300), 7));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_retries_neither_overflow_nor_lose_the_cap() {
    let retry = exact(1000, Schedule::exponential(secs(1), 1e9, secs(7)));
    let endless = |builder: ValidatorBuilder| builder.retry(retry.clone()).total_deadline(Duration::MAX);
    let (error, elapsed, calls) = refused_after(busy(), endless).await;
    assert_eq!((elapsed, calls), (secs(1 + 999 * 7), 1001));
    assert!(waits(error.attempts())[1..].iter().all(|wait| *wait == secs(7)));
}

#[tokio::test(start_paused = true)]
async fn an_exponential_schedule_from_zero_stays_at_zero() {
    // Zero times infinity is not a number, and not the cap either.
    let retry = exact(5, Schedule::exponential(Duration::ZERO, 1e200, secs(7)));
    let (error, elapsed, calls) = refused_after(busy(), |builder| builder.retry(retry.clone())).await;
    assert_eq!(waits(error.attempts()), [Duration::ZERO; 5]);
    assert_eq!((elapsed, calls), (Duration::ZERO, 6));
}

#[tokio::test(start_paused = true)]
async fn a_function_decides_the_waits_and_the_end() {
    let retry = exact(10, Schedule::from_fn(|retry| (retry <= 3).then(|| ms(10) * retry)));
    let (error, elapsed, calls) = refused_after(busy(), |builder| builder.retry(retry.clone())).await;
    assert_eq!(waits(error.attempts()), [10, 20, 30].map(ms));
    assert_eq!((elapsed, calls), (ms(60), 4));
}

#[tokio::test(start_paused = true)]
async fn a_schedule_with_state_starts_anew_for_each_call() {
    let made = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&made);
    let schedule = Schedule::per_call(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        let mut wait = ms(5);
        move || {
            wait = wait.checked_mul(2)?;
            (wait < ms(80)).then_some(wait)
        }
    });
    let validator = plain(&failing(busy())).retry(Retry::new().times(9).schedule(schedule)).build().unwrap();
    for payment in ["pi_1", "pi_2"] {
        let error = validator.validate(intent(payment)).await.unwrap_err();
        assert_eq!(waits(error.attempts()), [10, 20, 40].map(ms));
    }
    assert_eq!(made.load(Ordering::Relaxed), 2);
}

#[cfg(feature = "backoff")]
#[tokio::test(start_paused = true)]
async fn a_backoff_schedule_is_made_afresh_for_each_call() {
    use backoff::{ExponentialBackoff, ExponentialBackoffBuilder};
    let growing = || -> ExponentialBackoff {
        ExponentialBackoffBuilder::new()
            .with_initial_interval(ms(40))
            .with_multiplier(2.0)
            .with_randomization_factor(0.0)
            .with_max_interval(ms(200))
            .build()
    };
    let validator =
        plain(&failing(busy())).retry(Retry::new().times(4).schedule(Schedule::backoff(growing))).build().unwrap();
    for payment in ["pi_1", "pi_2"] {
        let start = Instant::now();
        let error = validator.validate(intent(payment)).await.unwrap_err();
        assert_eq!(waits(error.attempts()), [40, 80, 160, 200].map(ms));
        assert_eq!(start.elapsed(), ms(480));
    }
}

#[cfg(feature = "backoff")]
#[tokio::test(start_paused = true)]
async fn a_backoff_schedule_without_an_end_ends_at_the_deadline() {
    use backoff::backoff::Constant;
    let retry = Retry::new().times(u32::MAX).schedule(Schedule::backoff(|| Constant::new(secs(1))));
    let set = |builder: ValidatorBuilder| builder.retry(retry.clone()).total_deadline(ms(10_500));
    let (_, elapsed, calls) = refused_after(busy(), set).await;
    assert_eq!((elapsed, calls), (secs(10), 11));
}

#[cfg(feature = "backoff")]
#[tokio::test(start_paused = true)]
async fn a_backoff_schedule_that_stops_makes_no_retry() {
    use backoff::backoff::Stop;
    let retry = Retry::new().schedule(Schedule::backoff(|| Stop {}));
    let (_, _, calls) = refused_after(busy(), |builder| builder.retry(retry.clone())).await;
    assert_eq!(calls, 1);
}

#[test]
fn schedule_functions_run_under_no_lock() {
    // The first call's function waits until the second call has been through its own. Were it asked under a lock that
    // all calls share, the second could not.
    let (tell, told) = std::sync::mpsc::channel::<()>();
    let (tell, told) = (Mutex::new(tell), Mutex::new(told));
    let asked = AtomicU32::new(0);
    let schedule = Schedule::from_fn(move |_| {
        if asked.fetch_add(1, Ordering::SeqCst) == 0 {
            let heard = told.lock().unwrap().recv_timeout(secs(2));
            return heard.ok().map(|()| Duration::ZERO);
        }
        let _ = tell.lock().unwrap().send(());
        None
    });
    let validator = plain(&failing(busy())).retry(exact(1, schedule)).build().unwrap();
    let attempts = |payment: &str| {
        let answer = paused_runtime().block_on(validator.validate(intent(payment)).into_future());
        answer.unwrap_err().attempts().len()
    };
    let made = std::thread::scope(|threads| {
        let others = threads.spawn(|| attempts("pi_1"));
        attempts("pi_2") + others.join().unwrap()
    });
    assert_eq!(made, 3, "the call that heard of the other was retried");
}

#[tokio::test(start_paused = true)]
async fn a_schedule_that_panics_fails_its_own_call_only() {
    let schedule = Schedule::from_fn(|_| if Instant::now().elapsed().is_zero() { panic!("scripted") } else { None });
    let provider = provider();
    provider.script("pi_1", [busy()]);
    let validator = plain(&provider).retry(exact(3, schedule)).build().unwrap();
    assert_eq!(validator.validate(intent("pi_1")).await.unwrap_err().code(), "interrupted");
    assert!(is_valid(&validator.validate(intent("pi_1")).await.unwrap()));
}
