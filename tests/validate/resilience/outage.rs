//! Older facts while the provider is down.

use std::time::Duration;

use payproof::provider::ProviderError;
use payproof::testing::{ScriptedProvider, Step};
use payproof::{
    Breaker, PaymentStatus, Provenance, ProviderPayment, Retry, Validator, ValidatorBuilder, WhenProviderIsDown,
};
use tokio::time::advance;

use super::{start, stocked};
use crate::support::{busy, failing, intent, intent_of, is_valid, ms, paid, plain, provider, secs, settle};

fn patient(provider: &ScriptedProvider) -> ValidatorBuilder {
    plain(provider)
        .retry(Retry::none())
        .fresh_for(secs(60))
        .when_provider_is_down(WhenProviderIsDown::ServeStale { up_to: secs(3600) })
}

async fn aged(provider: &ScriptedProvider, validator: &Validator, age: Duration) {
    assert!(is_valid(&validator.validate(intent("pi_1")).await.unwrap()));
    advance(age).await;
    provider.always(Some(Step::Fail(busy())));
}

#[tokio::test(start_paused = true)]
async fn by_default_an_outage_is_an_error() {
    let provider = provider();
    let validator = plain(&provider).retry(Retry::none()).fresh_for(secs(60)).build().unwrap();
    aged(&provider, &validator, secs(61)).await;
    let error = validator.validate(intent("pi_1")).await.unwrap_err();
    assert!(error.is_unavailable());
    assert_ne!(error.http_status(), 402);
}

#[tokio::test(start_paused = true)]
async fn older_facts_are_served_in_an_outage_and_marked() {
    let provider = provider();
    let validator = patient(&provider).build().unwrap();
    aged(&provider, &validator, secs(600)).await;
    let validation = validator.validate(intent("pi_1")).await.unwrap();
    assert!(is_valid(&validation));
    assert_eq!((validation.provenance(), validation.age()), (Provenance::Degraded, secs(600)));
    assert_eq!(validation.attempts().len(), 1, "the provider was asked first");
    assert_eq!(validator.stats().degraded, 1);
    let forged = validator.validate(intent_of("pi_1", "99.00")).await.unwrap();
    assert_eq!((forged.provenance(), forged.verdict().as_str()), (Provenance::Degraded, "invalid"));
    provider.always(None);
    assert_eq!(validator.validate(intent("pi_1")).await.unwrap().provenance(), Provenance::Fresh);
}

#[tokio::test(start_paused = true)]
async fn a_degraded_answer_does_not_make_facts_fresh() {
    let provider = provider();
    let validator = patient(&provider).build().unwrap();
    aged(&provider, &validator, secs(600)).await;
    for _ in 0..3 {
        assert_eq!(validator.validate(intent("pi_1")).await.unwrap().provenance(), Provenance::Degraded);
    }
    assert_eq!(provider.calls(), 4);
    provider.put(paid("pi_1").with_amount_refunded(1999));
    provider.always(None);
    assert_eq!(validator.validate(intent("pi_1")).await.unwrap().verdict().as_str(), "invalid");
}

#[tokio::test(start_paused = true)]
async fn facts_older_than_allowed_are_not_served() {
    let provider = provider();
    let validator = patient(&provider).build().unwrap();
    aged(&provider, &validator, secs(3600)).await;
    assert_eq!(validator.validate(intent("pi_1")).await.unwrap().provenance(), Provenance::Degraded);
    advance(ms(1)).await;
    assert_eq!(validator.validate(intent("pi_1")).await.unwrap_err().code(), "provider_unavailable");
}

#[tokio::test(start_paused = true)]
async fn a_calls_own_max_age_holds_in_an_outage_too() {
    let provider = provider();
    let validator = patient(&provider).build().unwrap();
    aged(&provider, &validator, secs(600)).await;
    assert!(validator.validate(intent("pi_1")).max_age(secs(600)).await.is_ok());
    assert!(validator.validate(intent("pi_1")).max_age(secs(599)).await.is_err());
    assert!(validator.validate(intent("pi_1")).max_age(Duration::ZERO).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn forgotten_facts_are_not_served_in_an_outage() {
    let provider = provider();
    let validator = patient(&provider).build().unwrap();
    aged(&provider, &validator, secs(600)).await;
    validator.forget(intent("pi_1").payment()).await.unwrap();
    assert!(validator.validate(intent("pi_1")).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn older_facts_do_not_hide_a_configuration_error() {
    let provider = provider();
    let validator = patient(&provider).build().unwrap();
    aged(&provider, &validator, secs(600)).await;
    provider.always(Some(Step::Fail(ProviderError::refused("bad key").with_status(401))));
    assert!(validator.validate(intent("pi_1")).await.unwrap_err().is_configuration());
}

#[tokio::test(start_paused = true)]
async fn older_facts_do_not_hide_an_answer_that_could_not_be_read() {
    // The provider did answer, and may have contradicted them.
    let provider = provider();
    let validator = patient(&provider).build().unwrap();
    aged(&provider, &validator, secs(600)).await;
    provider.always(Some(Step::Fail(ProviderError::unreadable("half a body"))));
    assert_eq!(validator.validate(intent("pi_1")).await.unwrap_err().code(), "unreadable_answer");
}

#[tokio::test(start_paused = true)]
async fn older_facts_are_served_for_every_way_of_being_down() {
    let provider = provider();
    let breaker = Breaker::new().minimum_attempts(1).open_for(secs(1));
    let validator = patient(&provider).breaker(breaker).attempt_timeout(secs(1)).build().unwrap();
    aged(&provider, &validator, secs(600)).await;
    let ways: [Step; 5] = [
        Step::Never,
        Step::Panic,
        busy().into(),
        ProviderError::not_sent("connection refused").into(),
        ProviderError::refused("slow down").with_status(429).with_retry_after(secs(300)).into(),
    ];
    for way in ways {
        provider.always(Some(way.clone()));
        let degraded = validator.validate(intent("pi_1")).await.unwrap();
        assert_eq!(degraded.provenance(), Provenance::Degraded, "{way:?}");
        assert_eq!(validator.validate(intent("pi_1")).await.unwrap().provenance(), Provenance::Degraded, "{way:?}");
        advance(secs(2)).await;
    }
    let hurried = validator.validate(intent("pi_1")).deadline(ms(1)).await.unwrap();
    assert_eq!(hurried.provenance(), Provenance::Degraded, "the caller's own deadline passed");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_settled_is_not_served_in_an_outage() {
    for status in [PaymentStatus::Processing, PaymentStatus::NotFound, PaymentStatus::Declined] {
        let provider = ScriptedProvider::new();
        provider.put(ProviderPayment::new("pi_1", status.clone()));
        let validator = patient(&provider).build().unwrap();
        assert!(!is_valid(&validator.validate(intent("pi_1")).await.unwrap()));
        advance(secs(61)).await;
        provider.always(Some(Step::Fail(busy())));
        assert!(validator.validate(intent("pi_1")).await.is_err(), "{status:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_cannot_be_asked_for_lack_of_room_is_served_older_facts_too() {
    // An outage is what fills the room: every flight then takes its full time.
    let provider = stocked(3);
    let validator = patient(&provider).max_in_flight(1).build().unwrap();
    aged(&provider, &validator, secs(600)).await;
    provider.always(Some(Step::Never));
    let _busy = start(&validator, "pi_2");
    settle().await;
    let validation = validator.validate(intent("pi_1")).await.unwrap();
    assert_eq!(validation.provenance(), Provenance::Degraded);
}

#[tokio::test(start_paused = true)]
async fn errors_are_never_kept() {
    let provider = failing(busy());
    let validator = plain(&provider).retry(Retry::none()).build().unwrap();
    validator.validate(intent("pi_1")).await.unwrap_err();
    provider.always(None);
    let validation = validator.validate(intent("pi_1")).await.unwrap();
    assert_eq!((is_valid(&validation), validation.provenance()), (true, Provenance::Fresh));
    assert_eq!(provider.calls(), 2);
}
