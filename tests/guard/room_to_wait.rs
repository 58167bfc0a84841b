//! What waits for a store that is away: results of the guard have room of their own, and what finds none is told.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{Request, StatusCode};
use axum::routing::any;
use payproof::Validator;
use payproof::endpoint::{IdempotencyLayer, Scope};
use payproof::guard::OperationStatus;
use payproof::store::MemoryStore;
use payproof::testing::{FlakyStore, StoreFault};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tower::ServiceExt as _;

use crate::subscribers::Log;
use crate::support::secs;
use crate::{plain, unkeyed};

/// A service whose handler answers with 2 KiB once it may.
fn wordy_service(validator: &Validator, may_answer: &Arc<Semaphore>) -> Router {
    let scope = |_: &Parts| Scope::new("store_42", "shopper_7").ok();
    let layer = IdempotencyLayer::builder(validator, "checkout", secs(20), scope).build().unwrap();
    let may_answer = Arc::clone(may_answer);
    let handler = move || async move {
        may_answer.acquire().await.unwrap().forget();
        "x".repeat(2_048)
    };
    Router::new().fallback(any(handler)).layer(layer)
}

/// How many words were given up, by each event that says so.
fn given_up(log: &Log) -> Vec<u64> {
    let words = |line: String| {
        assert!(line.contains("ERROR"), "{line}");
        let (_, words) = line.split_once("words=").unwrap();
        words.split_whitespace().next().unwrap().parse().unwrap()
    };
    log.lines("words=").into_iter().map(words).collect()
}

#[tokio::test(start_paused = true)]
async fn a_result_finds_room_to_wait_for_the_store_beside_any_number_of_large_answers() {
    let (log, _installed) = Log::install();
    let store = FlakyStore::new(MemoryStore::new());
    let validator = plain().store(store.clone()).build().unwrap();
    let (guard, may_answer) = (validator.guard(), Arc::new(Semaphore::new(0)));
    let service = wordy_service(&validator, &may_answer);
    let mut requests = JoinSet::new();
    for number in 0..1_000 {
        let request = Request::post("/checkouts").header("idempotency-key", format!("click-no-{number}"));
        requests.spawn(service.clone().oneshot(request.body(Body::empty()).unwrap()));
    }
    let capture = tokio::spawn(guard.run(&unkeyed(), |_| async {
        sleep(secs(2)).await;
        Ok(1)
    }));
    sleep(secs(1)).await;
    store.always(Some(StoreFault::NotSent));
    may_answer.add_permits(1_000);
    for answer in requests.join_all().await {
        assert_eq!(answer.unwrap().status(), StatusCode::OK);
    }
    assert!(!capture.await.unwrap().unwrap().is_recorded());
    sleep(secs(2)).await;
    store.always(None);
    sleep(secs(120)).await;
    assert_eq!(guard.status(&unkeyed()).await.unwrap(), OperationStatus::Done);
    // Three quarters of the room take 750 of them. Other tests of this process may have a little of it.
    let told = given_up(&log);
    assert!(
        (250..300).contains(&told.iter().sum::<u64>()) && told.len() == 2,
        "at once, and the rest when it is back: {told:?}"
    );
}
