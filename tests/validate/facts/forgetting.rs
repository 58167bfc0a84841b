//! What makes facts go away.

use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use payproof::provider::{ProviderIdentity, provider_fn};
use payproof::testing::Step;
use payproof::{Provenance, Validator, Verdict};
use tokio::time::advance;

use super::{FRESH_FOR, ask, id, validator};
use crate::support::{self, intent, is_valid, ms, paid, provider, secs, settle};

#[tokio::test(start_paused = true)]
async fn a_refund_is_seen_after_fresh_for_at_the_latest() {
    let provider = provider();
    let validator = validator(&provider);
    ask(&validator, &intent("pi_1")).await;
    provider.put(paid("pi_1").with_amount_refunded(1999));
    advance(FRESH_FOR).await;
    let Verdict::Invalid(findings) = ask(&validator, &intent("pi_1")).await.into_verdict() else { panic!("valid") };
    assert!(findings.has("refunded"));
}

#[tokio::test(start_paused = true)]
async fn a_refund_is_seen_at_once_after_forget() {
    let provider = provider();
    let validator = validator(&provider);
    ask(&validator, &intent("pi_1")).await;
    ask(&validator, &intent("pi_1")).await;
    provider.put(paid("pi_1").with_amount_refunded(1));
    validator.forget(&id("pi_1")).await.unwrap();
    let seen = ask(&validator, &intent("pi_1")).await;
    assert_eq!(seen.provenance(), Provenance::Fresh);
    assert!(!is_valid(&seen));
    assert_eq!(validator.stats().facts_in_memory, 1);
}

#[tokio::test(start_paused = true)]
async fn forget_reaches_one_payment_and_only_that() {
    let provider = provider();
    provider.put(paid("pi_2"));
    let validator = validator(&provider);
    ask(&validator, &intent("pi_1")).await;
    ask(&validator, &intent("pi_2")).await;
    validator.forget(&id("pi_1")).await.unwrap();
    validator.forget(&id("pi_404")).await.unwrap();
    assert_eq!(ask(&validator, &intent("pi_2")).await.provenance(), Provenance::Replayed);
    assert_eq!(validator.stats().facts_in_memory, 1);
}

#[tokio::test(start_paused = true)]
async fn a_flight_that_was_forgotten_leaves_nothing_behind() {
    let provider = provider();
    let validator = validator(&provider);
    provider.script("pi_1", [Step::Wait(secs(1)), Step::from(paid("pi_1"))]);
    let mut early = pin!(validator.validate(intent("pi_1")));
    assert!(support::poll_once(early.as_mut()).await.is_pending());
    settle().await;
    provider.put(paid("pi_1").with_amount_refunded(1999));
    validator.forget(&id("pi_1")).await.unwrap();
    assert!(is_valid(&early.await.unwrap()), "those who wait get what was read");
    assert_eq!(validator.stats().facts_in_memory, 0);
    let late = ask(&validator, &intent("pi_1")).await;
    assert_eq!(late.provenance(), Provenance::Fresh);
    assert!(!is_valid(&late));
    assert_eq!(provider.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_verdict_on_forgotten_facts_proves_nothing_about_newer_ones_of_the_same_instant() {
    // Two flights, whose answers differ and arrive at the same instant of the clock; in either order.
    for refunded_first in [false, true] {
        let (identity, calls) = (ProviderIdentity::new("scripted"), AtomicU32::new(0));
        let provider = provider_fn(identity, move |payment, _call| {
            let refunded = (calls.fetch_add(1, Relaxed) == 0) == refunded_first;
            async move {
                tokio::time::sleep(ms(10)).await;
                Ok(paid(payment.as_str()).with_amount_refunded(if refunded { 1999 } else { 0 }))
            }
        });
        let validator = Validator::builder(provider).build().unwrap();
        let claim = intent("pi_1");
        let (mut early, mut late) = (pin!(validator.validate(&claim)), pin!(validator.validate(&claim)));
        assert!(support::poll_once(early.as_mut()).await.is_pending());
        settle().await;
        validator.forget(claim.payment()).await.unwrap();
        assert!(support::poll_once(late.as_mut()).await.is_pending());
        settle().await;
        let (late, early) = tokio::join!(late, early);
        let (early, late) = (early.unwrap(), late.unwrap());
        assert_eq!((is_valid(&early), is_valid(&late)), (!refunded_first, refunded_first));
        let now = ask(&validator, &claim).await;
        assert_eq!((now.provenance(), now.age()), (Provenance::Replayed, Duration::ZERO));
        assert_eq!(is_valid(&now), is_valid(&late), "memory holds what the later flight brought");
    }
}
