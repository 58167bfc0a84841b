//! Many at once, and clients that leave.

use std::pin::pin;

use axum::http::StatusCode;
use payproof::store::MemoryStore;
use payproof::testing::{FlakyStore, StoreFault, StoreVerb};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::service::{Act, HANDLER_TIMEOUT, KEY, SHOPPER, Service, builder, request_with, validator, validator_on};
use crate::support::{ms, poll_once, secs, settle};

#[tokio::test(start_paused = true)]
async fn of_200_duplicates_one_runs_and_all_get_the_same_bytes() {
    let service = Service::new();
    service.handler.script([Act::Wait(secs(1))]);
    let mut clicks = JoinSet::new();
    for _ in 0..200 {
        let service = service.clone();
        clicks.spawn(async move { service.pay().await });
    }
    let seen = clicks.join_all().await;
    assert_eq!(service.handler.runs(), 1);
    assert_eq!(seen.iter().filter(|seen| !seen.is_replay()).count(), 1);
    for one in &seen {
        assert_eq!((one.status, &one.body), (StatusCode::CREATED, &seen[0].body));
        assert_eq!(one.headers["location"], "/orders/6735");
    }
    let requests = service.stats().requests;
    assert_eq!((requests["first"], requests["replayed"]), (1, 199));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_200_duplicates_on_two_threads_one_runs() {
    for _ in 0..20 {
        let service = Service::new();
        let mut clicks = JoinSet::new();
        for _ in 0..200 {
            let service = service.clone();
            clicks.spawn(async move { service.pay().await });
        }
        let seen = clicks.join_all().await;
        assert_eq!(service.handler.runs(), 1);
        assert!(seen.iter().all(|one| one.body == seen[0].body));
    }
}

#[tokio::test(start_paused = true)]
async fn two_services_on_one_store_are_one() {
    let store = MemoryStore::new();
    let services = [0, 1].map(|_| Service::with(&validator_on(store.clone()), |layer| layer));
    for service in &services {
        service.handler.script([Act::Wait(secs(1))]);
    }
    let (one, other) = tokio::join!(services[0].pay(), services[1].pay());
    assert_eq!(one.body, other.body);
    assert_eq!(services[0].handler.runs() + services[1].handler.runs(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_waits_so_long_and_is_told_when_to_come_back() {
    let service = Service::new();
    service.handler.script([Act::Wait(secs(10))]);
    let mut first = pin!(service.pay());
    assert!(poll_once(first.as_mut()).await.is_pending());
    settle().await;
    let begin = tokio::time::Instant::now();
    let seen = service.pay().await;
    assert_eq!((seen.status, &*seen.code()), (StatusCode::CONFLICT, "IDEMPOTENCY_IN_PROGRESS"));
    assert_eq!(seen.headers["retry-after"], "5");
    assert!(begin.elapsed() <= secs(5) && begin.elapsed() > secs(4), "{:?}", begin.elapsed());
    assert_eq!(first.await.text(), "run 1: b\"pay\"");
    assert!(service.pay().await.is_replay());
}

#[tokio::test(start_paused = true)]
async fn a_wait_of_zero_does_not_wait() {
    let validator = validator();
    let service = Service::layered(&validator, builder(&validator).wait(ms(0)).build().unwrap());
    service.handler.script([Act::Wait(secs(10))]);
    let mut first = pin!(service.pay());
    assert!(poll_once(first.as_mut()).await.is_pending());
    settle().await;
    let begin = tokio::time::Instant::now();
    let seen = service.pay().await;
    assert_eq!(seen.code(), "IDEMPOTENCY_IN_PROGRESS");
    assert_eq!((begin.elapsed(), &seen.headers["retry-after"]), (ms(0), &"1".parse().unwrap()));
}

#[tokio::test(start_paused = true)]
async fn another_request_under_the_key_of_one_under_way_is_refused_at_once() {
    let service = Service::new();
    service.handler.script([Act::Wait(secs(10))]);
    let mut first = pin!(service.pay());
    assert!(poll_once(first.as_mut()).await.is_pending());
    settle().await;
    let seen = service.send(request_with("/checkouts", KEY, "another body", SHOPPER)).await;
    assert_eq!(seen.code(), "IDEMPOTENCY_KEY_REUSED");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_hangs_up_cuts_nothing() {
    let service = Service::new();
    service.handler.script([Act::Wait(secs(3))]);
    assert!(timeout(secs(1), service.pay()).await.is_err());
    assert_eq!((service.handler.runs(), service.handler.done()), (1, 0));
    let seen = service.pay().await;
    assert_eq!((seen.text(), seen.is_replay()), ("run 1: b\"pay\"", true));
    assert_eq!((service.handler.runs(), service.handler.done()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_is_cut_off_does_not_go_on() {
    let service = Service::new();
    service.handler.script([Act::Wait(HANDLER_TIMEOUT * 2)]);
    assert_eq!(service.pay().await.code(), "IDEMPOTENCY_INDETERMINATE");
    tokio::time::sleep(HANDLER_TIMEOUT * 3).await;
    assert_eq!((service.handler.runs(), service.handler.done()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_key_is_kept_for_its_retention_and_then_runs_anew() {
    let validator = validator();
    let service = Service::layered(&validator, builder(&validator).retention(secs(60)).build().unwrap());
    service.pay().await;
    tokio::time::sleep(secs(59)).await;
    assert!(service.pay().await.is_replay());
    tokio::time::sleep(secs(2)).await;
    assert!(!service.pay().await.is_replay());
}

#[tokio::test(start_paused = true)]
async fn a_thousand_waiters_ask_the_store_as_often_as_one() {
    let store = FlakyStore::new(MemoryStore::new());
    let validator = validator_on(store.clone());
    let service = Service::layered(&validator, builder(&validator).wait(secs(9)).build().unwrap());
    service.handler.script([Act::Wait(secs(8))]);
    let mut clicks = JoinSet::new();
    for _ in 0..1001 {
        let service = service.clone();
        clicks.spawn(async move { service.pay().await });
    }
    settle().await;
    let asked = store.calls(StoreVerb::Claim);
    assert_eq!(asked, 1001, "each asks once whether it is the first");
    let seen = clicks.join_all().await;
    assert_eq!(seen.iter().filter(|seen| seen.is_replay()).count(), 1000);
    assert!(seen.iter().all(|one| one.body == seen[0].body));
    // One who waits alone looks 10 times in the first second, and at most 4 times a second from then on.
    let looks = store.calls(StoreVerb::Claim) - asked;
    assert!((12..=50).contains(&looks), "{looks} looks in 8 s");
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_leaves_while_it_looks_leaves_the_look_to_another() {
    let store = FlakyStore::new(MemoryStore::new());
    let validator = validator_on(store.clone());
    let service = Service::layered(&validator, builder(&validator).wait(secs(9)).build().unwrap());
    service.handler.script([Act::Wait(ms(1500))]);
    let pay = || {
        let service = service.clone();
        tokio::spawn(async move { service.pay().await })
    };
    let first = pay();
    settle().await;
    let begin = tokio::time::Instant::now();
    let leaving = pay();
    settle().await;
    // Its next look takes longer than the others are made to wait.
    store.script(StoreVerb::Claim, [StoreFault::Slow(ms(900))]);
    tokio::time::sleep(ms(30)).await;
    let staying = pay();
    settle().await;
    leaving.abort();
    assert!(staying.await.unwrap().is_replay());
    assert!(begin.elapsed() <= secs(2), "{:?}", begin.elapsed());
    assert_eq!(first.await.unwrap().status, StatusCode::CREATED);
}
