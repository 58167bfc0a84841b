//! What runs on which connection: one statement at a time and to its end, also when its caller has left.

use std::time::Duration;

use payproof::store::{Claim, PostgresStore, Store, Swap};
use tokio::time::{Instant, sleep, timeout};

use crate::pgbouncer::PgBouncer;
use crate::postgres_server::{PostgresConfig, PostgresServer};
use crate::servers::PATIENCE;
use crate::{HOUR, is_not_sent, patient, with_table};

/// How many connections the store has, as the server sees it.
const OURS: &str = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'payproof'";

/// The process that serves the connections which are called so.
const PROCESS: &str = "SELECT pid FROM pg_stat_activity WHERE application_name = 'only'";

/// Waits until a statement of the server's says yes.
async fn until(server: &PostgresServer, what: &str, condition: &str) {
    let end = Instant::now() + PATIENCE;
    while server.sql(condition).await != ["t"] {
        assert!(Instant::now() < end, "{what}");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn no_more_connections_are_made_than_calls_need() {
    let server = PostgresServer::start().await;
    let store = with_table(&server).await;
    drop(store);
    until(&server, "the connection of `create_table` is closed", &format!("SELECT ({OURS}) = 0")).await;
    let store = crate::store(server.url());
    for number in 0..20 {
        store.claim(&number.to_string(), b"v", HOUR).await.unwrap();
        store.get("k").await.unwrap();
    }
    // The calls have one, and a sweep another.
    let used: u32 = server.sql(OURS).await.concat().parse().unwrap();
    assert!((1..=2).contains(&used), "{used}");
    drop(store);
    until(&server, "the connections are closed with the store", &format!("SELECT ({OURS}) = 0")).await;
}

#[tokio::test]
async fn a_connection_whose_caller_has_left_is_handed_on_once_its_statement_has_ended() {
    let server = PostgresServer::start().await;
    with_table(&server).await;
    let url = format!("{}?application_name=only", server.url());
    let store = patient(PostgresStore::builder(url).connections(1));
    store.claim("k", b"v", HOUR).await.unwrap();
    let process = server.sql(PROCESS).await;

    let mut holder = server.client().await;
    let lock = holder.transaction().await.unwrap();
    lock.execute("UPDATE payproof_records SET value = value WHERE key = 'k'", &[]).await.unwrap();
    let left = timeout(Duration::from_millis(50), store.replace("k", b"v", b"w", HOUR)).await;
    assert!(left.is_err(), "the record is locked");
    // The next call comes over the same connection, and so after the end of that one, however that ended.
    let (read, committed) = tokio::join!(biased; store.get("k"), lock.commit());
    committed.unwrap();
    assert_eq!(read.unwrap().unwrap().bytes, crate::store(server.url()).get("k").await.unwrap().unwrap().bytes);
    assert_eq!(server.sql(PROCESS).await, process);
}

#[tokio::test]
async fn behind_a_pooler_a_call_whose_caller_has_left_spoils_no_other_one_either() {
    let server = PostgresServer::start().await;
    with_table(&server).await;
    let pooler = PgBouncer::start(server.port()).await;
    let store = patient(PostgresStore::builder(pooler.url()).connections(1));
    let mut holder = server.client().await;
    for key in ["first", "second"] {
        store.claim(key, b"v", HOUR).await.unwrap();
        let lock = holder.transaction().await.unwrap();
        lock.execute("UPDATE payproof_records SET value = value", &[]).await.unwrap();
        let left = timeout(Duration::from_millis(50), store.replace(key, b"v", b"w", HOUR)).await;
        assert!(left.is_err(), "the record is locked");
        let (read, committed) = tokio::join!(biased; store.get(key), lock.commit());
        committed.unwrap();
        assert_eq!(read.unwrap().unwrap().bytes, crate::store(server.url()).get(key).await.unwrap().unwrap().bytes);
    }
}

#[tokio::test]
async fn a_locked_record_holds_up_no_other_call_and_its_own_for_a_quarter_of_a_second() {
    let server = PostgresServer::start().await;
    let store = with_table(&server).await;
    store.claim("k", b"v", HOUR).await.unwrap();
    let mut holder = server.client().await;
    let lock = holder.transaction().await.unwrap();
    lock.execute("UPDATE payproof_records SET value = value WHERE key = 'k'", &[]).await.unwrap();
    let begun = Instant::now();
    let blocked = async { (store.replace("k", b"v", b"w", HOUR).await, begun.elapsed()) };
    let ((blocked, after), other, read, held) =
        tokio::join!(biased; blocked, store.claim("other", b"v", HOUR), store.get("k"), store.claim("k", b"x", HOUR));
    assert_eq!(other, Ok(Claim::Claimed));
    assert_eq!(read.unwrap().unwrap().bytes, b"v", "a read does not wait");
    assert!(matches!(held, Ok(Claim::Held(_))), "nor does a claim of what is held");
    let error = blocked.unwrap_err();
    assert!(is_not_sent(&error) && error.to_string().contains("55P03"), "{error}");
    assert!(after >= Duration::from_millis(250), "{after:?}");
    lock.rollback().await.unwrap();
    assert_eq!(store.replace("k", b"v", b"w", HOUR).await, Ok(Swap::Swapped));
}

#[tokio::test]
async fn a_full_pool_says_that_nothing_was_sent() {
    let server = PostgresServer::start().await;
    with_table(&server).await.claim("k", b"v", HOUR).await.unwrap();
    let limit = Duration::from_secs(20);
    let builder = PostgresStore::builder(server.url()).connections(1);
    let store = builder.connect_timeout(limit).command_timeout(Duration::from_millis(100)).build().unwrap();
    let end = Instant::now() + PATIENCE;
    while store.get("k").await.is_err() {
        assert!(Instant::now() < end, "no connection");
    }
    let mut holder = server.client().await;
    let lock = holder.transaction().await.unwrap();
    lock.execute("UPDATE payproof_records SET value = value WHERE key = 'k'", &[]).await.unwrap();
    let (slow, full) = tokio::join!(biased; store.replace("k", b"v", b"w", HOUR), store.get("k"));
    let (slow, full) = (slow.unwrap_err(), full.unwrap_err());
    assert!(slow.is_outcome_unknown() && slow.to_string().contains("command_timeout"), "{slow}");
    assert!(is_not_sent(&full) && full.to_string().contains("connections"), "{full}");
}

#[tokio::test]
async fn each_connection_asks_for_a_server_that_takes_writes() {
    let server = PostgresConfig::new().line("default_transaction_read_only = on").start().await;
    let error = crate::store(server.url()).get("k").await.unwrap_err();
    assert!(is_not_sent(&error) && error.to_string().contains("25006"), "{error}");
    let writable = PostgresServer::start().await;
    with_table(&writable).await;
    let url = format!("postgres://postgres@127.0.0.1:{},127.0.0.1:{}/postgres", server.port(), writable.port());
    assert_eq!(crate::store(url).get("k").await, Ok(None));
}

#[test]
fn connections_outlive_the_runtime_that_made_them_by_no_call() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let first = runtime();
    let server = first.block_on(PostgresServer::start());
    let store = first.block_on(with_table(&server));
    assert_eq!(first.block_on(store.get("k")), Ok(None));
    let second = runtime();
    second.block_on(async {
        // The first runtime stands still: its connection would answer to nothing.
        let other = patient(PostgresStore::builder(server.url()).connections(1));
        assert_eq!(other.get("k").await, Ok(None));
    });
    drop(first);
    assert_eq!(second.block_on(store.get("k")), Ok(None));
}
