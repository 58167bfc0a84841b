//! Thin events, which name an object and not its payment: followed there, forgotten, and handled once.

use std::convert::Infallible;
use std::future::ready;
use std::sync::{Arc, Mutex};

use payproof::store::MemoryStore;
use payproof::testing::webhook::{EventBody, now, sign};
use payproof::testing::{ScriptedProvider, Step};
use payproof::webhook::{Event, EventObject, StripeWebhooks};
use payproof::{Mode, PaymentId, Validator, ValidatorBuilder};
use serde_json::{Value, json};

use crate::chaos_store::ChaosStore;
use crate::support::{NO_PATTERNS, intent, is_valid, paid, provider, secs};
use crate::{Runs, deliver, event, secret, webhooks_of, word};

/// A provider whose payment `pi_1` is paid by the charge `ch_1`, and whose refund `re_1` is one of it.
pub(crate) fn related() -> ScriptedProvider {
    let provider = provider();
    for object in ["ch_1", "re_1", "dp_1"] {
        provider.relate(object, "pi_1");
    }
    provider
}

pub(crate) fn builder(provider: &ScriptedProvider) -> ValidatorBuilder {
    Validator::builder(provider.clone()).transient_patterns(NO_PATTERNS)
}

pub(crate) fn validator(provider: &ScriptedProvider) -> Validator {
    builder(provider).store(MemoryStore::new()).build().unwrap()
}

/// A thin event about the charge `ch_1`.
pub(crate) fn thin(id: &str) -> EventBody {
    EventBody::thin_about(id, "v1.charge.refunded", "charge", "ch_1")
}

pub(crate) async fn is_paid(validator: &Validator) -> bool {
    is_valid(&validator.validate(intent("pi_1")).await.unwrap())
}

pub(crate) fn refund(provider: &ScriptedProvider) {
    provider.put(paid("pi_1").with_amount_refunded(1999));
}

/// What a handler was shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shown(Arc<Mutex<Option<Event>>>);

impl Shown {
    pub(crate) async fn deliver(&self, webhooks: &StripeWebhooks, event: &EventBody) -> &'static str {
        let shown = self.clone();
        word(
            deliver(webhooks, event, move |event| {
                *shown.0.lock().unwrap() = Some(event);
                ready(Ok::<(), Infallible>(()))
            })
            .await,
        )
    }

    pub(crate) fn event(&self) -> Event {
        self.0.lock().unwrap().clone().unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn a_thin_event_about_a_payment_has_it_forgotten_and_asks_for_nothing() {
    let provider = related();
    let validator = validator(&provider);
    let (webhooks, shown) = (webhooks_of(&validator), Shown::default());
    assert!(is_paid(&validator).await);
    refund(&provider);
    let about = EventBody::thin_about("evt_1", "v1.payment_intent.canceled", "payment_intent", "pi_1");
    assert_eq!(shown.deliver(&webhooks, &about.created(1_700_000_000)).await, "handled");
    assert_eq!(provider.calls(), 1);
    assert!(!is_paid(&validator).await);
    let event = shown.event();
    assert_eq!((event.payment().unwrap().as_str(), event.object()), ("pi_1", EventObject::NotFetched));
    assert_eq!((event.is_thin(), event.created(), event.account()), (true, 1_700_000_000, None));
    assert_eq!(event.object().value(), None);
    assert_eq!(event.json()["related_object"]["id"], "pi_1");
}

#[tokio::test(start_paused = true)]
async fn a_thin_event_about_another_object_is_followed_to_its_payment() {
    let provider = related();
    let validator = validator(&provider);
    let webhooks = webhooks_of(&validator);
    assert!(is_paid(&validator).await);
    refund(&provider);
    let (asking, shown) = (validator.clone(), Arc::new(Mutex::new(None)));
    let keep = Arc::clone(&shown);
    let handler = move |event: Event| async move {
        assert!(!is_paid(&asking).await, "it is forgotten before the handler runs");
        *keep.lock().unwrap() = Some(event);
        Ok::<(), Infallible>(())
    };
    assert_eq!(word(deliver(&webhooks, &thin("evt_1"), handler).await), "handled");
    assert_eq!(provider.calls(), 3, "the payment twice, and the charge once");
    let event = shown.lock().unwrap().take().unwrap();
    assert_eq!(event.payment().unwrap().as_str(), "pi_1");
    let EventObject::AsOfNow(object) = event.object() else { panic!("{event:?}") };
    assert_eq!(*object, json!({ "id": "ch_1", "object": "charge", "payment_intent": "pi_1" }));
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_forgets_what_the_first_delivery_was_led_to_and_asks_for_nothing() {
    let provider = related();
    let store = MemoryStore::new();
    // Another process, which knows of the first delivery by the store alone.
    let [first, second] = [0, 1].map(|_| builder(&provider).store(store.clone()).build().unwrap());
    let runs = Runs::default();
    assert_eq!(runs.deliver(&webhooks_of(&first), &thin("evt_1")).await, "handled");
    for process in [&first, &second] {
        provider.put(paid("pi_1"));
        process.forget(&PaymentId::parse("pi_1").unwrap()).await.unwrap();
        assert!(is_paid(process).await);
        refund(&provider);
        let calls = provider.calls();
        assert_eq!(runs.deliver(&webhooks_of(process), &thin("evt_1")).await, "duplicate");
        assert_eq!(provider.calls(), calls);
        assert!(!is_paid(process).await);
    }
    assert_eq!(runs.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_does_not_say_where_the_event_led_has_the_duplicate_look() {
    let provider = related();
    let store = MemoryStore::new();
    let earlier = builder(&provider).store(store.clone()).write_records_of("0.1").build().unwrap();
    let runs = Runs::default();
    assert_eq!(runs.deliver(&webhooks_of(&earlier), &thin("evt_1")).await, "handled");
    let current = builder(&provider).store(store).build().unwrap();
    assert!(is_paid(&current).await);
    refund(&provider);
    let calls = provider.calls();
    assert_eq!(runs.deliver(&webhooks_of(&current), &thin("evt_1")).await, "duplicate");
    assert_eq!(provider.calls(), calls + 1);
    assert!(!is_paid(&current).await);
    assert_eq!(runs.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn of_a_thin_event_and_its_twin_one_is_handled_and_both_forget() {
    for thin_first in [true, false] {
        let provider = related();
        let validator = validator(&provider);
        let (webhooks, runs) = (webhooks_of(&validator), Runs::default());
        let snapshot = EventBody::new(
            "evt_snapshot",
            "charge.refunded",
            json!({ "object": "charge", "id": "ch_1", "payment_intent": "pi_1" }),
        );
        let twin = snapshot.thin("evt_thin");
        let (first, second) = if thin_first { (&twin, &snapshot) } else { (&snapshot, &twin) };
        assert_eq!(runs.deliver(&webhooks, first).await, "handled", "{thin_first}");
        for event in [second, first] {
            provider.put(paid("pi_1"));
            assert!(is_paid(&validator).await);
            refund(&provider);
            let calls = provider.calls();
            assert_eq!(runs.deliver(&webhooks, event).await, "duplicate", "{thin_first}");
            assert_eq!(provider.calls(), calls, "the record names the payment: {thin_first}");
            assert!(!is_paid(&validator).await, "{thin_first}");
            validator.forget(&PaymentId::parse("pi_1").unwrap()).await.unwrap();
        }
        assert_eq!(runs.count(), 1, "{thin_first}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_snapshots_own_duplicate_forgets_its_payment_once() {
    let store = ChaosStore::new(&MemoryStore::new(), 0);
    let validator = builder(&related()).store(store.clone()).build().unwrap();
    let (webhooks, runs) = (webhooks_of(&validator), Runs::default());
    // The record of the second names no payment, since its body does.
    let events =
        [event("evt_1"), EventBody::thin_about("evt_2", "v1.payment_intent.canceled", "payment_intent", "pi_1")];
    let mut counts = Vec::new();
    for event in events {
        assert_eq!(runs.deliver(&webhooks, &event).await, "handled");
        let before = store.calls();
        assert_eq!(runs.deliver(&webhooks, &event).await, "duplicate");
        counts.push(store.calls() - before);
    }
    assert_eq!(counts[0], counts[1]);
}

#[tokio::test(start_paused = true)]
async fn two_partial_refunds_of_one_charge_are_two_events() {
    let validator = validator(&related());
    let (webhooks, runs) = (webhooks_of(&validator), Runs::default());
    for id in ["evt_1", "evt_2"] {
        assert_eq!(runs.deliver(&webhooks, &thin(id)).await, "handled");
        assert_eq!(runs.deliver(&webhooks, &thin(id)).await, "duplicate");
    }
    assert_eq!(runs.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_leads_to_no_payment_is_acknowledged_and_asks_for_nothing() {
    let provider = related();
    let (webhooks, runs) = (webhooks_of(&validator(&provider)), Runs::default());
    let about = |id: &str, kind: &str, object: &str| EventBody::thin_about(id, "v1.charge.refunded", kind, object);
    for (number, event) in [
        EventBody::thin_about("evt", "v2.core.event_destination.ping", "v2.core.event_destination", "ed_1"),
        EventBody::thin_about("evt", "v1.customer.created", "customer", "cus_1"),
        EventBody::thin_about("evt", "v9.something.novel", "novelty", "x_1"),
        EventBody::thin_about("evt", "v2.core.account[requirements].updated", "v2.core.account", "acct_1"),
        thin("evt").with("related_object", Value::Null),
        thin("evt").with("related_object", json!({ "type": "charge", "url": "/v1/charges/ch_1" })),
        thin("evt").with("related_object", json!(["ch_1", "charge"])),
        // What no path may be made of.
        about("evt", "charge", "../charges/ch_1"),
        about("evt", "charge", "ch_1?expand=x"),
        about("evt", "charge", "ch/1"),
        about("evt", "charge", &"c".repeat(300)),
        about("evt", "charge", ""),
    ]
    .into_iter()
    .enumerate()
    {
        let event = event.with("id", format!("evt_{number}"));
        assert_eq!(runs.deliver(&webhooks, &event).await, "handled", "{event:?}");
        assert_eq!(runs.deliver(&webhooks, &event).await, "duplicate", "{event:?}");
    }
    assert_eq!(provider.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_event_of_a_type_that_is_new_is_followed_by_its_object() {
    let provider = related();
    let validator = validator(&provider);
    assert!(is_paid(&validator).await);
    refund(&provider);
    let novel = EventBody::thin_about("evt_1", "v1.charge.novel", "charge", "ch_1");
    assert_eq!(Runs::default().deliver(&webhooks_of(&validator), &novel).await, "handled");
    assert!(!is_paid(&validator).await);
}

#[tokio::test(start_paused = true)]
async fn the_type_of_an_event_says_what_its_object_is() {
    for stated in
        [json!({ "id": "ch_1" }), json!({ "id": "ch_1", "type": "novelty" }), json!({ "id": "ch_1", "type": 7 })]
    {
        let provider = related();
        let validator = validator(&provider);
        assert!(is_paid(&validator).await);
        refund(&provider);
        let body = thin("evt_1").with("related_object", stated.clone());
        assert_eq!(Runs::default().deliver(&webhooks_of(&validator), &body).await, "handled");
        assert!(!is_paid(&validator).await, "{stated}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_have_taken_money_back_and_names_no_object_is_acknowledged_and_told() {
    for (event_type, stated, told) in [
        ("v1.charge.refunded", Value::Null, 1),
        ("v1.charge.refunded", json!({ "type": "charge" }), 1),
        ("v1.refund.created", json!({ "type": "refund", "id": "../re_1" }), 1),
        ("v1.charge.updated", Value::Null, 0),
        ("v1.charge.novel", Value::Null, 0),
        ("v1.payment_intent.canceled", Value::Null, 0),
        ("charge.refunded.novel", Value::Null, 0),
    ] {
        let provider = related();
        let validator = validator(&provider);
        let body = thin("evt_1").with("type", event_type).with("related_object", stated.clone());
        assert_eq!(Runs::default().deliver(&webhooks_of(&validator), &body).await, "handled", "{event_type}: {stated}");
        assert_eq!(validator.stats().objects_unreadable, told, "{event_type}: {stated}");
        assert_eq!(provider.calls(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_is_followed_to_its_payment_as_well() {
    let provider = related();
    provider.relate("cs_1", "pi_1");
    let validator = validator(&provider);
    assert!(is_paid(&validator).await);
    refund(&provider);
    let about = EventBody::thin_about("evt_1", "v1.checkout.session.async_payment_failed", "checkout.session", "cs_1");
    assert_eq!(Runs::default().deliver(&webhooks_of(&validator), &about).await, "handled");
    assert!(!is_paid(&validator).await);
}

#[tokio::test(start_paused = true)]
async fn snapshot_and_thin_events_come_to_one_endpoint_each_with_its_secret() {
    let provider = related();
    let validator = validator(&provider);
    let other = format!("{}_thin", secret());
    let webhooks = StripeWebhooks::builder(&validator, "orders", secret()).secret(other.clone()).build().unwrap();
    for (id, secret, body) in [("evt_1", secret(), event("evt_1")), ("evt_2", other, thin("evt_2"))] {
        let body = body.to_string();
        let handler = |_| ready(Ok::<(), Infallible>(()));
        let delivered = webhooks.receive(Some(&sign(&secret, now(), &body)), &body, handler).await;
        assert_eq!(word(delivered), "handled", "{id}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_object_belongs_to_the_payment_that_pays_its_invoice() {
    let provider = related();
    let validator = validator(&provider);
    assert!(is_paid(&validator).await);
    refund(&provider);
    let payment = json!({ "type": "payment_intent", "payment_intent": "pi_1" });
    let paid = json!({ "object": "invoice_payment", "id": "inpay_1", "invoice": "in_1", "payment": payment });
    let body = EventBody::new("evt_1", "invoice_payment.paid", paid);
    assert_eq!(Runs::default().deliver(&webhooks_of(&validator), &body).await, "handled");
    assert!(!is_paid(&validator).await);
    assert_eq!(provider.calls(), 2, "the body names it");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_thin_event_is_refused() {
    let webhooks = webhooks_of(&validator(&related()));
    for (field, value) in [
        ("object", json!("v2.core.other")),
        ("id", Value::Null),
        ("type", json!("a b")),
        ("livemode", Value::Null),
        ("created", json!(1_700_000_000)),
        ("created", json!("yesterday")),
        ("created", Value::Null),
    ] {
        let body = thin("evt_1").with(field, value.clone());
        assert_eq!(Runs::default().deliver(&webhooks, &body).await, "not_an_event", "{field}: {value}");
    }
    assert_eq!(Runs::default().deliver(&webhooks, &thin("evt_1").mode(Mode::Test)).await, "ignored");
}

#[tokio::test(start_paused = true)]
async fn the_request_for_an_object_takes_nothing_from_the_handlers_time() {
    let provider = related();
    provider.script("ch_1", [Step::Wait(secs(9))]);
    let (webhooks, runs) = (webhooks_of(&validator(&provider)), Runs::default());
    assert_eq!(runs.deliver_slowly(&webhooks, &thin("evt_1"), secs(29)).await, "handled");
}
