//! Servers that follow another one: no call is answered by one, and what a promotion loses is said before.

use std::time::Duration;

use payproof::store::{PostgresStore, Store, StoreFinding};
use tokio::time::{Instant, sleep};

use crate::postgres_server::PostgresServer;
use crate::proxy::{Fault, Proxy};
use crate::servers::PATIENCE;
use crate::{HOUR, is_not_sent, patient, store, with_table};

#[tokio::test]
async fn a_standby_answers_no_call() {
    let server = PostgresServer::start().await;
    with_table(&server).await.claim("k", b"v", HOUR).await.unwrap();
    let standby = server.standby("second", server.port()).await;
    for call in [
        "payproof_get_1('k')",
        "payproof_get_many_1(ARRAY['k'::bytea])",
        "payproof_claim_1('k', 'v', 1000)",
        "payproof_replace_1('k', 'v', 'w', 1000)",
        "payproof_remove_1('k', 'v')",
        "payproof_add_1('k', 1, 1000)",
    ] {
        let client = standby.client().await;
        let refused = client.simple_query(&format!("SELECT * FROM {call}")).await.unwrap_err();
        assert_eq!(refused.code().unwrap().code(), "25006", "{call}");
    }
    let error = store(standby.url()).get("k").await.unwrap_err();
    assert!(is_not_sent(&error) && error.to_string().contains("standby"), "{error:?}");
}

#[tokio::test]
async fn of_several_servers_the_one_that_takes_writes_is_found_after_a_promotion_too() {
    let mut server = PostgresServer::start().await;
    with_table(&server).await;
    let standby = server.standby("second", server.port()).await;
    let ports = [standby.port(), server.port()].map(|port| format!("127.0.0.1:{port}")).join(",");
    let store = store(format!("postgres://postgres@{ports}/postgres"));
    store.claim("before", b"v", HOUR).await.unwrap();
    let end = Instant::now() + PATIENCE;
    while standby.sql("SELECT count(*) FROM payproof_records").await != ["1"] {
        assert!(Instant::now() < end, "the standby does not follow");
        sleep(Duration::from_millis(50)).await;
    }
    server.kill();
    standby.promote().await;
    while let Err(error) = store.claim("after", b"v", HOUR).await {
        assert!(Instant::now() < end, "{error:?}");
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(store.get("before").await.unwrap().unwrap().bytes, b"v");
}

#[tokio::test]
async fn a_lagging_standby_that_is_promoted_has_lost_what_the_inspection_warned_of() {
    let mut server = PostgresServer::start().await;
    let store = with_table(&server).await;
    let proxy = Proxy::start(server.port()).await;
    let standby = server.standby("second", proxy.port()).await;
    let end = Instant::now() + PATIENCE;
    while !store.inspect().await.unwrap().findings.contains(&StoreFinding::BestEffort) {
        assert!(Instant::now() < end, "the standby does not follow");
        sleep(Duration::from_millis(50)).await;
    }
    proxy.set(Fault::Stall);
    store.claim("lost", b"v", HOUR).await.unwrap();
    server.kill();
    standby.promote().await;
    let promoted = patient(PostgresStore::builder(standby.url()).fails_over_asynchronously());
    assert!(promoted.durability().best_effort && !store.durability().best_effort);
    assert_eq!(promoted.get("lost").await, Ok(None));
}
