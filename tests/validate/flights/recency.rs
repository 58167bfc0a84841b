//! How recent is recent enough, and what forgetting does.

use std::sync::atomic::Ordering;
use std::time::Duration;

use payproof::Provenance;
use payproof::testing::Step;
use tokio::time::{advance, sleep};

use super::{answering, refunded, start};
use crate::support::{NO_PATTERNS, busy, intent, intent_of, is_valid, ms, paid, plain, provider, secs, settle};

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
async fn a_flight_between_attempts_can_be_joined_by_any_caller() {
    let provider = provider();
    provider.script("pi_1", [busy().with_retry_after(secs(10))]);
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
    provider.put(paid("pi_1").with_amount_refunded(1999));
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
        provider.put(paid("pi_1").with_amount_refunded(1999));
        validator.forget(intent("pi_1").payment()).await.unwrap();
        let after: Vec<_> = (0..3).map(|_| start(&validator, "pi_1")).collect();
        for call in after {
            assert_eq!(call.await.unwrap().unwrap().verdict().as_str(), "invalid");
        }
        for call in racing {
            call.await.unwrap().unwrap();
        }
        assert_eq!(validator.validate(intent("pi_1")).await.unwrap().verdict().as_str(), "invalid");
        // A flight that no caller waits for any more may be on its last steps.
        for _ in 0..1000 {
            if validator.stats().in_flight == 0 {
                break;
            }
            tokio::task::yield_now().await;
        }
        assert_eq!(validator.stats().in_flight, 0);
    }
}
