//! The list of indeterminate requests: what comes on it, and what takes it off.

use axum::http::StatusCode;
use axum::response::IntoResponse;
use payproof::endpoint::OnUnknown;
use payproof::guard::{IndeterminateOperation, Resolution};
use payproof::health::HealthReason;
use payproof::store::{MemoryStore, Store as _};
use payproof::testing::{FlakyStore, ScriptedProvider, StoreFault, StoreVerb};
use payproof::{Validator, endpoint::IdempotencyLayer};
use tokio::time::{advance, sleep};

use crate::service::{Act, SHOPPER, Service, builder, request_with, validator_on};
use crate::support::{ms, secs};

fn error() -> Act {
    Act::Answer(StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

/// Tenants and names of what is listed.
async fn listed(validator: &Validator) -> Vec<(String, String)> {
    let list = validator.indeterminate_requests().await.unwrap();
    let shown = |one: &IndeterminateOperation| (one.tenant().to_owned(), one.name().to_owned());
    list.iter().map(shown).collect()
}

async fn names(validator: &Validator) -> Vec<String> {
    listed(validator).await.into_iter().map(|(_, name)| name).collect()
}

/// What stands on the list: the records that would take something off cannot be read.
async fn unchecked_names(store: &MemoryStore) -> Vec<String> {
    let store = FlakyStore::new(store.clone());
    store.script(StoreVerb::Get, [StoreFault::None, StoreFault::Refused]);
    names(&validator_on(store)).await
}

#[tokio::test(start_paused = true)]
async fn a_request_that_failed_is_listed_told_by_health_and_resolved() {
    let service = Service::with(&validator_on(MemoryStore::new()), |layer| layer);
    service.handler.script([error()]);
    service.send(request_with("/checkouts/42/refund?token=planted", "8e03978e", "pay", SHOPPER)).await;
    let [(tenant, name)] = &listed(&service.validator).await[..] else { panic!() };
    assert_eq!((&**tenant, &**name), (SHOPPER.0, "POST /checkouts/42/refund"));
    assert!(service.validator.health().await.is_ready(), "it is a minute old at least before it is told");
    advance(secs(90)).await;
    let health = service.validator.health().await;
    let told = health.reasons().iter().find_map(|reason| match reason {
        HealthReason::Indeterminate { operations, requests, oldest } => Some((*operations, *requests, *oldest)),
        _ => None,
    });
    let (operations, requests, oldest) = told.unwrap();
    assert!((operations, requests) == (0, 1) && oldest >= secs(90), "{health:?}");
    let page = serde_json::to_value(&health).unwrap();
    assert!(page["reasons"].to_string().contains("0 operation(s) and 1 request(s)"), "{page}");
    let list = service.validator.indeterminate_requests().await.unwrap();
    let reference = list.iter().next().unwrap().reference();
    service.validator.resolve_request(reference, Resolution::not_executed(), "ada").await.unwrap();
    assert!(service.validator.indeterminate_requests().await.unwrap().is_empty());
    assert!(service.validator.health().await.is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_process_is_gone_is_listed_by_the_next_one_and_leaves_with_a_late_answer() {
    let store = FlakyStore::new(MemoryStore::new());
    let service = Service::with(&validator_on(store.clone()), |layer| layer);
    let other = Service::with(&validator_on(store.inner().clone()), |layer| layer);
    // It cannot record its answer for half a lease.
    store.script(StoreVerb::Replace, [StoreFault::NotSent; 10]);
    service.pay().await;
    assert!(names(&other.validator).await.is_empty());
    sleep(ms(29_500)).await;
    assert_eq!(other.pay().await.code(), "IDEMPOTENCY_INDETERMINATE");
    assert_eq!(names(&other.validator).await.len(), 1);
    assert_eq!(unchecked_names(store.inner()).await.len(), 1);
    sleep(secs(30)).await;
    assert!(unchecked_names(store.inner()).await.is_empty(), "its process has said so late, and took it off");
    assert!(other.pay().await.is_replay());
    assert!(names(&other.validator).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_mark_whose_process_ended_before_it_listed_is_listed_by_the_next_request() {
    let store = FlakyStore::new(MemoryStore::new());
    let service = Service::with(&validator_on(store.clone()), |layer| layer);
    service.handler.script([error()]);
    // The record says that it is unknown; the list cannot be read, nor written for a minute after that.
    store.script(StoreVerb::Get, std::iter::repeat_n(StoreFault::NotSent, 60));
    service.pay().await;
    sleep(secs(90)).await;
    store.script(StoreVerb::Get, []);
    store.always(None);
    let other = Service::with(&validator_on(store.inner().clone()), |layer| layer);
    assert_eq!(other.pay().await.code(), "IDEMPOTENCY_INDETERMINATE");
    assert_eq!(names(&other.validator).await, ["POST /checkouts"]);
    other.pay().await;
    assert_eq!(names(&other.validator).await.len(), 1, "it is listed once");
}

#[tokio::test(start_paused = true)]
async fn what_its_record_does_not_bear_out_leaves_the_list_when_it_is_read() {
    let store = MemoryStore::new();
    let service = Service::with(&validator_on(store.clone()), |layer| layer);
    service.handler.script([error()]);
    service.pay().await;
    let list = service.validator.indeterminate_requests().await.unwrap();
    let place = format!("payproof:request:{{{}}}", list.iter().next().unwrap().reference());
    let stored = store.get(&place).await.unwrap().unwrap();
    store.remove(&place, &stored.bytes).await.unwrap();
    assert!(names(&service.validator).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_route_that_runs_again_lists_nothing_and_takes_over_what_was_listed() {
    let store = MemoryStore::new();
    let again = |layer: IdempotencyLayer| layer.on_unknown(OnUnknown::RunAgain);
    let [refuses, runs_again] = [
        Service::with(&validator_on(store.clone()), |layer| layer),
        Service::with(&validator_on(store.clone()), again),
    ];
    runs_again.handler.script([error()]);
    runs_again.pay().await;
    assert!(names(&runs_again.validator).await.is_empty());
    refuses.handler.script([error()]);
    refuses.pay().await;
    assert_eq!(names(&refuses.validator).await.len(), 1);
    assert_eq!(runs_again.pay().await.status, StatusCode::CREATED);
    assert!(names(&refuses.validator).await.is_empty(), "its answer is known by now");
}

#[tokio::test(start_paused = true)]
async fn a_full_list_counts_what_it_has_no_room_for() {
    let validator = Validator::builder(ScriptedProvider::new()).max_indeterminate_per_tenant(2).build().unwrap();
    let service = Service::layered(&validator, builder(&validator).build().unwrap());
    for number in 0..4 {
        service.handler.script([error()]);
        service.send(request_with("/checkouts", &format!("key-number-{number}"), "pay", SHOPPER)).await;
    }
    let list = validator.indeterminate_requests().await.unwrap();
    assert_eq!((list.len(), list.not_listed()), (2, 2));
    // The operations have a list of their own.
    assert!(validator.guard().indeterminate().await.unwrap().is_empty());
    let health = validator.health().await;
    assert!(health.reasons().contains(&HealthReason::NotListed { operations: 0, requests: 2 }), "{health:?}");
    let reference = list.iter().next().unwrap().reference();
    validator.resolve_request(reference, Resolution::done_without_result(), "ada").await.unwrap();
    let list = validator.indeterminate_requests().await.unwrap();
    assert_eq!((list.len(), list.not_listed()), (2, 1), "the next one has its place");
}
