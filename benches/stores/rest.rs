//! A replay over REST, beside a bare POST of the same body to the same server.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use payproof::Provenance;
use payproof::Validator;
use payproof::store::UpstashStore;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use tokio::sync::oneshot;

use crate::checkout::{self, Prompt};
use crate::client;
use crate::figure::{self, Scale};
use crate::turns::{Peer, take_turns, timed};
use crate::upstash::UpstashStandIn;

const ROUNDS: usize = 600;
const BATCH: u64 = 20;

/// The stand-in on a thread of its own; dropping this ends both.
struct Server {
    stand_in: UpstashStandIn,
    _alive: oneshot::Sender<()>,
}

impl Server {
    fn start() -> Self {
        let (ready, started) = mpsc::channel();
        let (alive, over) = oneshot::channel::<()>();
        thread::spawn(move || {
            checkout::runtime().block_on(async {
                ready.send(UpstashStandIn::start().await.expect("loopback has a free port")).expect("the bench waits");
                // The other end is never used, only dropped.
                let _ = over.await;
            });
        });
        Self { stand_in: started.recv().expect("the stand-in starts"), _alive: alive }
    }
}

pub(crate) fn run(scale: Scale) {
    let (runtime, server) = (checkout::runtime(), Server::start());
    let store = UpstashStore::new(server.stand_in.url(), server.stand_in.token()).expect("settings fit");
    let own = Validator::builder(Prompt::new()).store(store).facts_in_memory(0).build().expect("settings fit");
    let intent = checkout::intent("pi_rest");
    // Once to ask, once more so that the look at the store is over and the script known.
    for _ in 0..2 {
        runtime.block_on(async { own.validate(&intent).await.expect("it answers") });
        runtime.block_on(async { tokio::time::sleep(Duration::from_millis(100)).await });
    }
    let before = (server.stand_in.requests(), server.stand_in.commands());
    runtime.block_on(async { own.validate(&intent).await.expect("it answers") });
    println!("count rest_requests_replay {}", server.stand_in.requests() - before.0);
    println!("count rest_commands_replay {}", server.stand_in.commands() - before.1);
    let last = server.stand_in.calls().pop().expect("it was asked");
    let body = serde_json::to_vec(last.commands().first().expect("one command")).expect("strings");

    let mut replays: Peer<'_> = {
        let (runtime, own) = (&runtime, own.clone());
        Box::new(move |count| {
            let (own, intent) = (own.clone(), intent.clone());
            let batch = runtime.spawn(async move {
                let (time, ()) = timed(async {
                    for _ in 0..count {
                        let validation = own.validate(&intent).await.expect("it answers");
                        assert!(validation.provenance() == Provenance::Replayed);
                    }
                })
                .await;
                time
            });
            runtime.block_on(batch).expect("nothing panics")
        })
    };
    let mut posts = bare(&runtime, &server, body);
    let [own_times, bare_times] = take_turns(scale.of(ROUNDS), BATCH, [&mut replays, &mut posts]);
    figure::ratio("rest_hit_vs_post", own_times.ratio_to(&bare_times));
    figure::ns("rest_hit", own_times.ns());
    figure::ns("rest_post", bare_times.ns());
}

/// What a user would write: one client, one POST, the body read to its end and parsed.
fn bare<'r>(runtime: &'r tokio::runtime::Runtime, server: &Server, body: Vec<u8>) -> Peer<'r> {
    let client = client::bare(None);
    let bearer = format!("Bearer {}", server.stand_in.token());
    let headers: HeaderMap = [
        (AUTHORIZATION, HeaderValue::from_str(&bearer).expect("a plain token")),
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (HeaderName::from_static("upstash-encoding"), HeaderValue::from_static("base64")),
    ]
    .into_iter()
    .collect();
    let (url, body) = (server.stand_in.url(), bytes_of(body));
    Box::new(move |count| {
        let (client, headers, url) = (client.clone(), headers.clone(), url.clone());
        let batch = runtime.spawn(async move {
            let (time, ()) = timed(async {
                for _ in 0..count {
                    let call = client.post(&url).headers(headers.clone()).body(body).send();
                    let answer = call.await.expect("it answers").error_for_status().expect("it answers 200");
                    let answer: serde_json::Value = answer.json().await.expect("it is JSON");
                    assert!(answer.get("result").is_some());
                }
            })
            .await;
            time
        });
        runtime.block_on(batch).expect("nothing panics")
    })
}

fn bytes_of(body: Vec<u8>) -> &'static [u8] {
    Vec::leak(body)
}
