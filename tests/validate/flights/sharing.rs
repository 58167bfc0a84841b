//! One call for all who ask about one payment.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use payproof::provider::{ProviderIdentity, provider_fn};
use payproof::testing::Step;
use payproof::{Provenance, Retry, Validator};
use tokio::sync::Semaphore;

use super::start;
use crate::support::{NO_PATTERNS, busy, intent, intent_of, is_valid, paid, plain, poll_once, provider, secs, settle};

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

#[tokio::test(start_paused = true)]
async fn clones_share_everything() {
    let provider = provider();
    let validator = plain(&provider).build().unwrap();
    validator.clone().validate(intent("pi_1")).await.unwrap();
    assert_eq!(validator.validate(intent("pi_1")).await.unwrap().provenance(), Provenance::Replayed);
    validator.clone().forget(intent("pi_1").payment()).await.unwrap();
    assert_eq!(validator.validate(intent("pi_1")).await.unwrap().provenance(), Provenance::Fresh);
}
