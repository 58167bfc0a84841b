//! What is shown of deliveries: counts, spans and events; and what never is.

use std::convert::Infallible;
use std::error::Error;
use std::future::ready;
use std::sync::{Arc, Mutex};

use payproof::Mode;
use payproof::store::MemoryStore;
use payproof::testing::webhook::EventBody;
use payproof::testing::{FlakyStore, StoreFault, StoreVerb};
use payproof::webhook::{Event, StripeWebhooks, WebhookError};
use tracing_subscriber::fmt::format::FmtSpan;

use crate::subscribers::{Log, there_are_two};
use crate::support::secs;
use crate::{LEASE, Runs, deliver, event, secret, validator_on, webhooks_of};

/// What an event holds that is the customer's alone.
const PERSONAL: &str = "customer@PlantedPersonal.example";

/// What a handler's error may hold.
fn credential() -> String {
    format!("{}_live_PlantedCredential", "sk")
}

#[track_caller]
fn assert_clean(text: &str) {
    for needle in ["PlantedPersonal", "PlantedCredential", "of_the_orders_endpoint"] {
        assert!(!text.contains(needle), "{needle} is in: {text}");
    }
}

fn personal(id: &str) -> EventBody {
    let object = serde_json::json!({ "object": "charge", "payment_intent": "pi_1", "receipt_email": PERSONAL });
    EventBody::new(id, "charge.refunded", object)
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_an_event_and_an_error_show_no_secret() {
    let validator = validator_on(MemoryStore::new());
    let builder = StripeWebhooks::builder(&validator, "orders", secret()).secret(format!("{}x", secret()));
    assert_clean(&format!("{builder:?} {builder:#?}"));
    let webhooks = builder.build().unwrap();
    let shown = format!("{webhooks:?} {webhooks:#?}");
    assert_clean(&shown);
    assert!(shown.contains("orders") && shown.contains("secrets: 2"), "what helps is shown: {shown}");

    let events = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&events);
    let failing = move |event: Event| {
        keep.lock().unwrap().push(event);
        ready(Err(format!("cannot log in with {}", credential())))
    };
    let error = deliver(&webhooks, &personal("evt_1"), failing).await.unwrap_err();
    assert_clean(&format!("{error} {error:?} {error:#?}"));
    assert!(format!("{error:?}").contains("cannot log in with"), "what helps is shown: {error:?}");
    let event = events.lock().unwrap().pop().unwrap();
    let shown = format!("{event:?} {event:#?}");
    assert_clean(&shown);
    assert!(shown.contains("evt_1") && shown.contains("charge.refunded") && shown.contains("pi_1"), "{shown}");
}

#[tokio::test(start_paused = true)]
async fn refusals_show_neither_header_nor_body() {
    let webhooks = webhooks_of(&validator_on(MemoryStore::new()));
    let forged = format!("t=PlantedCredential,v1={}", credential());
    let not_json = format!("{{ {PERSONAL}");
    let signed = payproof::testing::webhook::sign(&secret(), payproof::testing::webhook::now(), &not_json);
    for (header, body) in
        [(None, &*not_json), (Some(&*forged), PERSONAL), (Some("t=1,v1=00"), PERSONAL), (Some(&*signed), &*not_json)]
    {
        let error: WebhookError =
            webhooks.receive(header, body, |_| ready(Ok::<(), Infallible>(()))).await.unwrap_err();
        assert_clean(&format!("{error} {error:?}"));
        let mut next = error.source();
        while let Some(source) = next {
            assert_clean(&format!("{source} {source:?}"));
            next = source.source();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_log_names_event_and_outcome_and_nothing_else() {
    there_are_two();
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(FmtSpan::FULL)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let webhooks = webhooks_of(&validator_on(MemoryStore::new()));
    let failing = || ready(Err(format!("cannot log in\nwith {}", credential())));
    deliver(&webhooks, &personal("evt_1"), move |_| failing()).await.unwrap_err();
    assert_eq!(Runs::default().deliver(&webhooks, &personal("evt_1")).await, "handled");
    let text = log.text();
    assert_clean(&text);
    for shown in [
        "payproof.delivery{",
        "endpoint=\"orders\"",
        "event=\"evt_1\"",
        "event_type=\"charge.refunded\"",
        "outcome=\"handler_failed\"",
        "outcome=\"handled\"",
        "cannot log in with [redacted]",
    ] {
        assert!(text.contains(shown), "{shown} is missing: {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_answer_is_counted_by_its_name() {
    let store = FlakyStore::new(MemoryStore::new());
    let validator = validator_on(store.clone());
    let (webhooks, runs) = (webhooks_of(&validator), Runs::default());
    runs.deliver(&webhooks, &event("evt_1")).await;
    runs.deliver(&webhooks, &event("evt_1")).await;
    runs.deliver(&webhooks, &event("evt_2").mode(Mode::Test)).await;
    deliver(&webhooks, &event("evt_3"), |_| ready(Err("no"))).await.unwrap_err();
    webhooks.receive(None::<&str>, "", |_| ready(Ok::<(), Infallible>(()))).await.unwrap_err();
    store.script(StoreVerb::Claim, [StoreFault::Refused]);
    // It names no payment, so the first claim is its own.
    let bare = EventBody::new("evt_4", "customer.created", serde_json::json!({ "object": "customer" }));
    runs.deliver(&webhooks, &bare).await;
    let stats = validator.stats();
    let counted: Vec<_> = stats.deliveries.iter().map(|(name, count)| (*name, *count)).collect();
    let expected = ["duplicate", "handled", "handler_failed", "ignored", "signature_missing", "store_unavailable"];
    assert_eq!(counted, expected.map(|name| (name, 1)));
    assert_eq!(stats.store_failures, 1);
}

#[tokio::test(start_paused = true)]
async fn a_delivery_is_counted_when_the_provider_waits_for_it_no_more() {
    let validator = validator_on(MemoryStore::new());
    let webhooks = webhooks_of(&validator);
    let waiting = tokio::spawn({
        let webhooks = webhooks.clone();
        async move { Runs::default().deliver_slowly(&webhooks, &event("evt_1"), secs(5)).await }
    });
    crate::support::settle().await;
    waiting.abort();
    tokio::time::sleep(LEASE).await;
    assert_eq!(validator.stats().deliveries.get("handled"), Some(&1));
}

#[tokio::test(start_paused = true)]
async fn a_refused_webhook_is_one_line_that_says_why() {
    let (log, _guard) = Log::install();
    let webhooks = webhooks_of(&validator_on(MemoryStore::new()));
    let body = event("evt_1").to_string();
    let forged = payproof::testing::webhook::sign(&format!("{}x", secret()), payproof::testing::webhook::now(), &body);
    let refused = webhooks.receive(Some(&*forged), body.as_bytes(), |_| ready(Ok::<(), Infallible>(()))).await;
    assert_eq!(refused.unwrap_err().code(), "signature_mismatch");
    assert_eq!(log.text().lines().count(), 1, "{}", log.text());
    let said = "payproof::webhook: a webhook was refused, and nothing of it was believed";
    let [line] = &*log.lines(said) else { panic!("{}", log.text()) };
    assert!(line.contains("WARN") && line.contains("code=\"signature_mismatch\"") && !line.contains("evt_1"), "{line}");
    assert_clean(line);
}
