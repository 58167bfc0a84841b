//! A Cluster of six nodes. Starting one takes seconds, so one test does all that is asked of it.

use std::time::Duration;

use payproof::store::{Claim, RedisStore, RestartLoss, Store, StoreFinding, contract};

use crate::many::texts;
use crate::redis_server::{RedisCluster, RedisConfig};
use crate::restart_loss::loss_becomes;
use crate::{MINUTE, claimed_at_last, patient, store};

/// A node is missed for 1.5 s before another takes over; the rest is for a machine that has other things to do.
const FAILOVER: Duration = Duration::from_secs(15);

const PASSWORD: &str = "openSesame";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_keeps_the_contract_moves_keys_and_fails_over() {
    let config = RedisConfig::new().password(PASSWORD).line(format!("masterauth {PASSWORD}"));
    let mut cluster = RedisCluster::start_with(config).await;
    let with_password = |url: String| url.replace("://", &format!("://:{PASSWORD}@"));
    let urls: Vec<String> = cluster.urls().into_iter().map(with_password).collect();

    // One URL that answers is enough.
    let lonely = patient(RedisStore::builder_cluster([&with_password("redis://127.0.0.1:1".into()), &urls[5]]));
    contract::check(lonely.clone()).await.unwrap();
    assert!(lonely.inspect().await.unwrap().findings.iter().all(|finding| *finding != StoreFinding::Replica));
    one_primary_that_forgets_counts_for_all(&cluster, &lonely).await;
    the_fullest_primary_counts_for_all(&cluster, &lonely).await;
    let outsider = store(&urls[0]);
    let mut told = Vec::new();
    for place in 0..30 {
        told.extend(outsider.get(&format!("payproof:{place}")).await.err().map(|error| error.to_string()));
    }
    assert!(told.iter().any(|text| text.contains("use `RedisStore::cluster`")), "{told:?}");

    moves_a_slot(&cluster, &lonely).await;

    a_node_that_hangs_fails_its_own_keys(&cluster, &urls).await;

    let store = RedisStore::cluster(&urls).unwrap();
    for (round, hang) in [(0, true), (1, false)] {
        let key = format!("payproof:failover:{round}");
        store.claim(&key, b"before", MINUTE).await.unwrap();
        let victim = cluster.primary_of(&key, 0);
        let witness = (0..6).find(|place| *place != victim).unwrap();
        cluster.servers()[victim].command(&["WAIT", "1", "5000"]);
        if hang {
            cluster.servers()[victim].hang();
        } else {
            cluster.kill(victim);
        }
        // Another key of the same slot, so that the same node has to serve it.
        let (took, errors) = claimed_at_last(&store, &format!("{{{key}}}:after"), FAILOVER).await;
        assert_ne!(cluster.primary_of(&key, witness), victim);
        assert!(!errors.is_empty(), "the failover went unseen");
        assert!(errors.iter().all(|error| !error.is_refused()), "{errors:?}");
        println!("failover of a primary that {} took {took:?}", if hang { "hangs" } else { "died" });
        if hang {
            cluster.servers()[victim].resume();
        } else {
            cluster.restart(victim).await;
        }
        cluster.settle().await;
    }
}

/// Follows ASK while a slot moves, and MOVED once it has.
async fn moves_a_slot(cluster: &RedisCluster, store: &RedisStore) {
    let (moved, absent) = ("payproof:{moving}:1", "payproof:{moving}:2");
    store.claim(moved, b"v", MINUTE).await.unwrap();
    let slot = cluster.servers()[0].command(&["CLUSTER", "KEYSLOT", moved]);
    let from = cluster.primary_of(moved, 0);
    let to = ["a", "b", "c", "d", "e", "f", "g"].map(|key| cluster.primary_of(key, 0));
    let to = to.into_iter().find(|place| *place != from).expect("keys of several nodes");
    let (source, target) = (&cluster.servers()[from], &cluster.servers()[to]);
    let (source_id, target_id) = (source.command(&["CLUSTER", "MYID"]), target.command(&["CLUSTER", "MYID"]));
    assert_eq!(target.command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source_id]), "OK");
    assert_eq!(source.command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target_id]), "OK");
    let others = ["payproof:a", "payproof:b", "payproof:c"];
    let batch = async || texts(store.extras().get_many(store, &[others[0], moved, others[1], absent, others[2]]).await);
    // What is still there is answered there, and what is not is asked for at the target.
    assert_eq!(store.get(moved).await.unwrap().unwrap().bytes, b"v");
    assert_eq!(batch().await, ["none", "v", "none", "none", "none"]);
    assert_eq!(store.claim(absent, b"w", MINUTE).await.unwrap(), Claim::Claimed);
    store.replace(absent, b"w", b"x", MINUTE).await.unwrap();
    assert_eq!(batch().await, ["none", "v", "none", "x", "none"]);
    let port = target.port().to_string();
    assert_eq!(source.command(&["MIGRATE", "127.0.0.1", &port, moved, "0", "5000", "AUTH", PASSWORD]), "OK");
    assert_eq!(store.get(moved).await.unwrap().unwrap().bytes, b"v");
    for server in [target, source] {
        assert_eq!(server.command(&["CLUSTER", "SETSLOT", &slot, "NODE", &target_id]), "OK");
    }
    assert_eq!(batch().await, ["none", "v", "none", "x", "none"]);
    for (key, value) in [(moved, b"v"), (absent, b"x")] {
        assert_eq!(store.get(key).await.unwrap().unwrap().bytes, value);
    }
}

/// A batch is split by node, and each part has its own time.
async fn a_node_that_hangs_fails_its_own_keys(cluster: &RedisCluster, urls: &[String]) {
    let store = RedisStore::builder_cluster(urls).command_timeout(Duration::from_millis(700)).build().unwrap();
    let keys: Vec<String> = (0..40).map(|number| format!("payproof:hang:{number}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    for key in &keys {
        store.claim(key, b"there", MINUTE).await.unwrap();
    }
    let victim = cluster.primary_of(keys[0], 0);
    let (hung, served): (Vec<&str>, Vec<&str>) = keys.iter().partition(|key| cluster.primary_of(key, 0) == victim);
    assert!(!served.is_empty() && served.len() < keys.len());
    cluster.servers()[victim].hang();
    let reads = store.extras().get_many(&store, &keys).await;
    cluster.servers()[victim].resume();
    for (key, read) in keys.iter().zip(texts(reads)) {
        if hung.contains(key) {
            assert!(read.contains("did not answer within 700ms"), "{key}: {read}");
        } else {
            assert_eq!(read, "there", "{key}");
        }
    }
    cluster.settle().await;
}

#[tokio::test]
async fn a_cluster_without_slots_and_a_server_that_is_none_are_named() {
    let mut config = RedisConfig::new();
    config = config.line("cluster-enabled yes");
    let empty = config.start().await;
    let store = patient(RedisStore::builder_cluster([empty.url()]));
    let error = store.get("k").await.unwrap_err();
    assert!(!error.is_outcome_unknown() && error.to_string().contains("no slots"), "{error:?}");
    let single = crate::redis_server::RedisServer::start().await;
    let error = patient(RedisStore::builder_cluster([single.url()])).get("k").await.unwrap_err();
    assert!(error.is_refused() && error.to_string().contains("cluster support disabled"), "{error:?}");
}

async fn the_fullest_primary_counts_for_all(cluster: &RedisCluster, store: &RedisStore) {
    let full = &cluster.servers()[cluster.primary_of("payproof:any", 0)];
    full.command(&["CONFIG", "SET", "maxmemory", "1gb"]);
    assert_eq!(store.inspect().await.unwrap().memory.unwrap().max_bytes, Some(1 << 30), "others have no limit");
    full.command(&["CONFIG", "SET", "maxmemory", "0"]);
}

/// Asked anew after each of the connections is made anew.
async fn one_primary_that_forgets_counts_for_all(cluster: &RedisCluster, store: &RedisStore) {
    assert_eq!(store.restart_loss().await, Ok(RestartLoss::Second));
    let forgetful = &cluster.servers()[cluster.primary_of("payproof:any", 0)];
    forgetful.command(&["CONFIG", "SET", "appendonly", "no"]);
    assert_eq!(store.restart_loss().await, Ok(RestartLoss::Second), "kept on this connection");
    forgetful.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    loss_becomes(store, RestartLoss::All).await;
    forgetful.command(&["CONFIG", "SET", "appendonly", "yes"]);
    forgetful.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    loss_becomes(store, RestartLoss::Second).await;
}
