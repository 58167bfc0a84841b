//! What becomes of a request whose handler does not simply answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::post;
use payproof::endpoint::OnUnknown;
use payproof::envelope::{Failure, NotExecuted};
use payproof::store::MemoryStore;
use payproof::testing::{FlakyStore, StoreFault, StoreVerb};
use tokio::time::sleep;
use tower_http::timeout::TimeoutLayer;

use crate::service::{Act, Handler, Service, builder, validator, validator_on};
use crate::support::{ms, secs};

fn status(status: u16) -> Act {
    Act::Answer((StatusCode::from_u16(status).unwrap(), format!("status {status}")).into_response())
}

fn run_again() -> Service {
    Service::with(&validator(), |layer| layer.on_unknown(OnUnknown::RunAgain))
}

#[tokio::test]
async fn what_is_done_or_refused_for_good_is_replayed() {
    for code in [200, 201, 202, 204, 303, 308, 400, 402, 404, 409, 410, 415, 422, 451] {
        let service = Service::new();
        service.handler.script([status(code)]);
        let (first, second) = (service.pay().await, service.pay().await);
        assert_eq!(first.status.as_u16(), code);
        assert_eq!((second.status, second.is_replay(), &second.body), (first.status, true, &first.body), "{code}");
        assert_eq!(service.handler.runs(), 1, "{code}");
    }
}

#[tokio::test]
async fn what_says_something_of_the_moment_is_never_kept() {
    for code in [401, 403, 405, 407, 425, 429] {
        let service = Service::new();
        service.handler.script([status(code)]);
        let first = service.pay().await;
        assert_eq!((first.status.as_u16(), first.text()), (code, &*format!("status {code}")));
        let second = service.pay().await;
        assert_eq!((second.text(), second.is_replay()), ("run 2: b\"pay\"", false), "{code}");
        assert_eq!(service.stats().requests["released"], 1);
    }
}

#[tokio::test]
async fn which_statuses_are_never_kept_can_be_chosen() {
    let validator = validator();
    let layer = builder(&validator).never_kept([StatusCode::NOT_FOUND, StatusCode::BAD_GATEWAY]).build().unwrap();
    let service = Service::layered(&validator, layer);
    service.handler.script([404, 502, 429].map(status));
    for code in [404, 502, 429] {
        let seen = service.pay().await;
        assert_eq!((seen.status.as_u16(), seen.is_replay()), (code, false));
    }
    assert!(service.pay().await.is_replay());
}

#[tokio::test]
async fn after_a_5xx_or_a_408_the_outcome_is_unknown_and_it_never_runs_again() {
    for code in [408, 500, 502, 503, 504, 599] {
        let service = Service::new();
        service.handler.script([status(code)]);
        let first = service.pay().await;
        assert_eq!((first.status.as_u16(), first.text()), (code, &*format!("status {code}")), "its own answer");
        for _ in 0..2 {
            let seen = service.pay().await;
            assert_eq!((seen.status, &*seen.code()), (StatusCode::CONFLICT, "IDEMPOTENCY_INDETERMINATE"));
        }
        assert_eq!(service.handler.runs(), 1);
    }
}

#[tokio::test]
async fn an_answer_that_is_none_yet_leaves_it_open() {
    for code in [101, 103] {
        let service = Service::new();
        service.handler.script([status(code)]);
        assert_eq!(service.pay().await.status.as_u16(), code);
        assert_eq!(service.pay().await.code(), "IDEMPOTENCY_INDETERMINATE");
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_cut_off_by_a_timeout_layer_below_charges_once_under_one_key() {
    let (validator, charges) = (validator(), Arc::new(AtomicUsize::new(0)));
    let charge = {
        let charges = Arc::clone(&charges);
        move || async move {
            charges.fetch_add(1, Ordering::SeqCst);
            sleep(secs(10)).await;
            "charged"
        }
    };
    let cut_off = TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, secs(3));
    let routes =
        Router::new().route("/checkouts", post(charge)).layer(cut_off).layer(builder(&validator).build().unwrap());
    let service = Service::routed(&validator, Handler::default(), routes);
    assert_eq!(
        service.pay().await.status,
        StatusCode::REQUEST_TIMEOUT,
        "the first client gets what the layer below says"
    );
    for _ in 0..2 {
        let seen = service.pay().await;
        assert_eq!((seen.status, &*seen.code()), (StatusCode::CONFLICT, "IDEMPOTENCY_INDETERMINATE"));
    }
    assert_eq!(charges.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_layer_above_ends_the_wait_and_cuts_nothing_off() {
    let (validator, handler) = (validator(), Handler::default());
    let layered = Service::layered(&validator, builder(&validator).build().unwrap());
    layered.handler.script([Act::Wait(secs(10))]);
    let cut_off = TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, secs(3));
    let service = Service::routed(&validator, handler, layered.routes().layer(cut_off));
    assert_eq!(service.pay().await.status, StatusCode::REQUEST_TIMEOUT);
    sleep(secs(10)).await;
    let seen = service.pay().await;
    assert_eq!((seen.text(), seen.is_replay()), ("run 1: b\"pay\"", true));
}

#[tokio::test]
async fn after_a_5xx_a_route_may_run_again() {
    let service = run_again();
    service.handler.script([status(500), status(503)]);
    assert_eq!(service.pay().await.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(service.pay().await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(service.pay().await.text(), "run 3: b\"pay\"");
    assert!(service.pay().await.is_replay());
}

#[tokio::test]
async fn who_says_that_nothing_was_executed_gets_the_key_back() {
    let service = Service::new();
    let said = |code| {
        let mut answer = (StatusCode::from_u16(code).unwrap(), "later").into_response();
        answer.extensions_mut().insert(NotExecuted);
        Act::Answer(answer)
    };
    let failure = Failure::new(503, "BUSY", "come back").with_retry_after(ms(1500)).not_executed();
    service.handler.script([said(500), said(409), said(200), Act::Answer(failure.into_response())]);
    for code in [500, 409, 200] {
        assert_eq!(service.pay().await.status.as_u16(), code);
    }
    let seen = service.pay().await;
    assert_eq!((&*seen.code(), &seen.headers["retry-after"]), ("BUSY", &"2".parse().unwrap()));
    assert_eq!(service.pay().await.text(), "run 5: b\"pay\"");
    assert_eq!(service.stats().requests["released"], 4);
}

#[tokio::test]
async fn a_released_key_may_be_used_for_something_else() {
    let service = Service::new();
    service.handler.script([status(429)]);
    service.pay().await;
    let mut other = crate::service::request();
    *other.uri_mut() = "/other".parse().unwrap();
    assert_eq!(service.send(other).await.text(), "run 2: b\"pay\"");
}

#[tokio::test(start_paused = true)]
async fn a_panic_and_a_timeout_leave_it_open() {
    for (act, answered) in [
        (Act::Panic, (StatusCode::INTERNAL_SERVER_ERROR, "IDEMPOTENCY_HANDLER_PANICKED")),
        (Act::Never, (StatusCode::CONFLICT, "IDEMPOTENCY_INDETERMINATE")),
    ] {
        let service = Service::new();
        service.handler.script([act]);
        for expected in [answered, (StatusCode::CONFLICT, "IDEMPOTENCY_INDETERMINATE")] {
            let seen = service.pay().await;
            assert_eq!((seen.status, &*seen.code()), expected);
            assert!(seen.json()["error"]["details"]["reference"].is_string(), "{seen:?}");
            assert!(!seen.text().contains("not set up"), "{seen:?}");
        }
        assert_eq!((service.handler.runs(), service.stats().requests["indeterminate"]), (1, 2));
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_panic_and_a_timeout_a_route_may_run_again() {
    let service = run_again();
    service.handler.script([Act::Panic, Act::Wait(secs(60))]);
    for _ in 0..2 {
        let seen = service.pay().await;
        assert_eq!((seen.status, &*seen.code()), (StatusCode::SERVICE_UNAVAILABLE, "IDEMPOTENCY_NOT_COMPLETED"));
        assert_eq!(seen.headers["retry-after"], "1");
    }
    assert_eq!(service.pay().await.text(), "run 3: b\"pay\"");
    assert_eq!(service.handler.done(), 1);
}

/// A process that ends while its handler runs: its runtime goes, and with it the task.
fn crashed(store: &MemoryStore) {
    let store = store.clone();
    let process = std::thread::spawn(move || {
        runtime().block_on(async {
            let service = Service::with(&validator_on(store), |layer| layer);
            service.handler.script([Act::Never]);
            let _ = tokio::time::timeout(ms(50), service.pay()).await;
            assert_eq!(service.handler.runs(), 1);
        });
    });
    process.join().unwrap();
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn a_crash_is_found_after_the_lease_and_never_run_again() {
    let store = MemoryStore::new();
    crashed(&store);
    runtime().block_on(async {
        let service = Service::with(&validator_on(store), |layer| layer);
        tokio::time::pause();
        assert_eq!(service.pay().await.code(), "IDEMPOTENCY_IN_PROGRESS");
        tokio::time::advance(secs(30)).await;
        for _ in 0..2 {
            assert_eq!(service.pay().await.code(), "IDEMPOTENCY_INDETERMINATE");
        }
        tokio::time::advance(secs(23 * 60 * 60)).await;
        assert_eq!(service.pay().await.code(), "IDEMPOTENCY_INDETERMINATE");
        assert_eq!(service.handler.runs(), 0);
    });
}

#[test]
fn after_a_crash_a_route_may_run_again_and_one_does() {
    let store = MemoryStore::new();
    crashed(&store);
    runtime().block_on(async {
        let service = Service::with(&validator_on(store), |layer| layer.on_unknown(OnUnknown::RunAgain));
        tokio::time::pause();
        assert_eq!(service.pay().await.code(), "IDEMPOTENCY_IN_PROGRESS");
        tokio::time::advance(secs(30)).await;
        service.handler.script([Act::Wait(secs(1))]);
        let (one, other) = tokio::join!(service.pay(), service.pay());
        assert_eq!(one.body, other.body);
        assert_eq!(service.handler.runs(), 1);
    });
}

#[test]
fn a_take_over_that_was_not_confirmed_is_taken_back() {
    let inner = MemoryStore::new();
    crashed(&inner);
    runtime().block_on(async {
        let store = FlakyStore::new(inner);
        let service = Service::with(&validator_on(store.clone()), |layer| layer.on_unknown(OnUnknown::RunAgain));
        tokio::time::pause();
        tokio::time::advance(secs(30)).await;
        store.script(StoreVerb::Replace, [StoreFault::NeverReplies]);
        assert_eq!(service.pay().await.code(), "IDEMPOTENCY_UNAVAILABLE");
        sleep(secs(2)).await;
        assert_eq!(service.pay().await.text(), "run 1: b\"pay\"", "without waiting for its lease");
    });
}

#[tokio::test]
async fn a_route_that_runs_again_takes_over_from_one_that_does_not() {
    let store = MemoryStore::new();
    let strict = Service::with(&validator_on(store.clone()), |layer| layer);
    strict.handler.script([status(500)]);
    strict.pay().await;
    let lenient = Service::with(&validator_on(store), |layer| layer.on_unknown(OnUnknown::RunAgain));
    assert_eq!(lenient.pay().await.text(), "run 1: b\"pay\"");
    assert!(strict.pay().await.is_replay());
}
