//! Older facts while the provider is down.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use payproof::provider::ProviderError;
use payproof::testing::Step;
use payproof::{Provenance, Retry, ValidatorBuilder, WhenProviderIsDown};
use tokio::time::advance;

use super::{TICK, VOLATILE, ask, build, id, processing, validator};
use crate::support::{self, intent, intent_of, is_valid, paid, paused_runtime, poll_now, provider, secs, settle};

fn degrading(up_to: Duration) -> impl FnOnce(ValidatorBuilder) -> ValidatorBuilder {
    move |builder| {
        let builder = builder.retry(Retry::none()).fresh_for(secs(600)).retention(secs(3600));
        builder.when_provider_is_down(WhenProviderIsDown::ServeStale { up_to })
    }
}

#[tokio::test(start_paused = true)]
async fn older_facts_are_served_only_while_the_provider_is_down_and_only_up_to_the_limit() {
    let provider = provider();
    let validator = build(&provider, degrading(secs(1800))).unwrap();
    ask(&validator, &intent("pi_1")).await;
    provider.always(Some(support::busy().into()));
    advance(secs(600)).await;
    let degraded = ask(&validator, &intent("pi_1")).await;
    assert_eq!((degraded.provenance(), degraded.age()), (Provenance::Degraded, secs(600)));
    assert!(is_valid(&degraded));
    assert_eq!(degraded.attempts().len(), 1, "the attempts that failed are shown");
    let forged = ask(&validator, &intent_of("pi_1", "1")).await;
    assert_eq!((forged.verdict().as_str(), forged.provenance()), ("invalid", Provenance::Degraded));
    assert!(validator.validate(intent("pi_1")).max_age(secs(599)).await.is_err(), "older than this call accepts");
    advance(secs(1200)).await;
    assert_eq!(ask(&validator, &intent("pi_1")).await.age(), secs(1800));
    advance(TICK).await;
    assert!(validator.validate(intent("pi_1")).await.unwrap_err().is_unavailable());
    provider.always(None);
    assert_eq!(ask(&validator, &intent("pi_1")).await.provenance(), Provenance::Fresh);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_no_outage() {
    let provider = provider();
    let validator = build(&provider, degrading(secs(1800))).unwrap();
    ask(&validator, &intent("pi_1")).await;
    advance(secs(600)).await;
    provider.script("pi_1", [ProviderError::refused("bad key").with_status(401)]);
    assert!(validator.validate(intent("pi_1")).await.unwrap_err().is_configuration());
    provider.always(Some(Step::Fail(ProviderError::message("words that no rule knows"))));
    assert_eq!(validator.validate(intent("pi_1")).await.unwrap_err().code(), "unknown");
}

#[tokio::test(start_paused = true)]
async fn forgotten_and_passing_facts_are_not_served_while_the_provider_is_down() {
    let provider = provider();
    provider.put(processing("pi_2"));
    let validator = build(&provider, degrading(secs(1800))).unwrap();
    ask(&validator, &intent("pi_1")).await;
    ask(&validator, &intent("pi_2")).await;
    validator.forget(&id("pi_1")).await.unwrap();
    provider.always(Some(support::busy().into()));
    advance(VOLATILE).await;
    assert!(validator.validate(intent("pi_1")).await.is_err());
    assert!(validator.validate(intent("pi_2")).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn nothing_outlives_the_retention() {
    let provider = provider();
    let validator = build(&provider, degrading(secs(3600))).unwrap();
    ask(&validator, &intent("pi_1")).await;
    provider.always(Some(support::busy().into()));
    advance(secs(3600) - TICK).await;
    assert_eq!(ask(&validator, &intent("pi_1")).await.provenance(), Provenance::Degraded);
    advance(TICK).await;
    assert!(validator.validate(intent("pi_1")).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_degraded_valid_does_not_become_a_fresh_one() {
    let provider = provider();
    let validator = build(&provider, degrading(secs(3600))).unwrap();
    ask(&validator, &intent("pi_1")).await;
    advance(secs(700)).await;
    provider.script("pi_1", [support::busy()]);
    assert_eq!(ask(&validator, &intent("pi_1")).await.provenance(), Provenance::Degraded);
    provider.put(paid("pi_1").with_amount_refunded(1999));
    assert!(!is_valid(&ask(&validator, &intent("pi_1")).await));
}

#[test]
fn outside_a_runtime_a_follower_gets_an_error_or_waits_and_never_panics() {
    let runtime = paused_runtime();
    let provider = provider();
    provider.script("pi_1", [Step::Never]);
    let validator = validator(&provider);
    let leader = validator.validate(intent("pi_1"));
    runtime.block_on(async {
        let mut leader = pin!(leader);
        assert!(support::poll_once(leader.as_mut()).await.is_pending());
        settle().await;
    });
    // The flight is under way; this thread is not inside the runtime.
    assert!(poll_now(validator.validate(intent("pi_1"))).is_pending());
    let mut follower = pin!(validator.validate(intent("pi_1")).deadline(secs(1)));
    let polled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        follower.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }));
    match polled {
        Ok(Poll::Ready(Err(error))) => assert!(error.is_configuration(), "{error}"),
        Ok(Poll::Pending) => {}
        Ok(Poll::Ready(Ok(validation))) => panic!("{validation:?}"),
        Err(panic) => panic!("validate panicked outside a runtime: {panic:?}"),
    }
}
