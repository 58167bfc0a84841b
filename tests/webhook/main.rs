//! Webhooks: what is believed, what is handled once, and what is forgotten before that.
#![allow(clippy::unwrap_used, reason = "a fixture that cannot be made fails the test that asked for it")]
#![allow(clippy::arithmetic_side_effects, reason = "the numbers are literals of this file; a slip fails the test")]
#![allow(clippy::unchecked_time_subtraction, reason = "the times are literals of this file; a slip fails the test")]
#![allow(clippy::indexing_slicing, clippy::panic, reason = "a slip fails the test")]

#[path = "../support/chaos_store.rs"]
mod chaos_store;
#[path = "../support/forward.rs"]
mod forward;
#[path = "../support/subscribers.rs"]
mod subscribers;
#[path = "../support/mod.rs"]
mod support;

mod accounts;
mod claims;
mod handlers;
mod outages;
mod payments;
mod refusals;
mod sessions;
mod settings;
mod shown;
mod stripe;
mod thin;
mod thin_accounts;
mod thin_failures;
#[cfg(feature = "stripe")]
mod thin_stripe;

use std::convert::Infallible;
use std::future::{Future, ready};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chaos_store::ChaosStore;
use payproof::store::{MemoryStore, Store};
use payproof::testing::ScriptedProvider;
use payproof::testing::webhook::{EventBody, now, sign};
use payproof::webhook::{Delivery, Event, EventObject, OtherAccounts, StripeWebhooks, WebhookError};
use payproof::{Mode, Validator};
use support::{NO_PATTERNS, provider, secs};
use tokio::time::{Instant, sleep};

/// How long others wait for a process that ended: 30 s for the handler, six calls to the store, and 5 s.
const LEASE: Duration = secs(41);

/// The same for an event whose object is asked for: 10 s for that, and four calls to the store to forget its payment.
const LONG_LEASE: Duration = secs(55);

const DAY: Duration = secs(24 * 60 * 60);

/// Put together here, so that no credential-shaped literal stands in the source.
fn secret() -> String {
    format!("{}_{}", "whsec", "of_the_orders_endpoint")
}

fn validator_on(store: impl Store) -> Validator {
    Validator::builder(provider()).transient_patterns(NO_PATTERNS).store(store).build().unwrap()
}

fn webhooks_of(validator: &Validator) -> StripeWebhooks {
    StripeWebhooks::builder(validator, "orders", secret()).build().unwrap()
}

fn webhooks_on(store: impl Store) -> StripeWebhooks {
    webhooks_of(&validator_on(store))
}

fn alone() -> StripeWebhooks {
    webhooks_on(MemoryStore::new())
}

/// An event about the payment `pi_1`.
fn event(id: &str) -> EventBody {
    EventBody::of_payment(id, "charge.refunded", "pi_1")
}

/// Delivers an event as Stripe does, and runs a handler.
fn deliver<H, Fut, E>(
    webhooks: &StripeWebhooks,
    event: &EventBody,
    handler: H,
) -> impl Future<Output = Result<Delivery, WebhookError>> + Send + use<H, Fut, E>
where
    H: FnOnce(Event) -> Fut + Send + 'static,
    Fut: Future<Output = Result<(), E>> + Send + 'static,
    E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
{
    let body = event.to_string();
    webhooks.receive(Some(&sign(&secret(), now(), &body)), &body, handler)
}

/// What a delivery came to, in one word.
fn word(delivered: Result<Delivery, WebhookError>) -> &'static str {
    delivered.map_or_else(|error| error.code(), Delivery::as_str)
}

/// Counts how often its handlers run.
#[derive(Clone, Debug, Default)]
struct Runs(Arc<AtomicUsize>);

impl Runs {
    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    fn begin(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    /// A delivery whose handler succeeds at once.
    async fn deliver(&self, webhooks: &StripeWebhooks, event: &EventBody) -> &'static str {
        let runs = self.clone();
        word(
            deliver(webhooks, event, move |_| {
                runs.begin();
                ready(Ok::<(), Infallible>(()))
            })
            .await,
        )
    }

    /// A delivery whose handler succeeds after this long.
    async fn deliver_slowly(&self, webhooks: &StripeWebhooks, event: &EventBody, time: Duration) -> &'static str {
        let runs = self.clone();
        let handler = move |_| async move {
            runs.begin();
            sleep(time).await;
            Ok::<(), Infallible>(())
        };
        word(deliver(webhooks, event, handler).await)
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_is_handled_once_and_its_duplicates_are_acknowledged() {
    let (webhooks, runs) = (alone(), Runs::default());
    assert_eq!(runs.deliver(&webhooks, &event("evt_1")).await, "handled");
    for _ in 0..3 {
        assert_eq!(runs.deliver(&webhooks, &event("evt_1")).await, "duplicate");
    }
    assert_eq!(runs.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_event_is_known_by_endpoint_account_and_id() {
    let (validator, runs) = (validator_on(MemoryStore::new()), Runs::default());
    let named = |name: &str| StripeWebhooks::builder(&validator, name, secret()).other_accounts(OtherAccounts::Handle);
    let [orders, mails] = ["orders", "mails"].map(|name| named(name).build().unwrap());
    for (webhooks, event) in [
        (&orders, event("evt_1")),
        (&orders, event("evt_2")),
        (&orders, event("evt_1").account("acct_1")),
        (&orders, event("evt_1").account("acct_2")),
        // The same letters with other borders.
        (&orders, event("1evt_1").account("acct_")),
        (&mails, event("evt_1")),
        (&mails, event("evt_1").account("acct_1")),
    ] {
        assert_eq!(runs.deliver(webhooks, &event).await, "handled", "{event:?}");
        assert_eq!(runs.deliver(webhooks, &event).await, "duplicate", "{event:?}");
    }
    assert_eq!(runs.count(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_is_known_by_its_id_whatever_else_changed() {
    let (webhooks, runs) = (alone(), Runs::default());
    assert_eq!(runs.deliver(&webhooks, &event("evt_1")).await, "handled");
    let again = EventBody::of_payment("evt_1", "charge.updated", "pi_2").with("pending_webhooks", 0);
    assert_eq!(runs.deliver(&webhooks, &again).await, "duplicate");
}

#[tokio::test(start_paused = true)]
async fn an_event_is_remembered_for_thirty_days() {
    let (webhooks, runs) = (alone(), Runs::default());
    assert_eq!(runs.deliver(&webhooks, &event("evt_1")).await, "handled");
    sleep(30 * DAY - secs(1)).await;
    assert_eq!(runs.deliver(&webhooks, &event("evt_1")).await, "duplicate");
    sleep(secs(2)).await;
    assert_eq!(runs.deliver(&webhooks, &event("evt_1")).await, "handled");
}

#[tokio::test(start_paused = true)]
async fn an_event_of_the_other_mode_is_acknowledged_and_not_handled() {
    let (store, runs) = (Arc::new(MemoryStore::new()), Runs::default());
    let webhooks = webhooks_on(Arc::clone(&store));
    assert_eq!(runs.deliver(&webhooks, &event("evt_1").mode(Mode::Test)).await, "ignored");
    assert!(store.is_empty(), "nothing is claimed, and no payment forgotten");
    assert_eq!(runs.deliver(&webhooks, &event("evt_1")).await, "handled", "it says nothing about the live event");
    assert_eq!(runs.count(), 1);

    let builder = Validator::builder(ScriptedProvider::test_mode()).transient_patterns(NO_PATTERNS);
    let tests = webhooks_of(&builder.mode(Mode::Test).store(store).build().unwrap());
    assert_eq!(runs.deliver(&tests, &event("evt_1")).await, "ignored");
    assert_eq!(runs.deliver(&tests, &event("evt_1").mode(Mode::Test)).await, "handled", "and the other way round");
}

#[tokio::test(start_paused = true)]
async fn keys_in_the_store_name_nothing_and_records_no_more_than_a_payment() {
    let way = ChaosStore::new(&MemoryStore::new(), 0);
    let builder = StripeWebhooks::builder(&validator_on(way.clone()), "orders", secret());
    let (webhooks, runs) = (builder.other_accounts(OtherAccounts::Handle).build().unwrap(), Runs::default());
    assert_eq!(runs.deliver(&webhooks, &event("evt_1").account("acct_1")).await, "handled");
    let (keys, made) = (way.keys(), way.made());
    assert!(keys.iter().any(|key| key.starts_with("payproof:event:{")), "{keys:?}");
    for (name, may_be_in_a_record) in [("evt_1", false), ("acct_1", false), ("orders", false), ("pi_1", true)] {
        assert!(keys.iter().all(|key| !key.contains(name)), "{name} is in {keys:?}");
        let shows = |bytes: &[u8]| bytes.windows(name.len()).any(|part| part == name.as_bytes());
        assert!(may_be_in_a_record || made.iter().all(|made| !shows(&made.bytes)), "{name} is in a record");
    }
}

#[test]
fn handles_cross_threads() {
    fn crosses<T: Send + Sync + std::fmt::Debug + 'static>() {}
    crosses::<StripeWebhooks>();
    crosses::<Event>();
    crosses::<Delivery>();
    crosses::<WebhookError>();
}

#[tokio::test(start_paused = true)]
async fn a_handler_sees_the_event_as_it_was_signed() {
    let seen = Arc::new(Mutex::new(None));
    let keep = Arc::clone(&seen);
    let body = event("evt_1").account("acct_1").created(1_700_000_000).with("unknown", vec![1, 2]);
    let handler = move |event: Event| async move {
        *keep.lock().unwrap() = Some(event);
        Ok::<(), Infallible>(())
    };
    let builder = StripeWebhooks::builder(&validator_on(MemoryStore::new()), "orders", secret());
    let webhooks = builder.other_accounts(OtherAccounts::Handle).build().unwrap();
    deliver(&webhooks, &body, handler).await.unwrap();
    let event = seen.lock().unwrap().take().unwrap();
    assert_eq!((event.id(), event.event_type(), event.mode()), ("evt_1", "charge.refunded", Mode::Live));
    assert_eq!((event.account(), event.created()), (Some("acct_1"), 1_700_000_000));
    assert_eq!(event.payment().unwrap().as_str(), "pi_1");
    let EventObject::AsOfEvent(object) = event.object() else { panic!("{event:?}") };
    assert_eq!(object["object"], "charge");
    assert_eq!(event.json()["unknown"][1], 2);
}

#[tokio::test(start_paused = true)]
async fn nothing_happens_before_the_future_is_awaited() {
    let (store, runs) = (Arc::new(MemoryStore::new()), Runs::default());
    let webhooks = webhooks_on(Arc::clone(&store));
    let counted = runs.clone();
    let delivery = deliver(&webhooks, &event("evt_1"), move |_| {
        counted.begin();
        ready(Ok::<(), Infallible>(()))
    });
    support::settle().await;
    assert!(store.is_empty() && runs.count() == 0);
    // The age of a signature counts from when it was handed over; what comes after has its own limits.
    sleep(DAY).await;
    assert_eq!(word(delivery.await), "handled");
}

#[test]
fn outside_a_runtime_a_delivery_is_an_error_and_no_panic() {
    let validator = Validator::builder(provider()).transient_patterns(NO_PATTERNS).build().unwrap();
    let delivery = deliver(&webhooks_of(&validator), &event("evt_1"), |_| ready(Ok::<(), Infallible>(())));
    match support::poll_now(delivery) {
        std::task::Poll::Ready(Err(error)) => {
            assert!(error.is_configuration());
            assert_eq!((error.code(), error.http_status()), ("no_runtime", 500));
        }
        other => unreachable!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_store_events_are_remembered_in_this_process() {
    let validator = Validator::builder(provider()).transient_patterns(NO_PATTERNS).build().unwrap();
    let (webhooks, runs) = (webhooks_of(&validator), Runs::default());
    let begin = Instant::now();
    assert_eq!(runs.deliver(&webhooks, &event("evt_1")).await, "handled");
    assert_eq!(runs.deliver(&webhooks.clone(), &event("evt_1")).await, "duplicate");
    assert_eq!(begin.elapsed(), Duration::ZERO);
}
