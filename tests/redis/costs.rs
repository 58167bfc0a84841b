//! What each kind of call costs at the provider and in the store, counted on a server of its own; docs/costs.md shows it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs;
use std::future::ready;
use std::path::Path;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use axum::http::request::Parts;
use axum::routing::post;
use payproof::cache::{Cache, For, Loads, Space, Tag, Tags, Tenant, ttl};
use payproof::endpoint::{IdempotencyLayer, Scope};
use payproof::guard::{Effect, EffectCall, Operation};
use payproof::provider::ProviderError;
use payproof::store::RedisStore;
use payproof::testing::ScriptedProvider;
use payproof::testing::webhook::{EventBody, now, sign};
use payproof::webhook::StripeWebhooks;
use payproof::{IdempotencyKey, PaymentId, PaymentIntent, Validator};
use tokio::time::sleep;
use tower::ServiceExt as _;

use super::{MINUTE, patient};
use crate::generated::{compare, table};
use crate::proxy::Proxy;
use crate::redis_server::RedisServer;
use crate::resp::RespTraffic;
use crate::support::{intent_of, ms, paid, proof_of, secs};

const PAGE: &str = "docs/costs.md";

/// Ids as long as those of real payments.
const IDS: [&str; 4] = [
    "pi_3MtwBwLkdIwHu7ix28a3tqPa",
    "pi_3MtwBwLkdIwHu7ix28a3tqPb",
    "pi_3MtwBwLkdIwHu7ix28a3tqPc",
    "pi_3MtwBwLkdIwHu7ix28a3tqPd",
];

const PRICES: Space<For<String>, String> = Space::per_tenant("price", ttl::MEDIUM);

/// Values with a tag of their own. What is known of tags counts for longer than the table takes.
const SESSIONS: Space<For<String>, String> =
    Space::per_tenant("session", ttl::LONG).tagged(by_user).memory_for(ttl::HOUR);

#[allow(clippy::ptr_arg, reason = "values are given as what they are")]
fn by_user(value: &String, tags: &mut Tags) {
    tags.add("user", value.len());
}

/// Adds what all records take of the server's memory, as it says itself.
const KEPT: &str = "local sum = 0 for _, key in ipairs(redis.call('KEYS', '*')) do \
                    sum = sum + redis.call('MEMORY', 'USAGE', key, 'SAMPLES', '0') end return sum";

/// A service with all its parts, whose calls to the store pass a counter.
struct Bench {
    server: RedisServer,
    proxy: Proxy,
    provider: ScriptedProvider,
    validator: Validator,
    /// Another process, which has nothing in memory.
    other: Validator,
    rows: Vec<[String; 7]>,
}

impl Bench {
    async fn start() -> Self {
        let server = RedisServer::start().await;
        let proxy = Proxy::start(server.port()).await;
        let provider = ScriptedProvider::new();
        for id in IDS {
            provider.put(paid(id));
        }
        // Whose beats would come between.
        let url = format!("redis://127.0.0.1:{}", proxy.port());
        let store = || patient(RedisStore::builder(&url).no_invalidation_line());
        let build = || Validator::builder(provider.clone()).store(store()).store_timeout(MINUTE);
        let (validator, other) = (build().build().unwrap(), build().facts_in_memory(0).build().unwrap());
        let bench = Self { server, proxy, provider, validator, other, rows: Vec::new() };
        bench.settle_down().await;
        bench
    }

    /// What is done once for a process or a connection is done: logins, the first look at the store, scripts.
    async fn settle_down(&self) {
        for process in [&self.validator, &self.other] {
            let redeemed = process.redeem(proof_of(process, intent_of(IDS[3], "19.99")).await).await.unwrap();
            process.release(redeemed.receipt(), "the bench").await.unwrap();
        }
        self.quiet().await;
    }

    /// Waits until nothing passes any more, and forgets what did.
    async fn quiet(&self) {
        for _ in 0..600 {
            self.proxy.take_traffic();
            sleep(ms(50)).await;
            if self.proxy.take_traffic() == RespTraffic::default() {
                return;
            }
        }
        panic!("calls to the store do not end");
    }

    fn kept(&self) -> i64 {
        self.server.command(&["EVAL", KEPT, "0"]).parse().unwrap()
    }

    async fn count<T>(&mut self, what: &str, call: impl IntoFuture<Output = T>) -> T {
        let (kept, asked) = (self.kept(), self.provider.calls());
        self.proxy.take_traffic();
        let answer = call.await;
        // What is written beside the answer counts, too.
        let mut traffic = self.proxy.take_traffic();
        for _ in 0..4 {
            sleep(ms(50)).await;
            let late = self.proxy.take_traffic();
            traffic.commands.extend(late.commands);
            traffic.sent += late.sent;
            traffic.received += late.received;
        }
        let numbers = [traffic.calls(), traffic.commands.len(), traffic.sent, traffic.received];
        let [calls, commands, sent, received] = numbers.map(|number| number.to_string());
        let provider = (self.provider.calls() - asked).to_string();
        let kept = (self.kept() - kept).to_string();
        self.rows.push([what.to_owned(), provider, calls, commands, sent, received, kept]);
        answer
    }
}

/// Bytes differ by a digit of a time, and by how a server allocates: within a tenth the page's number stands.
fn as_on_the_page(rows: Vec<[String; 7]>) -> Vec<[String; 7]> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE)).unwrap();
    let lines = text.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let page: BTreeMap<&str, Vec<&str>> = lines
        .filter_map(|line| {
            let cells: Vec<&str> = line.split(" | ").collect();
            (cells.len() == 7).then(|| (cells[0], cells))
        })
        .collect();
    let close = |measured: &str, written: &str| {
        let (measured, written): (i64, i64) = (measured.parse().ok()?, written.parse().ok()?);
        ((measured - written).abs() * 10 <= measured.abs()).then(|| written.to_string())
    };
    rows.into_iter()
        .map(|row| {
            let written = page.get(&*row[0]);
            let mut at = 0;
            row.map(|cell| {
                let stands = written.filter(|_| at >= 4).and_then(|cells| close(&cell, cells[at]));
                at += 1;
                stands.unwrap_or(cell)
            })
        })
        .collect()
}

#[tokio::test]
async fn the_page_says_what_each_kind_of_call_costs() {
    let mut bench = Bench::start().await;
    let (validator, other) = (bench.validator.clone(), bench.other.clone());
    let ask = |process: &Validator, intent: PaymentIntent| {
        let asked = process.validate(intent);
        async move { asked.await.unwrap() }
    };
    let [first, second, third, _] = IDS;
    bench.count("a validation that asks the provider (miss)", ask(&validator, intent_of(first, "19.99"))).await;
    bench.count("one that memory answers (hit)", ask(&validator, intent_of(first, "19.99"))).await;
    bench.count("one that the store answers", ask(&other, intent_of(first, "19.99"))).await;
    let keyed = intent_of(second, "19.99").with_key(IdempotencyKey::parse("8e03978e-40d5-43dd-bc93").unwrap());
    bench.count("a miss with an idempotency key of the intent", ask(&validator, keyed)).await;

    let proof = || proof_of(&validator, intent_of(first, "19.99"));
    let (one, again) = (proof().await, proof().await);
    let redeemed = bench.count("`redeem`, the first", validator.redeem(one)).await.unwrap();
    let _ = bench.count("`redeem`, again", validator.redeem(again)).await.unwrap();
    bench.count("`release`", validator.release(redeemed.receipt(), "the bench")).await.unwrap();
    bench.count("`forget`", validator.forget(&PaymentId::parse(first).unwrap())).await.unwrap();

    let guard = validator.guard();
    let refund = Operation::new("store_42", "refund", "order 6735, first", Effect::keyed_write(secs(86_400))).unwrap();
    let send = |call: EffectCall| async move { Ok::<_, ProviderError>(format!("re_{}", call.provider_key().len())) };
    bench.count("a guarded refund", guard.run(&refund, send)).await.unwrap();
    bench.count("the same again", guard.run(&refund, send)).await.unwrap();

    let scope = |_: &Parts| Scope::new("store_42", "shopper_7").ok();
    let layer = IdempotencyLayer::builder(&validator, "checkout", secs(20), scope).build().unwrap();
    let routes = Router::new().route("/checkouts", post(|| async { "order 6735 is on its way" })).layer(layer);
    for what in ["a request with a key", "the same again, replayed"] {
        let request =
            Request::post("/checkouts").header("idempotency-key", "8e03978e-40d5-43dd").body(Body::from("{}"));
        let answered = routes.clone().oneshot(request.unwrap());
        bench.count(what, async { to_bytes(answered.await.unwrap().into_body(), 1 << 20).await.unwrap() }).await;
    }

    let secret = format!("{}_{}", "whsec", "of_the_orders_endpoint");
    let webhooks = StripeWebhooks::builder(&validator, "orders", &*secret).build().unwrap();
    let body = EventBody::of_payment("evt_3MtwBwLkdIwHu7ix28a3tq", "charge.refunded", third).to_string();
    for what in ["a webhook", "the same delivery again"] {
        let signature = sign(&secret, now(), &body);
        let received = webhooks.receive(Some(&signature), &body, |_| ready(Ok::<(), Infallible>(())));
        bench.count(what, received).await.unwrap();
    }
    cached_reads(&mut bench).await;

    let head = ["call", "provider calls", "store calls", "commands", "bytes sent", "bytes received", "bytes kept"];
    compare(PAGE, "calls", &table(head, as_on_the_page(std::mem::take(&mut bench.rows))));
}

async fn cached_reads(bench: &mut Bench) {
    let process = |port: u16| {
        let store = patient(RedisStore::builder(format!("redis://127.0.0.1:{port}")).no_invalidation_line());
        let cache = Cache::builder(store).namespace("shop").store_timeout(secs(20)).build().unwrap();
        let load =
            async |key: For<String>| Ok::<_, Infallible>("x".repeat(if key.key() == "sku_warm" { 99 } else { 100 }));
        let loads: [Loads<For<String>, String>; 2] =
            [PRICES, SESSIONS].map(|space| cache.space(space).unwrap().loads(load));
        (cache, loads)
    };
    let port = bench.proxy.port();
    let ((cache, [one, sessions]), (_, [other, _])) = (process(port), process(port));
    let key = |name: &str| For::new(&Tenant::new("store_42"), name.to_owned());
    for loads in [&one, &other, &sessions] {
        loads.get(&key("sku_warm")).await.unwrap();
    }
    one.invalidate(&key("sku_warm")).await.unwrap();
    bench.quiet().await;
    let sku = key("sku_1");
    bench.count("a cached read that loads (100 bytes)", one.get(&sku)).await.unwrap();
    bench.count("one from memory", one.get(&sku)).await.unwrap();
    bench.count("one from the store", other.get(&sku)).await.unwrap();
    bench.count("`invalidate` of a key", one.invalidate(&sku)).await.unwrap();
    bench.count("a cached read that loads (100 bytes, with a tag of its own)", sessions.get(&sku)).await.unwrap();
    bench.count("`invalidate` of a tag", cache.invalidate(&Tag::new("user", 100))).await.unwrap();
}
