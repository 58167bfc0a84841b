//! What becomes of an indeterminate request when a person says what happened.

use std::pin::pin;

use axum::http::StatusCode;
use axum::response::IntoResponse;
use payproof::SignedDecision;
use payproof::guard::{OperationReference, Resolution, ResolveError};
use payproof::store::MemoryStore;
use payproof::testing::{FlakyStore, StoreFault, StoreVerb};
use serde_json::json;

use crate::service::{Act, KEY, SHOPPER, Seen, Service, request_with, validator_on};
use crate::support::{poll_once, secs, settle};

async fn indeterminate() -> (Service, OperationReference) {
    indeterminate_at(Service::new()).await
}

async fn indeterminate_on(store: &FlakyStore<MemoryStore>) -> (Service, OperationReference) {
    indeterminate_at(Service::with(&validator_on(store.clone()), |layer| layer)).await
}

async fn indeterminate_at(service: Service) -> (Service, OperationReference) {
    service.handler.script([Act::Answer(StatusCode::INTERNAL_SERVER_ERROR.into_response())]);
    service.pay().await;
    let reference = reference(&service.pay().await);
    (service, reference)
}

fn reference(seen: &Seen) -> OperationReference {
    assert!(["IDEMPOTENCY_INDETERMINATE", "IDEMPOTENCY_HANDLER_PANICKED"].contains(&&*seen.code()));
    seen.json()["error"]["details"]["reference"].as_str().unwrap().parse::<OperationReference>().unwrap()
}

async fn resolve(service: &Service, reference: OperationReference, resolution: Resolution) -> Result<(), ResolveError> {
    service.validator.resolve_request(reference, resolution, "anna, ticket 7").await
}

#[tokio::test]
async fn a_request_that_was_not_executed_gets_its_key_back() {
    let (service, reference) = indeterminate().await;
    resolve(&service, reference, Resolution::not_executed()).await.unwrap();
    assert_eq!(service.pay().await.text(), "run 2: b\"pay\"");
    let again = resolve(&service, reference, Resolution::not_executed()).await;
    assert_eq!(again, Err(ResolveError::NothingToResolve { why: "the request was answered" }));
    assert!(service.pay().await.is_replay(), "an answer stays");
}

#[tokio::test]
async fn a_request_that_was_executed_is_answered_with_what_is_said() {
    let (service, reference) = indeterminate().await;
    resolve(&service, reference, Resolution::done(&json!({ "data": { "order": "6735" } }))).await.unwrap();
    let seen = service.pay().await;
    assert_eq!((seen.status, seen.is_replay()), (StatusCode::OK, true));
    assert_eq!(
        (seen.text(), &seen.headers["content-type"]),
        (r#"{"data":{"order":"6735"}}"#, &"application/json".parse().unwrap())
    );
    let other = service.send(request_with("/checkouts", KEY, "another body", SHOPPER)).await;
    assert_eq!(other.code(), "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(service.handler.runs(), 1);
}

#[tokio::test]
async fn a_result_need_not_be_known() {
    let (service, reference) = indeterminate().await;
    resolve(&service, reference, Resolution::done_without_result()).await.unwrap();
    let seen = service.pay().await;
    assert_eq!((&*seen.code(), seen.is_replay()), ("IDEMPOTENCY_RESPONSE_NOT_KEPT", true));
}

#[tokio::test(start_paused = true)]
async fn only_what_is_open_is_resolved() {
    let service = Service::new();
    service.handler.script([Act::Wait(secs(10)), Act::Panic]);
    let mut first = pin!(service.pay());
    assert!(poll_once(first.as_mut()).await.is_pending());
    settle().await;
    // The reference is the same for every request of this scope, method and key.
    let (_, reference) = indeterminate().await;
    let said = resolve(&service, reference, Resolution::not_executed()).await;
    assert!(matches!(said, Err(ResolveError::InProgress { .. })), "{said:?}");
    assert_eq!(reference, self::reference(&first.await));
    let unsigned = service.validator.resolve_request(reference, Resolution::not_executed(), " ").await;
    assert_eq!(unsigned, Err(ResolveError::Unsigned));
    let too_large = resolve(&service, reference, Resolution::done(&"x".repeat(300_000))).await;
    assert_eq!(too_large, Err(ResolveError::TooLarge));
    let unknown = "A".repeat(43).parse::<OperationReference>().unwrap();
    let unknown = resolve(&service, unknown, Resolution::not_executed()).await;
    assert_eq!(unknown, Err(ResolveError::NothingToResolve { why: "there is no record of the request" }));
    resolve(&service, reference, Resolution::not_executed()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_resolution_that_fails_leaves_the_request_on_its_list() {
    let store = FlakyStore::new(MemoryStore::new());
    let (service, reference) = indeterminate_on(&store).await;
    let listed = async || service.validator.indeterminate_requests().await.unwrap().len();
    // The record of the decision is a new one; a second word meets a removal that the store does not make.
    for verb in [StoreVerb::Claim, StoreVerb::Remove] {
        store.script(verb, [StoreFault::Refused]);
        let failed = resolve(&service, reference, Resolution::not_executed()).await;
        assert!(matches!(failed, Err(ResolveError::Store(_))), "{failed:?}");
        assert_eq!((listed().await, service.validator.decisions(1).await.unwrap().len()), (1, 0), "{verb:?}");
    }
    resolve(&service, reference, Resolution::not_executed()).await.unwrap();
    assert_eq!(listed().await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_resolution_whose_reply_was_lost_is_made_and_recorded() {
    let store = FlakyStore::new(MemoryStore::new());
    let (service, reference) = indeterminate_on(&store).await;
    store.script(StoreVerb::Remove, [StoreFault::LostReply]);
    resolve(&service, reference, Resolution::not_executed()).await.unwrap();
    assert_eq!(service.validator.decisions(1).await.unwrap().len(), 1);
    // Gone at the first try, it was given back by another person.
    let again = resolve(&service, reference, Resolution::not_executed()).await;
    assert_eq!(again, Err(ResolveError::NothingToResolve { why: "there is no record of the request" }));
}

#[tokio::test(start_paused = true)]
async fn a_list_that_cannot_be_read_keeps_no_request_from_being_resolved() {
    let store = FlakyStore::new(MemoryStore::new());
    let (service, reference) = indeterminate_on(&store).await;
    // The request's record is read, and then the list for what it says of it.
    store.script(StoreVerb::Get, [StoreFault::None, StoreFault::Refused]);
    resolve(&service, reference, Resolution::not_executed()).await.unwrap();
    let decisions = service.validator.decisions(1).await.unwrap();
    assert_eq!(decisions.iter().map(SignedDecision::about).collect::<Vec<_>>(), [""]);
}
