//! The wait that the provider asks for.

use std::time::Duration;

use payproof::provider::ProviderError;
use payproof::provider::WaitReason;
use payproof::{Jitter, Retry, Schedule, ValidatorBuilder};

use super::{exact, refused_after};
use crate::support::{NO_PATTERNS, busy, ms, secs};

#[tokio::test(start_paused = true)]
async fn retry_after_is_waited_for_and_never_undercut() {
    let mut drawn = Vec::new();
    for seed in 0..50 {
        let error = busy().with_retry_after(secs(2));
        let (error, ..) = refused_after(error, |builder| {
            builder.seed(seed).transient_patterns(NO_PATTERNS).retry(Retry::new().times(1))
        })
        .await;
        let (wait, reason) = error.attempts()[0].wait().unwrap();
        assert_eq!(reason, WaitReason::RetryAfter);
        assert!(wait >= secs(2) && wait <= ms(2400), "{wait:?}");
        assert!(error.attempts()[1].offset() >= secs(2));
        assert_eq!(error.retry_after(), Some(secs(2)));
        drawn.push(wait);
    }
    drawn.sort();
    drawn.dedup();
    assert!(drawn.len() > 40, "callers come back spread");
}

#[tokio::test(start_paused = true)]
async fn retry_after_outranks_a_longer_schedule() {
    let retry = exact(1, Schedule::waits([secs(20)]));
    let error = busy().with_retry_after(secs(1));
    let (_, elapsed, _) = refused_after(error, |builder| builder.retry(retry.clone())).await;
    assert!(elapsed >= secs(1) && elapsed <= ms(1201), "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_of_zero_leaves_the_schedule_in_place() {
    let retry = Retry::new().jitter(Jitter::None);
    let error = busy().with_retry_after(Duration::ZERO);
    let (error, elapsed, _) = refused_after(error, |builder| builder.retry(retry.clone())).await;
    assert_eq!(elapsed, ms(5600));
    assert!(error.attempts()[..3].iter().all(|attempt| attempt.wait().unwrap().1 == WaitReason::Schedule));
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_above_the_cap_is_reported_at_once() {
    for asked in [secs(61), secs(3600), Duration::from_secs(u64::MAX), Duration::MAX] {
        for error in [busy(), ProviderError::refused("slow down").with_status(429)] {
            let (error, elapsed, calls) = refused_after(error.with_retry_after(asked), |builder| builder).await;
            assert_eq!((elapsed, calls), (Duration::ZERO, 1));
            assert_eq!(error.retry_after(), Some(asked));
        }
    }
    let (_, elapsed, _) =
        refused_after(busy().with_retry_after(secs(60)), |builder| builder.retry(Retry::new().times(1))).await;
    assert!(elapsed >= secs(60), "the cap itself is waited for");
}

#[tokio::test(start_paused = true)]
async fn the_cap_on_retry_after_can_be_set() {
    let capped = |builder: ValidatorBuilder| builder.retry_after_cap(secs(1));
    assert_eq!(refused_after(busy().with_retry_after(ms(1001)), capped).await.2, 1);
    assert_eq!(refused_after(busy().with_retry_after(ms(1000)), capped).await.2, 4);
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_past_the_deadline_is_reported_at_once() {
    let short = |builder: ValidatorBuilder| builder.total_deadline(secs(10));
    let (error, elapsed, calls) = refused_after(busy().with_retry_after(secs(11)), short).await;
    assert_eq!((elapsed, calls), (Duration::ZERO, 1));
    assert_eq!(error.retry_after(), Some(secs(11)));
    let limited = ProviderError::refused("slow down").with_status(429).with_retry_after(secs(11));
    let (error, elapsed, calls) = refused_after(limited, short).await;
    assert_eq!((elapsed, calls), (Duration::ZERO, 1));
    assert!(error.is_rate_limited());
    assert_eq!((error.code(), error.http_status(), error.retry_after()), ("rate_limited", 429, Some(secs(11))));
}

#[tokio::test(start_paused = true)]
async fn an_endless_retry_after_under_an_endless_cap_does_not_overflow() {
    let endless = |builder: ValidatorBuilder| builder.retry_after_cap(Duration::MAX).total_deadline(Duration::MAX);
    for asked in [Duration::from_secs(u64::MAX), Duration::MAX] {
        for error in [busy(), ProviderError::refused("slow down").with_status(429)] {
            let (error, elapsed, calls) = refused_after(error.with_retry_after(asked), endless).await;
            assert_eq!((elapsed, calls, error.retry_after()), (Duration::ZERO, 1, Some(asked)));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_schedule_of_endless_waits_does_not_overflow() {
    for jitter in [Jitter::Full, Jitter::Equal, Jitter::None] {
        let retry = Retry::new().schedule(Schedule::from_fn(|_| Some(Duration::MAX))).jitter(jitter);
        for error in [busy(), ProviderError::refused("slow down").with_status(429)] {
            let (error, elapsed, calls) = refused_after(error, |builder| builder.retry(retry.clone())).await;
            assert_eq!((elapsed, calls, error.retry_after()), (Duration::ZERO, 1, None));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_speaks_of_the_providers_wait_only_if_there_is_one() {
    // It was the schedule that did not fit the deadline; the provider asked for nothing.
    let retry = exact(3, Schedule::waits([secs(20)]));
    let (error, ..) = refused_after(busy(), |builder| builder.retry(retry.clone()).total_deadline(secs(10))).await;
    assert_eq!(error.retry_after(), None);
    assert!(!error.to_string().contains("the given wait"), "{error}");
}
