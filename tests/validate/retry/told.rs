//! What the provider asked of one payment holds for the calls that come after the one which heard it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use payproof::provider::{ProviderError, ProviderIdentity, RateLimit, provider_fn};
use payproof::{Jitter, Provenance, Retry, Schedule, Validator};
use tokio::time::{Instant, advance, sleep};

use super::noting;
use crate::support::{busy, intent, is_valid, ms, paid, secs, settle};

/// Another request has this payment in use.
fn locked() -> ProviderError {
    ProviderError::refused("locked").with_status(429).with_rate_limit(RateLimit::Payment)
}

#[tokio::test(start_paused = true)]
async fn the_next_caller_of_a_payment_waits_for_what_was_asked_of_a_caller_that_left() {
    for error in [locked(), busy()] {
        let error = error.with_retry_after(secs(5));
        let (asked, builder) =
            noting(move |payment, attempt| (payment == "pi_0" && attempt == 1).then(|| error.clone()));
        let validator = builder.build().unwrap();
        let begin = Instant::now();
        let first = tokio::spawn(validator.validate(intent("pi_0")).into_future());
        settle().await;
        first.abort();
        settle().await;
        assert_eq!(validator.stats().in_flight, 0);
        sleep(secs(2)).await;
        assert!(is_valid(&validator.validate(intent("pi_1")).await.unwrap()));
        assert_eq!(begin.elapsed(), secs(2), "no other payment waits");
        let second = tokio::spawn(validator.validate(intent("pi_0")).into_future());
        settle().await;
        let joins = validator.validate(intent("pi_0")).max_age(Duration::ZERO).deadline(secs(1)).await;
        assert_eq!(joins.unwrap_err().code(), "deadline_exceeded", "it waits with the second");
        // The first attempt of a call fails each time.
        let validation = second.await.unwrap().unwrap();
        assert_eq!((validation.provenance(), validation.attempts().len()), (Provenance::Fresh, 2));
        let times: Vec<_> = asked.lock().unwrap().iter().map(|at| *at - begin).collect();
        let [first, other, second, retry] = times[..] else { panic!("{times:?}") };
        assert_eq!((first, other), (Duration::ZERO, secs(2)));
        assert!((secs(5)..=secs(6)).contains(&second) && retry >= second + secs(5), "{times:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_without_the_time_to_wait_hears_for_how_long_at_once() {
    let (asked, builder) = noting(|_, _| Some(locked().with_retry_after(secs(30))));
    let validator = builder.total_deadline(secs(20)).build().unwrap();
    let told = validator.validate(intent("pi_0")).await.unwrap_err();
    assert_eq!((told.code(), told.retry_after()), ("rate_limited", Some(secs(30))));
    advance(secs(12)).await;
    let hurried = validator.validate(intent("pi_0")).deadline(secs(10)).await.unwrap_err();
    assert_eq!((hurried.code(), hurried.http_status(), hurried.retry_after()), ("rate_limited", 429, Some(secs(18))));
    assert!(hurried.attempts().is_empty());
    advance(secs(13)).await;
    let begin = Instant::now();
    // This one has the time, and hears what the next attempt hears.
    let patient = validator.validate(intent("pi_0")).deadline(secs(10)).await.unwrap_err();
    assert_eq!((patient.code(), patient.retry_after()), ("rate_limited", Some(secs(30))));
    assert!((secs(5)..=secs(6)).contains(&begin.elapsed()), "{:?}", begin.elapsed());
    assert_eq!(asked.lock().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_wait_above_the_cap_is_told_to_each_caller_and_found_out_about_after_a_minute() {
    let (asked, builder) = noting(|_, _| Some(busy().with_retry_after(secs(3600))));
    let validator = builder.build().unwrap();
    let begin = Instant::now();
    for (after, calls) in [(0, 1), (1, 1), (59, 1), (60, 2), (61, 2), (119, 2), (120, 3)] {
        sleep((begin + secs(after)).saturating_duration_since(Instant::now())).await;
        let error = validator.validate(intent("pi_0")).await.unwrap_err();
        assert_eq!((error.code(), asked.lock().unwrap().len()), ("provider_unavailable", calls), "{after} s");
        assert_eq!(error.retry_after(), Some(secs(3600 - after % 60)), "{after} s");
    }
    assert_eq!(begin.elapsed(), secs(120), "no caller waits");
}

#[tokio::test(start_paused = true)]
async fn a_lock_without_a_wait_leaves_the_payment_alone_for_a_first_wait() {
    let (asked, builder) = noting(|_, attempt| (attempt == 1).then(locked));
    let waits = Retry::new().schedule(Schedule::waits([secs(1); 3])).jitter(Jitter::None);
    let validator = builder.retry(waits).build().unwrap();
    let begin = Instant::now();
    validator.validate(intent("pi_0")).deadline(ms(300)).await.unwrap_err();
    settle().await;
    let error = validator.validate(intent("pi_0")).deadline(ms(300)).await.unwrap_err();
    assert_eq!((error.code(), error.retry_after()), ("rate_limited", Some(ms(700))));
    assert!(is_valid(&validator.validate(intent("pi_0")).await.unwrap()));
    assert!(asked.lock().unwrap()[1] >= begin + secs(1));
}

#[tokio::test(start_paused = true)]
async fn what_no_wait_can_mend_is_asked_again_at_once() {
    let refused = || ProviderError::refused("bad key").with_status(401).with_retry_after(secs(30));
    let (asked, builder) = noting(move |_, _| Some(refused()));
    let validator = builder.build().unwrap();
    for calls in 1..=2 {
        assert!(validator.validate(intent("pi_0")).await.unwrap_err().is_configuration());
        assert_eq!(asked.lock().unwrap().len(), calls, "the operator may have changed the credential");
    }
}

#[tokio::test(start_paused = true)]
async fn a_shorter_wait_does_not_end_a_longer_one_early() {
    // Two flights about one payment are under way. The first is told 10 s, and a second later the other one 1 s.
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let provider = provider_fn(ProviderIdentity::new("acme"), move |payment, _| {
        let number = counter.fetch_add(1, Ordering::SeqCst);
        async move {
            let Some(wait) = [10, 1].get(number).copied() else { return Ok(paid(payment.as_str())) };
            sleep(secs(1)).await;
            Err(locked().with_retry_after(secs(wait)))
        }
    });
    let validator = Validator::builder(provider).retry(Retry::none()).build().unwrap();
    let begin = Instant::now();
    let ask = || tokio::spawn(validator.validate(intent("pi_0")).max_age(Duration::ZERO).into_future());
    let first = ask();
    sleep(ms(999)).await;
    let second = ask();
    assert_eq!(first.await.unwrap().unwrap_err().retry_after(), Some(secs(10)));
    assert_eq!(second.await.unwrap().unwrap_err().retry_after(), Some(secs(1)));
    sleep(secs(2)).await;
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    let hurried = validator.validate(intent("pi_0")).deadline(secs(1)).await.unwrap_err();
    assert_eq!((hurried.code(), hurried.retry_after()), ("rate_limited", Some(begin + secs(11) - Instant::now())));
    assert!(is_valid(&validator.validate(intent("pi_0")).await.unwrap()));
    assert!(begin.elapsed() >= secs(11), "{:?}", begin.elapsed());
}
