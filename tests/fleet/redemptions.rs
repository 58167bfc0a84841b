//! Four processes redeem at once: one payment pays one order, and one order is paid by one payment, whichever process dies.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use payproof::redeem::Receipt;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::language::{Answer, Ask, Settings, Shared};
use crate::process::{Fleet, Gone, PATIENCE};
use crate::provider::Provider;
use crate::server::Server;
use crate::{my_turn, seed};

const PROCESSES: usize = 4;

/// Redemptions at one moment.
const TASKS: usize = 64;

/// Ask again: the same payment and order come to the same end.
const PASSING: &[&str] = &["in_progress", "store_unavailable"];

/// What a task wants: this payment for that order.
type Wish = (String, String);

#[derive(Clone, Debug, PartialEq)]
enum End {
    Redeemed { receipt: Receipt, first: bool },
    PaymentUsed,
    OrderPaid,
}

struct Scene {
    seed: u64,
    fleet: Arc<Fleet>,
    server: Server,
    _provider: Provider,
}

impl Scene {
    async fn on(server: Server) -> Self {
        Self::at(server, &[Server::at]).await
    }

    /// With processes that reach the server in these ways, in turn.
    async fn at(server: Server, ways: &[fn(&Server, u16) -> Shared]) -> Self {
        let seed = seed();
        let provider = Provider::start(seed).await;
        provider.desk().look_up_takes = Duration::from_millis(1);
        let settings = ways.iter().map(|way| Settings::new(way(&server, server.port()), provider.address()));
        let fleet = Arc::new(Fleet::start(settings.cycle().take(PROCESSES).collect()));
        Self { seed, fleet, server, _provider: provider }
    }

    /// Lets every wish be asked for at once, and again where a worker died, until each has its end.
    fn wish(&self, wishes: impl IntoIterator<Item = Wish>) -> JoinSet<(Wish, End)> {
        let mut tasks = JoinSet::new();
        for (at, wish) in wishes.into_iter().enumerate() {
            tasks.spawn(redeem(Arc::clone(&self.fleet), at % PROCESSES, wish));
        }
        tasks
    }

    /// What a process that has seen nothing so far finds in the store.
    async fn bound(&self, payments: impl IntoIterator<Item = String>) -> BTreeMap<String, String> {
        let newcomer = self.fleet.another(0);
        let mut bound = BTreeMap::new();
        for payment in payments {
            match newcomer.insist(Ask::Redemption { payment: payment.clone() }, PASSING).await {
                Ok(Answer::Redemption(receipt)) => {
                    bound.extend(receipt.map(|receipt| (payment, receipt.order().to_owned())));
                }
                other => panic!("seed {}: {payment}: {other:?}", self.seed),
            }
        }
        bound
    }

    /// Checks that what the tasks were told is what stands, and that it is what they wished for as far as it can be.
    async fn check(&self, ends: &[(Wish, End)]) -> BTreeMap<String, String> {
        let seed = self.seed;
        let payments: BTreeSet<String> = ends.iter().map(|((payment, _), _)| payment.clone()).collect();
        let bound = self.bound(payments).await;
        let orders: BTreeSet<&String> = bound.values().collect();
        assert_eq!(orders.len(), bound.len(), "seed {seed}: one order is paid twice: {bound:?}");
        for ((payment, order), end) in ends {
            let stands = bound.get(payment) == Some(order);
            assert_eq!(
                matches!(end, End::Redeemed { .. }),
                stands,
                "seed {seed}: {payment} for {order}: {end:?}, {bound:?}"
            );
            assert!(
                bound.contains_key(payment) || orders.contains(order),
                "seed {seed}: {payment} and {order} are both free: {bound:?}"
            );
            assert!(*end != End::PaymentUsed || bound.contains_key(payment), "seed {seed}: {payment} is free");
            assert!(*end != End::OrderPaid || orders.contains(order), "seed {seed}: {order} is not paid");
        }
        bound
    }
}

/// Redeems until there is an end that stands.
async fn redeem(fleet: Arc<Fleet>, place: usize, wish: Wish) -> (Wish, End) {
    let (payment, order) = wish.clone();
    let begin = Instant::now();
    loop {
        assert!(begin.elapsed() < PATIENCE, "{payment} for {order} comes to no end");
        match fleet.at(place).insist(Ask::Redeem { payment: payment.clone(), order: order.clone() }, PASSING).await {
            Ok(Answer::Redeemed { receipt, first }) => {
                assert_eq!((receipt.payment().as_str(), receipt.order()), (&*payment, &*order));
                return (wish, End::Redeemed { receipt, first });
            }
            Ok(Answer::Error(trouble)) if trouble.code == "already_redeemed" => return (wish, End::PaymentUsed),
            Ok(Answer::Error(trouble)) if trouble.code == "order_already_paid" => return (wish, End::OrderPaid),
            Ok(other) => panic!("{payment} for {order}: {other:?}"),
            Err(Gone) => sleep(Duration::from_millis(10)).await,
        }
    }
}

/// All pairs of so many payments and so many orders.
fn pairs(round: usize, payments: usize, orders: usize) -> Vec<Wish> {
    let all = (0..payments).flat_map(|payment| (0..orders).map(move |order| (payment, order)));
    all.map(|(payment, order)| (format!("pi_{round}_{payment}"), format!("{round}-{order}"))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_wins_always_also_while_processes_and_redis_die() {
    one_wins(Scene::on(Server::redis().await)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_wins_always_also_while_processes_and_postgres_die() {
    one_wins(Scene::on(Server::postgres().await)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_wins_also_between_processes_that_bind_in_one_statement_and_in_three() {
    one_wins(Scene::at(Server::postgres().await, &[Server::at, Server::verbs_at])).await;
}

async fn one_wins(scene: impl Future<Output = Scene>) {
    let _turn = my_turn().await;
    let mut scene = scene.await;
    let mut rng = StdRng::seed_from_u64(scene.seed);
    println!("fleet: redemptions, seed {}", scene.seed);
    let (mut killed, mut restarts) = (0, 0);
    // One payment for many orders, many payments for one order, and both.
    let shapes = [(1, TASKS), (TASKS, 1), (8, 8)];
    for round in 0..18 {
        let (payments, orders) = shapes[round % shapes.len()];
        let tasks = scene.wish(pairs(round, payments, orders));
        // The first rounds are quiet.
        if round >= shapes.len() {
            sleep(Duration::from_millis(rng.random_range(0..60))).await;
            let place = rng.random_range(0..PROCESSES);
            scene.fleet.at(place).kill();
            scene.fleet.replace(place);
            killed += 1;
        }
        if round % 5 == 4 {
            scene.server.restart().await;
            restarts += 1;
        }
        let ends = tasks.join_all().await;
        let bound = scene.check(&ends).await;
        assert_eq!(bound.len(), payments.min(orders), "seed {}, round {round}: {bound:?}", scene.seed);
    }
    println!(
        "fleet: 18 rounds of {TASKS} redemptions, {killed} processes killed, {restarts} restarts of the server: one won each"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_calls_for_one_order_one_is_the_first_and_none_where_it_was_lost() {
    let _turn = my_turn().await;
    let mut scene = Scene::on(Server::redis().await).await;
    let mut rng = StdRng::seed_from_u64(scene.seed);
    println!("fleet: firsts, seed {}", scene.seed);
    let mut without = 0;
    for round in 0..12 {
        let wish = (format!("pi_{round}"), format!("{round}-0"));
        let tasks = scene.wish(vec![wish; TASKS]);
        let is_quiet = round < 6;
        if !is_quiet {
            sleep(Duration::from_millis(rng.random_range(0..40))).await;
            let place = rng.random_range(0..PROCESSES);
            scene.fleet.at(place).kill();
            scene.fleet.replace(place);
        }
        if round == 11 {
            scene.server.restart().await;
        }
        let ends = tasks.join_all().await;
        scene.check(&ends).await;
        let firsts = ends.iter().filter(|(_, end)| matches!(end, End::Redeemed { first: true, .. })).count();
        assert!(firsts <= 1, "seed {}, round {round}: {firsts} are told to ship", scene.seed);
        assert!(
            firsts == 1 || !is_quiet,
            "seed {}, round {round}: nothing was lost, and none is the first",
            scene.seed
        );
        without += 1 - firsts;
    }
    println!("fleet: 12 rounds of {TASKS} calls for one order, {without} without a first");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_races_with_redemptions_frees_the_payment_once() {
    let _turn = my_turn().await;
    let scene = Scene::on(Server::redis().await).await;
    println!("fleet: releases, seed {}", scene.seed);
    let mut outcomes: BTreeMap<&str, u32> = BTreeMap::new();
    for round in 0..40 {
        let (payment, other, order) = (format!("pi_{round}"), format!("pi_{round}_other"), format!("{round}-first"));
        let first = redeem(Arc::clone(&scene.fleet), 0, (payment.clone(), order.clone())).await;
        let End::Redeemed { receipt, .. } = first.1 else { panic!("{first:?}") };
        let mut wishes: Vec<Wish> = (0..6).map(|second| (payment.clone(), format!("{round}-{second}"))).collect();
        wishes.push((other.clone(), order.clone()));
        wishes.push((payment.clone(), order.clone()));
        let tasks = scene.wish(wishes);
        let release = Ask::Release { receipt: receipt.clone() };
        let released = scene.fleet.at(round % PROCESSES).insist(release.clone(), PASSING).await.unwrap();
        assert!(is_released(&released), "seed {}: {released:?}", scene.seed);
        let ends = tasks.join_all().await;

        // What was bound anew: the old receipt again only says that the release had not come yet.
        let anew = |end: &End| matches!(end, End::Redeemed { receipt: new, .. } if *new != receipt);
        let winners: Vec<&Wish> = ends.iter().filter(|(_, end)| anew(end)).map(|(wish, _)| wish).collect();
        let bound = scene.bound([payment.clone(), other.clone()]).await;
        let of_payment = winners.iter().filter(|(paying, _)| *paying == payment).count();
        assert!(of_payment <= 1, "seed {}: {winners:?}", scene.seed);
        let stands = |wish: &&&Wish| bound.get(&wish.0) == Some(&wish.1);
        assert_eq!(winners.iter().filter(stands).count(), winners.len(), "seed {}: {winners:?}, {bound:?}", scene.seed);
        assert_eq!(bound.len(), winners.len(), "seed {}: {winners:?}, {bound:?}", scene.seed);
        assert!(bound.get(&payment) != Some(&order) || !bound.contains_key(&other), "{bound:?}");
        *outcomes.entry(if bound.contains_key(&payment) { "bound anew" } else { "free" }).or_default() += 1;

        // The old receipt undoes nothing that came later, and what is free can be used.
        let again = scene.fleet.at(0).expect(release).await;
        assert!(is_released(&again), "{again:?}");
        assert_eq!(scene.bound([payment.clone(), other.clone()]).await, bound, "seed {}", scene.seed);
        let (_, end) = redeem(Arc::clone(&scene.fleet), 1, (payment.clone(), format!("{round}-last"))).await;
        assert_eq!(matches!(end, End::Redeemed { .. }), !bound.contains_key(&payment), "seed {}: {end:?}", scene.seed);
    }
    println!("fleet: 40 releases among 8 redemptions each: {outcomes:?}");
}

/// Released, or redeemed anew by another worker since then.
fn is_released(answer: &Answer) -> bool {
    matches!(answer, Answer::Fine) || matches!(answer, Answer::Error(trouble) if trouble.code == "already_redeemed")
}
