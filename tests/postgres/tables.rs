//! The table: made when it is asked for, found wherever the search path leads, and told from every other one.

use std::time::Duration;

use payproof::store::{PostgresStore, Store, StoreFinding};
use tokio_postgres::{NoTls, SimpleQueryMessage};

use crate::postgres_server::PostgresServer;
use crate::{HOUR, store, with_table};

#[tokio::test]
async fn without_the_table_each_call_is_refused_and_says_how_to_make_it() {
    let server = PostgresServer::start().await;
    let store = store(server.url());
    let errors = [
        store.get("k").await.unwrap_err(),
        store.claim("k", b"v", HOUR).await.unwrap_err(),
        store.replace("k", b"v", b"w", HOUR).await.unwrap_err(),
        store.remove("k", b"v").await.unwrap_err(),
        store.extras().add(&store, "k", 1, HOUR).await.unwrap_err(),
        store.extras().get_many(&store, &["k"]).await.remove(0).unwrap_err(),
    ];
    for error in errors {
        assert!(error.is_refused() && error.to_string().contains("payproof migrate"), "{error}");
    }
    let looked = store.inspect().await.unwrap().findings;
    let is_said = |finding: &StoreFinding| matches!(finding, StoreFinding::CanaryRefused { reason } if reason.contains("payproof migrate"));
    assert!(looked.iter().any(is_said), "{looked:?}");
    assert_eq!(server.sql("SELECT count(*) FROM pg_class WHERE relname LIKE 'payproof%'").await, ["0"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_can_be_made_by_many_at_once_and_again_and_keeps_what_is_in_it() {
    let server = PostgresServer::start().await;
    let stores: Vec<PostgresStore> = (0..8).map(|_| store(server.url())).collect();
    let made = stores.iter().map(|store| {
        tokio::spawn({
            let store = store.clone();
            async move { store.create_table().await }
        })
    });
    for made in made.collect::<Vec<_>>() {
        made.await.unwrap().unwrap();
    }
    let id = server.sql("SELECT table_id FROM payproof_table_id_1()").await;
    stores[0].claim("k", b"v", HOUR).await.unwrap();
    server.sql(PostgresStore::schema()).await;
    assert_eq!(stores[1].get("k").await.unwrap().unwrap().bytes, b"v");
    assert_eq!(server.sql("SELECT table_id FROM payproof_table_id_1()").await, id);
    stores[0].renew_table_id().await.unwrap();
    assert_ne!(server.sql("SELECT table_id FROM payproof_table_id_1()").await, id);
    assert_eq!(server.sql("SELECT count(*) FROM payproof_table_id").await, ["1"]);
}

#[tokio::test]
async fn a_copy_of_the_database_has_another_id() {
    const ID: &str = "SELECT convert_from(table_id, 'UTF8') FROM payproof_table_id_1()";
    let server = PostgresServer::start().await;
    server.sql("CREATE ROLE shop LOGIN").await;
    server.sql("CREATE DATABASE first OWNER shop").await;
    let url = |role: &str, database: &str| format!("postgres://{role}@127.0.0.1:{}/{database}", server.port());
    store(url("shop", "first")).create_table().await.unwrap();
    let ask = async |role: &str, database: &str, sql: &str| {
        let (client, connection) = tokio_postgres::connect(&url(role, database), NoTls).await.unwrap();
        tokio::spawn(connection);
        let rows = client.simple_query(sql).await.unwrap();
        let row = rows.iter().find_map(|row| match row {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        });
        row.unwrap_or_default().split('.').map(str::to_owned).collect::<Vec<String>>()
    };
    let first = ask("shop", "first", ID).await;
    assert!(first.len() == 3 && first.iter().all(|part| !part.is_empty()), "{first:?}");
    // It waits for the clients to leave.
    server.sql("CREATE DATABASE second TEMPLATE first OWNER shop").await;
    let second = ask("shop", "second", ID).await;
    assert_eq!((&second[0], &second[2]), (&first[0], &first[2]));
    assert_ne!(second[1], first[1]);
    ask("postgres", "second", "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC").await;
    assert_eq!(ask("shop", "second", ID).await, [&*second[0], &*second[1], ""], "the system stays unnamed");
}

#[tokio::test]
async fn the_functions_use_the_schema_that_they_were_made_in_whatever_the_callers_path_is() {
    let server = PostgresServer::start().await;
    server
        .sql(
            "CREATE SCHEMA payments; CREATE SCHEMA decoy; CREATE ROLE shop LOGIN; GRANT ALL ON SCHEMA payments TO shop",
        )
        .await;
    server.sql("ALTER ROLE shop SET search_path = payments").await;
    let url = server.url_of("shop");
    store(&url).create_table().await.unwrap();
    // A table of the same name, which the caller's path has first.
    server.sql("CREATE TABLE decoy.payproof_records (LIKE payments.payproof_records INCLUDING ALL)").await;
    server.sql("GRANT ALL ON SCHEMA decoy TO shop; GRANT ALL ON decoy.payproof_records TO shop").await;
    server.sql("ALTER ROLE shop SET search_path = decoy, payments").await;
    let store = store(&url);
    store.claim("k", b"v", HOUR).await.unwrap();
    assert_eq!(store.extras().add(&store, "n", 2, HOUR).await.map(|(sum, _)| sum), Ok(2));
    assert_eq!(store.get("k").await.unwrap().unwrap().bytes, b"v");
    assert!(store.extras().get_many(&store, &["k"]).await.remove(0).unwrap().is_some());
    assert_eq!(server.sql("SELECT count(*) FROM decoy.payproof_records").await, ["0"]);
    assert_eq!(server.sql("SELECT count(*) FROM payments.payproof_records").await, ["2"]);
    let unpinned = "SELECT count(*) FROM pg_proc WHERE proname LIKE 'payproof%' \
                    AND NOT coalesce('search_path=payments, pg_temp' = ANY (proconfig), false)";
    assert_eq!(server.sql(unpinned).await, ["0"]);
}

#[tokio::test]
async fn a_batch_is_read_and_a_counter_added_to_in_one_statement_each() {
    let server = PostgresServer::start().await;
    let store = with_table(&server).await;
    let keys: Vec<String> = (0..100).map(|number| format!("k{number}")).collect();
    for key in keys.iter().step_by(2) {
        store.claim(key, key.as_bytes(), HOUR).await.unwrap();
    }
    let keys: Vec<&str> = keys.iter().map(String::as_str).chain(["k0"]).collect();
    let reads = store.extras().get_many(&store, &keys).await;
    assert_eq!(reads.len(), keys.len());
    for (number, (key, read)) in keys.iter().zip(reads).enumerate() {
        let stored = read.unwrap().map(|stored| stored.bytes);
        assert_eq!(stored, number.is_multiple_of(2).then(|| key.as_bytes().to_vec()), "{key}");
    }
    for (held, ok) in [
        ("007", false),
        ("-0", false),
        ("+1", false),
        ("", false),
        ("9223372036854775808", false),
        ("-9223372036854775808", true),
    ] {
        let key = format!("counter {held}");
        store.claim(&key, held.as_bytes(), HOUR).await.unwrap();
        let added = store.extras().add(&store, &key, 0, Duration::from_secs(1)).await;
        assert_eq!(added.is_ok(), ok, "{held}: {added:?}");
        assert!(
            added.is_ok_and(|(sum, _)| sum == i64::MIN)
                || store.extras().add(&store, &key, 0, HOUR).await.unwrap_err().is_refused()
        );
    }
}
