//! Four processes validate the same payments at once: one asks, and all are answered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::language::{Answer, Ask, Settings, Shared};
use crate::my_turn;
use crate::process::{Fleet, PATIENCE, Worker};
use crate::provider::Provider;
use crate::redis_server::RedisServer;

const PROCESSES: usize = 4;

/// Callers in each process about each payment.
const CALLERS: usize = 12;

const PAYMENTS: [&str; 3] = ["pi_1", "pi_2", "pi_3"];

struct Scene {
    fleet: Fleet,
    provider: Provider,
    _redis: RedisServer,
}

impl Scene {
    async fn new(set: impl FnOnce(Settings) -> Settings) -> Self {
        let redis = RedisServer::start().await;
        let provider = Provider::start(0).await;
        let settings = set(Settings::new(Shared::One(redis.url()), provider.address()));
        Self { fleet: Fleet::start(vec![settings; PROCESSES]), provider, _redis: redis }
    }

    /// Validates every payment many times in every process, and counts where the answers came from.
    async fn crowd(&self) -> BTreeMap<String, usize> {
        let mut asks = JoinSet::new();
        for _ in 0..CALLERS {
            for worker in self.fleet.all() {
                for payment in PAYMENTS {
                    asks.spawn(validate(Arc::clone(&worker), payment));
                }
            }
        }
        let mut from = BTreeMap::new();
        for provenance in asks.join_all().await {
            *from.entry(provenance).or_default() += 1;
        }
        from
    }

    fn look_ups(&self) -> [usize; PAYMENTS.len()] {
        PAYMENTS.map(|payment| self.provider.lookers(payment).len())
    }
}

/// Validates a payment, and says where the answer came from.
async fn validate(worker: Arc<Worker>, payment: &str) -> String {
    match worker.expect(Ask::Validate { payment: payment.into(), key: None }).await {
        Answer::Valid { provenance, degraded: false } => provenance,
        other => panic!("worker {}: {other:?}", worker.name()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_all_processes_one_asks_and_what_one_forgets_all_ask_again() {
    let _turn = my_turn().await;
    let scene = Scene::new(|settings| settings).await;
    let from = scene.crowd().await;
    assert_eq!(scene.look_ups(), [1; 3], "{from:?}");
    assert_eq!(from["fresh"], PAYMENTS.len(), "{from:?}");
    let from = scene.crowd().await;
    assert!(from.contains_key("replayed") && !from.contains_key("fresh"), "{from:?}");
    for (place, payment) in PAYMENTS.into_iter().enumerate() {
        assert_eq!(scene.fleet.at(place).expect(Ask::Forget { payment: payment.into() }).await, Answer::Fine);
    }
    scene.crowd().await;
    assert_eq!(scene.look_ups(), [2; 3]);
    println!("fleet: {} validations in {PROCESSES} processes cost 2 look-ups a payment", 3 * PROCESSES * CALLERS * 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_is_asked_about_once_in_the_time_its_facts_are_fresh() {
    const FRESH_FOR: Duration = Duration::from_secs(3);
    let _turn = my_turn().await;
    let scene = Scene::new(|settings| Settings { fresh_for: FRESH_FOR, ..settings }).await;
    let begin = Instant::now();
    let mut validations = 0;
    while begin.elapsed() < FRESH_FOR * 5 / 2 {
        validations += scene.crowd().await.values().sum::<usize>();
        sleep(Duration::from_millis(50)).await;
    }
    let desk = scene.provider.desk();
    for payment in PAYMENTS {
        let all = &desk.look_ups[payment];
        assert!(all.len() >= 2, "{payment}: {all:?}");
        for pair in all.windows(2) {
            let [one, next] = pair else { unreachable!() };
            let between = next.asked - one.answered.unwrap();
            // Whose answer was under way counts from its beginning, so a slow machine makes it shorter, and never half.
            assert!(
                between > FRESH_FOR / 2,
                "{payment}: asked again after {between:?}, by {} and {}",
                one.worker,
                next.worker
            );
        }
    }
    let look_ups: usize = PAYMENTS.iter().map(|payment| desk.look_ups[*payment].len()).sum();
    println!(
        "fleet: {validations} validations of {} payments cost {look_ups} look-ups in {:?}",
        PAYMENTS.len(),
        begin.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_leader_dies_one_other_process_asks_and_all_are_answered() {
    let _turn = my_turn().await;
    let slow = Duration::from_secs(20);
    let scene = Scene::new(|settings| Settings { attempt_timeout: slow, total_deadline: slow, ..settings }).await;
    // A new process takes a while to look at its store for the first time.
    for worker in scene.fleet.all() {
        validate(worker, "pi_warm").await;
    }
    let payment = "pi_1";
    scene.provider.desk().held.insert(payment.into());
    let leader = scene.fleet.at(0);
    let led = tokio::spawn({
        let leader = Arc::clone(&leader);
        async move { leader.ask(Ask::Validate { payment: payment.into(), key: None }).await }
    });
    until(|| scene.provider.lookers(payment).len() == 1).await;
    let mut others = JoinSet::new();
    for worker in scene.fleet.all().into_iter().filter(|worker| worker.name() != leader.name()) {
        for _ in 0..CALLERS {
            others.spawn(validate(Arc::clone(&worker), payment));
        }
    }
    // The leader is slow and alive, so its lease is renewed and no other worker asks.
    sleep(Settings::LEASE * 3 / 2).await;
    assert_eq!(scene.provider.lookers(payment), [leader.name()]);
    assert!(others.try_join_next().is_none(), "a waiter was answered before its leader");

    leader.kill();
    let died = Instant::now();
    assert!(led.await.unwrap().is_err());
    let mut from: BTreeMap<String, usize> = BTreeMap::new();
    while let Some(provenance) = others.join_next().await {
        *from.entry(provenance.unwrap()).or_default() += 1;
    }
    let lookers = scene.provider.lookers(payment);
    assert_eq!(lookers.len(), 2, "{lookers:?}");
    assert_ne!(lookers[0], lookers[1]);
    assert_eq!(from["fresh"], 1, "{from:?}");
    assert_eq!(from.values().sum::<usize>(), (PROCESSES - 1) * CALLERS);
    println!("fleet: the leader died, one took over, and all were answered within {:?}: {from:?}", died.elapsed());
}

/// Waits until something holds.
async fn until(holds: impl Fn() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < PATIENCE, "it does not come about");
        sleep(Duration::from_millis(5)).await;
    }
}
