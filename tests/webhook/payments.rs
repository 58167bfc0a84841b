//! What is known of a payment is forgotten before the handler of its event runs.

use std::convert::Infallible;
use std::sync::Arc;

use payproof::store::MemoryStore;
use payproof::testing::webhook::EventBody;
use payproof::testing::{FlakyStore, ScriptedProvider, StoreFault, StoreVerb};
use payproof::{Validator, Verdict};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{NO_PATTERNS, intent, is_valid, ms, paid, provider, secs, settle};
use crate::{Runs, deliver, event, webhooks_of};

fn validator_of(provider: &ScriptedProvider, store: impl payproof::store::Store) -> Validator {
    Validator::builder(provider.clone()).transient_patterns(NO_PATTERNS).store(store).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_handler_learns_the_truth_about_the_payment() {
    let (provider, store) = (provider(), Arc::new(MemoryStore::new()));
    let (validator, other) = (validator_of(&provider, Arc::clone(&store)), validator_of(&provider, store));
    for process in [&validator, &other] {
        assert!(is_valid(&process.validate(intent("pi_1")).await.unwrap()));
    }
    assert_eq!(provider.calls(), 1);
    provider.put(paid("pi_1").with_amount_refunded(1999));

    let asking = validator.clone();
    let handler = move |_| async move {
        let validation = asking.validate(intent("pi_1")).await?;
        assert!(matches!(validation.verdict(), Verdict::Invalid(_)), "{validation:?}");
        Ok::<(), payproof::ValidateError>(())
    };
    deliver(&webhooks_of(&validator), &event("evt_1"), handler).await.unwrap();
    assert_eq!(provider.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn every_event_that_names_a_payment_has_it_forgotten() {
    let of = |kind: &str| json!({ "object": kind, "id": "x_1", "payment_intent": "pi_1" });
    let events: [(&str, Value); 9] = [
        ("payment_intent.succeeded", json!({ "object": "payment_intent", "id": "pi_1" })),
        ("payment_intent.canceled", json!({ "object": "payment_intent", "id": "pi_1" })),
        ("charge.succeeded", of("charge")),
        ("charge.refunded", of("charge")),
        ("charge.dispute.created", of("dispute")),
        ("refund.updated", of("refund")),
        ("checkout.session.completed", of("checkout.session")),
        (
            "review.opened",
            json!({ "object": "review", "payment_intent": { "object": "payment_intent", "id": "pi_1" } }),
        ),
        ("something.new", of("novelty")),
    ];
    let provider = provider();
    let validator = validator_of(&provider, MemoryStore::new());
    let webhooks = webhooks_of(&validator);
    for (number, (event_type, object)) in events.into_iter().enumerate() {
        validator.validate(intent("pi_1")).await.unwrap();
        let before = provider.calls();
        validator.validate(intent("pi_1")).await.unwrap();
        assert_eq!(provider.calls(), before, "it is remembered");
        let body = EventBody::new(&format!("evt_{number}"), event_type, object);
        assert_eq!(Runs::default().deliver(&webhooks, &body).await, "handled");
        validator.validate(intent("pi_1")).await.unwrap();
        assert_eq!(provider.calls(), before + 1, "{event_type} has it asked about again");
    }
}

#[tokio::test(start_paused = true)]
async fn no_handler_runs_before_the_store_has_confirmed_that_the_payment_is_forgotten() {
    let once = [StoreFault::Refused, StoreFault::Never, StoreFault::NeverReplies].map(|fault| vec![fault]);
    for faults in once.into_iter().chain([vec![StoreFault::NotSent; 2], vec![StoreFault::LostRequest; 2]]) {
        let store = FlakyStore::new(MemoryStore::new());
        let webhooks = webhooks_of(&validator_of(&provider(), store.clone()));
        // The first claims are the payment's, and the next one is the event's.
        store.script(StoreVerb::Claim, faults.clone());
        let runs = Runs::default();
        let counted = runs.clone();
        let handler = move |_| async move {
            counted.begin();
            Ok::<(), Infallible>(())
        };
        let error = deliver(&webhooks, &event("evt_1"), handler).await.unwrap_err();
        assert!(error.is_store());
        assert_eq!((error.code(), error.http_status()), ("not_forgotten", 503), "{faults:?}");
        assert_eq!(runs.count(), 0, "{faults:?}");
        assert_eq!(runs.deliver(&webhooks, &event("evt_1")).await, "handled", "the event was not claimed: {faults:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_has_the_payment_forgotten_too() {
    let (provider, runs) = (provider(), Runs::default());
    let validator = validator_of(&provider, MemoryStore::new());
    let webhooks = webhooks_of(&validator);
    assert_eq!(runs.deliver(&webhooks, &event("evt_1")).await, "handled");
    assert!(is_valid(&validator.validate(intent("pi_1")).await.unwrap()));
    provider.put(paid("pi_1").with_amount_refunded(1999));
    assert_eq!(runs.deliver(&webhooks, &event("evt_1")).await, "duplicate");
    assert!(!is_valid(&validator.validate(intent("pi_1")).await.unwrap()));
    assert_eq!(runs.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_meets_another_one_has_the_payment_forgotten_too() {
    let (provider, runs) = (provider(), Runs::default());
    let validator = validator_of(&provider, MemoryStore::new());
    let webhooks = webhooks_of(&validator);
    tokio::spawn({
        let (webhooks, runs) = (webhooks.clone(), runs.clone());
        async move { runs.deliver_slowly(&webhooks, &event("evt_1"), secs(20)).await }
    });
    settle().await;
    assert!(is_valid(&validator.validate(intent("pi_1")).await.unwrap()));
    provider.put(paid("pi_1").with_amount_refunded(1999));
    assert_eq!(runs.deliver(&webhooks, &event("evt_1")).await, "in_progress");
    assert!(!is_valid(&validator.validate(intent("pi_1")).await.unwrap()));
}

#[tokio::test(start_paused = true)]
async fn a_hundred_deliveries_at_once_all_have_the_payment_forgotten() {
    let store = FlakyStore::new(MemoryStore::new());
    let webhooks = webhooks_of(&validator_of(&provider(), store.clone()));
    let runs = Runs::default();
    assert_eq!(runs.deliver(&webhooks, &event("evt_1")).await, "handled");
    // Each step is made at once and its reply takes its time, so that all of them are at it together.
    store.always(Some(StoreFault::SlowReply(ms(10))));
    let mut tasks = JoinSet::new();
    for _ in 0..100 {
        let (webhooks, runs) = (webhooks.clone(), runs.clone());
        tasks.spawn(async move { runs.deliver(&webhooks, &event("evt_1")).await });
    }
    assert_eq!(tasks.join_all().await, ["duplicate"; 100]);
}

#[tokio::test(start_paused = true)]
async fn an_id_that_is_no_payments_does_not_keep_the_event_off() {
    let webhooks = webhooks_of(&validator_of(&provider(), MemoryStore::new()));
    let secret = format!("pi_1_{}_x", "secret");
    let long = "p".repeat(300);
    for (number, id) in ["", "a b", "../x", "pi_1/../pi_2", &secret, &long, "ö"].into_iter().enumerate() {
        let body = EventBody::of_payment(&format!("evt_{number}"), "payment_intent.succeeded", id);
        let handler = |event: payproof::webhook::Event| async move {
            assert_eq!(event.payment(), None);
            Ok::<(), Infallible>(())
        };
        deliver(&webhooks, &body, handler).await.unwrap();
    }
}
