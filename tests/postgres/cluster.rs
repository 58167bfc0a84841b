//! The servers that these tests start.

use tokio_postgres::NoTls;

use crate::pgbouncer::PgBouncer;
use crate::postgres_server::{PostgresConfig, PostgresServer};
use crate::servers::until;

#[tokio::test]
async fn a_cluster_answers_directly_and_through_pgbouncer() {
    let server = PostgresServer::start().await;
    let bouncer = PgBouncer::start(server.port()).await;
    for url in [server.url(), bouncer.url()] {
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        tokio::spawn(connection);
        let row = client.query_one("SELECT 1", &[]).await.unwrap();
        assert_eq!(row.get::<_, i32>(0), 1);
    }
    assert_eq!(server.sql("SHOW fsync").await, ["off"]);
}

#[tokio::test]
async fn what_was_committed_is_there_after_a_kill() {
    let mut server = PostgresConfig::new().syncs().start().await;
    server.sql("CREATE TABLE kept (number int); INSERT INTO kept VALUES (7)").await;
    let client = server.client().await;
    server.kill();
    until("the connection has ended", || client.is_closed()).await;
    server.restart().await;
    assert_eq!(server.sql("SELECT number FROM kept").await, ["7"]);
    assert_eq!(server.sql("SHOW fsync").await, ["on"]);
}

#[tokio::test]
async fn a_standby_follows_and_becomes_a_primary() {
    let server = PostgresServer::start().await;
    let standby = server.standby("second", server.port()).await;
    server.set("synchronous_standby_names", "second").await;
    assert_eq!(standby.sql("SELECT pg_is_in_recovery()").await, ["t"]);
    server.sql("SET synchronous_commit = remote_apply; CREATE TABLE followed AS SELECT 7").await;
    assert_eq!(standby.sql("SELECT * FROM followed").await, ["7"]);
    standby.promote().await;
    standby.sql("INSERT INTO followed VALUES (8)").await;
}
