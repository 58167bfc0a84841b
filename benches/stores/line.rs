//! What the invalidation line brings: replays without a call to the store, and how soon a `forget` elsewhere is heard.

#![expect(clippy::disallowed_methods, reason = "a bench measures real time")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use ::redis::aio::MultiplexedConnection;
use payproof::store::RedisStore;
use payproof::{PaymentId, PaymentIntent, Provenance, Validator};
use tokio::runtime::Runtime;

use crate::checkout::{self, Prompt};
use crate::figure::{self, Scale};
use crate::peers::{acting, calls_of, crowd, replay};
use crate::redis::{TASKS, bare, get, record_of, set, workers};
use crate::redis_server::RedisServer;
use crate::rounds::Pace;
use crate::turns::take_turns;

const ROUNDS: usize = 600;
const BATCH: u64 = 200;
const FORGETS: usize = 1_000;

/// The shortest with which validators have a line: what is served later without the server is covered.
const MEMORY_FOR: Duration = Duration::from_secs(1);

/// A machine that is busy needs longer for a session of the line to open.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn run(scale: Scale) {
    let workers = workers();
    let server = workers.block_on(RedisServer::start());
    replays(scale, &workers, &server);
    crowds(scale, &workers, &server);
    forgets(scale, &workers, &server);
}

fn validator(server: &RedisServer) -> Validator {
    let store = RedisStore::new(server.url()).expect("the URL is one");
    Validator::builder(Prompt::new()).store(store).facts_in_memory_for(MEMORY_FOR).build().expect("settings fit")
}

/// How many records the server was asked for.
async fn asked(connection: &mut MultiplexedConnection) -> u64 {
    let stats: String = ::redis::cmd("INFO").arg("commandstats").query_async(connection).await.expect("it tells");
    let calls = stats.lines().find_map(|line| line.strip_prefix("cmdstat_multi:calls=")?.split(',').next());
    calls.and_then(|calls| calls.parse().ok()).unwrap_or_default()
}

/// Has the facts of these payments covered.
async fn cover(own: &Validator, connection: &mut MultiplexedConnection, intents: &[PaymentIntent]) {
    let begun = Instant::now();
    loop {
        for _ in 0..2 {
            for intent in intents {
                own.validate(intent).await.expect("the provider answers");
            }
        }
        tokio::time::sleep(MEMORY_FOR + Duration::from_millis(50)).await;
        let before = asked(connection).await;
        for intent in intents {
            own.validate(intent).await.expect("the provider answers");
        }
        if asked(connection).await == before {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "the facts are not covered");
    }
}

fn replays(scale: Scale, runtime: &Runtime, server: &RedisServer) {
    let intent = checkout::intent(&checkout::payment_ids().next().expect("there is one"));
    let (own, alone) = (validator(server), Validator::builder(Prompt::new()).build().expect("settings fit"));
    runtime.block_on(async {
        cover(&own, &mut bare(server).await, std::slice::from_ref(&intent)).await;
        alone.validate(&intent).await.expect("the provider answers");
    });
    let replays = |validator: Validator| {
        let intent = intent.clone();
        acting(runtime, Pace::BackToBack, move |_| replay(validator.clone(), intent.clone()))
    };
    let [own_times, alone_times] =
        take_turns(scale.of(ROUNDS), BATCH, [&mut replays(own.clone()), &mut replays(alone)]);
    figure::ratio("covered_replay_vs_memory", own_times.ratio_to(&alone_times));
    figure::ns("covered_replay", own_times.ns());
    figure::ns("memory_replay", alone_times.ns());
}

fn crowds(scale: Scale, runtime: &Runtime, server: &RedisServer) {
    let intents: Arc<[PaymentIntent]> = checkout::payment_ids().take(TASKS).map(|id| checkout::intent(&id)).collect();
    let own = validator(server);
    let record = runtime.block_on(record_of(server, intents.first().expect("there is one")));
    let connection = runtime.block_on(bare(server));
    runtime.block_on(async {
        set(connection.clone(), "bare".to_owned(), record).await;
        cover(&own, &mut connection.clone(), &intents).await;
    });
    let mut replays = {
        let own = own.clone();
        crowd(runtime, Pace::BackToBack, TASKS, move |task| {
            replay(own.clone(), intents.get(task).expect("one each").clone())
        })
    };
    let mut gets = crowd(runtime, Pace::BackToBack, TASKS, move |_| get(connection.clone()));
    let [own_times, bare_times] = take_turns(scale.of(40), calls_of(TASKS), [&mut replays, &mut gets]);
    figure::ratio("redis_throughput", 1.0 / own_times.ratio_to(&bare_times));
    figure::ns("redis_replay_of_256", own_times.ns());
    figure::ns("redis_get_of_256", bare_times.ns());
}

/// From the answer to a `forget` in one process until a call in another one is not answered from memory.
fn forgets(scale: Scale, runtime: &Runtime, server: &RedisServer) {
    let (own, other) = (validator(server), validator(server));
    let id = checkout::payment_ids().next().expect("there is one");
    let (intent, payment) = (checkout::intent(&id), PaymentId::parse(&id).expect("it is an id"));
    let mut waits: Vec<f64> = Vec::new();
    runtime.block_on(async {
        let mut connection = bare(server).await;
        cover(&own, &mut connection, std::slice::from_ref(&intent)).await;
        while waits.len() < scale.of(FORGETS) {
            let before = asked(&mut connection).await;
            let is_covered = own.validate(&intent).await.expect("the provider answers").provenance()
                == Provenance::Replayed
                && asked(&mut connection).await == before;
            if !is_covered {
                continue;
            }
            other.forget(&payment).await.expect("the store answers");
            let begun = Instant::now();
            let mut missed_after = Duration::ZERO;
            while own.validate(&intent).await.expect("the provider answers").provenance() == Provenance::Replayed {
                assert!(missed_after <= MEMORY_FOR, "it was served {missed_after:?} later");
                tokio::task::yield_now().await;
                missed_after = begun.elapsed();
            }
            waits.push(missed_after.as_secs_f64() * 1e9);
        }
    });
    waits.sort_by(f64::total_cmp);
    let at = |percent: usize| waits.get(waits.len() * percent / 100).copied().expect("something was measured");
    figure::ns("forget_to_first_miss_p50", at(50));
    figure::ns("forget_to_first_miss_p99", at(99));
    figure::ns("forget_to_first_miss_most", waits.last().copied().expect("something was measured"));
}
