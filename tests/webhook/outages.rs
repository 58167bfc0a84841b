//! A store that fails, at each step of a delivery.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use payproof::store::{Claim, MemoryStore, Store, StoreError, Stored, Swap};
use payproof::testing::webhook::EventBody;
use payproof::testing::{FlakyStore, StoreFault, StoreVerb};
use tokio::time::{Instant, advance, sleep};

use crate::chaos_store::{ChaosStore, Fate, Verb};
use crate::forward::says_what_it_holds;
use crate::support::{ms, secs};
use crate::{LEASE, Runs, deliver, event, webhooks_on, word};

type Flaky = FlakyStore<Arc<MemoryStore>>;

fn flaky() -> Flaky {
    FlakyStore::new(Arc::new(MemoryStore::new()))
}

/// An event that names no payment, so that the store is asked for its own record alone.
fn bare(id: &str) -> EventBody {
    EventBody::new(id, "customer.created", serde_json::json!({ "object": "customer" }))
}

/// Every way in which a call is not made, or not known to be.
const FAILURES: [StoreFault; 5] =
    [StoreFault::NotSent, StoreFault::LostRequest, StoreFault::Refused, StoreFault::Never, StoreFault::NeverReplies];

#[tokio::test(start_paused = true)]
async fn a_store_that_is_down_has_the_event_delivered_again() {
    for (fault, (event, code)) in FAILURES.into_iter().flat_map(|fault| {
        // What names a payment ends before its claim.
        [(bare("evt_1"), "store_unavailable"), (event("evt_1"), "not_forgotten")].map(|event| (fault, event))
    }) {
        let (store, runs) = (flaky(), Runs::default());
        let webhooks = webhooks_on(store.clone());
        store.always(Some(fault));
        let error = deliver(&webhooks, &event, |_| async { Err("must not run") }).await.unwrap_err();
        assert!(error.is_store(), "{fault:?}");
        assert_eq!((error.code(), error.http_status()), (code, 503), "{fault:?}");
        store.always(None);
        // A claim that no process heard of is given back, within a minute, once the store is there.
        sleep(secs(5)).await;
        assert_eq!(runs.deliver(&webhooks, &event).await, "handled", "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_holds_two_deliveries_up_and_no_further_one() {
    let (store, runs) = (flaky(), Runs::default());
    let webhooks = webhooks_on(store.clone());
    store.always(Some(StoreFault::Never));
    for expected in [secs(1), secs(1), secs(0), secs(0)] {
        let begun = Instant::now();
        let error = deliver(&webhooks, &bare("evt_1"), |_| async { Err("must not run") }).await.unwrap_err();
        assert_eq!((begun.elapsed(), error.code(), error.http_status()), (expected, "store_unavailable", 503));
        assert_eq!(error.retry_after(), expected.is_zero().then_some(secs(1)));
    }
    store.always(None);
    sleep(secs(2)).await;
    assert_eq!(runs.deliver(&webhooks, &bare("evt_1")).await, "handled");
}

#[tokio::test(start_paused = true)]
async fn a_claim_whose_reply_was_lost_is_ones_own() {
    for faults in [vec![StoreFault::LostReply], vec![StoreFault::LostRequest], vec![StoreFault::NotSent]] {
        let (store, runs) = (flaky(), Runs::default());
        store.script(StoreVerb::Claim, faults);
        let webhooks = webhooks_on(store);
        assert_eq!(runs.deliver(&webhooks, &bare("evt_1")).await, "handled");
        assert_eq!(runs.deliver(&webhooks, &bare("evt_1")).await, "duplicate");
    }
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_arrives_late_keeps_no_delivery_off_for_a_lease() {
    let (store, runs) = (flaky(), Runs::default());
    store.script(StoreVerb::Claim, [StoreFault::Late(secs(5))]);
    let webhooks = webhooks_on(store);
    assert_eq!(runs.deliver(&webhooks, &bare("evt_1")).await, "store_unavailable");
    sleep(secs(10)).await;
    assert_eq!(runs.deliver(&webhooks, &bare("evt_1")).await, "handled");
    assert_eq!(runs.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_arrives_after_another_delivery_came_and_went_keeps_no_delivery_off_either() {
    let (store, runs) = (flaky(), Runs::default());
    store.script(StoreVerb::Claim, [StoreFault::Late(secs(10))]);
    let webhooks = webhooks_on(store);
    let error = deliver(&webhooks, &bare("evt_1"), |_| async { Err("must not run") }).await.unwrap_err();
    assert_eq!(error.code(), "store_unavailable");
    // When it is first looked for, this one stands in its place.
    let failing = |_| async {
        sleep(secs(3)).await;
        Err("not yet")
    };
    assert_eq!(deliver(&webhooks, &bare("evt_1"), failing).await.unwrap_err().code(), "handler_failed");
    sleep(secs(20)).await;
    assert_eq!(runs.deliver(&webhooks, &bare("evt_1")).await, "handled");
}

#[tokio::test(start_paused = true)]
async fn a_second_try_of_a_claim_that_was_never_confirmed_is_given_back_too() {
    let (store, runs) = (flaky(), Runs::default());
    store.script(StoreVerb::Claim, [StoreFault::LostRequest, StoreFault::NeverReplies]);
    let webhooks = webhooks_on(store);
    assert_eq!(runs.deliver(&webhooks, &bare("evt_1")).await, "store_unavailable");
    sleep(secs(5)).await;
    assert_eq!(runs.deliver(&webhooks, &bare("evt_1")).await, "handled");
}

#[tokio::test(start_paused = true)]
async fn a_success_whose_reply_was_lost_is_recorded() {
    for fault in [StoreFault::LostReply, StoreFault::LostRequest, StoreFault::NotSent] {
        let (store, runs) = (flaky(), Runs::default());
        store.script(StoreVerb::Replace, [fault]);
        let webhooks = webhooks_on(store);
        assert_eq!(runs.deliver(&webhooks, &bare("evt_1")).await, "handled");
        assert_eq!(runs.deliver(&webhooks, &bare("evt_1")).await, "duplicate");
    }
}

#[tokio::test(start_paused = true)]
async fn a_success_that_could_not_be_recorded_is_not_acknowledged_and_recorded_later() {
    for fault in FAILURES {
        let (store, runs) = (flaky(), Runs::default());
        store.script(StoreVerb::Replace, [fault, fault]);
        let webhooks = webhooks_on(store);
        let counted = runs.clone();
        let handler = move |_| async move {
            counted.begin();
            Ok::<(), String>(())
        };
        let error = deliver(&webhooks, &bare("evt_1"), handler).await.unwrap_err();
        assert!(error.is_store());
        assert_eq!((error.code(), error.http_status()), ("not_recorded", 503), "{fault:?}");
        sleep(secs(10)).await;
        assert_eq!(runs.deliver(&webhooks, &bare("evt_1")).await, "duplicate", "{fault:?}");
        assert_eq!(runs.count(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_success_is_recorded_later_even_if_the_store_lost_the_claim() {
    let (store, runs) = (MemoryStore::new(), Runs::default());
    let way = ChaosStore::new(&store, 0);
    way.script_verb(Verb::Replace, [Fate::Refused]);
    let webhooks = webhooks_on(way.clone());
    assert_eq!(runs.deliver(&webhooks, &bare("evt_1")).await, "not_recorded");
    let key = way.keys().pop().unwrap();
    let claim = store.get(&key).await.unwrap().unwrap();
    assert_eq!(store.remove(&key, &claim.bytes).await.unwrap(), Swap::Swapped);
    sleep(secs(5)).await;
    assert_eq!(runs.deliver(&webhooks, &bare("evt_1")).await, "duplicate");
    assert_eq!(runs.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_success_that_was_never_recorded_runs_the_handler_again_after_the_lease() {
    let (store, runs) = (flaky(), Runs::default());
    let webhooks = webhooks_on(store.clone());
    store.script(StoreVerb::Replace, std::iter::repeat_n(StoreFault::Refused, 7));
    assert_eq!(runs.deliver(&webhooks, &bare("evt_1")).await, "not_recorded");
    store.script(StoreVerb::Get, std::iter::repeat_n(StoreFault::Refused, 6));
    advance(secs(1)).await;
    assert_eq!(runs.deliver(&webhooks, &bare("evt_1")).await, "in_progress");
    sleep(LEASE + secs(20)).await;
    store.script(StoreVerb::Replace, [StoreFault::None]);
    let other = webhooks_on(Arc::clone(store.inner()));
    assert_eq!(runs.deliver(&other, &bare("evt_1")).await, "handled", "at least once");
    assert_eq!(runs.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_failed_handler_whose_claim_could_not_be_given_back_is_given_back_later() {
    for fault in FAILURES {
        let (store, runs) = (flaky(), Runs::default());
        let webhooks = webhooks_on(store.clone());
        store.script(StoreVerb::Remove, [fault, fault]);
        let failed = deliver(&webhooks, &bare("evt_1"), |_| async { Err("no") }).await;
        assert_eq!(word(failed), "handler_failed", "what the provider is told does not depend on it: {fault:?}");
        sleep(secs(10)).await;
        assert_eq!(runs.deliver(&webhooks, &bare("evt_1")).await, "handled", "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_record_is_never_taken_for_a_miss() {
    let (store, runs) = (Arc::new(MemoryStore::new()), Runs::default());
    let keyed = |key: [u8; 32], store: Arc<MemoryStore>| {
        let builder = payproof::Validator::builder(crate::provider()).transient_patterns(crate::NO_PATTERNS);
        crate::webhooks_of(&builder.store(store).record_keys([key]).build().unwrap())
    };
    assert_eq!(runs.deliver(&keyed([1; 32], Arc::clone(&store)), &bare("evt_1")).await, "handled");
    let error = deliver(&keyed([2; 32], store), &bare("evt_1"), |_| async { Err("must not run") }).await.unwrap_err();
    assert!(error.is_store());
    assert_eq!((error.code(), error.http_status()), ("record_unreadable", 502));
}

#[tokio::test(start_paused = true)]
async fn a_slow_store_leaves_the_handler_all_its_time() {
    let (store, runs) = (flaky(), Runs::default());
    let webhooks = webhooks_on(store.clone());
    // Each call is just in time.
    store.always(Some(StoreFault::SlowReply(ms(999))));
    let begin = Instant::now();
    assert_eq!(runs.deliver_slowly(&webhooks, &event("evt_1"), secs(29)).await, "handled");
    assert!(begin.elapsed() < LEASE, "{:?}", begin.elapsed());
}

/// A store in which others rewrite the facts of payments all the time, so that to forget one takes many calls; and which
/// stands still over the claim of an event.
#[derive(Clone, Debug)]
struct Contended {
    store: Arc<MemoryStore>,
    rounds: Arc<AtomicUsize>,
    stands_for: Duration,
}

impl Contended {
    /// A call about facts, while there is contention: it takes its time, and finds other bytes than it expects.
    async fn is_lost(&self, key: &str) -> bool {
        let takes_a_round = |left: usize| left.checked_sub(1);
        if !key.contains(":facts:") || self.rounds.fetch_update(SeqCst, SeqCst, takes_a_round).is_err() {
            return false;
        }
        sleep(ms(999)).await;
        true
    }
}

fn others() -> Stored {
    Stored { bytes: b"others".to_vec(), ttl_left: secs(60) }
}

impl Store for Contended {
    async fn get(&self, key: &str) -> Result<Option<Stored>, StoreError> {
        self.store.get(key).await
    }

    async fn claim(&self, key: &str, value: &[u8], ttl: Duration) -> Result<Claim, StoreError> {
        if self.is_lost(key).await {
            return Ok(Claim::Held(others()));
        }
        if key.contains(":event:") {
            // With the whole machine, so that no limit notices it.
            advance(self.stands_for).await;
        }
        self.store.claim(key, value, ttl).await
    }

    async fn replace(&self, key: &str, expected: &[u8], value: &[u8], ttl: Duration) -> Result<Swap, StoreError> {
        match self.is_lost(key).await {
            true => Ok(Swap::Lost(Some(others()))),
            false if key.contains(":facts:") => Ok(Swap::Swapped),
            false => self.store.replace(key, expected, value, ttl).await,
        }
    }

    async fn remove(&self, key: &str, expected: &[u8]) -> Result<Swap, StoreError> {
        self.store.remove(key, expected).await
    }

    says_what_it_holds!(store);
}

#[tokio::test(start_paused = true)]
async fn a_handler_does_not_begin_when_what_is_left_of_the_lease_may_not_last() {
    // Two calls to the store, and 5 s.
    for (stands_for, expected) in [(secs(7), "handled"), (secs(7) + ms(1), "store_unavailable")] {
        let mut store = Contended { store: Arc::default(), rounds: Arc::default(), stands_for };
        let runs = Runs::default();
        let begin = Instant::now();
        assert_eq!(runs.deliver(&webhooks_on(store.clone()), &event("evt_1")).await, expected);
        assert_eq!(begin.elapsed(), stands_for);
        assert_eq!(runs.count(), usize::from(expected == "handled"));
        store.stands_for = Duration::ZERO;
        let again = runs.deliver(&webhooks_on(store), &event("evt_1")).await;
        assert_ne!(again, "in_progress", "it was given back");
        assert_eq!(runs.count(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn however_long_it_takes_to_forget_the_handler_has_all_its_time() {
    let rounds = 12;
    let store =
        Contended { store: Arc::default(), rounds: Arc::new(AtomicUsize::new(rounds)), stands_for: Duration::ZERO };
    let (webhooks, runs) = (webhooks_on(store), Runs::default());
    let begin = Instant::now();
    assert_eq!(runs.deliver_slowly(&webhooks, &event("evt_1"), secs(29)).await, "handled");
    assert_eq!(begin.elapsed(), ms(999) * u32::try_from(rounds).unwrap() + secs(29));
}

#[tokio::test(start_paused = true)]
async fn a_full_store_has_the_event_delivered_again_and_drops_nothing() {
    let (store, runs) = (MemoryStore::new().max_records(1), Runs::default());
    let webhooks = webhooks_on(store);
    assert_eq!(runs.deliver(&webhooks, &bare("evt_1")).await, "handled");
    assert_eq!(runs.deliver(&webhooks, &bare("evt_2")).await, "store_unavailable");
    assert_eq!(runs.deliver(&webhooks, &bare("evt_1")).await, "duplicate");
    assert_eq!(runs.count(), 1);
}
