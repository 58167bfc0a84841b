//! What happens when the store does not do its part.

use std::pin::pin;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::IntoResponse;
use payproof::endpoint::OnUnknown;
use payproof::guard::{OperationReference, Resolution};
use payproof::store::{MemoryStore, Store as _, Swap};
use payproof::testing::{FlakyStore, StoreFault, StoreVerb};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use record_bytes::{body, with_checksum};

use crate::service::{Act, KEY, SHOPPER, Seen, Service, request_with, validator_on};
use crate::subscribers::Log;
use crate::support::{ms, poll_once, secs, settle};

#[path = "../support/record_bytes.rs"]
mod record_bytes;

fn flaky() -> (FlakyStore<MemoryStore>, Service) {
    let store = FlakyStore::new(MemoryStore::new());
    let service = Service::with(&validator_on(store.clone()), |layer| layer);
    (store, service)
}

#[tokio::test(start_paused = true)]
async fn while_the_store_is_down_nothing_runs() {
    for fault in [StoreFault::NotSent, StoreFault::Refused, StoreFault::LostRequest, StoreFault::Never] {
        let (store, service) = flaky();
        store.always(Some(fault));
        let seen = service.pay().await;
        assert_eq!(
            (seen.status, &*seen.code()),
            (StatusCode::SERVICE_UNAVAILABLE, "IDEMPOTENCY_UNAVAILABLE"),
            "{fault:?}"
        );
        assert_eq!((seen.headers["retry-after"].as_bytes(), service.handler.runs()), (&b"1"[..], 0));
        store.always(None);
        assert_eq!(service.pay().await.text(), "run 1: b\"pay\"", "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_holds_two_requests_up_and_no_further_one() {
    let (store, service) = flaky();
    store.always(Some(StoreFault::Never));
    for expected in [secs(1), secs(1), secs(0), secs(0)] {
        let begun = Instant::now();
        let seen = service.pay().await;
        assert_eq!((begun.elapsed(), &*seen.code()), (expected, "IDEMPOTENCY_UNAVAILABLE"));
        assert_eq!((seen.headers["retry-after"].as_bytes(), service.handler.runs()), (&b"1"[..], 0));
    }
    store.always(None);
    sleep(secs(2)).await;
    assert_eq!(service.pay().await.text(), "run 1: b\"pay\"");
}

#[tokio::test(start_paused = true)]
async fn a_claim_whose_reply_was_lost_is_known_again() {
    let (store, service) = flaky();
    store.script(StoreVerb::Claim, [StoreFault::LostReply]);
    assert_eq!(service.pay().await.text(), "run 1: b\"pay\"");
    assert!(service.pay().await.is_replay());
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_was_not_confirmed_is_taken_back() {
    let (store, service) = flaky();
    store.script(StoreVerb::Claim, [StoreFault::NeverReplies]);
    assert_eq!(service.pay().await.code(), "IDEMPOTENCY_UNAVAILABLE");
    assert_eq!(store.inner().len(), 1, "it stands there");
    // Within two seconds, and not after the lease, which would make it look like a crash.
    sleep(secs(2)).await;
    assert_eq!(service.pay().await.text(), "run 1: b\"pay\"");
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_was_made_before_the_connection_went_is_taken_back() {
    for second in [StoreFault::NotSent, StoreFault::Refused] {
        let (store, service) = flaky();
        store.script(StoreVerb::Claim, [StoreFault::LostReply, second]);
        assert_eq!(service.pay().await.code(), "IDEMPOTENCY_UNAVAILABLE", "{second:?}");
        sleep(secs(2)).await;
        assert_eq!(service.pay().await.text(), "run 1: b\"pay\"", "{second:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_while_it_is_claimed_leaves_nothing_behind() {
    for fault in [StoreFault::Slow(ms(500)), StoreFault::SlowReply(ms(500)), StoreFault::Late(ms(500))] {
        let (store, service) = flaky();
        store.script(StoreVerb::Claim, [fault]);
        assert!(timeout(ms(100), service.pay()).await.is_err());
        sleep(secs(5)).await;
        assert_eq!(service.handler.runs(), 0);
        assert_eq!(service.pay().await.text(), "run 1: b\"pay\"", "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn however_many_claims_were_not_confirmed_all_are_taken_back() {
    let (store, service) = flaky();
    let all = async |code: &'static str| {
        let mut clicks = JoinSet::new();
        for click in 0..2_000 {
            let service = service.clone();
            let request = request_with("/checkouts", &format!("click-no-{click}"), "pay", SHOPPER);
            clicks.spawn(async move { service.send(request).await.status });
        }
        for status in clicks.join_all().await {
            assert_eq!(status.as_u16().to_string(), code);
        }
    };
    store.always(Some(StoreFault::NeverReplies));
    all("503").await;
    store.always(None);
    assert_eq!(store.inner().len(), 2_000, "they stand there");
    sleep(secs(5)).await;
    all("201").await;
}

/// A claim whose reply came long ago by the time that its process looks: the machine stood still, or the task that
/// drives the request was busy.
async fn started_late(after: Duration, meanwhile: impl AsyncFnOnce(&Service)) -> (Seen, Service) {
    let store = FlakyStore::new(MemoryStore::new());
    let service = Service::with(&validator_on(store.clone()), |layer| layer);
    let other = Service::with(&validator_on(store.inner().clone()), |layer| layer);
    store.script(StoreVerb::Claim, [StoreFault::SlowReply(ms(500))]);
    let mut first = pin!(service.pay());
    assert!(poll_once(first.as_mut()).await.is_pending());
    sleep(after).await;
    meanwhile(&other).await;
    (first.await, service.clone())
}

#[tokio::test(start_paused = true)]
async fn a_handler_does_not_begin_when_the_lease_would_not_last_for_it() {
    // The lease is 29 s; 20 s of it are the handler's, and 2 s for recording what came of it.
    let (seen, service) = started_late(ms(6_900), async |_| {}).await;
    assert_eq!(seen.text(), "run 1: b\"pay\"");
    assert!(service.pay().await.is_replay());
    for late in [ms(7_100), secs(40)] {
        let (seen, service) = started_late(late, async |_| {}).await;
        assert_eq!((&*seen.code(), service.handler.runs()), ("IDEMPOTENCY_UNAVAILABLE", 0), "{late:?}");
        assert_eq!(service.stats().requests["unavailable"], 1);
        assert_eq!(service.pay().await.text(), "run 1: b\"pay\"", "the key is free");
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_does_not_begin_when_another_has_found_its_lease_over() {
    let (seen, service) = started_late(secs(40), async |other| {
        assert_eq!(other.pay().await.code(), "IDEMPOTENCY_INDETERMINATE");
    })
    .await;
    assert_eq!((&*seen.code(), service.handler.runs()), ("IDEMPOTENCY_UNAVAILABLE", 0));
}

#[tokio::test(start_paused = true)]
async fn an_answer_outlives_a_store_that_fails_then() {
    for fault in [StoreFault::NotSent, StoreFault::LostRequest, StoreFault::Never] {
        let (store, service) = flaky();
        store.script(StoreVerb::Replace, [fault; 2]);
        let first = service.pay().await;
        assert_eq!(first.text(), "run 1: b\"pay\"", "{fault:?}");
        assert_eq!(service.stats().requests["not_recorded"], 1);
        assert_eq!(service.stats().store_failures, 1);
        // A store that hangs twice in a row is left alone until it was probed.
        sleep(secs(5)).await;
        let second = service.pay().await;
        assert_eq!((second.is_replay(), second.body), (true, first.body), "it was written later");
    }
}

#[tokio::test(start_paused = true)]
async fn a_settling_whose_reply_was_lost_is_settled() {
    let (store, service) = flaky();
    store.script(StoreVerb::Replace, [StoreFault::LostReply]);
    service.pay().await;
    assert_eq!(service.stats().requests["first"], 1);
    assert!(service.pay().await.is_replay());
}

#[tokio::test(start_paused = true)]
async fn a_release_that_fails_is_made_later() {
    let (store, service) = flaky();
    store.script(StoreVerb::Remove, [StoreFault::NotSent; 2]);
    service.handler.script([Act::Answer(StatusCode::TOO_MANY_REQUESTS.into_response())]);
    assert_eq!(service.pay().await.status, StatusCode::TOO_MANY_REQUESTS);
    sleep(secs(3)).await;
    assert_eq!(service.pay().await.text(), "run 2: b\"pay\"");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_asks_for_a_wait_is_quoted() {
    // Full: a refusal without a wait. What a store asks for is tested with the stores that can.
    let store = MemoryStore::new().max_records(0);
    let service = Service::with(&validator_on(store), |layer| layer);
    let seen = service.pay().await;
    assert_eq!((&*seen.code(), seen.headers["retry-after"].as_bytes()), ("IDEMPOTENCY_UNAVAILABLE", &b"1"[..]));
    assert!(!seen.text().contains("max_records"), "what the store says is for operators");
}

/// Two services, the first of which reaches the store only now and then.
fn cut_off() -> (FlakyStore<MemoryStore>, Service, Service) {
    let (store, service) = flaky();
    let other = Service::with(&validator_on(store.inner().clone()), |layer| layer);
    (store, service, other)
}

/// By then the lease is over, and the next try to write what came of it is not made yet.
async fn found_indeterminate(other: &Service) {
    sleep(ms(29_500)).await;
    assert_eq!(other.pay().await.code(), "IDEMPOTENCY_INDETERMINATE");
    sleep(secs(3)).await;
}

/// Five tries, of two calls each.
const FOR_HALF_A_LEASE: [StoreFault; 10] = [StoreFault::NotSent; 10];

#[tokio::test(start_paused = true)]
async fn an_answer_is_told_even_after_another_has_found_the_lease_over() {
    let (store, service, other) = cut_off();
    store.script(StoreVerb::Replace, FOR_HALF_A_LEASE);
    assert_eq!(service.pay().await.text(), "run 1: b\"pay\"");
    found_indeterminate(&other).await;
    let seen = other.pay().await;
    assert_eq!((seen.text(), seen.is_replay()), ("run 1: b\"pay\"", true));
}

#[tokio::test(start_paused = true)]
async fn a_key_is_given_back_even_after_another_has_found_the_lease_over() {
    let (store, service, other) = cut_off();
    store.script(StoreVerb::Remove, FOR_HALF_A_LEASE);
    service.handler.script([Act::Answer(StatusCode::TOO_MANY_REQUESTS.into_response())]);
    assert_eq!(service.pay().await.status, StatusCode::TOO_MANY_REQUESTS);
    found_indeterminate(&other).await;
    assert_eq!(other.pay().await.text(), "run 1: b\"pay\"");
}

#[tokio::test(start_paused = true)]
async fn an_unconfirmed_claim_is_taken_back_even_after_another_has_found_the_lease_over() {
    let (store, service, other) = cut_off();
    store.script(StoreVerb::Claim, [StoreFault::NeverReplies]);
    store.script(StoreVerb::Get, FOR_HALF_A_LEASE.into_iter().take(8));
    assert_eq!(service.pay().await.code(), "IDEMPOTENCY_UNAVAILABLE");
    found_indeterminate(&other).await;
    assert_eq!(other.pay().await.text(), "run 1: b\"pay\"");
}

/// A process's answer cannot be recorded in time, and a person says at the other one what became of the request.
async fn resolved_before_the_late_word(resolution: Resolution) -> (FlakyStore<MemoryStore>, Service, Service) {
    let (store, service, other) = cut_off();
    resolve_before_the_late_word(&store, &service, &other, resolution).await;
    (store, service, other)
}

async fn resolve_before_the_late_word(
    store: &FlakyStore<MemoryStore>,
    service: &Service,
    other: &Service,
    resolution: Resolution,
) {
    store.script(StoreVerb::Replace, FOR_HALF_A_LEASE);
    service.pay().await;
    sleep(ms(29_500)).await;
    let refused = other.pay().await.json()["error"]["details"]["reference"].clone();
    let reference = refused.as_str().unwrap().parse::<OperationReference>().unwrap();
    other.validator.resolve_request(reference, resolution, "anna").await.unwrap();
}

/// The errors that tell of a request which was executed although a person declared it not executed.
fn contradictions(log: &Log) -> Vec<String> {
    log.lines("known=\"done\" declared=\"not_executed\"")
}

#[tokio::test(start_paused = true)]
async fn what_a_person_has_said_meanwhile_stands() {
    let (log, _installed) = Log::install();
    let (_store, _service, other) = resolved_before_the_late_word(Resolution::done(&"said")).await;
    sleep(secs(3)).await;
    assert_eq!(other.pay().await.text(), "\"said\"");
    assert!(contradictions(&log).is_empty(), "both say that it was executed");
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_not_told_late_where_a_person_gave_the_key_back() {
    let (log, _installed) = Log::install();
    let (store, _service, other) = resolved_before_the_late_word(Resolution::not_executed()).await;
    sleep(secs(70)).await;
    // The canary of each process, a minute after its first use of the store, a list, which is empty, and who resolved it.
    assert_eq!(store.inner().len(), 4, "the late word stands where no record was");
    assert!(!other.pay().await.is_replay());
    let told = contradictions(&log);
    assert!(told.len() == 1 && told[0].contains("ERROR"), "told once, loudly: {told:?}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_told_loudly_where_the_key_that_a_person_gave_back_was_used_again() {
    let (log, _installed) = Log::install();
    let (_store, _service, other) = resolved_before_the_late_word(Resolution::not_executed()).await;
    let again = other.pay().await;
    assert!(!again.is_replay());
    sleep(secs(70)).await;
    assert_eq!(other.pay().await.body, again.body, "the second run's answer stands");
    assert_eq!(contradictions(&log).len(), 1, "its effect happened twice");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_contradicts_no_person_who_gave_the_key_back() {
    let (log, _installed) = Log::install();
    let (store, service, other) = cut_off();
    service.handler.script([Act::Answer(StatusCode::UNPROCESSABLE_ENTITY.into_response())]);
    resolve_before_the_late_word(&store, &service, &other, Resolution::not_executed()).await;
    sleep(secs(70)).await;
    assert!(contradictions(&log).is_empty(), "{}", log.text());
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_comes_after_another_is_taken_back() {
    let (store, service) = flaky();
    store.script(StoreVerb::Claim, [StoreFault::Late(secs(4))]);
    assert_eq!(service.pay().await.code(), "IDEMPOTENCY_UNAVAILABLE");
    // While it is looked for, another one stands there; and when that is gone, it comes.
    service.handler.script([Act::Wait(ms(2_500)), Act::Answer(StatusCode::TOO_MANY_REQUESTS.into_response())]);
    assert_eq!(service.pay().await.status, StatusCode::TOO_MANY_REQUESTS);
    sleep(secs(6)).await;
    assert_eq!(service.pay().await.text(), "run 2: b\"pay\"");
}

use recording::Recording;

mod recording {
    //! A store that tells which keys it was asked for.

    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use payproof::store::{Claim, MemoryStore, Store, StoreError, Stored, Swap};

    use crate::forward::says_what_it_holds;

    #[derive(Clone, Debug, Default)]
    pub(crate) struct Recording {
        pub(crate) store: MemoryStore,
        keys: Arc<Mutex<Vec<String>>>,
    }

    impl Recording {
        pub(crate) fn last_key(&self) -> String {
            self.keys.lock().unwrap().last().unwrap().clone()
        }
    }

    impl Store for Recording {
        async fn get(&self, key: &str) -> Result<Option<Stored>, StoreError> {
            self.store.get(key).await
        }

        async fn claim(&self, key: &str, value: &[u8], ttl: Duration) -> Result<Claim, StoreError> {
            self.keys.lock().unwrap().push(key.to_owned());
            self.store.claim(key, value, ttl).await
        }

        async fn replace(&self, key: &str, old: &[u8], value: &[u8], ttl: Duration) -> Result<Swap, StoreError> {
            self.store.replace(key, old, value, ttl).await
        }

        async fn remove(&self, key: &str, expected: &[u8]) -> Result<Swap, StoreError> {
            self.store.remove(key, expected).await
        }

        says_what_it_holds!(store);
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_comes_back_too_late_ends_nothing_that_another_began() {
    let store = Recording::default();
    let service = Service::with(&validator_on(store.clone()), |layer| layer);
    service.handler.script([Act::Wait(secs(10))]);
    let mut first = pin!(service.pay());
    assert!(poll_once(first.as_mut()).await.is_pending());
    settle().await;
    // The machine stood still past the lease, and another process took over.
    let key = store.last_key();
    let stale = store.store.get(&key).await.unwrap().unwrap().bytes;
    let mut others = body(&stale).to_vec();
    *others.last_mut().unwrap() ^= 1;
    others[10] ^= 1;
    let others = with_checksum(&others);
    let swapped = store.store.replace(&key, &stale, &others, secs(60)).await.unwrap();
    assert_eq!(swapped, Swap::Swapped);
    assert_eq!(first.await.text(), "run 1: b\"pay\"", "its client gets the answer all the same");
    assert_eq!(store.store.get(&key).await.unwrap().unwrap().bytes, others, "theirs stands");
    assert_eq!((service.stats().requests["not_recorded"], service.stats().leases_lost), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_record_that_cannot_be_read_is_never_a_miss() {
    let store = Recording::default();
    let service = Service::with(&validator_on(store.clone()), |layer| layer.on_unknown(OnUnknown::RunAgain));
    service.pay().await;
    let key = store.last_key();
    let good = store.store.get(&key).await.unwrap().unwrap().bytes;
    let newer = [&[2], &good[1..]].concat();
    for bad in [b"".to_vec(), b"OK".to_vec(), good[..good.len() / 2].to_vec(), newer, [&*good, b"x"].concat()] {
        let stands = store.store.get(&key).await.unwrap().unwrap().bytes;
        store.store.replace(&key, &stands, &bad, secs(60)).await.unwrap();
        assert_eq!(service.pay().await.code(), "IDEMPOTENCY_UNAVAILABLE", "{bad:?}");
    }
    assert_eq!(service.handler.runs(), 1);
}

#[tokio::test]
async fn keys_and_people_are_in_no_store_key() {
    let store = Recording::default();
    let service = Service::with(&validator_on(store.clone()), |layer| layer);
    service.pay().await;
    let key = store.last_key();
    assert!(key.starts_with("payproof:request:{") && key.len() < 80, "{key}");
    let record = store.store.get(&key).await.unwrap().unwrap().bytes;
    for secret in [KEY, "shopper_7", "store_42", "/checkouts"] {
        assert!(!key.contains(secret));
        assert!(!record.windows(secret.len()).any(|part| part == secret.as_bytes()), "{secret}");
    }
}
