//! Real service processes behind one Redis: duplicates that land on both, a process that is killed, a Redis that is.
//!
//! The processes are this very test binary, started again to run nothing but [`worker`].
#![cfg(all(feature = "axum", feature = "redis"))]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what does not hold here fails the test"
)]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::redis_server::{RedisConfig, RedisServer};
use crate::servers::until;
use ::redis::aio::MultiplexedConnection;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::routing::post;
use payproof::Validator;
use payproof::endpoint::{IdempotencyLayer, OnUnknown, Scope};
use payproof::store::RedisStore;
use payproof::testing::ScriptedProvider;
use reqwest::{Client, Response};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// What makes this binary a service: the address of its Redis.
const WORKER: &str = "PAYPROOF_ENDPOINT_WORKER";

const KEY: &str = "8e03978e-40d5";

const DUPLICATES: usize = 200;

/// No test, unless the parent started this process to be a service.
#[test]
fn worker() {
    if let Ok(redis) = std::env::var(WORKER) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(serve(&redis));
    }
}

async fn serve(redis: &str) {
    // A stuck machine must not make a lease look over, and a killed process must be found out soon.
    let store = RedisStore::new(redis).unwrap();
    let validator = Validator::builder(ScriptedProvider::new())
        .store(store)
        .store_timeout(Duration::from_millis(500))
        .build()
        .unwrap();
    let scope = |_: &Parts| Scope::new("store_42", "shopper_7").ok();
    let layer = IdempotencyLayer::builder(&validator, "checkout", Duration::from_secs(2), scope)
        .lease(Duration::from_secs(4))
        .wait(Duration::from_secs(3))
        .build()
        .unwrap();
    let effects = ::redis::Client::open(redis).unwrap().get_multiplexed_async_connection().await.unwrap();
    let routes = Router::new()
        .route("/pay", post(handler).layer(layer.clone()))
        .route("/pay-again", post(handler).layer(layer.on_unknown(OnUnknown::RunAgain)))
        .with_state(effects);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("\nlistening {}", listener.local_addr().unwrap());
    axum::serve(listener, routes).await.unwrap();
}

/// Has an effect, and takes as long as the body says, in milliseconds.
async fn handler(State(mut effects): State<MultiplexedConnection>, body: String) -> (StatusCode, String) {
    let run: u64 = ::redis::cmd("INCR").arg("effects").query_async(&mut effects).await.unwrap();
    sleep(Duration::from_millis(body.parse().unwrap())).await;
    (StatusCode::CREATED, format!("run {run} in {}", std::process::id()))
}

/// A service; killed when it is dropped.
struct Process {
    child: Child,
    url: String,
}

impl Process {
    fn start(redis: &RedisServer) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "processes::worker", "--nocapture", "--test-threads", "1"]);
        let mut child = command.env(WORKER, redis.url()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        let address =
            said.map_while(Result::ok).find_map(|line| line.strip_prefix("listening ").map(str::to_owned)).unwrap();
        Self { child, url: format!("http://{address}") }
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    async fn post(&self, client: &Client, path: &str, key: &str, millis: u64) -> reqwest::Result<Response> {
        let request = client.post(format!("{}{path}", self.url)).header("Idempotency-Key", key);
        request.body(millis.to_string()).send().await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn client() -> Client {
    // reqwest is built without a crypto provider, and asks for one even where no TLS is spoken.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap()
}

fn effects(redis: &RedisServer) -> String {
    redis.command(&["GET", "effects"])
}

async fn code(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body: serde_json::Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    (status, body["error"]["code"].as_str().unwrap().to_owned())
}

/// Sends them all at once, each to the next process, and returns the answers.
async fn burst(processes: &[Process], key: &str) -> Vec<(u16, bool, String)> {
    let mut clicks = JoinSet::new();
    let client = client();
    for click in 0..DUPLICATES {
        let (client, url, key) = (client.clone(), processes[click % processes.len()].url.clone(), key.to_owned());
        clicks.spawn(async move {
            let request = client.post(format!("{url}/pay")).header("Idempotency-Key", key).body("300");
            let response = request.send().await.unwrap();
            let replayed = response.headers().contains_key("idempotent-replayed");
            (response.status().as_u16(), replayed, response.text().await.unwrap())
        });
    }
    clicks.join_all().await
}

fn one_ran(answers: &[(u16, bool, String)]) {
    let first = &answers[0].2;
    assert!(answers.iter().all(|(status, _, body)| (*status, body) == (201, first)), "{answers:?}");
    assert_eq!(answers.iter().filter(|(_, replayed, _)| !replayed).count(), 1);
}

#[tokio::test]
async fn of_200_duplicates_at_one_process_one_runs() {
    let redis = RedisServer::start().await;
    let process = [Process::start(&redis)];
    one_ran(&burst(&process, KEY).await);
    assert_eq!(effects(&redis), "1");
}

#[tokio::test]
async fn of_200_duplicates_at_two_processes_one_runs() {
    let redis = RedisServer::start().await;
    let processes = [Process::start(&redis), Process::start(&redis)];
    for round in 1..=3 {
        one_ran(&burst(&processes, &format!("{KEY}-{round}")).await);
        assert_eq!(effects(&redis), round.to_string());
    }
}

/// Kills a process in the middle of its handler.
async fn killed_in_the_middle(redis: &RedisServer, path: &'static str) {
    let mut victim = Process::start(redis);
    let (client, url) = (client(), victim.url.clone());
    let asked = tokio::spawn(async move {
        let request = client.post(format!("{url}{path}")).header("Idempotency-Key", KEY).body("1500");
        request.send().await.is_ok()
    });
    until("the handler has had its effect", || effects(redis) == "1").await;
    victim.kill();
    assert!(!asked.await.unwrap(), "its client was cut off");
}

#[tokio::test]
async fn a_process_killed_in_the_middle_leaves_no_second_effect() {
    let redis = RedisServer::start().await;
    let survivor = Process::start(&redis);
    killed_in_the_middle(&redis, "/pay").await;
    let client = client();
    // The same body, or it would be another request.
    let seen = code(survivor.post(&client, "/pay", KEY, 1500).await.unwrap()).await;
    assert!(matches!(&*seen.1, "IDEMPOTENCY_IN_PROGRESS" | "IDEMPOTENCY_INDETERMINATE"), "{seen:?}");
    sleep(Duration::from_secs(4)).await;
    for _ in 0..3 {
        let seen = code(survivor.post(&client, "/pay", KEY, 1500).await.unwrap()).await;
        assert_eq!(seen, (409, "IDEMPOTENCY_INDETERMINATE".into()));
    }
    assert_eq!(effects(&redis), "1");
}

#[tokio::test]
async fn a_route_that_may_run_again_does_so_once_after_a_kill() {
    let redis = RedisServer::start().await;
    let survivor = Process::start(&redis);
    killed_in_the_middle(&redis, "/pay-again").await;
    sleep(Duration::from_secs(4)).await;
    let client = client();
    let send = || survivor.post(&client, "/pay-again", KEY, 1500);
    let (one, other) = tokio::join!(send(), send());
    let (one, other) = (one.unwrap().text().await.unwrap(), other.unwrap().text().await.unwrap());
    assert!(one.starts_with("run 2 in"), "{one}");
    assert_eq!((one, &*effects(&redis)), (other, "2"));
}

#[tokio::test]
async fn while_redis_is_gone_nothing_runs_and_an_answer_outlives_it() {
    // What was claimed is on disk before it is answered, so that the server may go at any time.
    let mut redis = RedisConfig::new().line("appendfsync always").start().await;
    let process = Process::start(&redis);
    let client = client();
    let answer = {
        let under_way = process.post(&client, "/pay", KEY, 1500);
        let killing = async {
            until("the handler has had its effect", || effects(&redis) == "1").await;
            redis.hang();
        };
        let (answer, ()) = tokio::join!(under_way, killing);
        answer.unwrap().text().await.unwrap()
    };
    assert!(answer.starts_with("run 1 in"), "{answer}");
    redis.kill();
    let seen = code(process.post(&client, "/pay", "another-key", 0).await.unwrap()).await;
    assert_eq!(seen, (503, "IDEMPOTENCY_UNAVAILABLE".into()));
    redis.restart().await;
    assert_eq!(effects(&redis), "1");
    // The answer is written when the store is back; until then its claim stands.
    for _ in 0..100 {
        let response = process.post(&client, "/pay", KEY, 1500).await.unwrap();
        if response.status().is_success() {
            assert_eq!(response.headers()["idempotent-replayed"], "true");
            assert_eq!(response.text().await.unwrap(), answer);
            assert_eq!(effects(&redis), "1");
            return;
        }
        let seen = code(response).await;
        assert!(matches!(&*seen.1, "IDEMPOTENCY_IN_PROGRESS" | "IDEMPOTENCY_UNAVAILABLE"), "{seen:?}");
        sleep(Duration::from_millis(100)).await;
    }
    panic!("the answer was not written");
}
