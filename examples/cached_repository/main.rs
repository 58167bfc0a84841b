//! A repository over a database, cached for two processes that share one Redis. Needs `redis-server`, and nothing else:
//!
//! ```sh
//! cargo run --release --features cache,redis --example cached_repository
//! ```
//!
//! Each line is one call: whether it found the value (HIT) or asked the database (MISS), where it came from, and how long it
//! took. Half-way Redis is killed and started again; the repository answers all the same.
//!
//! Exit status: 0 when the numbers add up, 1 when they do not, 2 when the example could not be run.
//!
//! | to learn | read |
//! |---|---|
//! | how a repository is cached: spaces, loaders, invalidations | `repository.rs` |
//! | what the database is asked | `database.rs` |

mod database;
mod journal;
mod repository;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use payproof::cache::{StoreUse, Tenant};
use payproof::store::RedisStore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use database::Database;
use journal::{Journal, chapter};
use repository::Repository;

#[path = "../../tests/support/redis_server.rs"]
mod redis_server;
#[path = "../../tests/support/servers.rs"]
mod servers;

use redis_server::RedisServer;

/// How many callers want one dashboard at the same moment.
const CROWD: u64 = 50;

/// How long a process serves from memory what it has not checked; the other one sees a change after that.
const MEMORY_FOR: Duration = Duration::from_millis(1_050);

/// It takes about eight seconds.
const LIMIT: Duration = Duration::from_secs(60);

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    match timeout(LIMIT, run()).await {
        Ok(Ok(journal)) => {
            println!("{}", journal.summary());
            ExitCode::from(u8::from(!journal.adds_up()))
        }
        Ok(Err(error)) => failed(&*error),
        Err(_) => failed(&*Failure::from(format!("it took longer than {LIMIT:?}"))),
    }
}

fn failed(error: &dyn Error) -> ExitCode {
    eprintln!("error: the example could not be run: {error}");
    ExitCode::from(2)
}

async fn run() -> Result<Journal, Failure> {
    let mut redis = RedisServer::start().await;
    let database = Database::open()?;
    // Two processes of a service have nothing in common but Redis and the database; here they are two caches.
    let one = Repository::new(database.clone(), RedisStore::builder(redis.url()).build()?)?;
    let other = Repository::new(database.clone(), RedisStore::builder(redis.url()).build()?)?;
    let store = Tenant::new("store_42");
    let mut journal = Journal::default();

    chapter("The first calls ask the database, the next ones do not");
    for _ in 0..2 {
        journal.read("session", one.session(&store, "token_of_ann").await)?;
        journal.read("rules", one.rules("eu").await)?;
        journal.read("permissions", one.permissions(&store, 7).await)?;
        journal.read("dashboard", one.dashboard(&store).await)?;
    }
    journal.expect("the first round asked the database for each of four", database.queries(), 4);

    chapter("Another process finds them in Redis");
    journal.read("permissions", other.permissions(&store, 7).await)?;
    journal.read("dashboard", other.dashboard(&store).await)?;
    journal.read("session", other.session(&store, "token_of_ann").await)?;
    journal.expect("the other process asked for nothing", database.queries(), 4);

    chapter("Fifty callers in two processes want one dashboard at once, and one of them asks the database");
    let new = Tenant::new("store_43");
    crowd(&mut journal, [&one, &other], &new).await?;
    journal.expect("the crowd asked once", database.queries(), 5);

    chapter("A permission is taken away: changed in the database, then invalidated");
    one.revoke(&store, 7, "refund").await?;
    let permissions = journal.read("permissions", one.permissions(&store, 7).await)?;
    journal.expect("the process that changed it knows", u64::from(permissions.may("refund")), 0);
    sleep(MEMORY_FOR).await;
    let permissions = journal.read("permissions, elsewhere", other.permissions(&store, 7).await)?;
    journal.expect("the other one knows a second later", u64::from(permissions.may("refund")), 0);

    chapter("User 7 signs out everywhere: one tag ends each session of hers, in each process");
    other.sign_out(7).await?;
    sleep(MEMORY_FOR).await;
    let session = journal.read("session", one.session(&store, "token_of_ann").await)?;
    journal.expect("she is signed out", u64::from(session.is_some()), 0);
    journal.read("session, asked again", one.session(&store, "token_of_ann").await)?;

    chapter("Redis is killed: what memory has not, the database answers");
    redis.kill();
    sleep(MEMORY_FOR).await;
    journal.read("rules", one.rules("eu").await)?;
    journal.read("permissions", one.permissions(&store, 7).await)?;
    journal.read("permissions, again", one.permissions(&store, 7).await)?;
    let refused = one.revoke(&store, 7, "capture").await;
    journal.expect("an invalidation that Redis did not confirm says so", u64::from(refused.is_err()), 1);
    let permissions = journal.read("permissions", one.permissions(&store, 7).await)?;
    journal.expect("here it holds all the same", u64::from(permissions.may("capture")), 0);

    chapter("Redis is started again, with what its log kept");
    redis.restart().await;
    back(&one, &other, &store).await?;
    let permissions = journal.read("permissions, elsewhere", other.permissions(&store, 7).await)?;
    journal.expect("the invalidation was repeated, and reached it", u64::from(permissions.may("capture")), 0);
    journal.read("dashboard", other.dashboard(&store).await)?;

    journal.stats([("one", one.stats()), ("other", other.stats())]);
    Ok(journal)
}

/// Half of the callers ask one process and half the other.
async fn crowd(journal: &mut Journal, processes: [&Repository; 2], tenant: &Tenant) -> Result<(), Failure> {
    let mut callers = JoinSet::new();
    for process in processes.into_iter().cycle().take(usize::try_from(CROWD)?) {
        let (process, tenant) = (process.clone(), tenant.clone());
        callers.spawn(async move { process.dashboard(&tenant).await });
    }
    let mut served = 0_u64;
    while let Some(dashboard) = callers.join_next().await {
        journal.note(dashboard??);
        served = served.saturating_add(1);
    }
    journal.expect("each of them was served", served, CROWD);
    Ok(())
}

/// Waits until the cache uses Redis again, and has repeated there what Redis had not confirmed: it does both by itself.
async fn back(one: &Repository, other: &Repository, store: &Tenant) -> Result<(), Failure> {
    for _ in 0..150 {
        let is_used = one.rules("us").await?.hit.store() == StoreUse::Kept;
        if is_used && !other.permissions(store, 7).await?.hit.may("capture") {
            return Ok(());
        }
        sleep(Duration::from_millis(100)).await;
    }
    Err("the cache did not come back to Redis within fifteen seconds".into())
}
