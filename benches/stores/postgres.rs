//! A claim, a replay and a redemption in PostgreSQL, beside bare prepared statements of a client on the same server.
//!
//! The server brings each commit to the disk, as it does by default. How long that takes decides what the ratios of writes are.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use payproof::redeem::Occasion;
use payproof::store::{Claim, PostgresStore, RedisStore, Store};
use payproof::{PaymentIntent, Proof, Validator, Verdict};
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls, Statement};

use crate::checkout::{self, Prompt};
use crate::figure::Scale;
use crate::peers::{acting, calls_of, crowd, replay};
use crate::postgres_server::{PostgresConfig, PostgresServer};
use crate::redis::workers;
use crate::redis_server::RedisServer;
use crate::rounds::{Pace, ROUNDS, Rounds};
use crate::turns::{Peer, take_turns};

const BATCHES: usize = 100;
const BATCH: u64 = 10;
const CROWDS: usize = 10;
const TASKS: usize = 64;
const DAY: Duration = Duration::from_secs(86_400);
const VALUE: [u8; 300] = [7; 300];

/// What a service that needs no more would send, prepared once.
const TABLE: &str =
    "CREATE TABLE IF NOT EXISTS bare (key bytea PRIMARY KEY, value bytea NOT NULL, expires_at timestamptz NOT NULL)";
const INSERT: &str = "INSERT INTO bare VALUES ($1, $2, now() + interval '1 day') ON CONFLICT (key) DO NOTHING";
const SELECT: &str = "SELECT value, expires_at FROM bare WHERE key = $1";

pub(crate) fn run(scale: Scale) {
    let (server, redis) = workers().block_on(async {
        let server = PostgresConfig::new().syncs().start().await;
        PostgresStore::new(server.url()).expect("the URL is one").create_table().await.expect("it is made");
        (server, RedisServer::start().await)
    });
    let (mut rounds, mut payments) = (Rounds::default(), checkout::payment_ids());
    for _ in 0..scale.of(ROUNDS) {
        for pace in Pace::BOTH {
            let runtime = workers();
            let store = PostgresStore::new(server.url()).expect("the URL is one");
            let bare = Arc::new(runtime.block_on(Bare::on(&server)));
            let on = On { scale, runtime: &runtime, pace };
            claims(on, &store, &bare, &mut rounds);
            replays(on, &store, &bare, &mut payments, &mut rounds);
            redemptions(on, &store, &bare, &mut payments, &mut rounds);
            throughput(on, store, &redis, &mut payments, &mut rounds);
        }
    }
    rounds.print();
}

/// How the peers of a round are measured.
#[derive(Clone, Copy)]
struct On<'r> {
    scale: Scale,
    runtime: &'r Runtime,
    pace: Pace,
}

impl On<'_> {
    fn batches(self, full: usize) -> usize {
        self.scale.of(self.pace.batches(full))
    }

    fn name(self, figure: &str) -> String {
        format!("{figure}{}", self.pace.suffix())
    }
}

/// A client of its own, with its statements prepared.
struct Bare {
    client: Client,
    insert: Statement,
    select: Statement,
}

impl Bare {
    async fn on(server: &PostgresServer) -> Self {
        let (client, connection) = tokio_postgres::connect(&server.url(), NoTls).await.expect("the server is up");
        tokio::spawn(connection);
        client.batch_execute(TABLE).await.expect("it is made");
        let insert = client.prepare(INSERT).await.expect("it is a statement");
        let select = client.prepare(SELECT).await.expect("it is a statement");
        Self { client, insert, select }
    }

    async fn insert(&self, key: &str) {
        let made = self.client.execute(&self.insert, &[&key.as_bytes(), &VALUE.as_slice()]).await.expect("it commits");
        assert_eq!(made, 1);
    }

    async fn select(&self, key: &str) {
        let row = self.client.query_one(&self.select, &[&key.as_bytes()]).await.expect("it is there");
        assert!(!black_box(row.get::<_, &[u8]>(0)).is_empty());
    }
}

fn key(number: u64) -> String {
    format!("payproof:bench:{number}")
}

fn inserts<'p>(on: On<'p>, bare: &Arc<Bare>) -> Peer<'p> {
    let bare = Arc::clone(bare);
    acting(on.runtime, on.pace, move |number| {
        let bare = Arc::clone(&bare);
        async move { bare.insert(&key(number)).await }
    })
}

fn validator(store: impl Store) -> Validator {
    let builder = Validator::builder(Prompt::new()).store(store).facts_in_memory(0);
    builder.no_redemptions_before().build().expect("settings fit")
}

fn claims(on: On<'_>, store: &PostgresStore, bare: &Arc<Bare>, rounds: &mut Rounds) {
    let store = store.clone();
    let mut claims = acting(on.runtime, on.pace, move |number| {
        let store = store.clone();
        async move {
            let claim = store.claim(&key(number), &VALUE, DAY).await;
            assert_eq!(claim.expect("it commits"), Claim::Claimed);
        }
    });
    let times = take_turns(on.batches(BATCHES), BATCH, [&mut claims, &mut inserts(on, bare)]);
    rounds.add(on.name("pg_claim_vs_insert"), &times);
}

fn replays(
    on: On<'_>,
    store: &PostgresStore,
    bare: &Arc<Bare>,
    payments: &mut impl Iterator<Item = String>,
    rounds: &mut Rounds,
) {
    let own = validator(store.clone());
    let id = payments.next().expect("there is no end of them");
    let intent = checkout::intent(&id);
    on.runtime.block_on(async {
        own.validate(&intent).await.expect("the provider answers");
        bare.insert(&id).await;
    });
    let mut replays = acting(on.runtime, on.pace, move |_| replay(own.clone(), intent.clone()));
    let bare = Arc::clone(bare);
    let mut selects = acting(on.runtime, on.pace, move |_| {
        let (bare, id) = (Arc::clone(&bare), id.clone());
        async move { bare.select(&id).await }
    });
    let times = take_turns(on.batches(BATCHES * 2), BATCH, [&mut replays, &mut selects]);
    rounds.add(on.name("pg_replay_vs_select"), &times);
}

/// The proofs are had before, and are not measured.
fn redemptions(
    on: On<'_>,
    store: &PostgresStore,
    bare: &Arc<Bare>,
    payments: &mut impl Iterator<Item = String>,
    rounds: &mut Rounds,
) {
    let own = validator(store.clone());
    let mut redemptions: Peer<'_> = Box::new(|count| {
        let intents = (0..count).filter_map(|_| payments.next()).map(|id| checkout::intent(&id)).collect();
        let batch = on.runtime.spawn(redeem_all(own.clone(), on.pace, intents));
        on.runtime.block_on(batch).expect("nothing panics")
    });
    let times = take_turns(on.batches(BATCHES), BATCH, [&mut redemptions, &mut inserts(on, bare)]);
    rounds.add(on.name("pg_redeem_vs_insert"), &times);
}

async fn redeem_all(own: Validator, pace: Pace, intents: Vec<PaymentIntent>) -> Duration {
    let mut proofs: Vec<Proof> = Vec::new();
    for intent in &intents {
        let verdict = own.validate(intent).await.expect("the provider answers").into_verdict();
        if let Verdict::Valid(proof) = verdict {
            proofs.push(proof);
        }
    }
    assert_eq!(proofs.len(), intents.len());
    let redemptions = proofs.into_iter().map(async |proof| {
        let redeemed = own.redeem(proof).await.expect("it is free");
        assert_eq!(redeemed.occasion(), Occasion::First);
    });
    pace.time(redemptions).await
}

/// Replays of as many payments by as many tasks, here and through a Redis server.
fn throughput(
    on: On<'_>,
    store: PostgresStore,
    redis: &RedisServer,
    payments: &mut impl Iterator<Item = String>,
    rounds: &mut Rounds,
) {
    let intents: Arc<[PaymentIntent]> = payments.take(TASKS).map(|id| checkout::intent(&id)).collect();
    let replays_on = |own: Validator| {
        let intents = Arc::clone(&intents);
        for intent in intents.iter() {
            on.runtime.block_on(async { own.validate(intent).await.expect("the provider answers") });
        }
        crowd(on.runtime, on.pace, TASKS, move |task| replay(own.clone(), intents.get(task).expect("one each").clone()))
    };
    let mut here = replays_on(validator(store));
    let mut there = replays_on(validator(RedisStore::new(redis.url()).expect("the URL is one")));
    let times = take_turns(on.scale.of(CROWDS), calls_of(TASKS), [&mut here, &mut there]);
    rounds.add_throughput(on.name("pg_throughput_vs_redis"), &times);
}
