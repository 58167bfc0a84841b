//! The numbers of a validator.

use std::collections::BTreeMap;
use std::time::Duration;

use payproof::provider::ProviderError;
use payproof::telemetry::BreakerState;
use payproof::testing::Step;
use payproof::{
    Currency, IdempotencyKey, Jitter, Mode, PaymentStatus, Provenance, ProviderPayment, Retry, Validator,
    WhenProviderIsDown,
};

use super::validator;
use crate::support::{self, intent, intent_of, is_valid, ms, paid, provider, secs};

#[tokio::test(start_paused = true)]
async fn without_a_subscriber_everything_is_counted_all_the_same() {
    let provider = provider();
    let validator = validator(&provider);
    for _ in 0..3 {
        validator.validate(intent("pi_1")).await.unwrap();
    }
    let stats = validator.stats();
    assert_eq!((stats.hits, stats.misses, stats.valid, stats.attempts), (2, 1, 3, 1));
}

#[tokio::test(start_paused = true)]
async fn stats_count_a_scripted_day_exactly() {
    let provider = provider();
    let owned = |id: &str, status| {
        let facts = ProviderPayment::new(id, status).with_mode(Mode::Live).with_amount(1999, Currency::USD);
        facts.with_metadata("store_id", "store_42").with_metadata("order_id", "6735")
    };
    provider.put(owned("pi_wait", PaymentStatus::Processing));
    provider.put(owned("pi_act", PaymentStatus::ActionRequired));
    let retry = Retry::new().jitter(Jitter::None);
    let validator = Validator::builder(provider.clone()).retry(retry).max_keys(1).build().unwrap();
    assert!(validator.stats().hit_rate().abs() < f64::EPSILON);

    // Two retries, then valid: one miss, three attempts.
    provider.script("pi_1", [support::busy(), support::busy()]);
    assert!(is_valid(&validator.validate(intent("pi_1")).await.unwrap()));
    let uptime = ms(600);
    assert_eq!(validator.stats().uptime, uptime);
    // Five hits on valid facts, and three forged claims answered from memory.
    for _ in 0..5 {
        assert!(is_valid(&validator.validate(intent("pi_1")).await.unwrap()));
    }
    for _ in 0..3 {
        assert!(!is_valid(&validator.validate(intent_of("pi_1", "5")).await.unwrap()));
    }
    // Pending, action required, not found: a miss each, and a hit each.
    for id in ["pi_wait", "pi_act", "pi_404"] {
        for _ in 0..2 {
            validator.validate(intent(id)).await.unwrap();
        }
    }
    // Four callers, one flight.
    provider.put(paid("pi_2"));
    provider.script("pi_2", [Step::Wait(secs(1))]);
    let claim = intent("pi_2");
    let call = || validator.validate(&claim);
    let (a, b, c, d) = tokio::join!(call(), call(), call(), call());
    assert!([a, b, c, d].iter().all(|answer| is_valid(answer.as_ref().unwrap())));
    // Errors, by code.
    provider.script("pi_3", [ProviderError::refused("no").with_status(401)]);
    assert!(validator.validate(intent("pi_3")).await.is_err());
    assert!(validator.validate(intent_of("pi_3", "1.999")).await.is_err());
    assert!(validator.validate(intent_of("pi_3", "1.999")).await.is_err());
    let keyed = |key: &str| intent("pi_1").with_key(IdempotencyKey::parse(key).unwrap());
    assert!(is_valid(&validator.validate(keyed("k")).await.unwrap()));
    assert!(validator.validate(keyed("k2")).await.is_err());
    assert!(validator.validate(intent("pi_2").with_key(IdempotencyKey::parse("k").unwrap())).await.is_err());

    let stats = validator.stats();
    assert_eq!(stats.uptime, uptime + secs(1));
    assert_eq!((stats.hits, stats.misses, stats.coalesced, stats.degraded), (5 + 3 + 3 + 1, 1 + 3 + 1, 3, 0));
    assert_eq!((stats.attempts, stats.retries), (3 + 3 + 1 + 1, 2));
    assert_eq!(stats.attempts, provider.calls());
    assert_eq!((stats.valid, stats.pending, stats.action_required, stats.invalid), (1 + 5 + 4 + 1, 2, 2, 3 + 2));
    let errors = [("at_capacity", 1), ("invalid_intent", 2), ("key_reused", 1), ("provider_refused", 1)];
    assert_eq!(stats.errors, BTreeMap::from(errors));
    assert!((stats.hit_rate() - 12.0 / 20.0).abs() < 1e-9, "{}", stats.hit_rate());
    assert_eq!((stats.facts_in_memory, stats.in_flight), (5, 0));
    assert_eq!((stats.breaker, stats.guarded_breaker), (None, Some(BreakerState::Closed)));
    assert_eq!(stats.store_breaker, None, "there is no store");
    // Ten at start, all that is saved up; two taken; five answers and a refusal.
    assert!((stats.credit.unwrap() - 10.0).abs() < 1e-9, "{:?}", stats.credit);
}

#[tokio::test(start_paused = true)]
async fn degraded_answers_are_counted_apart() {
    let provider = provider();
    let stale = WhenProviderIsDown::ServeStale { up_to: secs(3600) };
    let builder = Validator::builder(provider.clone()).retry(Retry::none()).when_provider_is_down(stale);
    let validator = builder.build().unwrap();
    validator.validate(intent("pi_1")).await.unwrap();
    tokio::time::advance(secs(1000)).await;
    provider.always(Some(support::busy().into()));
    let degraded = validator.validate(intent("pi_1")).await.unwrap();
    assert_eq!(degraded.provenance(), Provenance::Degraded);
    assert!(validator.validate(intent("pi_404")).await.is_err());
    let stats = validator.stats();
    assert_eq!((stats.hits, stats.misses, stats.degraded, stats.valid), (0, 1, 1, 2));
    assert_eq!(stats.errors, BTreeMap::from([("provider_unavailable", 1)]));
    assert_eq!(stats.attempts, 3);
}

#[tokio::test(start_paused = true)]
async fn a_flight_under_way_is_counted_until_it_lands() {
    let provider = provider();
    provider.script("pi_1", [Step::Wait(secs(1))]);
    let validator = validator(&provider);
    assert!(validator.validate(intent("pi_1")).deadline(Duration::ZERO).await.unwrap_err().is_timeout());
    assert_eq!(validator.stats().in_flight, 1);
    assert_eq!(validator.clone().stats(), validator.stats(), "clones share the numbers");
    tokio::time::sleep(secs(2)).await;
    assert_eq!(validator.stats().in_flight, 0);
    assert_eq!(validator.stats().facts_in_memory, 1);
}
