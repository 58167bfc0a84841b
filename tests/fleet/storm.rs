//! Eight processes on one store, while everything fails that can: all of one build, and of two.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::language::{Build, Settings};
use crate::process::Fleet;
use crate::provider::Provider;
use crate::proxy::{Fault, Proxy};
use crate::server::Server;
use crate::traffic::Traffic;
use crate::verdict::{Promise, judge};
use crate::{my_turn, seed};

const PROCESSES: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_effect_is_sent_twice_without_a_provider_key_and_none_happens_twice_with_one() {
    storm(Server::redis().await, [Build::Today; PROCESSES], |settings, _| settings, 400, Duration::from_secs(20)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgres_the_same_holds() {
    storm(Server::postgres().await, [Build::Today; PROCESSES], |settings, _| settings, 400, Duration::from_secs(20))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beside_processes_of_an_earlier_build_the_same_holds_and_each_reads_what_the_other_wrote() {
    let of_two = std::array::from_fn(|place| if place % 2 == 0 { Build::Today } else { Build::Earlier });
    let traffic = storm(Server::redis().await, of_two, Settings::of_deploy, 200, Duration::from_secs(10)).await;
    let read = read_across(&traffic);
    println!("fleet: results of operations that one build sent and another read, by reader: {read:?}");
    assert!([Build::Today, Build::Earlier].iter().all(|reader| read.contains_key(reader)), "{read:?}");
}

/// For each build, how many operations all of whose requests the other one sent had their result read by it.
fn read_across(traffic: &Traffic) -> BTreeMap<Build, usize> {
    let (desk, book, mut read) = (traffic.provider.desk(), traffic.book(), BTreeMap::new());
    for (operation, reader) in &book.replays {
        let reader = traffic.fleet.build_of(*reader);
        let sends = &desk.accounts[operation].sends;
        if !sends.is_empty() && sends.iter().all(|(_, sender)| traffic.fleet.build_of(*sender) != reader) {
            *read.entry(reader).or_default() += 1;
        }
    }
    read
}

/// Lets callers come, and things fail, for so long; then checks everything.
async fn storm(
    server: Server,
    builds: [Build; PROCESSES],
    set: impl Fn(Settings, Build) -> Settings,
    operations: u32,
    span: Duration,
) -> Arc<Traffic> {
    let _turn = my_turn().await;
    let seed = seed();
    println!("fleet: storm, seed {seed}");
    let provider = Provider::start(seed).await;
    let mut proxies = Vec::new();
    for _ in 0..PROCESSES {
        proxies.push(Proxy::start(server.port()).await);
    }
    let settings =
        |(proxy, build): (&Proxy, Build)| set(Settings::new(server.at(proxy.port()), provider.address()), build);
    let fleet = Fleet::start(proxies.iter().zip(builds).map(settings).collect());
    let traffic = Traffic::new(seed, operations, fleet, provider);

    let weather = Weather { traffic: Arc::clone(&traffic), server, proxies: proxies.into(), faults: BTreeMap::new() };
    let storm = tokio::spawn(weather.storm(span));
    traffic.flow(span).await;
    let weather = storm.await.unwrap();
    judge(&traffic, Promise::Once, &weather.faults).await;
    traffic
}

/// What fails, and how often it did.
struct Weather {
    traffic: Arc<Traffic>,
    server: Server,
    proxies: Arc<[Proxy]>,
    faults: BTreeMap<&'static str, u32>,
}

impl Weather {
    /// Lets things fail until the time is over, and everything be well again then.
    async fn storm(mut self, span: Duration) -> Self {
        let mut rng = StdRng::seed_from_u64(self.traffic.seed);
        let mut passing = JoinSet::new();
        while self.traffic.begin.elapsed() < span {
            sleep(Duration::from_millis(rng.random_range(100..500))).await;
            let fault = self.strike(&mut rng, &mut passing).await;
            *self.faults.entry(fault).or_default() += 1;
        }
        while let Some(over) = passing.join_next().await {
            over.unwrap();
        }
        self
    }

    async fn strike(&mut self, rng: &mut StdRng, passing: &mut JoinSet<()>) -> &'static str {
        let place = rng.random_range(0..PROCESSES);
        let short = Duration::from_millis(rng.random_range(50..600));
        let (traffic, proxies) = (Arc::clone(&self.traffic), Arc::clone(&self.proxies));
        let (name, fault) = match rng.random_range(0..100) {
            0..30 => {
                traffic.fleet.at(place).kill();
                passing.spawn(async move {
                    sleep(short).await;
                    traffic.fleet.replace(place);
                });
                return "workers killed";
            }
            30..40 => {
                let worker = traffic.fleet.at(place);
                worker.pause();
                let past_its_lease = short * 7;
                passing.spawn(async move {
                    sleep(past_its_lease).await;
                    worker.resume();
                });
                return "workers paused";
            }
            40..48 => {
                self.server.kill();
                sleep(short).await;
                self.server.restart().await;
                return "server restarts";
            }
            48..56 => {
                self.server.hang();
                sleep(short * 2).await;
                self.server.resume();
                return "server hangs";
            }
            56..64 => {
                self.server.pause(rng, short).await;
                return "client pauses";
            }
            64..80 => ("replies cut", Fault::CutAfter(rng.random_range(1..400))),
            80..90 => ("replies lost", Fault::CutAfter(0)),
            _ => ("connections stalled", Fault::Stall),
        };
        let all = rng.random_bool(0.2);
        let struck = if all { 0..PROCESSES } else { place..place + 1 };
        for proxy in &proxies[struck.clone()] {
            proxy.set(fault);
        }
        passing.spawn(async move {
            sleep(short * 3).await;
            for proxy in &proxies[struck] {
                proxy.set(Fault::None);
            }
        });
        name
    }
}
