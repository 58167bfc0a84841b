//! Connections that break or hang, and servers without room: how far a call got, how long it took, and that the next one works.

use std::time::Duration;

use payproof::redeem::Occasion;
use payproof::store::{Claim, PostgresStore, Store, Swap};
use tokio::time::{Instant, sleep};

use crate::postgres_server::{PostgresConfig, PostgresServer};
use crate::proxy::{Fault, Proxy};
use crate::servers::PATIENCE;
use crate::support::{intent, plain, proof_of, provider};
use crate::{HOUR, is_not_sent, patient, store, with_table};

/// The message that ends an answer: the server is ready for the next statement, and not in a transaction.
const READY: &[u8] = b"Z\0\0\0\x05I";

/// A message that a row is in.
const ROW: &[u8] = b"D\0\0\0";

fn url(proxy: &Proxy) -> String {
    format!("postgres://postgres@127.0.0.1:{}/postgres", proxy.port())
}

/// A store behind a proxy, whose one connection is up.
async fn behind(server: &PostgresServer) -> (Proxy, PostgresStore) {
    with_table(server).await;
    let proxy = Proxy::start(server.port()).await;
    let store = patient(PostgresStore::builder(url(&proxy)).connections(1));
    store.get("k").await.unwrap();
    (proxy, store)
}

#[tokio::test]
async fn an_answer_counts_only_once_the_server_says_that_it_is_whole() {
    let server = PostgresServer::start().await;
    let (proxy, store) = behind(&server).await;
    for (place, cut) in [READY, ROW].into_iter().enumerate() {
        let key = format!("cut:{place}");
        proxy.set(Fault::CutBefore(cut));
        let error = store.claim(&key, b"mine", HOUR).await.unwrap_err();
        assert!(error.is_outcome_unknown(), "{cut:?}: {error:?}");
        proxy.set(Fault::None);
        // What was claimed says whose it is.
        let Claim::Held(held) = store.claim(&key, b"mine", HOUR).await.unwrap() else { panic!("{cut:?}") };
        assert_eq!(held.bytes, b"mine");
        proxy.set(Fault::CutBefore(cut));
        let error = store.replace(&key, b"mine", b"other", HOUR).await.unwrap_err();
        assert!(error.is_outcome_unknown(), "{cut:?}: {error:?}");
        proxy.set(Fault::None);
        assert!(matches!(store.remove(&key, b"mine").await, Ok(Swap::Lost(Some(held))) if held.bytes == b"other"));
    }
}

#[tokio::test]
async fn a_failure_that_ends_the_connection_leaves_the_outcome_unknown() {
    const FAILS: &str = "CREATE OR REPLACE FUNCTION payproof_claim_1(k bytea, v bytea, ttl bigint, \
         OUT done bool, OUT held bytea, OUT left_ms bigint) LANGUAGE plpgsql AS $$ BEGIN \
         RAISE EXCEPTION USING ERRCODE = convert_from(v, 'UTF8'), MESSAGE = 'it fails'; END $$";
    let server = PostgresServer::start().await;
    let (proxy, store) = behind(&server).await;
    server.sql(FAILS).await;
    for (severity, code, refused, unknown) in [
        ("ERROR", "XX001", true, false),
        ("FATAL", "XX000", false, true),
        ("PANIC", "XX001", false, true),
        ("PANIC", "58030", false, true),
        ("FATAL", "57P04", false, true),
        ("FATAL", "57P05", false, false),
        ("FATAL", "57P03", false, false),
    ] {
        proxy.set(match severity {
            "FATAL" => Fault::Instead(b"ERROR\0", b"FATAL\0"),
            "PANIC" => Fault::Instead(b"ERROR\0", b"PANIC\0"),
            _ => Fault::None,
        });
        let error = store.claim("k", code.as_bytes(), HOUR).await.unwrap_err();
        let told = (error.is_refused(), error.is_outcome_unknown());
        assert_eq!(told, (refused, unknown), "{severity} {code}: {error:?}");
        assert!(error.to_string().contains(code), "{severity} {code}: {error:?}");
    }
}

#[tokio::test]
async fn a_redemption_whose_answer_was_lost_is_found_again() {
    let server = PostgresConfig::new().syncs().start().await;
    with_table(&server).await;
    let proxy = Proxy::start(server.port()).await;
    let provider = provider();
    let validator = |url: String| {
        plain(&provider).store(store(url)).no_redemptions_before().store_timeout(PATIENCE).build().unwrap()
    };
    let cut_off = validator(url(&proxy));
    let proof = proof_of(&cut_off, intent("pi_1")).await;
    proxy.set(Fault::CutBefore(READY));
    let lost = cut_off.redeem(proof).await;
    proxy.set(Fault::None);
    let direct = validator(server.url());
    let found = direct.redeem(proof_of(&direct, intent("pi_1")).await).await.unwrap();
    // Either it was told, or it is an error that the store makes; two calls that are the first would ship twice.
    match lost {
        Ok(told) => assert!(told.receipt() == found.receipt() && found.occasion() != Occasion::First, "{found:?}"),
        Err(error) => assert_eq!(error.code(), "store_unavailable", "{error:?}"),
    }
    let again = direct.redeem(proof_of(&direct, intent("pi_1")).await).await.unwrap();
    assert!(again.receipt() == found.receipt() && again.occasion() != Occasion::First, "{again:?}");
}

#[tokio::test]
async fn a_hung_server_costs_a_call_its_timeouts_and_no_more() {
    let server = PostgresServer::start().await;
    let store = PostgresStore::new(server.url()).unwrap();
    with_table(&server).await;
    // The first connection may take its time on a machine that has other things to do.
    let end = Instant::now() + PATIENCE;
    while store.get("k").await.is_err() {
        assert!(Instant::now() < end, "no connection");
    }
    server.hang();
    let error = store.claim("k", b"v", HOUR).await.unwrap_err();
    assert!(error.to_string().contains("within 500ms"), "{error:?}");
    for _ in 0..3 {
        let begun = Instant::now();
        store.claim("k", b"v", HOUR).await.unwrap_err();
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }
    server.resume();
    while let Err(error) = store.claim("afterwards", b"v", HOUR).await {
        assert!(Instant::now() < end, "{error:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_server_without_room_for_a_connection_is_told_as_that() {
    let server =
        PostgresConfig::new().line("max_connections = 6").line("superuser_reserved_connections = 3").start().await;
    with_table(&server).await;
    server.sql("CREATE ROLE shop LOGIN; GRANT ALL ON payproof_records TO shop").await;
    let shop = store(server.url_of("shop"));
    let mut others = Vec::new();
    let end = Instant::now() + PATIENCE;
    let full = loop {
        assert!(Instant::now() < end, "there is always room");
        match tokio_postgres::connect(&server.url_of("shop"), tokio_postgres::NoTls).await {
            Ok((client, connection)) => {
                tokio::spawn(connection);
                others.push(client);
            }
            Err(_) => match shop.claim("k", b"v", HOUR).await {
                // The room of the administrator's own connection may have become free.
                Ok(_) => panic!("there was room"),
                Err(error) => break error,
            },
        }
    };
    assert!(is_not_sent(&full) && full.to_string().contains("53300"), "{full:?}");
    others.clear();
    while let Err(error) = shop.claim("k", b"v", HOUR).await {
        assert!(is_not_sent(&error) && Instant::now() < end, "{error:?}");
        sleep(Duration::from_millis(50)).await;
    }
}
