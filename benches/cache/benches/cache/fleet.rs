//! How often a fleet of four processes loads what expires: payproof, and what a service would use instead, on one server.
//!
//! In each round every value of the round before has expired, and four processes ask for all of them at once, two callers for
//! each key in each process. The database counts. In the last rounds one process is killed while it loads.

use std::convert::Infallible;
use std::process::Stdio;
use std::time::Duration;

use payproof::cache::{Cache, Space};
use payproof::store::RedisStore;
use payproof_bench_cache::{Amalgam, Cached, Handwritten, Price, key, price_of};
use redis::AsyncTypedCommands;
use redis::aio::MultiplexedConnection;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::figure::{self, Scale};
use crate::redis_server::RedisServer;

/// What a process is told by: which cache it uses, and where the server is.
const CACHE: &str = "PAYPROOF_BENCH_CACHE";
const SERVER: &str = "PAYPROOF_BENCH_SERVER";

const PROCESSES: usize = 4;

/// Each expires once in each round.
const KEYS: usize = 100;

const ROUNDS: usize = 10;

/// Rounds in which a process is killed.
const KILLS: usize = 3;

/// Counted from the beginning of a load, as payproof does.
const TTL: Duration = Duration::from_millis(1_000);

/// What the database takes: long enough that a process which is killed has landed nothing yet.
const LOAD: Duration = Duration::from_millis(300);

const CALLERS: usize = 2;

pub(crate) fn run(scale: Scale) {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("room for a runtime");
    runtime.block_on(async {
        for (cache, name) in [("payproof", ""), ("amalgam", "_amalgam"), ("cached", "_cached"), ("bare", "_get_set")] {
            expiries(cache, name, scale.of(ROUNDS), KILLS.min(scale.of(ROUNDS))).await;
        }
    });
}

async fn expiries(cache: &'static str, name: &str, rounds: usize, kills: usize) {
    let server = RedisServer::start().await;
    let mut database = Database::connect(&server.url()).await;
    let mut fleet = Vec::new();
    for _ in 0..PROCESSES {
        fleet.push(Process::start(cache, &server));
    }
    // Nothing has expired yet.
    round(&mut fleet, None).await;
    let before = database.loads().await;
    for _ in 0..rounds {
        sleep(TTL + TTL / 5).await;
        round(&mut fleet, None).await;
    }
    let loads = database.loads().await - before;
    figure::ratio(&format!("loads_per_expiry{name}"), loads as f64 / (rounds * KEYS) as f64);

    let (mut loads, mut lost, mut longest) = (0, 0, Duration::ZERO);
    for number in 0..kills {
        sleep(TTL + TTL / 5).await;
        let before = (database.loads().await, database.landed().await);
        let killed = number % PROCESSES;
        let asked = Instant::now();
        round(&mut fleet, Some(killed)).await;
        longest = longest.max(asked.elapsed());
        let (begun, landed) = (database.loads().await - before.0, database.landed().await - before.1);
        loads += begun;
        lost += begun - landed;
        fleet[killed] = Process::start(cache, &server);
    }
    figure::count(&format!("leaders_killed{name}"), lost);
    figure::ms(&format!("longest_wait_beside_killed{name}"), longest.as_secs_f64() * 1e3);
    figure::ratio(&format!("loads_per_expiry_beside_killed{name}"), (loads - lost) as f64 / (kills * KEYS) as f64);
}

/// Lets all processes ask for everything; and kills one of them while it loads.
async fn round(fleet: &mut [Process], killed: Option<usize>) {
    for process in &mut *fleet {
        process.ask().await;
    }
    if let Some(killed) = killed {
        sleep(LOAD / 4).await;
        fleet[killed].kill().await;
    }
    for (at, process) in fleet.iter_mut().enumerate() {
        if killed != Some(at) {
            process.has_answered().await;
        }
    }
}

/// A process of the fleet.
struct Process {
    child: Child,
    asks: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Process {
    fn start(cache: &str, server: &RedisServer) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("a program has a file"));
        command.env(CACHE, cache).env(SERVER, server.url()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().expect("the program starts");
        let asks = child.stdin.take().expect("it is piped");
        let answers = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        Self { child, asks, answers }
    }

    async fn ask(&mut self) {
        self.asks.write_all(b"ask\n").await.expect("the process runs");
    }

    async fn has_answered(&mut self) {
        let line = self.answers.next_line().await.expect("the process runs");
        assert_eq!(line.as_deref(), Some("answered"));
    }

    async fn kill(&mut self) {
        self.child.kill().await.expect("it runs");
    }
}

/// What counts the loads that begin, and those that land.
#[derive(Clone)]
struct Database(MultiplexedConnection);

impl Database {
    async fn connect(url: &str) -> Self {
        let client = redis::Client::open(url).expect("the URL is one");
        Self(client.get_multiplexed_async_connection().await.expect("the server is up"))
    }

    async fn price(mut self, sku: String) -> Price {
        self.0.incr("begun", 1).await.expect("the server is up");
        sleep(LOAD).await;
        self.0.incr("landed", 1).await.expect("the server is up");
        price_of(&sku)
    }

    async fn loads(&mut self) -> u64 {
        self.count("begun").await
    }

    async fn landed(&mut self) -> u64 {
        self.count("landed").await
    }

    async fn count(&mut self, name: &str) -> u64 {
        self.0.get(name).await.expect("the server is up").map_or(0, |count| count.parse().expect("a count"))
    }
}

/// Asks for a price as its cache has it.
type Ask = Box<dyn Fn(String) -> std::pin::Pin<Box<dyn Future<Output = Price> + Send>>>;

/// What a process of the fleet does: false where this is none.
pub(crate) fn is_process() -> bool {
    let (Ok(cache), Ok(url)) = (std::env::var(CACHE), std::env::var(SERVER)) else { return false };
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("room for a runtime");
    runtime.block_on(async {
        let ask = asks(&cache, &url).await;
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        while let Ok(Some(_)) = lines.next_line().await {
            let mut calls = JoinSet::new();
            for number in 0..KEYS * CALLERS {
                calls.spawn(ask(key(number % KEYS)));
            }
            assert!(calls.join_all().await.iter().all(|price| price.amount == 2_000));
            println!("answered");
        }
    });
    true
}

async fn asks(cache: &str, url: &str) -> Ask {
    let database = Database::connect(url).await;
    match cache {
        "payproof" => {
            let space: Space<String, Price> = Space::global("price", TTL);
            let store = RedisStore::new(url).expect("the URL is one");
            let cache = Cache::builder(store).namespace("bench").build().expect("the settings fit");
            let prices = cache.space(space).expect("the settings fit");
            let prices = prices.loads(move |sku: String| {
                let load = database.clone().price(sku);
                async move { Ok::<_, Infallible>(load.await) }
            });
            Box::new(move |sku| {
                let prices = prices.clone();
                Box::pin(async move { prices.get(&sku).await.expect("it loads").clone().into_value() })
            })
        }
        "amalgam" => {
            let amalgam = Amalgam::connect(url, TTL).await;
            Box::new(move |sku| {
                let (amalgam, load) = (amalgam.clone(), database.clone().price(sku.clone()));
                Box::pin(async move { amalgam.get_or_load(&sku, load).await })
            })
        }
        "cached" => {
            let cached = Cached::connect(url, TTL).await;
            Box::new(move |sku| {
                let (cached, load) = (cached.clone(), database.clone().price(sku.clone()));
                Box::pin(async move { cached.get_or_load(&sku, load).await })
            })
        }
        _ => {
            let bare = Handwritten::connect(url, TTL).await;
            Box::new(move |sku| {
                let (bare, load) = (bare.clone(), database.clone().price(sku.clone()));
                Box::pin(async move { bare.get_or_load(&sku, load).await.expect("the server is up") })
            })
        }
    }
}
