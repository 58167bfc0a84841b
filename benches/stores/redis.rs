//! A replay and a miss through Redis, beside the bare multiplexed connection that a user would have.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use ::redis::AsyncConnectionConfig;
use ::redis::aio::MultiplexedConnection;
use payproof::store::RedisStore;
use payproof::testing::{FlakyStore, StoreVerb};
use payproof::{PaymentIntent, Provenance, Validator};
use tokio::runtime::{Builder, Runtime};

use crate::checkout::{self, Prompt};
use crate::figure::Scale;
use crate::peers::{acting, calls_of, crowd, replay};
use crate::redis_server::RedisServer;
use crate::rounds::{Pace, ROUNDS, Rounds};
use crate::turns::take_turns;

const BATCHES: usize = 200;
const BATCH: u64 = 20;
const CROWDS: usize = 10;
pub(crate) const TASKS: usize = 256;

pub(crate) fn run(scale: Scale) {
    let alone = checkout::runtime();
    let server = alone.block_on(RedisServer::start());
    // A runtime that is there and idle wakes no task.
    for (runtime, on) in [(workers as fn() -> Runtime, ""), (checkout::runtime, "_one_thread")] {
        let mut rounds = Rounds::default();
        for _ in 0..scale.of(ROUNDS) {
            for pace in Pace::BOTH {
                let runtime = runtime();
                latencies(scale, &runtime, &server, (pace, on), &mut rounds);
                throughput(scale, &runtime, &server, (pace, on), &mut rounds);
            }
        }
        rounds.print();
    }
    trips(&alone, &server);
}

pub(crate) fn workers() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("room for a runtime")
}

fn validator(server: &RedisServer) -> Validator {
    validator_on(RedisStore::new(server.url()).expect("the URL is one"))
}

fn validator_on(store: impl payproof::store::Store) -> Validator {
    Validator::builder(Prompt::new()).store(store).facts_in_memory(0).build().expect("settings fit")
}

pub(crate) async fn bare(server: &RedisServer) -> MultiplexedConnection {
    let client = ::redis::Client::open(server.url()).expect("the URL is one");
    // With the limit that the store has.
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_millis(500)));
    client.get_multiplexed_async_connection_with_config(&config).await.expect("the server is up")
}

/// The bytes of a record that a replay reads, for the bare client to read as many.
pub(crate) async fn record_of(server: &RedisServer, intent: &PaymentIntent) -> Vec<u8> {
    let mut connection = bare(server).await;
    let () = ::redis::cmd("FLUSHALL").query_async(&mut connection).await.expect("it flushes");
    let validation = validator(server).validate(intent).await.expect("the provider answers");
    assert_eq!(validation.provenance(), Provenance::Fresh);
    assert_eq!(validation.degraded(), None);
    let keys: Vec<String> = ::redis::cmd("KEYS").arg("*").query_async(&mut connection).await.expect("it lists");
    let key = keys.iter().find(|key| key.contains("facts")).expect("the facts are there");
    ::redis::cmd("GET").arg(key).query_async(&mut connection).await.expect("it is a string")
}

fn latencies(scale: Scale, runtime: &Runtime, server: &RedisServer, (pace, on): (Pace, &str), rounds: &mut Rounds) {
    let intent = checkout::intent(&checkout::payment_ids().next().expect("there is one"));
    let record = runtime.block_on(record_of(server, &intent));
    let connection = runtime.block_on(bare(server));
    let () = runtime.block_on(set(connection.clone(), "bare".to_owned(), record.clone()));
    let own = validator(server);

    let mut replays = acting(runtime, pace, {
        let (own, intent) = (own.clone(), intent.clone());
        move |_| replay(own.clone(), intent.clone())
    });
    let mut gets = acting(runtime, pace, {
        let connection = connection.clone();
        move |_| get(connection.clone())
    });
    let (batches, of) = (scale.of(pace.batches(BATCHES)), pace.suffix());
    rounds.add(format!("redis_hit_vs_get{of}{on}"), &take_turns(batches, BATCH, [&mut replays, &mut gets]));

    let mut misses = acting(runtime, pace, {
        let own = own.clone();
        move |number| miss(own.clone(), number)
    });
    let mut sets = acting(runtime, pace, move |number| {
        let (connection, record) = (connection.clone(), record.clone());
        async move {
            set(connection.clone(), format!("bare:{number}"), record.clone()).await;
            set(connection, format!("bare:{number}"), record).await;
        }
    });
    rounds.add(format!("redis_miss_vs_2rtt{of}{on}"), &take_turns(batches, BATCH, [&mut misses, &mut sets]));
}

fn throughput(scale: Scale, runtime: &Runtime, server: &RedisServer, (pace, on): (Pace, &str), rounds: &mut Rounds) {
    // Each task has a payment of its own, or they would share flights.
    let intents: Arc<[PaymentIntent]> = checkout::payment_ids().take(TASKS).map(|id| checkout::intent(&id)).collect();
    let own = validator(server);
    let connection = runtime.block_on(bare(server));
    for intent in intents.iter() {
        runtime.block_on(async { own.validate(intent).await.expect("the provider answers") });
    }
    let mut replays = crowd(runtime, pace, TASKS, {
        let own = own.clone();
        move |task| replay(own.clone(), intents.get(task).expect("one each").clone())
    });
    let mut gets = crowd(runtime, pace, TASKS, move |_| get(connection.clone()));
    let times = take_turns(scale.of(CROWDS), calls_of(TASKS), [&mut replays, &mut gets]);
    rounds.add_throughput(format!("redis_throughput_uncovered{}{on}", pace.suffix()), &times);
}

/// Round trips are calls of the store, each of which is one; commands are what the server counts.
fn trips(runtime: &Runtime, server: &RedisServer) {
    let store = FlakyStore::new(RedisStore::new(server.url()).expect("the URL is one"));
    let calls = || -> u64 {
        [StoreVerb::Get, StoreVerb::Claim, StoreVerb::Replace, StoreVerb::Remove]
            .map(|verb| store.calls(verb))
            .iter()
            .sum()
    };
    let own = validator_on(store.clone());
    let mut connection = runtime.block_on(bare(server));
    let mut commands = || {
        let stats: String = runtime.block_on(async {
            ::redis::cmd("INFO").arg("stats").query_async(&mut connection).await.expect("it tells")
        });
        let line = stats.lines().find_map(|line| line.strip_prefix("total_commands_processed:"));
        line.and_then(|count| count.trim().parse::<u64>().ok()).expect("it counts")
    };
    // The first use looks at the store, and loads scripts.
    runtime.block_on(miss(own.clone(), u64::MAX));
    runtime.block_on(async { tokio::time::sleep(Duration::from_millis(200)).await });
    let intent = checkout::intent("pi_trips");
    for (name, expected) in [("miss", Provenance::Fresh), ("replay", Provenance::Replayed)] {
        let (calls_before, commands_before) = (calls(), commands());
        let validation = runtime.block_on(async { own.validate(&intent).await.expect("the provider answers") });
        assert_eq!(validation.provenance(), expected);
        // INFO itself is one.
        println!("count redis_commands_{name} {}", commands() - commands_before - 1);
        println!("count redis_trips_{name} {}", calls() - calls_before);
    }
}

async fn miss(own: Validator, number: u64) {
    let validation = own.validate(checkout::intent(&format!("pi_{number:023}"))).await.expect("the provider answers");
    assert!(validation.verdict().is_valid() && validation.provenance() == Provenance::Fresh);
}

pub(crate) async fn get(mut connection: MultiplexedConnection) {
    let bytes: Vec<u8> = ::redis::cmd("GET").arg("bare").query_async(&mut connection).await.expect("it answers");
    assert!(!black_box(bytes).is_empty());
}

pub(crate) async fn set(mut connection: MultiplexedConnection, key: String, value: Vec<u8>) {
    let mut command = ::redis::cmd("SET");
    let () = command.arg(key).arg(value).arg("PX").arg(86_400_000).query_async(&mut connection).await.expect("it sets");
}
