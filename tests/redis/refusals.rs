//! What a server refuses, and what the error tells its reader to do.

use std::time::Duration;

use payproof::store::{
    Claim, RedisStore, RedisStoreBuilder, RestartLoss, Severity, Store, StoreError, StoreFinding, Swap,
};
use payproof::testing::ScriptedProvider;
use payproof::{StoreCheck, Validator};

use crate::certificates::Certificates;
use crate::redis_server::{RedisConfig, RedisServer};
use crate::servers::{new_folder, until};
use crate::store_use::is_of_right;
use crate::{MINUTE, is_not_sent, patient, store};

const PASSWORD: &str = "openSesame";

#[track_caller]
fn refused(error: &StoreError, says: &str) {
    assert!(error.is_refused(), "{error:?}");
    assert!(error.to_string().contains(says), "{error}");
    assert!(!error.to_string().contains(PASSWORD), "{error}");
}

/// What a validator over this store finds, which tries a record under its prefix as well.
async fn check(store: &RedisStore) -> StoreCheck {
    let validator = Validator::builder(ScriptedProvider::new()).store(store.clone());
    validator.store_timeout(Duration::from_secs(20)).build().unwrap().check_store().await
}

#[tokio::test]
async fn a_password_that_is_missing_or_wrong_is_refused() {
    let server = RedisConfig::new().password(PASSWORD).start().await;
    let port = server.port();
    refused(&store(server.url()).get("k").await.unwrap_err(), "put user and password into the URL");
    let wrong = store(format!("redis://:{PASSWORD}X@127.0.0.1:{port}"));
    refused(&wrong.get("k").await.unwrap_err(), "check both in the URL");
    let unknown = store(format!("redis://unknown:{PASSWORD}@127.0.0.1:{port}"));
    refused(&unknown.get("k").await.unwrap_err(), "check both in the URL");
    for user in ["", "default"] {
        assert_eq!(store(format!("redis://{user}:{PASSWORD}@127.0.0.1:{port}")).get("k").await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_password_that_the_server_did_not_ask_for_is_refused() {
    let server = RedisServer::start().await;
    let store = store(format!("redis://:{PASSWORD}@127.0.0.1:{}", server.port()));
    refused(&store.get("k").await.unwrap_err(), "without any password configured");
}

#[tokio::test]
async fn a_user_without_rights_is_refused_and_one_with_the_documented_rights_suffices() {
    let server = RedisServer::start().await;
    let user = |name: &str, rules: &[&str]| {
        let mut words = vec!["ACL", "SETUSER", name, "on", ">openSesame"];
        words.extend(rules);
        assert_eq!(server.command(&words), "OK");
        store(format!("redis://{name}:{PASSWORD}@127.0.0.1:{}", server.port()))
    };
    let reader = user("reader", &["~payproof:*", "+@read", "+@connection", "+multi", "+exec"]);
    assert_eq!(reader.get("payproof:k").await.unwrap(), None);
    refused(&reader.claim("payproof:k", b"v", MINUTE).await.unwrap_err(), "grant");
    refused(&reader.remove("payproof:k", b"v").await.unwrap_err(), "grant");
    assert!(check(&reader).await.findings.contains(&StoreFinding::ReadOnly));

    let rights = "~payproof:* +multi +exec +get +set +pttl +del +eval +evalsha +ping +info +time +config|get";
    let enough = user("enough", &rights.split(' ').collect::<Vec<_>>());
    enough.claim("payproof:k", b"v", MINUTE).await.unwrap();
    assert_eq!(enough.replace("payproof:k", b"v", b"w", MINUTE).await.unwrap(), Swap::Swapped);
    assert_eq!(enough.remove("payproof:k", b"w").await.unwrap(), Swap::Swapped);
    refused(&enough.claim("elsewhere", b"v", MINUTE).await.unwrap_err(), "grant");
    let inspection = enough.inspect().await.unwrap();
    assert!(inspection.findings.iter().all(|finding| finding.severity() == Severity::Note), "{inspection:?}");
}

#[tokio::test]
async fn a_replica_is_refused_before_it_answers_with_what_used_to_be() {
    let primary = RedisServer::start().await;
    let replica = RedisConfig::new().line(format!("replicaof 127.0.0.1 {}", primary.port())).start().await;
    until("the replica follows", || replica.command(&["INFO", "replication"]).contains("master_link_status:up")).await;
    let store = store(replica.url());
    refused(&store.get("k").await.unwrap_err(), "connect to the primary");
    refused(&store.claim("k", b"v", MINUTE).await.unwrap_err(), "connect to the primary");
    assert!(store.inspect().await.unwrap().findings.contains(&StoreFinding::Replica));
    // And once it is the primary, it is one.
    replica.command(&["REPLICAOF", "NO", "ONE"]);
    tokio::time::sleep(Duration::from_millis(200)).await;
    store.claim("k", b"v", MINUTE).await.unwrap();
    // A primary that becomes a replica under an open connection takes no writes.
    replica.command(&["REPLICAOF", "127.0.0.1", &primary.port().to_string()]);
    refused(&store.claim("l", b"v", MINUTE).await.unwrap_err(), "READONLY");
}

#[tokio::test]
async fn a_full_server_refuses_and_loses_nothing() {
    let server = RedisServer::start().await;
    let store = store(server.url());
    store.claim("kept", b"v", MINUTE).await.unwrap();
    server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    refused(&store.claim("k", b"v", MINUTE).await.unwrap_err(), "raise `maxmemory`");
    refused(&store.replace("kept", b"v", b"w", MINUTE).await.unwrap_err(), "raise `maxmemory`");
    // What is there is still found, swapped for nothing and removed.
    assert_eq!(store.get("kept").await.unwrap().unwrap().bytes, b"v");
    assert_eq!(store.get("k").await.unwrap(), None);
    assert!(matches!(store.claim("kept", b"w", MINUTE).await.unwrap(), Claim::Held(held) if held.bytes == b"v"));
    assert_eq!(store.remove("kept", b"v").await.unwrap(), Swap::Swapped);
    server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    store.claim("k", b"v", MINUTE).await.unwrap();
}

#[tokio::test]
async fn what_others_left_under_a_key_is_refused_and_no_miss() {
    let server = RedisServer::start().await;
    let store = store(server.url());
    server.command(&["RPUSH", "list", "x"]);
    server.command(&["SET", "forever", "x"]);
    for (key, says) in [("list", "WRONGTYPE"), ("forever", "no time to live")] {
        refused(&store.get(key).await.unwrap_err(), says);
        refused(&store.claim(key, b"v", MINUTE).await.unwrap_err(), says);
        refused(&store.replace(key, b"v", b"w", MINUTE).await.unwrap_err(), says);
        refused(&store.remove(key, b"v").await.unwrap_err(), says);
    }
    assert_eq!(server.command(&["LRANGE", "list", "0", "-1"]), "x");
    assert_eq!(server.command(&["GET", "forever"]), "x");
}

#[tokio::test]
async fn a_server_that_is_busy_with_a_script_says_that_nothing_was_done() {
    let server = RedisConfig::new().line("busy-reply-threshold 50").start().await;
    let store = store(server.url());
    store.get("k").await.unwrap();
    let port = server.port().to_string();
    let mut endless = std::process::Command::new("redis-cli")
        .args(["-p", &port, "EVAL", "while true do end", "0"])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    until("the script runs", || server.command(&["PING"]).contains("BUSY")).await;
    let error = store.claim("k", b"v", MINUTE).await.unwrap_err();
    let unsaid = store.restart_loss().await.unwrap_err();
    server.command(&["SCRIPT", "KILL"]);
    endless.wait().unwrap();
    assert!(is_not_sent(&unsaid), "{unsaid:?}");
    assert_eq!(store.restart_loss().await, Ok(RestartLoss::Second), "nothing was kept of a server that was busy");
    assert!(is_not_sent(&error) && error.to_string().contains("BUSY"), "{error:?}");
    store.claim("k", b"v", MINUTE).await.unwrap();
}

#[tokio::test]
async fn tls_with_an_authority_of_ones_own() {
    let certificates = Certificates::make(new_folder("certificates"));
    let foreign = Certificates::make(new_folder("certificates"));
    let (authority, certificate) = (certificates.authority_file(), certificates.certificate_file());
    let server = RedisConfig::new().tls(&authority, &certificate, &certificates.key_file()).start().await;
    let plain = RedisServer::start().await;
    let port = server.port();
    let trusting = |url: String, by: &Certificates| -> RedisStoreBuilder {
        RedisStore::builder(url).root_certificate(by.authority())
    };
    for host in ["localhost", "127.0.0.1"] {
        let store = patient(trusting(format!("rediss://{host}:{port}"), &certificates));
        let value = vec![7; 200_000];
        store.claim(host, &value, MINUTE).await.unwrap();
        assert_eq!(store.get(host).await.unwrap().unwrap().bytes, value);
        assert_eq!(store.remove(host, &value).await.unwrap(), Swap::Swapped);
        assert!(store.inspect().await.unwrap().version.is_some());
    }
    let both = trusting(format!("rediss://localhost:{port}"), &foreign).root_certificate(certificates.authority());
    assert_eq!(patient(both).get("k").await.unwrap(), None);

    let strange = patient(trusting(format!("rediss://localhost:{port}"), &foreign));
    refused(&strange.get("k").await.unwrap_err(), "`root_certificate`");
    // The certificate names 127.0.0.1 and not its neighbor.
    assert_eq!(server.command(&["CONFIG", "SET", "bind", "127.0.0.1 127.0.0.2"]), "OK");
    let unnamed = patient(trusting(format!("rediss://127.0.0.2:{port}"), &certificates));
    refused(&unnamed.get("k").await.unwrap_err(), "a host name that the certificate names");
    let system = store(format!("rediss://localhost:{port}"));
    refused(&system.get("k").await.unwrap_err(), "`root_certificate`");

    let without = store(format!("redis://localhost:{port}")).get("k").await.unwrap_err();
    assert!(is_not_sent(&without) && without.to_string().contains("use rediss://"), "{without:?}");
    let needless = trusting(plain.url().replace("redis", "rediss"), &certificates).build().unwrap();
    let needless = needless.get("k").await.unwrap_err();
    assert!(needless.to_string().contains("use redis://"), "{needless:?}");
    assert!(!needless.is_outcome_unknown(), "{needless:?}");
}

#[tokio::test]
async fn a_look_at_a_server_finds_what_is_unfit() {
    let server = RedisServer::start().await;
    let store = store(server.url());
    let inspection = store.inspect().await.unwrap();
    assert_eq!((&*inspection.server, inspection.compare.as_deref()), ("redis", Some("script")));
    assert!(inspection.version.is_some_and(|version| server.command(&["INFO", "server"]).contains(&*version)));
    assert!(inspection.latency > Duration::ZERO);
    assert_eq!(inspection.findings, []);
    assert_eq!(inspection.restart_loss, RestartLoss::Second);
    assert_eq!(server.command(&["DBSIZE"]), "0");

    server.command(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    server.command(&["CONFIG", "SET", "appendonly", "no"]);
    let inspection = store.inspect().await.unwrap();
    assert_eq!(inspection.findings, [StoreFinding::Evicts { policy: "allkeys-lru".into() }]);
    assert_eq!(inspection.restart_loss, RestartLoss::All);

    let rights = "ACL SETUSER blind on >openSesame ~payproof:* +multi +exec +get +set +pttl +del +eval +evalsha";
    server.command(&rights.split(' ').collect::<Vec<_>>());
    let blind = crate::store(format!("redis://blind:{PASSWORD}@127.0.0.1:{}", server.port()));
    let inspection = blind.inspect().await.unwrap();
    assert_eq!(inspection.restart_loss, RestartLoss::Unknown);
    let findings = inspection.findings;
    assert!(findings.len() >= 2 && findings.iter().all(is_of_right), "{findings:?}");
}

#[tokio::test]
async fn how_much_of_its_memory_a_server_uses_is_told_before_it_is_full() {
    let server = RedisServer::start().await;
    let store = store(server.url());
    // So much that buffers for connections do not matter, and without an end: it is not evicted.
    server.command(&["SETRANGE", "ballast", "20000000", "x"]);
    let unlimited = store.inspect().await.unwrap();
    let used = unlimited.memory.unwrap().used_bytes;
    assert_eq!(unlimited.memory.unwrap().max_bytes, None);
    let look = async |max: u64| {
        server.command(&["CONFIG", "SET", "maxmemory", &max.to_string()]);
        // One that takes no record any more can still be looked at.
        let seen = check(&store).await;
        assert_eq!(seen.store.unwrap().memory.unwrap().max_bytes, Some(max));
        seen.findings.iter().any(|finding| matches!(finding, StoreFinding::NearlyFull { .. }))
    };
    assert!(!look(used * 100).await);
    assert!(look(used * 6 / 5).await);
    server.command(&["CONFIG", "SET", "maxmemory-policy", "volatile-lru"]);
    assert!(!look(used * 6 / 5).await, "it makes room");
    assert!(look(used / 2).await, "there is nothing to evict");
    server.command(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    assert!(look(used / 2).await);
}
