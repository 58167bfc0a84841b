//! A rate limit on the account holds every call back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use payproof::provider::WaitReason;
use payproof::provider::{ProviderError, ProviderIdentity, RateLimit, provider_fn};
use payproof::testing::Step;
use payproof::{Retry, Schedule, Validator};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

use super::{TICK, exact, limited, noting};
use crate::support::{NO_PATTERNS, busy, intent, is_valid, ms, paid, plain, provider, secs, settle};

#[tokio::test(start_paused = true)]
async fn a_rate_limit_on_the_account_holds_back_every_call() {
    let (asked, builder) =
        noting(|payment, attempt| (payment == "pi_0" && attempt == 1).then(|| limited(Some(secs(10)))));
    let validator = builder.build().unwrap();
    let start = Instant::now();
    let first = tokio::spawn(validator.validate(intent("pi_0")).into_future());
    settle().await;
    let others: Vec<_> = (1..=50)
        .map(|number| tokio::spawn(validator.validate(intent(&format!("pi_{number}"))).into_future()))
        .collect();
    for call in others.into_iter().chain([first]) {
        assert!(is_valid(&call.await.unwrap().unwrap()));
    }
    let asked: Vec<_> = asked.lock().unwrap().iter().map(|at| *at - start).collect();
    assert_eq!(asked.len(), 52);
    assert_eq!(asked[0], Duration::ZERO);
    assert!(asked[1..].iter().all(|at| *at >= secs(10) && *at <= secs(20) + TICK), "{asked:?}");
    let mut moments = asked[1..].to_vec();
    moments.dedup();
    assert!(moments.len() > 30, "they do not all come at once: {moments:?}");
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_without_retry_after_holds_back_for_the_schedules_wait() {
    let (asked, builder) = noting(|payment, attempt| (payment == "pi_0" && attempt == 1).then(|| limited(None)));
    let validator = builder.retry(exact(3, Schedule::waits([secs(4)]))).build().unwrap();
    let start = Instant::now();
    let first = tokio::spawn(validator.validate(intent("pi_0")).into_future());
    settle().await;
    assert!(is_valid(&validator.validate(intent("pi_1")).await.unwrap()));
    let validation = first.await.unwrap().unwrap();
    let (wait, reason) = validation.attempts()[0].wait().unwrap();
    assert_eq!(reason, WaitReason::Gate);
    assert!(wait >= secs(4) && wait <= ms(4800), "{wait:?}");
    assert!(asked.lock().unwrap()[1..].iter().all(|at| *at - start >= secs(4)));
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_closes_the_gate_also_when_its_own_call_gives_up() {
    let (asked, builder) = noting(|payment, _| (payment == "pi_0").then(|| limited(Some(secs(5)))));
    let validator = builder.retry(Retry::none()).build().unwrap();
    let start = Instant::now();
    assert!(validator.validate(intent("pi_0")).await.unwrap_err().is_rate_limited());
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert!(is_valid(&validator.validate(intent("pi_1")).await.unwrap()));
    assert!(asked.lock().unwrap()[1] - start >= secs(5));
}

#[tokio::test(start_paused = true)]
async fn a_lock_on_one_payment_delays_that_call_only() {
    let lock = |payment: &str, attempt| {
        let locked = ProviderError::refused("locked").with_status(429).with_rate_limit(RateLimit::Payment);
        (payment == "pi_0" && attempt == 1).then(|| locked.with_retry_after(secs(5)))
    };
    let (_, builder) = noting(lock);
    let validator = builder.build().unwrap();
    let start = Instant::now();
    let locked = tokio::spawn(validator.validate(intent("pi_0")).into_future());
    settle().await;
    assert!(is_valid(&validator.validate(intent("pi_1")).await.unwrap()));
    assert_eq!(start.elapsed(), Duration::ZERO);
    let validation = locked.await.unwrap().unwrap();
    assert!(start.elapsed() >= secs(5));
    assert_eq!(validation.attempts()[0].wait().unwrap().1, WaitReason::RetryAfter);
}

#[tokio::test(start_paused = true)]
async fn a_closed_gate_fails_a_call_at_once_whose_deadline_is_too_short() {
    let (asked, builder) = noting(|payment, _| (payment == "pi_0").then(|| limited(Some(secs(30)))));
    let validator = builder.total_deadline(secs(20)).build().unwrap();
    validator.validate(intent("pi_0")).await.unwrap_err();
    tokio::time::advance(secs(3)).await;
    let start = Instant::now();
    let error = validator.validate(intent("pi_1")).await.unwrap_err();
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert!(error.is_rate_limited());
    assert_eq!((error.code(), error.http_status(), error.retry_after()), ("rate_limited", 429, Some(secs(27))));
    assert!(error.attempts().is_empty());
    assert_eq!(asked.lock().unwrap().len(), 1);
    tokio::time::advance(secs(27)).await;
    assert!(is_valid(&validator.validate(intent("pi_1")).await.unwrap()));
}

#[tokio::test(start_paused = true)]
async fn a_closed_gate_tells_the_providers_wait_and_not_the_cap() {
    // `retry_after` promises not to be cut by any limit of this crate.
    let (_, builder) = noting(|payment, _| (payment == "pi_0").then(|| limited(Some(secs(3600)))));
    let validator = builder.total_deadline(secs(20)).build().unwrap();
    let first = validator.validate(intent("pi_0")).await.unwrap_err();
    assert_eq!(first.retry_after(), Some(secs(3600)));
    let second = validator.validate(intent("pi_1")).await.unwrap_err();
    assert_eq!((second.code(), second.retry_after()), ("rate_limited", Some(secs(3600))));
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_above_the_cap_is_probed_once_a_minute_while_it_lasts() {
    let (asked, builder) = noting(|_, _| Some(limited(Some(secs(3600)))));
    let validator = builder.build().unwrap();
    for number in 0..20 {
        let calls: Vec<_> = (0..10)
            .map(|call| tokio::spawn(validator.validate(intent(&format!("pi_{number}_{call}"))).into_future()))
            .collect();
        for call in calls {
            let error = call.await.unwrap().unwrap_err();
            assert!(error.is_rate_limited());
            assert!(error.retry_after().unwrap() > secs(3500), "what the provider asks for: {error:?}");
        }
        tokio::time::advance(secs(60)).await;
    }
    // The first ten come before any caller knows.
    let asked = asked.lock().unwrap().len();
    assert!((20..=30).contains(&asked), "asked {asked} times in 20 minutes");
}

#[tokio::test(start_paused = true)]
async fn one_mistaken_wait_closes_an_account_for_a_minute_and_one_probe() {
    let (asked, builder) = noting(|payment, _| (payment == "pi_0").then(|| limited(Some(secs(24 * 60 * 60)))));
    let validator = builder.build().unwrap();
    validator.validate(intent("pi_0")).await.unwrap_err();
    sleep(secs(59)).await;
    assert!(validator.validate(intent("pi_1")).await.unwrap_err().is_rate_limited());
    sleep(secs(1)).await;
    let calls: Vec<_> =
        (2..50).map(|number| tokio::spawn(validator.validate(intent(&format!("pi_{number}"))).into_future())).collect();
    for call in calls {
        assert!(is_valid(&call.await.unwrap().unwrap()), "the probe's answer opens the gate for all");
    }
    assert_eq!(asked.lock().unwrap().len(), 49);
}

#[tokio::test(start_paused = true)]
async fn those_who_come_during_a_probe_wait_for_its_answer() {
    let provider = provider();
    for payment in ["pi_2", "pi_3"] {
        provider.put(paid(payment));
    }
    provider.script("pi_1", [limited(Some(secs(5)))]);
    let validator = plain(&provider).retry(Retry::none()).build().unwrap();
    validator.validate(intent("pi_1")).await.unwrap_err();
    sleep(secs(5)).await;
    // The probe is limited again within a second.
    provider.script("pi_2", [Step::Wait(ms(900)), limited(Some(secs(7))).into()]);
    let probe = tokio::spawn(validator.validate(intent("pi_2")).into_future());
    settle().await;
    let begin = Instant::now();
    let other = tokio::spawn(validator.validate(intent("pi_3")).into_future());
    sleep(secs(7)).await;
    assert_eq!(provider.calls(), 2, "no other call is sent while the probe is out, or the gate is closed again");
    assert!(probe.await.unwrap().unwrap_err().is_rate_limited());
    assert!(is_valid(&other.await.unwrap().unwrap()));
    assert!(begin.elapsed() >= ms(7_900), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_hangs_is_not_the_only_one_for_longer_than_a_second() {
    let provider = provider();
    provider.script("pi_1", [limited(Some(secs(5)))]);
    let validator = plain(&provider).retry(Retry::none()).build().unwrap();
    validator.validate(intent("pi_1")).await.unwrap_err();
    provider.put(paid("pi_2"));
    provider.put(paid("pi_3"));
    sleep(secs(5)).await;
    provider.script("pi_2", [Step::Never]);
    let probe = tokio::spawn(validator.validate(intent("pi_2")).into_future());
    settle().await;
    let begin = Instant::now();
    assert!(is_valid(&validator.validate(intent("pi_3")).await.unwrap()));
    assert!(begin.elapsed() <= ms(1_100), "{:?}", begin.elapsed());
    let begin = Instant::now();
    assert!(is_valid(&validator.validate(intent("pi_1")).await.unwrap()));
    assert_eq!(begin.elapsed(), Duration::ZERO, "the second probe's answer opened the gate");
    probe.abort();
}

#[tokio::test(start_paused = true)]
async fn a_probe_without_an_answer_leaves_the_gate_to_the_next_one() {
    let broke = ProviderError::outcome_unknown("the connection broke");
    for (error, sent) in [(ProviderError::not_sent("connection refused"), 1), (broke, 1), (busy(), 10)] {
        let provider = provider();
        provider.script("pi_1", [limited(Some(secs(60)))]);
        let validator = plain(&provider).retry(Retry::none()).build().unwrap();
        validator.validate(intent("pi_1")).await.unwrap_err();
        sleep(secs(60)).await;
        provider.script("pi_1", [error.clone()]);
        validator.validate(intent("pi_1")).await.unwrap_err();
        let others: Vec<_> = (2..12)
            .map(|number| {
                let payment = format!("pi_{number}");
                provider.put(paid(&payment));
                provider.script(&*payment, [Step::Wait(ms(500))]);
                tokio::spawn(validator.validate(intent(&payment)).into_future())
            })
            .collect();
        settle().await;
        assert_eq!(provider.calls() - 2, sent, "sent at once after {error}");
        for call in others {
            assert!(is_valid(&call.await.unwrap().unwrap()), "the answer to the next one opens it: {error}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_bare_429_delays_its_own_call_only() {
    let bare = || ProviderError::refused("slow down").with_status(429).with_retry_after(secs(3600));
    let (asked, builder) = noting(move |payment, _| (payment == "pi_0").then(bare));
    let validator = builder.build().unwrap();
    let error = validator.validate(intent("pi_0")).await.unwrap_err();
    assert_eq!((error.is_rate_limited(), error.retry_after()), (true, Some(secs(3600))));
    let begin = Instant::now();
    assert!(is_valid(&validator.validate(intent("pi_1")).await.unwrap()));
    assert_eq!((begin.elapsed(), asked.lock().unwrap().len()), (Duration::ZERO, 2));
}

#[tokio::test(start_paused = true)]
async fn a_shorter_rate_limit_does_not_open_the_gate_early() {
    let provider = provider();
    provider.put(paid("pi_2"));
    provider.put(paid("pi_3"));
    provider.script("pi_1", [Step::Wait(ms(1)), limited(Some(secs(10))).into()]);
    provider.script("pi_2", [Step::Wait(ms(2)), limited(Some(secs(1))).into()]);
    let validator = plain(&provider).build().unwrap();
    let start = Instant::now();
    let (one, two) = (
        tokio::spawn(validator.validate(intent("pi_1")).into_future()),
        tokio::spawn(validator.validate(intent("pi_2")).into_future()),
    );
    sleep(ms(5)).await;
    assert!(is_valid(&validator.validate(intent("pi_3")).await.unwrap()));
    assert!(start.elapsed() >= secs(10));
    assert!(is_valid(&one.await.unwrap().unwrap()) && is_valid(&two.await.unwrap().unwrap()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_caller_slips_past_a_gate_that_is_about_to_close() {
    // The place that a limited call frees must not be taken before the gate is closed.
    for round in 0..500 {
        let calls = Arc::new(AtomicU32::new(0));
        let release = Arc::new(Semaphore::new(0));
        let (counter, held) = (Arc::clone(&calls), Arc::clone(&release));
        let provider = provider_fn(ProviderIdentity::new("acme"), move |_, _| {
            let held = Arc::clone(&held);
            counter.fetch_add(1, Ordering::SeqCst);
            async move {
                held.acquire().await.unwrap().forget();
                Err(limited(Some(secs(3600))))
            }
        });
        let builder = Validator::builder(provider).max_concurrent(1).transient_patterns(NO_PATTERNS);
        let validator = builder.build().unwrap();
        let callers: Vec<_> = (0..6)
            .map(|number| tokio::spawn(validator.validate(intent(&format!("pi_{number}"))).into_future()))
            .collect();
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        release.add_permits(6);
        for caller in callers {
            assert_eq!(caller.await.unwrap().unwrap_err().code(), "rate_limited");
        }
        assert_eq!((round, calls.load(Ordering::SeqCst)), (round, 1));
    }
}
