//! Calls under way, and the queue before them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use payproof::provider::{ProviderIdentity, provider_fn};
use payproof::testing::Step;
use payproof::{Currency, Money, PaymentIntent, Retry, Validator, ValidatorBuilder};
use tokio::time::{Instant, sleep};

use super::{code_of, count, start, start_many, stocked};
use crate::support::{busy, intent, intent_of, is_valid, ms, paid, plain, provider, secs, settle};

/// A provider that answers after a second, and the most calls it ever saw at once.
fn crowded() -> (Arc<AtomicUsize>, ValidatorBuilder) {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&most);
    let provider = provider_fn(ProviderIdentity::new("acme"), move |payment, _| {
        let (now, most) = (Arc::clone(&now), Arc::clone(&seen));
        async move {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst).saturating_add(1), Ordering::SeqCst);
            sleep(secs(1)).await;
            now.fetch_sub(1, Ordering::SeqCst);
            Ok(paid(payment.as_str()))
        }
    });
    (most, Validator::builder(provider))
}

#[tokio::test(start_paused = true)]
async fn no_more_calls_than_the_limit_are_under_way() {
    let (most, builder) = crowded();
    let validator = builder.max_concurrent(7).build().unwrap();
    let begin = Instant::now();
    assert_eq!(count(start_many(&validator, 0..70), "valid").await, 70);
    assert_eq!((most.load(Ordering::SeqCst), begin.elapsed()), (7, secs(10)));
}

#[tokio::test(start_paused = true)]
async fn by_default_any_number_of_calls_is_under_way() {
    let (most, builder) = crowded();
    assert_eq!(count(start_many(&builder.build().unwrap(), 0..200), "valid").await, 200);
    assert_eq!(most.load(Ordering::SeqCst), 200);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_between_attempts_holds_no_place() {
    let provider = stocked(3);
    provider.script("pi_0", [busy().with_retry_after(secs(10))]);
    let validator = plain(&provider).max_concurrent(1).build().unwrap();
    let waiting = start(&validator, "pi_0");
    settle().await;
    let begin = Instant::now();
    assert_eq!(count(start_many(&validator, 1..3), "valid").await, 2);
    assert_eq!(begin.elapsed(), Duration::ZERO);
    assert_eq!(code_of(waiting).await, "valid");
}

#[tokio::test(start_paused = true)]
async fn places_come_back_from_timeouts_panics_and_dropped_callers() {
    let provider = stocked(30);
    let validator = plain(&provider)
        .max_concurrent(2)
        .attempt_timeout(secs(1))
        .retry(Retry::none())
        .total_deadline(secs(60))
        .build()
        .unwrap();
    for number in 0..10 {
        let steps = match number % 3 {
            0 => Step::Never,
            1 => Step::Panic,
            _ => Step::Fail(busy()),
        };
        provider.script(format!("pi_{number}"), [steps]);
    }
    let calls = start_many(&validator, 0..10);
    for (number, call) in calls.into_iter().enumerate() {
        settle().await;
        if number % 2 == 0 {
            call.abort();
        } else {
            call.await.unwrap().unwrap_err();
        }
    }
    sleep(secs(60)).await;
    assert_eq!(validator.stats().in_flight, 0);
    // Both places are there: two slow calls run side by side.
    for number in 20..24 {
        provider.script(format!("pi_{number}"), [Step::Wait(ms(900))]);
    }
    let begin = Instant::now();
    assert_eq!(count(start_many(&validator, 20..24), "valid").await, 4);
    assert_eq!(begin.elapsed(), ms(1800));
}

#[tokio::test(start_paused = true)]
async fn the_queue_is_bounded_by_the_deadline() {
    let provider = stocked(20);
    provider.always(Some(Step::Never));
    let validator = plain(&provider).max_concurrent(1).total_deadline(secs(10)).build().unwrap();
    let holder = start(&validator, "pi_0");
    sleep(secs(2)).await;
    let begin = Instant::now();
    let mut queue = start_many(&validator, 1..12);
    let second = queue.remove(0);
    assert_eq!(code_of(holder).await, "deadline_exceeded");
    for call in queue {
        let error = call.await.unwrap().unwrap_err();
        assert_eq!((error.code(), begin.elapsed()), ("deadline_exceeded", secs(10)));
        assert!(error.is_timeout() && error.attempts().is_empty(), "{error:?}");
    }
    assert_eq!(second.await.unwrap().unwrap_err().attempts().len(), 1);
    assert_eq!(provider.calls(), 2, "the provider is not asked when no time is left for an answer");
    assert_eq!(validator.stats().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn more_payments_than_allowed_in_flight_are_refused() {
    let provider = stocked(10);
    let validator = plain(&provider).max_in_flight(2).build().unwrap();
    for number in 0..2 {
        provider.script(format!("pi_{number}"), [Step::Wait(secs(1))]);
    }
    let under_way = start_many(&validator, 0..2);
    settle().await;
    let error = validator.validate(intent("pi_2")).await.unwrap_err();
    assert!(error.is_unavailable());
    assert_eq!((error.code(), error.http_status()), ("at_capacity", 503));
    assert!(error.to_string().contains("max_in_flight"), "{error}");
    let follower = start(&validator, "pi_1");
    assert_eq!(count(under_way, "valid").await, 2);
    assert_eq!(code_of(follower).await, "valid", "to join a flight takes no room");
    assert_eq!(code_of(start(&validator, "pi_2")).await, "valid");
    assert_eq!(validator.stats().errors.get("at_capacity"), Some(&1));
}

#[tokio::test(start_paused = true)]
async fn a_tenant_at_its_share_of_flights_does_not_refuse_another() {
    let provider = provider();
    let validator = plain(&provider).max_in_flight(400).build().unwrap();
    let of = |tenant: &str, payment: &str| {
        PaymentIntent::new(tenant, payment, Money::parse("19.99", Currency::USD).unwrap()).unwrap()
    };
    let flights: Vec<_> = (0..300)
        .map(|number| {
            let payment = format!("pi_greedy_{number}");
            provider.script(payment.as_str(), [Step::Wait(secs(5))]);
            tokio::spawn(validator.validate(of("greedy", &payment)).into_future())
        })
        .collect();
    settle().await;
    assert_eq!(validator.stats().in_flight, 200);
    let error = validator.validate(of("greedy", "pi_1")).await.unwrap_err();
    assert_eq!((error.code(), error.http_status()), ("at_capacity", 503));
    assert!(error.to_string().contains("of this tenant") && error.to_string().contains("max_in_flight_per_tenant"));
    assert!(is_valid(&validator.validate(intent("pi_1")).await.unwrap()));
    assert_eq!(count(flights, "at_capacity").await, 100);
    assert_eq!(validator.stats().in_flight, 0);
    assert!(validator.validate(of("greedy", "pi_2")).await.is_ok(), "its room came back");
}

#[tokio::test(start_paused = true)]
async fn answers_from_memory_take_no_room_in_flight() {
    let provider = stocked(2);
    let validator = plain(&provider).max_in_flight(1).build().unwrap();
    assert!(is_valid(&validator.validate(intent("pi_0")).await.unwrap()));
    provider.always(Some(Step::Never));
    let _busy = start(&validator, "pi_1");
    settle().await;
    assert!(is_valid(&validator.validate(intent("pi_0")).await.unwrap()));
    assert!(!is_valid(&validator.validate(intent_of("pi_0", "1.00")).await.unwrap()));
}
