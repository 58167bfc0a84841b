//! Servers that follow another one: no call is answered by one, and what a promotion loses is said before.

use std::convert::Infallible;
use std::time::Duration;

use payproof::redeem::{RedeemError, Redeemed};
use payproof::store::{Claim, PostgresStore, Store, StoreError, StoreFinding, Swap};
use payproof::testing::ScriptedProvider;
use payproof::{Proof, Validator};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::postgres_server::{PostgresConfig, PostgresServer};
use crate::proxy::{Fault, Proxy};
use crate::servers::PATIENCE;
use crate::shop::Shop;
use crate::{HOUR, is_not_sent, patient, store, with_table};

/// A server with a table, where the commits of the role `waits` wait for a synchronous standby, which is not there.
async fn without_its_standby() -> PostgresServer {
    let config = PostgresConfig::new().line("synchronous_standby_names = 'gone'").line("synchronous_commit = local");
    let server = config.start().await;
    with_table(&server).await;
    server.sql("CREATE ROLE waits LOGIN SUPERUSER; ALTER ROLE waits SET synchronous_commit = 'on'").await;
    server
}

/// A call under way, and the function in the database that it goes through.
struct Calling<T>(&'static str, JoinHandle<T>);

/// Waits until a call waits for the standby, over another connection than the last. Beside it the store may be looked at.
async fn waits_for_the_standby<T>(server: &PostgresServer, call: &Calling<T>, last: &str) -> String {
    let Calling(function, call) = call;
    let waiting = format!(
        "SELECT pid FROM pg_stat_activity \
         WHERE wait_event = 'SyncRep' AND query LIKE '%{function}%' AND pid::text <> '{last}'"
    );
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(process) = server.sql(&waiting).await.pop() {
            return process;
        }
        assert!(!call.is_finished(), "it has an answer, and no standby has what it wrote");
        assert!(Instant::now() < end, "it does not come to its commit");
        sleep(Duration::from_millis(10)).await;
    }
}

/// Ends a connection while its commit waits for the standby: what it wrote is committed here alone.
async fn cut_off<T>(server: &PostgresServer, call: &Calling<T>) -> String {
    let process = waits_for_the_standby(server, call, "").await;
    server.sql(&format!("SELECT pg_terminate_backend({process}, 10000)")).await;
    process
}

/// Calls the wait for the standby off: the commit is answered, with a warning.
async fn call_off<T>(server: &PostgresServer, call: &Calling<T>) {
    let process = waits_for_the_standby(server, call, "").await;
    server.sql(&format!("SELECT pg_cancel_backend({process})")).await;
}

/// A proof of a payment. That its facts wait for the standby is called off.
async fn proof(shop: &Shop, validator: &Validator, payment: &str) -> Proof {
    const CALL_OFF: &str = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    let calling_off = async || -> Infallible {
        loop {
            shop.server.sql(CALL_OFF).await;
            sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        proof = shop.proof(validator, payment) => proof,
        never = calling_off() => match never {},
    }
}

/// A shop whose redemptions wait for a synchronous standby, which is not there.
async fn shop_without_its_standby() -> Shop {
    let server = without_its_standby().await;
    Shop { store: store(server.url_of("waits")), server, provider: ScriptedProvider::new() }
}

fn claiming(store: &PostgresStore, value: &'static [u8]) -> Calling<Result<Claim, StoreError>> {
    let store = store.clone();
    Calling("payproof_claim", tokio::spawn(async move { store.claim("k", value, HOUR).await }))
}

fn redeeming(validator: &Validator, proof: &Proof, order: &str) -> Calling<Result<Redeemed, RedeemError>> {
    Calling("payproof_bind", tokio::spawn(validator.redeem(proof).order(order).into_future()))
}

fn patient_validator(shop: &Shop) -> Validator {
    shop.process(shop.store.clone()).no_redemptions_before().store_timeout(PATIENCE).build().unwrap()
}

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
        "payproof_replace_1('k', 'v', NULL, NULL)",
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

#[tokio::test]
async fn a_wait_for_a_synchronous_standby_that_is_called_off_leaves_the_outcome_unknown() {
    let server = without_its_standby().await;
    let store = store(server.url_of("waits"));
    assert_eq!(store.get("k").await, Ok(None));
    let claim = claiming(&store, b"v");
    call_off(&server, &claim).await;
    let error = claim.1.await.unwrap().unwrap_err();
    assert!(error.is_outcome_unknown() && error.to_string().contains("synchronous standby"), "{error}");
    // What is read waits for nothing, and is held all the same.
    assert_eq!(store.get("k").await.unwrap().unwrap().bytes, b"v");
    assert!(matches!(store.claim("k", b"x", HOUR).await, Ok(Claim::Held(_))));
}

#[tokio::test]
async fn what_no_standby_may_have_is_redeemed_by_no_second_try() {
    let shop = shop_without_its_standby().await;
    let validator = patient_validator(&shop);
    let proof = proof(&shop, &validator, "pi_1").await;
    let redeem = redeeming(&validator, &proof, "A");
    call_off(&shop.server, &redeem).await;
    let error = redeem.1.await.unwrap().unwrap_err();
    let RedeemError::Store(store) = &error else { panic!("{error:?}") };
    assert!(store.to_string().contains("synchronous standby"), "{error:?}");
}

#[tokio::test]
async fn a_writer_that_finds_its_own_bytes_waits_for_the_standby_before_it_takes_them_for_made() {
    let server = without_its_standby().await;
    let store = store(server.url_of("waits"));
    let replacing = || {
        let store = store.clone();
        let call = async move { store.replace("other", b"before", b"mine", HOUR).await };
        Calling("payproof_replace", tokio::spawn(call))
    };
    crate::store(server.url()).claim("other", b"before", HOUR).await.unwrap();
    let (claim, replacement) = (claiming(&store, b"mine"), replacing());
    cut_off(&server, &claim).await;
    cut_off(&server, &replacement).await;
    assert!(claim.1.await.unwrap().unwrap_err().is_outcome_unknown());
    assert!(replacement.1.await.unwrap().unwrap_err().is_outcome_unknown());
    assert!(matches!(store.claim("k", b"another's", HOUR).await, Ok(Claim::Held(_))), "what is held costs no write");
    let lost = store.replace("other", b"before", b"another's", HOUR).await;
    assert!(matches!(lost, Ok(Swap::Lost(Some(_)))), "what is found costs no write: {lost:?}");

    let (claim, replacement) = (claiming(&store, b"mine"), replacing());
    waits_for_the_standby(&server, &claim, "").await;
    waits_for_the_standby(&server, &replacement, "").await;
    server.set("synchronous_standby_names", "").await;
    assert!(matches!(claim.1.await.unwrap(), Ok(Claim::Held(held)) if held.bytes == b"mine"));
    assert!(matches!(replacement.1.await.unwrap(), Ok(Swap::Lost(Some(held))) if held.bytes == b"mine"));
}

#[tokio::test]
async fn a_redemption_whose_connection_ended_while_it_waited_for_the_standby_is_told_once_that_has_it() {
    let shop = shop_without_its_standby().await;
    let validator = patient_validator(&shop);
    let (one, two) = (proof(&shop, &validator, "pi_1").await, proof(&shop, &validator, "pi_2").await);
    let redeem = redeeming(&validator, &one, "A");
    let first = cut_off(&shop.server, &redeem).await;
    let again = waits_for_the_standby(&shop.server, &redeem, &first).await;
    shop.server.sql(&format!("SELECT pg_terminate_backend({again}, 10000)")).await;
    let error = redeem.1.await.unwrap().unwrap_err();
    assert!(matches!(error, RedeemError::Store(_)) && error.is_retryable(), "{error:?}");
    // So is the caller's own second try, which finds what a failover may still undo.
    let redeem = redeeming(&validator, &one, "A");
    let second = waits_for_the_standby(&shop.server, &redeem, &again).await;
    redeem.1.abort();
    shop.server.sql(&format!("SELECT pg_terminate_backend({second}, 10000)")).await;

    let redeem = redeeming(&validator, &two, "B");
    let first = cut_off(&shop.server, &redeem).await;
    waits_for_the_standby(&shop.server, &redeem, &first).await;
    shop.server.set("synchronous_standby_names", "").await;
    let redeemed = redeem.1.await.unwrap().unwrap();
    assert_eq!(redeemed.receipt().order(), "B");
}

#[tokio::test]
async fn what_a_lost_try_removed_or_released_is_told_as_gone_once_the_standby_has_it() {
    let server = without_its_standby().await;
    let (here, waits) = (store(server.url()), store(server.url_of("waits")));
    for key in ["k", "payment", "order"] {
        here.claim(key, b"v", HOUR).await.unwrap();
    }
    let removing = || {
        let store = waits.clone();
        Calling("payproof_replace", tokio::spawn(async move { store.remove("k", b"v").await }))
    };
    let releasing = async || {
        let client = server.client().await;
        client.batch_execute("SET synchronous_commit = on").await.unwrap();
        let text = "SELECT done FROM payproof_release_1(payproof_table_id_1(), 'payment', 'v', 'order', 'v')";
        Calling("payproof_release", tokio::spawn(async move { client.simple_query(text).await.map(drop) }))
    };
    let (removal, release) = (removing(), releasing().await);
    cut_off(&server, &removal).await;
    cut_off(&server, &release).await;
    assert!(removal.1.await.unwrap().unwrap_err().is_outcome_unknown());
    assert!(release.1.await.unwrap().is_err());
    assert_eq!(server.sql("SELECT count(*) FROM payproof_records").await, ["0"]);

    let (removal, release) = (removing(), releasing().await);
    waits_for_the_standby(&server, &removal, "").await;
    waits_for_the_standby(&server, &release, "").await;
    server.set("synchronous_standby_names", "").await;
    assert!(matches!(removal.1.await.unwrap(), Ok(Swap::Lost(None))));
    release.1.await.unwrap().unwrap();
}
