//! The four verbs, and what they leave on the server.

use std::time::Duration;

use payproof::store::{Claim, Durability, Store, Swap, contract};

use crate::redis_server::{RedisConfig, RedisServer};
use crate::{MINUTE, store};

/// Every byte there is, and what the protocol itself is made of.
fn binary() -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..=255).collect();
    bytes.extend(b"\r\n$-1\r\n*0\r\n+OK\r\n");
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_holds_on_one_server() {
    let server = RedisServer::start().await;
    contract::check(store(server.url())).await.unwrap();
}

#[tokio::test]
async fn the_contract_holds_over_a_socket_and_over_several_connections() {
    let folder = crate::folder::Folder::new("redis-socket");
    let socket = folder.path().join("redis.sock");
    let server = RedisConfig::new().line(format!("unixsocket {}", socket.display())).start().await;
    let url = format!("redis+unix://{}?db=2", socket.display());
    contract::check(crate::patient(payproof::store::RedisStore::builder(url).connections(3))).await.unwrap();
    let ours = || server.command(&["CLIENT", "LIST"]).matches("name=payproof").count();
    crate::servers::until("the connections are closed with the store", || ours() == 0).await;
}

#[tokio::test]
async fn a_value_is_any_bytes_and_a_key_any_text() {
    let server = RedisServer::start().await;
    let store = store(server.url());
    let (value, other) = (binary(), b"".as_slice());
    for key in ["k", "key with blanks", "\r\n*1\r\n$8\r\nFLUSHALL\r\n", "{a}{b}", "ключ", "0", &"x".repeat(512)] {
        assert_eq!(store.get(key).await.unwrap(), None);
        assert_eq!(store.claim(key, &value, MINUTE).await.unwrap(), Claim::Claimed);
        assert_eq!(store.get(key).await.unwrap().unwrap().bytes, value);
        let Claim::Held(held) = store.claim(key, other, MINUTE).await.unwrap() else { panic!("claimed twice: {key}") };
        assert_eq!(held.bytes, value);
        assert_eq!(store.replace(key, &value, other, MINUTE).await.unwrap(), Swap::Swapped);
        let Swap::Lost(Some(lost)) = store.remove(key, &value).await.unwrap() else { panic!("removed another: {key}") };
        assert_eq!(lost.bytes, other);
        assert_eq!(store.remove(key, other).await.unwrap(), Swap::Swapped);
        assert_eq!(store.remove(key, other).await.unwrap(), Swap::Lost(None));
    }
    assert_eq!(server.command(&["DBSIZE"]), "0");
}

#[tokio::test]
async fn times_to_live_are_kept_to_the_millisecond_by_the_server() {
    let server = RedisServer::start().await;
    let store = store(server.url());
    store.claim("k", b"v", Duration::from_millis(59_999)).await.unwrap();
    let left: u64 = server.command(&["PTTL", "k"]).parse().unwrap();
    assert!((30_000..=59_999).contains(&left), "{left}");
    let stored = store.get("k").await.unwrap().unwrap();
    assert!(stored.ttl_left <= Duration::from_millis(left), "{stored:?}");
    store.replace("k", b"v", b"w", Duration::from_secs(400 * 24 * 60 * 60)).await.unwrap();
    assert!(store.get("k").await.unwrap().unwrap().ttl_left > Duration::from_secs(399 * 24 * 60 * 60));
    store.claim("short", b"v", Duration::from_micros(1)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(store.get("short").await.unwrap(), None);
    assert!(store.claim("k", b"v", Duration::ZERO).await.unwrap_err().is_refused());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_claims_by_several_clients_one_wins() {
    let server = RedisServer::start().await;
    let stores = [store(server.url()), store(server.url()), store(server.url())];
    for round in 0..20 {
        let mut claims = tokio::task::JoinSet::new();
        for claimant in 0..30_u8 {
            let store = stores[usize::from(claimant) % 3].clone();
            claims.spawn(async move { (claimant, store.claim(&format!("race:{round}"), &[claimant], MINUTE).await) });
        }
        let mut won = Vec::new();
        let mut seen = Vec::new();
        while let Some(claim) = claims.join_next().await {
            match claim.unwrap() {
                (claimant, Ok(Claim::Claimed)) => won.push(claimant),
                (_, Ok(Claim::Held(held))) => seen.push(held.bytes[0]),
                (_, Err(error)) => panic!("{error}"),
            }
        }
        assert_eq!(won.len(), 1);
        assert!(seen.iter().all(|seen| *seen == won[0]), "{won:?} {seen:?}");
    }
}

#[tokio::test]
async fn a_verb_is_one_round_trip_and_a_known_script_is_sent_by_its_digest() {
    let server = RedisServer::start().await;
    let store = store(server.url());
    store.claim("k", b"1", MINUTE).await.unwrap();
    for _ in 0..5 {
        store.replace("k", b"1", b"1", MINUTE).await.unwrap();
        store.remove("k", b"other").await.unwrap();
    }
    // Each script is sent once as text, after the server said that it does not know the digest.
    assert_eq!((server.calls("eval"), server.calls("evalsha")), (2, 8 + 2));
    assert_eq!((server.calls("exec"), server.calls("multi")), (1, 1));
}

#[tokio::test]
async fn scripts_that_the_server_forgot_are_sent_again() {
    let server = RedisServer::start().await;
    let store = store(server.url());
    store.claim("k", b"1", MINUTE).await.unwrap();
    for value in [b"1", b"2", b"3"] {
        let next = [value[0] + 1];
        assert_eq!(store.replace("k", value, &next, MINUTE).await.unwrap(), Swap::Swapped);
        server.command(&["SCRIPT", "FLUSH"]);
    }
    assert_eq!(store.remove("k", b"4").await.unwrap(), Swap::Swapped);
}

#[tokio::test]
async fn the_database_in_the_url_is_the_one_used() {
    let server = RedisServer::start().await;
    store(format!("{}/3", server.url())).claim("k", b"v", MINUTE).await.unwrap();
    assert_eq!(server.command(&["-n", "3", "GET", "k"]), "v");
    assert_eq!(server.command(&["DBSIZE"]), "0");
    let error = store(format!("{}/99", server.url())).get("k").await.unwrap_err();
    assert!(error.to_string().contains("DB index is out of range"), "{error}");
}

#[tokio::test]
async fn a_call_whose_caller_leaves_harms_no_other() {
    let server = RedisServer::start().await;
    let store = store(server.url());
    for round in 0..50_u32 {
        let key = format!("left:{round}");
        // Polled once or twice, so that it is dropped while connecting, before it is written, or before its answer.
        let left =
            tokio::time::timeout(Duration::from_micros(u64::from(round) * 20), store.claim(&key, b"left", MINUTE));
        let _ = left.await;
        assert_eq!(store.claim(&format!("stays:{round}"), b"stays", MINUTE).await.unwrap(), Claim::Claimed);
        assert_eq!(store.get(&format!("stays:{round}")).await.unwrap().unwrap().bytes, b"stays");
    }
}

#[tokio::test]
async fn it_connects_at_first_use_and_its_connections_end_with_the_last_clone() {
    let server = RedisServer::start().await;
    let store = store(server.url());
    let ours = || server.command(&["CLIENT", "LIST"]).matches("name=payproof").count();
    assert_eq!(ours(), 0);
    let clone = store.clone();
    drop(store);
    clone.get("k").await.unwrap();
    clone.get("k").await.unwrap();
    assert_eq!(ours(), 1);
    drop(clone);
    tokio::task::yield_now().await;
    crate::servers::until("the connection is closed", || ours() == 0).await;
}

#[tokio::test]
async fn it_says_what_it_promises() {
    let durability = store("redis://localhost").durability();
    assert_eq!(durability, Durability { shared: true, best_effort: true });
}
