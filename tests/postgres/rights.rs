//! The statements of docs/deploying.md: they suffice for all that a shop does, and none of the rights is one too many.

use payproof::store::PostgresStore;

use crate::patient;
use crate::postgres_server::{PostgresConfig, PostgresServer};
use crate::store_use::use_store;

const PAGE: &str = include_str!("../../docs/deploying.md");
const STORE_DOCS: &str = include_str!("../../src/store/postgres/mod.rs");

/// The page's statements.
fn statements() -> &'static str {
    let (_, block) = PAGE.split_once("<!-- rights.sql -->\n```sql\n").unwrap();
    block.split_once("\n```").unwrap().0
}

/// Each right, and on what.
fn rights() -> Vec<(&'static str, &'static str)> {
    let grants = statements().lines().filter_map(|line| line.strip_prefix("GRANT ")?.strip_suffix(" TO payproof;"));
    let grants = grants.map(|grant| grant.split_once(" ON ").unwrap());
    grants.flat_map(|(rights, table)| rights.split(", ").map(move |right| (right, table))).collect()
}

/// A server on which nothing is open but what the page's statements open, and the user with its password.
async fn set_up() -> (PostgresServer, String) {
    let access = "host all all 127.0.0.1/32 scram-sha-256\nhost all all ::1/128 reject";
    let server = PostgresConfig::new().syncs().access(access).start().await;
    server.sql(PostgresStore::schema()).await;
    server.sql(statements()).await;
    let url = server.url_of("payproof:CHANGE-ME");
    (server, url)
}

fn store(url: &str) -> PostgresStore {
    patient(PostgresStore::builder(url))
}

#[tokio::test]
async fn the_documented_rights_suffice_and_each_of_them_is_needed() {
    let (server, url) = set_up().await;
    assert_eq!(use_store(store(&url)).await, Ok(()));
    assert_eq!(rights().len(), 5);
    for (right, table) in rights() {
        server.sql(&format!("TRUNCATE payproof_records; REVOKE {right} ON {table} FROM payproof")).await;
        assert!(
            use_store(store(&url)).await.is_err(),
            "nothing breaks without {right} on {table}: take it off the page"
        );
        server.sql(&format!("GRANT {right} ON {table} TO payproof")).await;
    }
    server.sql("TRUNCATE payproof_records").await;
    assert_eq!(use_store(store(&url)).await, Ok(()));
}

#[tokio::test]
async fn in_a_schema_of_its_own_the_table_is_found_by_the_search_path() {
    let (server, url) = set_up().await;
    server.sql("DROP TABLE payproof_records, payproof_table_id").await;
    server
        .sql(&format!(
            "CREATE SCHEMA payproof; SET search_path = payproof; {} \
             SET search_path = payproof; {} \
             GRANT USAGE ON SCHEMA payproof TO payproof; ALTER ROLE payproof SET search_path = payproof",
            PostgresStore::schema(),
            statements().lines().filter(|line| line.starts_with("GRANT")).collect::<String>(),
        ))
        .await;
    assert_eq!(use_store(store(&url)).await, Ok(()));
    assert_eq!(server.sql("SELECT to_regclass('public.payproof_records')").await, [""]);
}

#[tokio::test]
async fn what_a_shop_must_not_do_the_user_may_not() {
    let (server, url) = set_up().await;
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    for statement in [
        "TRUNCATE payproof_records",
        "DROP TABLE payproof_records",
        "UPDATE payproof_table_id SET id = gen_random_uuid()",
        "ALTER SYSTEM SET fsync = off",
        "CREATE OR REPLACE FUNCTION payproof_get_1(k bytea, OUT done bool, OUT held bytea, OUT left_ms bigint) \
         LANGUAGE sql AS $$ SELECT false, k, 0 $$",
    ] {
        let error = client.batch_execute(statement).await.unwrap_err();
        assert_eq!(error.code().unwrap().code(), "42501", "{statement}");
    }
    let wrong = store(&url.replace("CHANGE-ME", "hunter22")).create_table().await.unwrap_err();
    assert!(wrong.is_refused() && !wrong.to_string().contains("hunter22"), "{wrong:?}");
    drop(server);
}

#[test]
fn the_rights_are_the_same_wherever_they_are_named() {
    let docs: String = STORE_DOCS.lines().filter_map(|line| line.strip_prefix("/// ")).collect::<Vec<_>>().join(" ");
    for named in [
        "`SELECT, INSERT, UPDATE, DELETE` on `payproof_records`",
        "`SELECT` on `payproof_table_id`",
        "SET statement_timeout = '5s'",
    ] {
        assert!(docs.contains(named), "the docs of PostgresStore leave out {named}");
    }
}
