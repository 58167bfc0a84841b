//! A database that is not set up: what is missing is named, and another's function of the same name is not called.

use payproof::store::{PostgresStore, Store, StoreFinding};

use crate::postgres_server::PostgresServer;
use crate::{HOUR, store, with_table};

#[tokio::test]
async fn a_right_that_is_missing_is_named() {
    let server = PostgresServer::start().await;
    with_table(&server).await;
    server.sql("CREATE ROLE shop LOGIN").await;
    let shop = store(server.url_of("shop"));
    let error = shop.claim("k", b"v", HOUR).await.unwrap_err();
    assert!(error.is_refused() && error.to_string().contains("42501"), "{error:?}");
    let looked = shop.inspect().await.unwrap();
    let refused = looked.findings.iter().any(
        |finding| matches!(finding, StoreFinding::CanaryRefused { reason } if reason.contains("payproof_records")),
    );
    assert!(refused, "{looked:?}");
    server.sql("REVOKE EXECUTE ON FUNCTION payproof_claim_1 FROM PUBLIC").await;
    server.sql("GRANT SELECT, INSERT, UPDATE, DELETE ON payproof_records TO shop").await;
    let error = shop.claim("k", b"v", HOUR).await.unwrap_err();
    assert!(error.is_refused() && error.to_string().contains("payproof_claim_1"), "{error:?}");
}

#[tokio::test]
async fn a_function_of_another_form_in_front_of_the_search_path_is_refused() {
    let server = PostgresServer::start().await;
    with_table(&server).await;
    server
        .sql(
            "CREATE SCHEMA decoy; CREATE FUNCTION decoy.payproof_get_1(k bytea, OUT done text, OUT held text, OUT left_ms text) \
             LANGUAGE sql AS $$ SELECT 'yes', 'held', 'long' $$; \
             CREATE ROLE shop LOGIN; GRANT USAGE ON SCHEMA decoy TO shop; ALTER ROLE shop SET search_path = decoy, public",
        )
        .await;
    let error = store(server.url_of("shop")).get("k").await.unwrap_err();
    assert!(error.is_refused(), "{error:?}");
}

#[tokio::test]
async fn what_a_writing_function_of_another_form_did_is_unknown() {
    let server = PostgresServer::start().await;
    let store = with_table(&server).await;
    for (name, arguments) in [("claim", "k bytea, v bytea, ttl bigint"), ("add", "k bytea, amount bigint, ttl bigint")]
    {
        let columns = "OUT done bool, OUT held text, OUT left_ms bigint, OUT which text";
        server.sql(&format!("DROP FUNCTION payproof_{name}_1")).await;
        let function = format!("CREATE FUNCTION payproof_{name}_1({arguments}, {columns})");
        server.sql(&format!("{function} LANGUAGE sql AS $$ SELECT true, 'held', 1, '' $$")).await;
    }
    let errors =
        [store.claim("k", b"v", HOUR).await.unwrap_err(), store.extras().add(&store, "k", 1, HOUR).await.unwrap_err()];
    for error in errors {
        assert!(error.is_outcome_unknown() && error.to_string().contains("payproof migrate"), "{error:?}");
    }
    let found = store.inspect().await.unwrap().findings;
    assert!(found.iter().any(|finding| finding.code() == "canary_refused"), "{found:?}");
}

#[tokio::test]
async fn a_text_that_is_no_address_is_refused_without_being_repeated() {
    for url in
        ["", "postgres", "mysql://shop:hunter22@db/shop", "postgres://shop:hunter22@db/shop?options=-cfsync%3Doff"]
    {
        let error = PostgresStore::new(url).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter22"), "{error:?}");
    }
}
