//! The contract, however the store is reached.

use payproof::store::{PostgresStore, Store, contract};

use crate::certificates::Certificates;
use crate::pgbouncer::PgBouncer;
use crate::postgres_server::{PostgresConfig, PostgresServer};
use crate::{patient, store, with_table};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_holds_on_one_server() {
    let server = PostgresServer::start().await;
    contract::check(with_table(&server).await).await.unwrap();
}

#[tokio::test]
async fn the_contract_holds_over_one_connection() {
    let server = PostgresServer::start().await;
    with_table(&server).await;
    contract::check(patient(PostgresStore::builder(server.url()).connections(1))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_holds_through_a_pooler_that_changes_connections_between_statements() {
    let server = PostgresServer::start().await;
    with_table(&server).await;
    let pooler = PgBouncer::start(server.port()).await;
    contract::check(store(pooler.url())).await.unwrap();
}

#[tokio::test]
async fn a_socket_serves_as_well() {
    let server = PostgresServer::start().await;
    with_table(&server).await;
    let folder = server.sql("SHOW unix_socket_directories").await.concat();
    let url = format!("postgres://postgres@:{}/postgres?host={folder}", server.port());
    assert!(PostgresStore::new(&url).is_err(), "a URL without a host has no port");
    let url = format!("postgres://postgres@{}:{}/postgres?sslmode=require", folder.replace('/', "%2F"), server.port());
    let store = store(url);
    assert_eq!(store.get("k").await, Ok(None));
    assert!(format!("{store:?}").contains(&folder), "{store:?}");
}

#[tokio::test]
async fn tls_is_verified_whenever_it_is_used() {
    let certificates = Certificates::make(crate::servers::new_folder("postgres-tls"));
    let with_tls = PostgresConfig::new().tls(certificates.certificate_file(), certificates.key_file());
    let access = "hostssl all all 127.0.0.1/32 scram-sha-256";
    let server = with_tls.access(access).start().await;
    server.sql("CREATE ROLE shop LOGIN PASSWORD 'pass word'; GRANT CREATE ON SCHEMA public TO shop").await;
    let url = |query: &str| format!("postgres://shop:pass%20word@localhost:{}/postgres{query}", server.port());
    let trusting = |query: &str| patient(PostgresStore::builder(url(query)).root_certificate(certificates.authority()));
    for query in ["", "?sslmode=verify-full", "?sslmode=require&channel_binding=require"] {
        let store = trusting(query);
        store.create_table().await.unwrap();
        assert_eq!(store.get("k").await, Ok(None), "{query}");
    }
    let over_tls =
        "SELECT count(*) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE s.ssl AND usename = 'shop'";
    let store = trusting("");
    store.get("k").await.unwrap();
    assert_ne!(server.sql(over_tls).await, ["0"]);
    // Nothing is sent to a server whose authority is not known.
    let error = crate::store(url("?sslmode=require")).get("k").await.unwrap_err();
    assert!(error.is_refused() && error.to_string().contains("root_certificate"), "{error}");
    let error = trusting("?sslmode=disable").get("k").await.unwrap_err();
    assert!(error.is_refused() && error.to_string().contains("28000"), "{error}");

    let plain = PostgresServer::start().await;
    let url = format!("postgres://postgres@localhost:{}/postgres", plain.port());
    let error = patient(PostgresStore::builder(&url).root_certificate(certificates.authority())).get("k").await;
    assert!(error.unwrap_err().to_string().contains("does not support TLS"));
}
