//! The contract, beside the service's own clients and over a real Redis.

use payproof::store::{Claim, Store, contract};
use serde_json::json;

use super::peers;
use super::peers::RestServer;
use super::upstash::{RecordedCall, UpstashStandIn};
use super::{MINUTE, bytes_of, command, kv, patient, stand_in, store, token, warm};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_stores_keep_the_contract_on_the_stand_in() {
    let server = stand_in().await;
    let kv = kv(server.url(), server.token());
    let (first, second) = tokio::join!(contract::check(store(&server)), contract::check(kv));
    first.unwrap();
    second.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_holds_on_a_server_that_neither_encodes_nor_knows_the_flag() {
    let server = UpstashStandIn::builder().never_encodes().refuses_flags().start().await.unwrap();
    contract::check(store(&server)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_stores_keep_the_contract_over_a_real_redis() {
    let server = RestServer::start("contract", &token()).await;
    let (first, second) = tokio::join!(
        contract::check(patient(server.url.clone(), &token())),
        contract::check(kv(server.url.clone(), &token()))
    );
    first.unwrap();
    second.unwrap();
}

#[tokio::test]
async fn a_real_redis_keeps_the_script_under_our_digest() {
    let server = RestServer::start("digest", &token()).await;
    let store = patient(server.url.clone(), &token());
    for round in 0..5 {
        assert_eq!(store.claim(&format!("k{round}"), b"v", MINUTE).await.unwrap(), Claim::Claimed);
    }
    let stats = command(&server.url, &token(), json!(["INFO", "commandstats"])).await;
    let calls = |name: &str| {
        let line = stats.lines().find(|line| line.starts_with(&format!("cmdstat_{name}:")));
        line.map(|line| line.split(['=', ',']).nth(1).unwrap().parse::<u32>().unwrap()).unwrap_or_default()
    };
    // The first claim asks by digest, sends the text with the flag, and then the one without; the others ask by digest.
    assert_eq!((calls("eval"), calls("evalsha")), (2, 5), "{stats}");
    assert_eq!(store.inspect().await.unwrap().compare.as_deref(), Some("script"));
    // Both texts, since a server that knows the flag keeps the other one.
    let fresh = patient(server.url.clone(), &token());
    assert!(matches!(fresh.claim("k0", b"w", MINUTE).await.unwrap(), Claim::Held(_)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_services_own_clients_agree_with_the_stand_in() {
    let server = stand_in().await;
    let store = warm(&server).await;
    let (key, value) = ("from the store", b"\x00\xff binary \n");
    assert_eq!(store.claim(key, value, MINUTE).await.unwrap(), Claim::Claimed);
    let calls = server.calls();
    let sent = |verb: &str| calls.iter().flat_map(RecordedCall::commands).find(|command| command[0] == verb).unwrap();
    let facts = json!({
        "peers": peers::folder(),
        "url": server.url(),
        "token": server.token(),
        "readOnlyToken": server.read_only_token(),
        "script": sent("EVAL")[1],
        "digest": sent("EVALSHA")[1],
        "recordKey": key,
        "recordValue": "pp1:AP8gYmluYXJ5IAo=",
    });
    let output = tokio::task::spawn_blocking(move || peers::run_clients(&facts)).await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(bytes_of(store.get("from the client").await.unwrap()), value);
    // They send back the latest sync token, as ours does.
    let tokens = server.calls().iter().filter(|call| call.request().header("upstash-sync-token").is_some()).count();
    assert!(tokens > 20, "{tokens}");
}
