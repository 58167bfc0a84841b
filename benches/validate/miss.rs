//! A miss over HTTP, beside the same request by a bare client, and by one with another library's retries; by one caller, and
//! by many at once.
//!
//! Every peer asks the sandbox about the same payments, over kept-alive loopback connections of its own, with the headers
//! that payproof sends, awaits the status and the whole body, and reads the same fields into a struct. The sandbox has a thread and a runtime to itself,
//! so that its time is the same for all. The bare client has no timeout and no cap on the body, compares nothing, keeps
//! nothing, and does not collapse calls: it is what a miss cannot be cheaper than. The one with retries has the attempt
//! timeout that payproof has.

use std::future::ready;
use std::hint::black_box;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use criterion::Criterion;
use payproof::testing::sandbox::{Sandbox, SandboxPayment};
use payproof::{PaymentIntent, Stripe, Validator};
use reqwest::Response;
use reqwest::header::{ACCEPT, HOST, HeaderMap, HeaderName, HeaderValue};
use reqwest_middleware::ClientBuilder;
use reqwest_retry::RetryTransientMiddleware;
use reqwest_retry::policies::ExponentialBackoff;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::answer;
use crate::checkout::{self, MINOR_UNITS, TENANT};
use crate::client;
use crate::figure::{self, Scale};
use crate::turns::{Peer, absolute_times, acting, crowding, take_turns};

const PAYMENTS: usize = 1_000;
const ROUNDS: usize = 500;
const BATCH: u64 = 20;

/// Callers at once, each with a few calls in a row, so that the crowd does not only gather and leave.
const CROWDS: [usize; 3] = [16, 64, 256];
const CALLS_OF_EACH: usize = 8;
const CROWD_CALLS: usize = 100_000;

/// Anything that looks like a key; the sandbox takes every one.
const KEY: &str = "sk_live_bench";

/// A sandbox on a thread of its own; dropping this ends both.
struct Server {
    sandbox: Sandbox,
    _alive: oneshot::Sender<()>,
}

impl Server {
    fn start() -> Self {
        let (ready, started) = mpsc::channel();
        let (alive, over) = oneshot::channel::<()>();
        thread::spawn(move || {
            checkout::runtime().block_on(async {
                ready.send(Sandbox::start().await.expect("loopback has a free port")).expect("the bench waits for it");
                // The other end is never used, only dropped.
                let _ = over.await;
            });
        });
        Self { sandbox: started.recv().expect("the sandbox starts"), _alive: alive }
    }

    fn address_of(&self, id: &str) -> String {
        format!("{}/v1/payment_intents/{id}?expand%5B%5D=latest_charge&expand%5B%5D=review", self.sandbox.url())
    }

    /// The headers that payproof sent last, less those that a client adds by itself.
    fn headers_sent(&self) -> HeaderMap {
        let request = self.sandbox.last_request().expect("payproof has asked");
        let headers = request.headers().iter().map(|(name, value)| {
            let name: HeaderName = name.parse().expect("it was sent");
            (name, HeaderValue::from_str(value).expect("it was sent"))
        });
        headers.filter(|(name, _)| name != HOST && name != ACCEPT).collect()
    }

    /// Everything that distinguishes one request from another.
    fn last_request(&self) -> (String, Option<String>, Vec<(String, String)>) {
        let request = self.sandbox.last_request().expect("payproof has asked");
        let mut headers = request.headers().to_vec();
        headers.sort();
        (request.path().to_owned(), request.query().map(str::to_owned), headers)
    }
}

pub(crate) fn run(scale: Scale, criterion: &mut Criterion) {
    let (runtime, server) = (checkout::runtime(), Server::start());
    let ids: Vec<String> = checkout::payment_ids().take(PAYMENTS).collect();
    for id in &ids {
        let payment = SandboxPayment::paid(id, MINOR_UNITS, "usd").tenant(TENANT).order(checkout::order_of(id));
        server.sandbox.put(payment);
    }
    let intents: Arc<[_]> = ids.iter().map(|id| checkout::intent(id)).collect();
    let mut own = own(&runtime, 1, &server, Arc::clone(&intents));
    own(1);
    let (request, headers) = (server.last_request(), server.headers_sent());
    let addresses: Arc<[String]> = ids.iter().map(|id| server.address_of(id)).collect();
    let mut bare = bare(&runtime, 1, Arc::clone(&addresses), headers.clone());
    bare(1);
    assert_eq!(server.last_request(), request, "a fair peer sends the same request");
    let mut middleware = middleware(&runtime, Arc::clone(&addresses), headers.clone());
    middleware(1);
    assert_eq!(server.last_request(), request, "a fair peer sends the same request");

    let rounds = scale.of(ROUNDS);
    let [own_beside_bare, bare_times] = take_turns(rounds, BATCH, [&mut own, &mut bare]);
    let [own_beside_middleware, middleware_times] = take_turns(rounds, BATCH, [&mut own, &mut middleware]);
    figure::ratio("miss_vs_reqwest", own_beside_bare.ratio_to(&bare_times));
    figure::ratio("miss_vs_middleware", own_beside_middleware.ratio_to(&middleware_times));
    figure::ns("miss", own_beside_bare.ns());
    figure::ns("miss_reqwest", bare_times.ns());
    figure::ns("miss_middleware", middleware_times.ns());
    for (name, peer) in [("miss", &mut own), ("miss_reqwest", &mut bare), ("miss_middleware", &mut middleware)] {
        figure::allocs(name, allocations(peer));
    }
    let connections = server.sandbox.connections();
    assert_eq!(connections, 3, "every peer kept its one connection");
    for callers in CROWDS {
        let mut own = self::own(&runtime, callers, &server, Arc::clone(&intents));
        let mut bare = self::bare(&runtime, callers, Arc::clone(&addresses), headers.clone());
        let calls = callers * CALLS_OF_EACH;
        let [own, bare] = take_turns(scale.of(CROWD_CALLS / calls), calls as u64, [&mut own, &mut bare]);
        figure::ratio(&format!("miss_vs_reqwest_{callers}"), own.ratio_to(&bare));
        figure::ns(&format!("miss_{callers}"), own.ns());
    }
    absolute_times(criterion, "miss", ["payproof", "reqwest", "middleware"], &mut [own, bare, middleware]);
}

fn own<'r>(runtime: &'r Runtime, callers: usize, server: &Server, intents: Arc<[PaymentIntent]>) -> Peer<'r> {
    let stripe = Stripe::builder(KEY).base_url(server.sandbox.url()).build().expect("settings fit");
    let validator = Validator::builder(stripe).build().expect("settings fit");
    crowding(runtime, callers, intents, checkout::forgetting(&validator), move |intent| {
        let validation = validator.validate(intent);
        async { assert!(validation.await.expect("the sandbox answers").verdict().is_valid()) }
    })
}

fn bare(runtime: &Runtime, callers: usize, addresses: Arc<[String]>, headers: HeaderMap) -> Peer<'_> {
    let client = client::bare(None);
    crowding(
        runtime,
        callers,
        addresses,
        |_| Box::pin(ready(())),
        move |address: &String| {
            let call = client.get(address).headers(headers.clone()).send();
            async { read(call.await.expect("the sandbox answers")).await }
        },
    )
}

fn middleware(runtime: &Runtime, addresses: Arc<[String]>, headers: HeaderMap) -> Peer<'_> {
    let policy = ExponentialBackoff::builder().build_with_max_retries(3);
    let retries = RetryTransientMiddleware::new_with_policy(policy);
    // Without a limit per attempt it would never try again what hangs; payproof's own default.
    let client = ClientBuilder::new(client::bare(Some(Duration::from_secs(30)))).with(retries).build();
    acting(
        runtime,
        addresses,
        |_| Box::pin(ready(())),
        move |address: &String| {
            let call = client.get(address).headers(headers.clone()).send();
            async { read(call.await.expect("the sandbox answers")).await }
        },
    )
}

/// Parses the answer, and looks at the least that a caller looks at.
async fn read(answer: Response) {
    let answer = answer.error_for_status().expect("it answers 200");
    let payment: answer::PaymentIntent = answer.json().await.expect("it is a payment intent");
    assert!(black_box(payment).status == "succeeded");
}

/// Allocations of one call, those of the connection's task included.
fn allocations(peer: &mut Peer<'_>) -> f64 {
    let mut counted = |calls| {
        let counts = allocation_counter::measure(|| {
            peer(calls);
        });
        counts.count_total as f64
    };
    counted(BATCH * 2);
    // The difference leaves out what a batch costs once.
    (counted(BATCH * 2) - counted(BATCH)) / BATCH as f64
}
