//! The endpoint on Redis, beside two bare round trips.

use std::time::Duration;

use ::redis::AsyncConnectionConfig;
use ::redis::aio::MultiplexedConnection;
use payproof::store::RedisStore;
use payproof::testing::{FlakyStore, StoreVerb};
use tokio::runtime::{Builder, Runtime};

use crate::calls::{calling, fresh};
use crate::checkout;
use crate::endpoint::idempotent;
use crate::figure::Scale;
use crate::redis_server::RedisServer;
use crate::rounds::{Pace, ROUNDS, Rounds};
use crate::turns::{Batches, Peer, take_turns};

const BATCHES: usize = 200;
const BATCH: u64 = 20;

/// As long as the record of a small answer.
const RECORD: usize = 250;

pub(crate) fn run(scale: Scale) {
    let server = checkout::runtime().block_on(RedisServer::start());
    for (runtime, on) in [(workers as fn() -> Runtime, ""), (checkout::runtime, "_one_thread")] {
        let mut rounds = Rounds::default();
        for round in 0..scale.of(ROUNDS) {
            for pace in Pace::BOTH {
                let of = pace.suffix();
                let prefix = format!("key{on}{of}-{round}-");
                let batches = scale.of(pace.batches(BATCHES));
                rounds.add(format!("first_vs_2rtt{of}{on}"), &compare(batches, &runtime(), &server, pace, prefix));
            }
        }
        rounds.print();
    }
    trips(&server);
}

fn workers() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("room for a runtime")
}

fn compare(batches: usize, runtime: &Runtime, server: &RedisServer, pace: Pace, prefix: String) -> [Batches; 2] {
    let routes = runtime.block_on(async { idempotent(RedisStore::new(server.url()).expect("the URL is one")) });
    let client = ::redis::Client::open(server.url()).expect("the URL is one");
    // With the limit that the store has.
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_millis(500)));
    let connection =
        runtime.block_on(client.get_multiplexed_async_connection_with_config(&config)).expect("the server is up");
    let keys = fresh();
    let mut first = calling(runtime, pace, &routes, move || format!("{prefix}{}", keys()));
    take_turns(batches, BATCH, [&mut first, &mut setting(runtime, pace, connection)])
}

/// Two bare round trips, one after the other.
fn setting(runtime: &Runtime, pace: Pace, connection: MultiplexedConnection) -> Peer<'_> {
    let (value, keys) = (vec![b'v'; RECORD], fresh());
    Box::new(move |count| {
        let (connection, value, keys) = (connection.clone(), value.clone(), keys.clone());
        let batch = runtime.spawn(async move {
            let sets = (0..count).map(|_| set_twice(connection.clone(), format!("bare:{}", keys()), &value));
            pace.time(sets).await
        });
        runtime.block_on(batch).expect("nothing panics")
    })
}

async fn set_twice(mut connection: MultiplexedConnection, key: String, value: &[u8]) {
    for _ in 0..2 {
        let mut set = ::redis::cmd("SET");
        let set = set.arg(&key).arg(value).arg("PX").arg(86_400_000);
        let () = set.query_async(&mut connection).await.expect("it is set");
    }
}

fn trips(server: &RedisServer) {
    let runtime = checkout::runtime();
    let store = FlakyStore::new(RedisStore::new(server.url()).expect("the URL is one"));
    let routes = idempotent(store.clone());
    let mut first = calling(&runtime, Pace::BackToBack, &routes, fresh());
    first(1);
    let verbs = [StoreVerb::Get, StoreVerb::Claim, StoreVerb::Replace, StoreVerb::Remove];
    println!("count first_trips {}", verbs.into_iter().map(|verb| store.calls(verb)).sum::<u64>());
}
