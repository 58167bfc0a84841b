//! The endpoint as a client sees it: over HTTP on loopback, one connection that is kept open.
//!
//! Client and servers share one thread: between two, waking the other one would take longer than all that is measured.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use payproof::store::MemoryStore;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::calls::fresh;
use crate::endpoint::{bare, body, idempotent};
use crate::figure::{self, Scale};
use crate::turns::{Peer, take_turns, timed};
use crate::{checkout, client};

const ROUNDS: usize = 600;
const BATCH: u64 = 20;

/// With the limit that the provider's client has.
const LIMIT: Duration = Duration::from_secs(30);

/// Serves on the runtime that its client runs on too.
fn serve(runtime: &Runtime, routes: Router) -> SocketAddr {
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("loopback has a free port");
    let address = listener.local_addr().expect("it has an address");
    runtime.spawn(async { axum::serve(listener, routes).await });
    address
}

pub(crate) fn run(scale: Scale) {
    let runtime = checkout::runtime();
    let store = MemoryStore::new().max_records(1_000_000);
    let (layered, plain) = (serve(&runtime, idempotent(store)), serve(&runtime, bare()));
    let same = || "8e03978e-40d5-43dd-bc93-6894a57f9324".to_owned();
    let (mut first, mut replay, mut bare) =
        (posting(&runtime, layered, fresh()), posting(&runtime, layered, same), posting(&runtime, plain, same));
    let [first, replay, bare] = take_turns(scale.of(ROUNDS), BATCH, [&mut first, &mut replay, &mut bare]);
    figure::ratio("replay_vs_bare", replay.ratio_to(&bare));
    figure::ratio("first_vs_bare", first.ratio_to(&bare));
    figure::ns("first_post", first.ns());
    figure::ns("replay_post", replay.ns());
    figure::ns("bare_post", bare.ns());
}

fn posting(
    runtime: &Runtime,
    server: SocketAddr,
    key: impl Fn() -> String + Clone + Send + Sync + 'static,
) -> Peer<'_> {
    let (client, url) = (client::bare(Some(LIMIT)), format!("http://{server}/checkouts"));
    Box::new(move |count| {
        let (client, url, key) = (client.clone(), url.clone(), key.clone());
        let batch = runtime.spawn(async move {
            let (time, ()) = timed(async {
                for _ in 0..count {
                    let post = client.post(&url).header("content-type", "application/json");
                    let response = post.header("idempotency-key", key()).body(body()).send().await.expect("it answers");
                    assert_eq!(response.status().as_u16(), 201);
                    assert!(!response.bytes().await.expect("it is whole").is_empty());
                }
            })
            .await;
            time
        });
        runtime.block_on(batch).expect("nothing panics")
    })
}
