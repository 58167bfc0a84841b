//! The endpoint on Redis, beside two bare round trips.

use std::sync::Arc;
use std::time::Duration;

use ::redis::AsyncConnectionConfig;
use ::redis::aio::MultiplexedConnection;
use payproof::store::RedisStore;
use payproof::testing::{FlakyStore, StoreVerb};
use tokio::runtime::{Builder, Runtime};

use crate::calls::{calling, fresh};
use crate::checkout;
use crate::endpoint::idempotent;
use crate::figure::{self, Scale};
use crate::redis_server::RedisServer;
use crate::turns::{Peer, take_turns, timed};

const ROUNDS: usize = 600;
const BATCH: u64 = 20;

/// As long as the record of a small answer.
const RECORD: usize = 250;

pub(crate) fn run(scale: Scale) {
    let workers = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("room for a runtime");
    let server = workers.block_on(RedisServer::start());
    compare(scale, &workers, &server, "");
    compare(scale, &checkout::runtime(), &server, "_one_thread");
    trips(&server);
}

fn compare(scale: Scale, runtime: &Runtime, server: &RedisServer, on: &str) {
    let routes = runtime.block_on(async { idempotent(RedisStore::new(server.url()).expect("the URL is one")) });
    let client = ::redis::Client::open(server.url()).expect("the URL is one");
    // With the limit that the store has.
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_millis(500)));
    let connection =
        runtime.block_on(client.get_multiplexed_async_connection_with_config(&config)).expect("the server is up");
    let prefix = format!("key{on}-");
    let keys = fresh();
    let mut first = calling(runtime, &routes, move || format!("{prefix}{}", keys()));
    let mut sets = setting(runtime, connection);
    let [first, sets] = take_turns(scale.of(ROUNDS), BATCH, [&mut first, &mut sets]);
    figure::ratio(&format!("first_vs_2rtt{on}"), first.ratio_to(&sets));
    figure::ns(&format!("redis_first{on}"), first.ns());
    figure::ns(&format!("redis_2rtt{on}"), sets.ns());
}

/// Two bare round trips, one after the other.
fn setting(runtime: &Runtime, connection: MultiplexedConnection) -> Peer<'_> {
    let value: Arc<[u8]> = vec![b'v'; RECORD].into();
    let keys = fresh();
    Box::new(move |count| {
        let (mut connection, value, keys) = (connection.clone(), Arc::clone(&value), keys.clone());
        let batch = runtime.spawn(async move {
            let (time, ()) = timed(async {
                for _ in 0..count {
                    let key = format!("bare:{}", keys());
                    for _ in 0..2 {
                        let mut set = ::redis::cmd("SET");
                        let set = set.arg(&key).arg(&*value).arg("PX").arg(86_400_000);
                        let () = set.query_async(&mut connection).await.expect("it is set");
                    }
                }
            })
            .await;
            time
        });
        runtime.block_on(batch).expect("nothing panics")
    })
}

fn trips(server: &RedisServer) {
    let runtime = checkout::runtime();
    let store = FlakyStore::new(RedisStore::new(server.url()).expect("the URL is one"));
    let routes = idempotent(store.clone());
    let mut first = calling(&runtime, &routes, fresh());
    first(1);
    let verbs = [StoreVerb::Get, StoreVerb::Claim, StoreVerb::Replace, StoreVerb::Remove];
    println!("count first_trips {}", verbs.into_iter().map(|verb| store.calls(verb)).sum::<u64>());
}
