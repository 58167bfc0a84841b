//! The line to a Cluster: one to each primary, which are believed together or not at all.
//!
//! Starting a Cluster takes seconds, so one test does all that is asked of it.

use payproof::Validator;
use payproof::store::{RedisStore, Store, StoreFinding};
use tokio::time::Instant;

use super::{PATIENCE, asks_at_last, first_miss, is_covered, lines, payment, validator};
use crate::redis_server::{RedisCluster, RedisServer};
use crate::servers::until;
use crate::support::{ms, provider, secs};

fn impatient(cluster: &RedisCluster) -> RedisStore {
    RedisStore::builder_cluster(cluster.urls()).connect_timeout(ms(300)).command_timeout(ms(300)).build().unwrap()
}

/// Waits until the facts are covered, by a line that lives: without the store they are served for a while as well.
async fn covered(cluster: &RedisCluster, validator: &Validator) {
    let begun = Instant::now();
    while !(is_covered(cluster, validator).await && validator.stats().facts_are_covered) {
        assert!(begun.elapsed() < PATIENCE, "the facts are not covered");
    }
}

/// The key of the facts, and the place of the node that serves it.
fn home(cluster: &RedisCluster) -> (String, usize) {
    let keys = cluster.servers().iter().map(|server| server.command(&["KEYS", "payproof:facts:{*"]));
    let key = keys.into_iter().find(|key| !key.is_empty()).expect("facts are stored");
    let place = cluster.primary_of(&key, 0);
    (key, place)
}

fn id(server: &RedisServer) -> String {
    server.command(&["CLUSTER", "MYID"])
}

/// Moves a slot: with its records, or so that the node that had them learns that they are another's.
fn move_slot(cluster: &RedisCluster, slot: &str, (from, to): (usize, usize), key: Option<&str>) {
    let (source, target) = (&cluster.servers()[from], &cluster.servers()[to]);
    let (source_id, target_id) = (id(source), id(target));
    match key {
        Some(key) => begin_move(cluster, slot, (from, to), key),
        None => assert_eq!(target.command(&["CLUSTER", "SETSLOT", slot, "IMPORTING", &source_id]), "OK"),
    }
    assert_eq!(target.command(&["CLUSTER", "SETSLOT", slot, "NODE", &target_id]), "OK");
    if key.is_some() {
        assert_eq!(source.command(&["CLUSTER", "SETSLOT", slot, "NODE", &target_id]), "OK");
    }
}

/// Puts a slot under way, with a record that has arrived: the node that serves it sends callers after that.
fn begin_move(cluster: &RedisCluster, slot: &str, (from, to): (usize, usize), key: &str) {
    let (source, target) = (&cluster.servers()[from], &cluster.servers()[to]);
    assert_eq!(target.command(&["CLUSTER", "SETSLOT", slot, "IMPORTING", &id(source)]), "OK");
    assert_eq!(source.command(&["CLUSTER", "SETSLOT", slot, "MIGRATING", &id(target)]), "OK");
    let port = target.port().to_string();
    // There is nothing to move where it was forgotten in between.
    let moved = source.command(&["MIGRATE", "127.0.0.1", &port, key, "0", "5000"]);
    assert!(["OK", "NOKEY"].contains(&&*moved), "{moved}");
}

/// Has the slot stay where it is, without what has left it.
fn give_move_up(cluster: &RedisCluster, slot: &str, (from, to): (usize, usize)) {
    let (source, target) = (&cluster.servers()[from], &cluster.servers()[to]);
    assert_eq!(target.command(&["FLUSHALL"]), "OK");
    for server in [source, target] {
        assert_eq!(server.command(&["CLUSTER", "SETSLOT", slot, "STABLE"]), "OK");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_cluster_facts_are_covered_while_each_primary_tells_of_changes() {
    let (mut cluster, provider) = (RedisCluster::start().await, provider());
    let (one, other) = (validator(&provider, impatient(&cluster)), validator(&provider, impatient(&cluster)));
    let findings = impatient(&cluster).inspect().await.unwrap().findings;
    assert!(!findings.iter().any(|found| matches!(found, StoreFinding::NoInvalidationLine { .. })), "{findings:?}");
    for _ in 0..3 {
        covered(&cluster, &one).await;
        other.forget(&payment()).await.unwrap();
        let missed = first_miss(Instant::now(), &one).await;
        println!("the first miss elsewhere began {missed:?} after forget was answered");
    }

    one_line_that_ends_is_the_end_of_all(&cluster, &one).await;
    a_replica_takes_over_when_told(&cluster, &one, &other).await;
    cluster.add_empty().await;
    few_lines_begin_while_calls_are_sent_after_a_record(&cluster, &one).await;
    slots_move(&cluster, &one, &other).await;
    no_record_of_a_slot_under_way_is_covered(&cluster, &one, &other).await;
    a_replica_takes_over_from_one_that_died(&mut cluster, &one, &other).await;
}

async fn one_line_that_ends_is_the_end_of_all(cluster: &RedisCluster, one: &Validator) {
    covered(cluster, one).await;
    let (_, home) = home(cluster);
    let mut others = cluster.servers().iter().enumerate().filter(|(place, _)| *place != home);
    let (_, elsewhere) = others.find(|(_, server)| server.command(&["ROLE"]).starts_with("master")).unwrap();
    assert_ne!(elsewhere.command(&["CLIENT", "KILL", "TYPE", "pubsub"]), "0");
    asks_at_last(cluster, one).await;
    covered(cluster, one).await;
}

// Each of those calls connects to a node that serves nothing yet, which ends the session.
async fn few_lines_begin_while_calls_are_sent_after_a_record(cluster: &RedisCluster, one: &Validator) {
    covered(cluster, one).await;
    let (key, home) = home(cluster);
    let (source, empty) = (&cluster.servers()[home], cluster.servers().len() - 1);
    let slot = source.command(&["CLUSTER", "KEYSLOT", &key]);
    begin_move(cluster, &slot, (home, empty), &key);
    let (begun, before, mut calls) = (Instant::now(), source.calls("client|tracking"), 0);
    while begun.elapsed() < secs(3) {
        one.stored_facts(&payment()).await.unwrap();
        calls += 1;
    }
    let lines = source.calls("client|tracking") - before;
    println!("{lines} lines began during {calls} calls");
    // Pauses double from a tenth of a second.
    assert!(calls > 100 && lines <= 8, "{lines} lines began during {calls} calls");
    give_move_up(cluster, &slot, (home, empty));
}

// What the line to the other node tells of it ends unnoticed where the move is given up.
async fn no_record_of_a_slot_under_way_is_covered(cluster: &RedisCluster, one: &Validator, other: &Validator) {
    covered(cluster, one).await;
    let (key, home) = home(cluster);
    let empty = cluster.servers().len() - 1;
    let slot = cluster.servers()[home].command(&["CLUSTER", "KEYSLOT", &key]);
    assert!(lines(&cluster.servers()[empty]) > 0);
    begin_move(cluster, &slot, (home, empty), &key);
    for _ in 0..4 {
        assert!(!is_covered(cluster, one).await);
    }
    give_move_up(cluster, &slot, (home, empty));
    forgotten_after(cluster, one, other).await;
}

async fn slots_move(cluster: &RedisCluster, one: &Validator, other: &Validator) {
    covered(cluster, one).await;
    let (key, home) = home(cluster);
    let (source, empty) = (&cluster.servers()[home], cluster.servers().len() - 1);
    let target = &cluster.servers()[empty];
    let slot = source.command(&["CLUSTER", "KEYSLOT", &key]);
    // It takes slots without a new epoch from now on, since none is higher than its own.
    assert!(target.command(&["CLUSTER", "BUMPEPOCH"]).starts_with("BUMPED"));

    // Nothing is asked of the Cluster meanwhile, and nothing is stored in that slot.
    covered(cluster, one).await;
    let is_idle = |slot: &String| source.command(&["CLUSTER", "COUNTKEYSINSLOT", slot]) == "0";
    let mut slots = (0..16_384).map(|slot: u32| slot.to_string()).filter(|idle| *idle != slot);
    let idle = slots.find(|slot| cluster.primary_of_slot(slot, home) == home && is_idle(slot)).unwrap();
    assert_eq!(lines(target), 0);
    move_slot(cluster, &idle, (home, empty), None);
    until("there is a line to the node that serves something now", || lines(target) > 0).await;

    for (from, to, with_records) in
        [(home, empty, true), (empty, home, true), (home, empty, false), (empty, home, false)]
    {
        covered(cluster, one).await;
        move_slot(cluster, &slot, (from, to), with_records.then_some(&key));
        forgotten_after(cluster, one, other).await;
    }
}

/// What the former owner does not announce is not served either, nor what changes at the new one.
async fn forgotten_after(cluster: &RedisCluster, one: &Validator, other: &Validator) {
    let begun = Instant::now();
    while let Err(error) = other.forget(&payment()).await {
        assert!(begun.elapsed() < PATIENCE, "it cannot be forgotten: {error}");
    }
    let missed = first_miss(Instant::now(), one).await;
    println!(
        "the first miss elsewhere began {missed:?} after forget was answered, {:?} after it was asked",
        begun.elapsed()
    );
    covered(cluster, one).await;
    other.forget(&payment()).await.unwrap();
    first_miss(Instant::now(), one).await;
}

async fn a_replica_takes_over_when_told(cluster: &RedisCluster, one: &Validator, other: &Validator) {
    covered(cluster, one).await;
    let (_, home) = home(cluster);
    let follows = format!("slave {}", id(&cluster.servers()[home]));
    let own_line = |server: &RedisServer| {
        let nodes = server.command(&["CLUSTER", "NODES"]);
        nodes.lines().find(|line| line.contains("myself")).unwrap_or_default().to_owned()
    };
    let replica = cluster.servers().iter().find(|server| own_line(server).contains(&follows)).unwrap();
    assert_eq!(replica.command(&["CLUSTER", "FAILOVER"]), "OK");
    until("the replica has taken over", || replica.command(&["ROLE"]).starts_with("master")).await;
    forgotten_after(cluster, one, other).await;
    cluster.settle().await;
}

async fn a_replica_takes_over_from_one_that_died(cluster: &mut RedisCluster, one: &Validator, other: &Validator) {
    covered(cluster, one).await;
    let (_, home) = home(cluster);
    cluster.servers()[home].command(&["WAIT", "1", "5000"]);
    cluster.kill(home);
    first_miss(Instant::now(), one).await;
    forgotten_after(cluster, one, other).await;
}
