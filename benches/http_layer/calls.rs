//! The endpoint called in this process, without a connection.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use payproof::store::MemoryStore;
use tokio::runtime::Runtime;
use tower::ServiceExt as _;

use crate::checkout;
use crate::endpoint::{bare, idempotent, request};
use crate::figure::{self, Scale};
use crate::rounds::Pace;
use crate::turns::{Peer, take_turns};

const ROUNDS: usize = 400;
const BATCH: u64 = 200;

/// As many requests as the bench makes, and more.
const RECORDS: usize = 1_000_000;

/// Calls the endpoint under keys that `key` gives, and reads the answers.
pub(crate) fn calling<'r>(
    runtime: &'r Runtime,
    pace: Pace,
    routes: &Router,
    key: impl Fn() -> String + Clone + Send + Sync + 'static,
) -> Peer<'r> {
    let routes = routes.clone();
    Box::new(move |count| {
        let (routes, key) = (routes.clone(), key.clone());
        let batch = runtime.spawn(async move {
            let requests: Vec<_> = (0..count).map(|_| request(&key())).collect();
            pace.time(requests.into_iter().map(|request| one(&routes, request))).await
        });
        runtime.block_on(batch).expect("nothing panics")
    })
}

async fn one(routes: &Router, request: Request<Body>) {
    let response = routes.clone().oneshot(request).await.expect("it answers");
    assert_eq!(response.status().as_u16(), 201);
    let body = to_bytes(response.into_body(), 10_000).await.expect("it is whole");
    assert!(!body.is_empty());
}

/// Keys that were never used.
pub(crate) fn fresh() -> impl Fn() -> String + Clone + Send + Sync {
    let next = Arc::new(AtomicU64::new(0));
    move || format!("8e03978e-40d5-43dd-bc93-{:012}", next.fetch_add(1, Ordering::Relaxed))
}

pub(crate) fn run(scale: Scale) {
    let runtime = checkout::runtime();
    let layered = idempotent(MemoryStore::new().max_records(RECORDS));
    let same = || "8e03978e-40d5-43dd-bc93-6894a57f9324".to_owned();
    let (mut first, mut replay, mut plain) = (
        calling(&runtime, Pace::BackToBack, &layered, fresh()),
        calling(&runtime, Pace::BackToBack, &layered, same),
        calling(&runtime, Pace::BackToBack, &bare(), same),
    );
    let [first, replay, plain] = take_turns(scale.of(ROUNDS), BATCH, [&mut first, &mut replay, &mut plain]);
    figure::ns("first_over_bare", first.ns_over(&plain));
    figure::ratio("replay_vs_bare_call", replay.ratio_to(&plain));
    figure::ns("first_call", first.ns());
    figure::ns("replay_call", replay.ns());
    figure::ns("bare_call", plain.ns());

    let keys = fresh();
    figure::allocs("first", allocations(&runtime, &layered, || format!("another-{}", keys())));
    figure::allocs("replay", allocations(&runtime, &layered, same));
    figure::allocs("bare", allocations(&runtime, &bare(), same));
}

/// Heap allocations of one request, its own making left out.
fn allocations(runtime: &Runtime, routes: &Router, key: impl Fn() -> String) -> f64 {
    const CALLS: usize = 100;
    let requests = Cell::new((0..CALLS).map(|_| request(&key())).collect::<Vec<_>>());
    let counted = allocation_counter::measure(|| {
        runtime.block_on(async {
            for request in requests.take() {
                one(routes, request).await;
            }
        });
    });
    counted.count_total as f64 / CALLS as f64
}
