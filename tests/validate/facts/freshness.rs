//! For how long facts are served without asking.

use std::time::Duration;

use payproof::provider::ProviderError;
use payproof::testing::Step;
use payproof::{Capture, Provenance, Retry, Verdict};
use tokio::time::advance;

use super::{FRESH_FOR, TICK, ask, build, validator};
use crate::support::{self, intent, intent_of, is_valid, ms, paid, provider, secs};

#[tokio::test(start_paused = true)]
async fn a_hit_makes_no_call_and_its_age_grows_exactly() {
    let provider = provider();
    let validator = validator(&provider);
    let fresh = ask(&validator, &intent("pi_1")).await;
    assert_eq!((fresh.provenance(), fresh.age()), (Provenance::Fresh, Duration::ZERO));
    assert_eq!(fresh.attempts().len(), 1);
    let mut age = Duration::ZERO;
    for step in [TICK, ms(1), secs(1), secs(60), secs(600)] {
        advance(step).await;
        age += step;
        let hit = ask(&validator, &intent("pi_1")).await;
        assert_eq!((hit.provenance(), hit.age()), (Provenance::Replayed, age));
        assert!(hit.attempts().is_empty());
        let Verdict::Valid(proof) = hit.verdict() else { panic!("{hit:?}") };
        assert_eq!((proof.age(), proof.capture()), (age, Capture::Captured));
    }
    assert_eq!(provider.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn valid_is_served_until_just_before_fresh_for() {
    let provider = provider();
    let validator = validator(&provider);
    ask(&validator, &intent("pi_1")).await;
    advance(FRESH_FOR - TICK).await;
    assert_eq!(ask(&validator, &intent("pi_1")).await.provenance(), Provenance::Replayed);
    advance(TICK).await;
    let asked = ask(&validator, &intent("pi_1")).await;
    assert_eq!((asked.provenance(), asked.age()), (Provenance::Fresh, Duration::ZERO));
    assert_eq!(provider.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_hit_does_not_prolong_the_life_of_its_facts() {
    let provider = provider();
    let validator = validator(&provider);
    for _ in 0..16 {
        ask(&validator, &intent("pi_1")).await;
        advance(secs(60)).await;
    }
    assert_eq!(provider.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_age_counts_from_the_answer_and_not_from_the_question() {
    let provider = provider();
    let validator = build(&provider, |b| b.fresh_for(secs(10))).unwrap();
    provider.script("pi_1", [Step::Wait(secs(20))]);
    let slow = ask(&validator, &intent("pi_1")).await;
    assert_eq!(slow.age(), Duration::ZERO);
    advance(secs(9)).await;
    assert_eq!(ask(&validator, &intent("pi_1")).await.age(), secs(9));
    assert_eq!(provider.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn max_age_accepts_exactly_that_age_and_nothing_older() {
    let provider = provider();
    let validator = validator(&provider);
    ask(&validator, &intent("pi_1")).await;
    advance(secs(30)).await;
    let call = async |age| validator.validate(intent("pi_1")).max_age(age).await.unwrap();
    assert_eq!(call(secs(31)).await.age(), secs(30));
    assert_eq!(call(secs(30)).await.age(), secs(30));
    assert_eq!(provider.calls(), 1);
    assert_eq!(call(secs(30) - TICK).await.age(), Duration::ZERO);
    assert_eq!(provider.calls(), 2);
    // Other claims look at the same facts by another path.
    advance(secs(30)).await;
    let forged = intent_of("pi_1", "1");
    assert_eq!(validator.validate(&forged).max_age(secs(30)).await.unwrap().provenance(), Provenance::Replayed);
    assert_eq!(validator.validate(&forged).max_age(secs(29)).await.unwrap().provenance(), Provenance::Fresh);
    assert_eq!(provider.calls(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_max_age_beyond_fresh_for_prolongs_nothing() {
    let provider = provider();
    let validator = validator(&provider);
    ask(&validator, &intent("pi_1")).await;
    advance(FRESH_FOR).await;
    validator.validate(intent("pi_1")).max_age(Duration::MAX).await.unwrap();
    assert_eq!(provider.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_max_age_of_zero_always_asks() {
    let provider = provider();
    let validator = validator(&provider);
    ask(&validator, &intent("pi_1")).await;
    advance(TICK).await;
    validator.validate(intent("pi_1")).max_age(Duration::ZERO).await.unwrap();
    assert_eq!(provider.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_max_age_of_zero_asks_also_at_the_instant_of_the_last_answer() {
    let provider = provider();
    let validator = validator(&provider);
    ask(&validator, &intent("pi_1")).await;
    provider.put(paid("pi_1").with_amount_refunded(1999));
    let asked = validator.validate(intent("pi_1")).max_age(Duration::ZERO).await.unwrap();
    assert_eq!(provider.calls(), 2);
    assert!(!is_valid(&asked));
}

#[tokio::test(start_paused = true)]
async fn errors_are_never_kept() {
    let provider = provider();
    let validator = build(&provider, |b| b.retry(Retry::none())).unwrap();
    for (at, error) in [
        ProviderError::refused("no").with_status(401),
        ProviderError::refused("no").with_status(404),
        ProviderError::refused("no").with_status(500),
        ProviderError::not_sent("no"),
        ProviderError::unreadable("no").with_status(200),
        ProviderError::message("no"),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("pi_1{at}");
        provider.put(paid(&id));
        provider.script(id.clone(), [error]);
        assert!(validator.validate(intent(&id)).await.is_err());
        let next = ask(&validator, &intent(&id)).await;
        assert!(is_valid(&next) && next.provenance() == Provenance::Fresh, "{next:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_does_not_drop_what_is_known() {
    let provider = provider();
    let validator = build(&provider, |b| b.retry(Retry::none())).unwrap();
    ask(&validator, &intent("pi_1")).await;
    advance(secs(5)).await;
    provider.script("pi_1", [support::busy()]);
    assert!(validator.validate(intent("pi_1")).max_age(secs(1)).await.is_err());
    let served = ask(&validator, &intent("pi_1")).await;
    assert_eq!((served.provenance(), served.age()), (Provenance::Replayed, secs(5)));
}
