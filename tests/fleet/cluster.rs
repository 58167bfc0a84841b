//! Four processes on a Redis Cluster that loses two of its primaries, one by a crash and one by hanging.
//!
//! Replication is asynchronous and nothing here waits for it, so a failover may lose a claim that was acknowledged. What a
//! provider key protects has one effect all the same, and that is asserted; how often anything else was sent a second time
//! is counted and printed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::sleep;

use crate::language::{Settings, Shared};
use crate::process::Fleet;
use crate::provider::Provider;
use crate::redis_server::RedisCluster;
use crate::traffic::Traffic;
use crate::verdict::{Promise, judge};
use crate::{my_turn, seed};

const PROCESSES: usize = 4;

const OPERATIONS: u32 = 200;

const STORM: Duration = Duration::from_secs(15);

/// Longer than the Cluster takes to put a replica in the place of a primary.
const OUTAGE: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_a_provider_key_no_effect_happens_twice_even_where_a_failover_loses_claims() {
    let _turn = my_turn().await;
    let seed = seed();
    println!("fleet: Cluster, seed {seed}");
    let cluster = RedisCluster::start().await;
    let provider = Provider::start(seed).await;
    let settings = Settings::new(Shared::Cluster(cluster.urls()), provider.address());
    let traffic = Traffic::new(seed, OPERATIONS, Fleet::start(vec![settings; PROCESSES]), provider);

    let storm = tokio::spawn(fail_over(Arc::clone(&traffic), cluster));
    traffic.flow(STORM).await;
    // The Cluster lives on until everything has its end.
    let (cluster, faults) = storm.await.unwrap();
    judge(&traffic, Promise::OnceUnlessAClaimIsLost, &faults).await;
    drop(cluster);
}

/// Takes a primary away, twice, and kills workers meanwhile.
async fn fail_over(traffic: Arc<Traffic>, mut cluster: RedisCluster) -> (RedisCluster, BTreeMap<&'static str, u32>) {
    let mut rng = StdRng::seed_from_u64(traffic.seed);
    sleep(Duration::from_secs(2)).await;
    let place = cluster.primary_of(&format!("key {}", rng.random::<u32>()), 0);
    cluster.kill(place);
    let killed = kill_workers(&traffic, &mut rng).await;
    cluster.restart(place).await;
    cluster.settle().await;
    let place = cluster.primary_of(&format!("key {}", rng.random::<u32>()), place);
    cluster.servers()[place].hang();
    let killed = killed + kill_workers(&traffic, &mut rng).await;
    cluster.servers()[place].resume();
    cluster.settle().await;
    (cluster, BTreeMap::from([("primaries killed", 1), ("primaries hung", 1), ("workers killed", killed)]))
}

/// Kills some, while the time of an outage passes.
async fn kill_workers(traffic: &Traffic, rng: &mut StdRng) -> u32 {
    let times = rng.random_range(1..4);
    for _ in 0..times {
        sleep(OUTAGE / times).await;
        let place = rng.random_range(0..PROCESSES);
        traffic.fleet.at(place).kill();
        traffic.fleet.replace(place);
    }
    times
}
