//! Redemptions by several processes over a store that goes wrong in every way, thousands of times, on a clock that jumps.
//!
//! What callers were told is kept, and compared with what they may be told: no payment has two orders, no order two
//! payments, and what is undone stays undone.
#![cfg(feature = "test-util")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::similar_names,
    clippy::unchecked_time_subtraction,
    clippy::unwrap_used,
    reason = "numbers are small, and what is not as it should be fails the test"
)]

mod breaches;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use breaches::{breach, trace};
use payproof::provider::ProviderIdentity;
use payproof::redeem::{Occasion, Receipt, RedeemError};
use payproof::testing::ScriptedProvider;
use payproof::{Currency, Mode, Money, PaymentId, PaymentIntent, PaymentStatus, ProviderPayment};
use payproof::{Proof, Validator, Verdict};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, sleep, timeout};

use crate::chaos_store::{Trouble, Verb};
use crate::simulation::{self, Processes, Ways, fork};
use crate::support::{NO_PATTERNS, ms, plain, secs};

/// Longer than any redemption may take: its own limit, and the store calls that were begun before it was over.
const LONGEST: Duration = secs(25);

/// Whose a payment shall be: tenant, order, part.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Owner(&'static str, String, Option<&'static str>);

#[derive(Clone, Debug, PartialEq)]
enum Doing {
    Redeem(String, Owner),
    Release(Receipt),
    Look(String),
}

#[derive(Clone, Debug)]
enum Told {
    Bound(Receipt),
    Undone,
    Seen(Option<Receipt>),
    AlreadyRedeemed(Option<String>),
    AlreadyPaid(String),
    InProgress(Duration),
    Store(&'static str),
    /// The caller left before it was told anything.
    Left,
    /// Shown in the trace.
    #[allow(dead_code, reason = "a field that is shown counts as unread")]
    Other(String),
}

#[derive(Clone, Debug)]
struct Event {
    process: usize,
    doing: Doing,
    told: Told,
    /// Before and after which other events.
    begun: usize,
    ended: usize,
    from: Duration,
    took: Duration,
}

/// What every task of one run shares.
struct World {
    start: Instant,
    step: Mutex<usize>,
    events: Mutex<Vec<Event>>,
    receipts: Mutex<Vec<Receipt>>,
    /// The receipts of calls that were told to be the first.
    firsts: Mutex<Vec<Receipt>>,
    /// Each may have started after the redemptions it meets; its proofs are another validator's then.
    processes: Processes<Validator>,
    proofs: HashMap<(usize, String, &'static str), Proof>,
}

impl World {
    fn step(&self) -> usize {
        let mut step = self.step.lock().unwrap();
        *step += 1;
        *step
    }

    async fn act(&self, process: usize, doing: Doing, patience: Duration) -> Told {
        let (begun, began) = (self.step(), Instant::now());
        let validator = self.processes.get(process);
        let told = match &doing {
            Doing::Redeem(payment, owner) => {
                let proof = &self.proofs[&(process, payment.clone(), owner.0)];
                let mut redeem = validator.redeem(proof).order(owner.1.clone());
                if let Some(part) = owner.2 {
                    redeem = redeem.part(part);
                }
                timeout(patience, redeem).await.map(|answer| {
                    answer.map(|redeemed| {
                        if redeemed.occasion() == Occasion::First {
                            self.firsts.lock().unwrap().push(redeemed.receipt().clone());
                        }
                        Told::Bound(redeemed.into_receipt())
                    })
                })
            }
            Doing::Release(receipt) => timeout(patience, validator.release(receipt, "anna, ticket 7"))
                .await
                .map(|answer| answer.map(|()| Told::Undone)),
            Doing::Look(payment) => {
                let payment = PaymentId::parse(payment).unwrap();
                let answer = timeout(patience, validator.redemption(&payment)).await;
                answer
                    .map(|answer| answer.map(|found| Told::Seen(found.map(|redemption| redemption.receipt().clone()))))
            }
        };
        let told = match told {
            Err(_elapsed) => Told::Left,
            Ok(Ok(told)) => told,
            Ok(Err(error)) => match error {
                RedeemError::AlreadyRedeemed { by } => Told::AlreadyRedeemed(by.map(String::from)),
                RedeemError::OrderAlreadyPaid { by } => Told::AlreadyPaid(by.as_str().to_owned()),
                RedeemError::InProgress { retry_after } => Told::InProgress(retry_after),
                RedeemError::Store(error) => Told::Store(error.code()),
                other => Told::Other(format!("{other:?}")),
            },
        };
        if let Told::Bound(receipt) | Told::Seen(Some(receipt)) = &told {
            let mut receipts = self.receipts.lock().unwrap();
            if !receipts.contains(receipt) {
                receipts.push(receipt.clone());
            }
        }
        let from = began.duration_since(self.start);
        let event =
            Event { process, doing, told: told.clone(), begun, ended: self.step(), from, took: began.elapsed() };
        self.events.lock().unwrap().push(event);
        told
    }

    /// What must not have been told, or else what is left over.
    fn verdict(&self, left: Option<String>) -> Result<(), String> {
        let mut events = self.events.lock().unwrap().clone();
        events.sort_by_key(|event| event.ended);
        breach(&events).or(left).map_or(Ok(()), |breach| Err(trace(&breach, &events)))
    }
}

fn owner_of(receipt: &Receipt) -> Owner {
    let tenant = if receipt.tenant() == "ours" { "ours" } else { "theirs" };
    Owner(tenant, receipt.order().to_owned(), receipt.part().map(|_| "part"))
}

/// Processes with a proof of every payment each, and a store that works so far.
async fn begin(seed: u64, processes: u64, payments: &[String]) -> (Ways, Arc<World>) {
    // Each names the account in its own way, and the payments are the same.
    let identity = || ProviderIdentity::new("scripted").globally_unique_ids();
    let identities = [
        identity().only_account(),
        identity().with_account("acct_1"),
        identity().with_account("acct_1").with_label("eu"),
    ];
    let providers = identities.map(ScriptedProvider::with_identity);
    for (provider, payment) in providers.iter().flat_map(|provider| payments.iter().map(move |id| (provider, id))) {
        let facts = ProviderPayment::new(payment.as_str(), PaymentStatus::Paid).with_mode(Mode::Live);
        let facts = facts.with_amount(1999, Currency::USD).with_amount_received(1999).with_amount_refunded(0);
        provider.put(facts.with_created(1_767_225_600).with_as_of(1_767_225_660));
    }
    let ways = Ways::new(seed, processes);
    let starts: Vec<Box<dyn Fn() -> Validator + Send + Sync>> = ways
        .iter()
        .zip(providers.iter().cycle())
        .map(|(store, provider)| {
            let (provider, store) = (provider.clone(), store.clone());
            Box::new(move || {
                let builder = plain(&provider).transient_patterns(NO_PATTERNS).single_tenant();
                builder.store(store.clone()).proof_max_age(secs(24 * 60 * 60)).seed(seed).build().unwrap()
            }) as Box<dyn Fn() -> Validator + Send + Sync>
        })
        .collect();
    let processes = Processes::start(starts);
    let mut proofs = HashMap::new();
    for process in 0..processes.count() {
        let validator = processes.get(process);
        for payment in payments {
            for tenant in ["ours", "theirs"] {
                let money = Money::parse("19.99", Currency::USD).unwrap();
                let intent = PaymentIntent::new(tenant, payment, money).unwrap();
                let Verdict::Valid(proof) = validator.validate(&intent).await.unwrap().into_verdict() else {
                    panic!("{payment} is paid")
                };
                proofs.insert((process, payment.clone(), tenant), proof);
            }
        }
    }
    let world = World {
        start: Instant::now(),
        step: Mutex::default(),
        events: Mutex::default(),
        receipts: Mutex::default(),
        firsts: Mutex::default(),
        processes,
        proofs,
    };
    (ways, Arc::new(world))
}

/// One run: processes, payments and orders of its own, tasks that get into each other's way, faults that end, and then
/// every process tries everything.
async fn run(seed: u64) -> Result<(), String> {
    let mut rng = StdRng::seed_from_u64(seed);
    let payments: Vec<String> = (0..rng.random_range(2..=4)).map(|number| format!("pi_{number}")).collect();
    let mut owners: Vec<Owner> = Vec::new();
    // Where there is but one order, all redemptions meet there.
    for order in 0..*[1, 2, 3, 4].choose(&mut rng).unwrap() {
        let tenant = *["ours", "ours", "theirs"].choose(&mut rng).unwrap();
        owners.push(Owner(tenant, format!("order {order}"), None));
        if rng.random_bool(0.3) {
            owners.push(Owner(tenant, format!("order {order}"), Some("part")));
        }
    }
    let processes = rng.random_range(3..=5);
    let (ways, world) = begin(seed, processes, &payments).await;
    let (faults, delays) =
        (*[0.02, 0.1, 0.3, 0.5].choose(&mut rng).unwrap(), *[0.0, 0.3, 0.9].choose(&mut rng).unwrap());
    let sore = *[None, Some(Verb::Claim), Some(Verb::Replace), Some(Verb::Replace)].choose(&mut rng).unwrap();
    let trouble = Trouble { faults, delays, ghosts: true, sore };
    ways.trouble(trouble);
    // A few seconds for all of it make races, minutes make leases end.
    let span = *[1_u64, 10, 120, 300].choose(&mut rng).unwrap() * 1000;
    let mut tasks = Vec::new();
    for (process, store) in ways.iter().enumerate() {
        let (world, store, mut rng) = (Arc::clone(&world), store.clone(), fork(&mut rng));
        tasks.push(tokio::spawn(async move {
            while rng.random_bool(0.6) {
                sleep(ms(rng.random_range(0..=span))).await;
                store.cut(ms(rng.random_range(0..=100_000)));
            }
            if rng.random_bool(0.3) {
                sleep(ms(rng.random_range(0..=span))).await;
                world.processes.restart(process);
            }
        }));
    }
    for _ in 0..rng.random_range(12..=40) {
        let (world, mut rng) = (Arc::clone(&world), fork(&mut rng));
        let (payments, owners) = (payments.clone(), owners.clone());
        tasks.push(tokio::spawn(async move {
            sleep(ms(rng.random_range(0..=span))).await;
            let (mut payment, mut owner) = (payments.choose(&mut rng).unwrap(), owners.choose(&mut rng).unwrap());
            for _ in 0..rng.random_range(1..=4) {
                let process = rng.random_range(0..world.processes.count());
                let receipt = world.receipts.lock().unwrap().choose(&mut rng).cloned();
                let doing = match (rng.random_range(0..10), receipt) {
                    (0 | 1, _) => Doing::Look(payment.clone()),
                    (2 | 3, Some(receipt)) => Doing::Release(receipt),
                    _ => Doing::Redeem(payment.clone(), owner.clone()),
                };
                let leaves = rng.random_bool(0.2);
                let patience = if leaves { ms(rng.random_range(0..=2_000)) } else { secs(3_600) };
                world.act(process, doing, patience).await;
                sleep(ms(rng.random_range(0..=span / 4))).await;
                // Mostly the same again, as callers do.
                if rng.random_bool(0.3) {
                    payment = payments.choose(&mut rng).unwrap();
                    owner = owners.choose(&mut rng).unwrap();
                }
            }
        }));
    }
    simulation::finish(tasks).await;
    ways.calm(Trouble::SLOW, secs(120)).await;
    let left = finish(&world, &payments, &owners).await;
    world.verdict(left)
}

/// One run: a process that settles late, or never, while others want the order for another payment.
async fn run_late_settling(seed: u64) -> Result<(), String> {
    let mut rng = StdRng::seed_from_u64(seed);
    let payments = ["pi_0".to_owned(), "pi_1".to_owned()];
    let order = Owner("ours", "order 0".to_owned(), None);
    let (ways, world) = begin(seed, 3, &payments).await;
    ways.of(0).trouble(Trouble { faults: 0.8, delays: 0.3, ghosts: true, sore: Some(Verb::Replace) });
    let mut tasks = Vec::new();
    for process in 0..3 {
        let (world, mut rng) = (Arc::clone(&world), fork(&mut rng));
        let (payments, order) = (payments.clone(), order.clone());
        tasks.push(tokio::spawn(async move {
            let late = process == 0;
            for _ in 0..if late { 1 } else { 20 } {
                sleep(ms(rng.random_range(0..=5_000))).await;
                let receipt = world.receipts.lock().unwrap().choose(&mut rng).cloned();
                let doing = match receipt {
                    Some(receipt) if !late && rng.random_bool(0.1) => Doing::Release(receipt),
                    _ => Doing::Redeem(payments[usize::from(!late)].clone(), order.clone()),
                };
                world.act(process, doing, secs(3_600)).await;
            }
        }));
    }
    simulation::finish(tasks).await;
    ways.calm(Trouble::SLOW, secs(120)).await;
    let left = finish(&world, &payments, &[order]).await;
    world.verdict(left)
}

/// Every process tries everything at once: all of it comes to an end, and no payment is left over where an order is. Else says
/// what is not so.
async fn finish(world: &Arc<World>, payments: &[String], owners: &[Owner]) -> Option<String> {
    let mut tasks = Vec::new();
    for process in 0..world.processes.count() {
        for payment in payments {
            for owner in owners {
                let (world, doing) = (Arc::clone(world), Doing::Redeem(payment.clone(), owner.clone()));
                tasks.push(tokio::spawn(async move { (doing.clone(), world.act(process, doing, secs(3_600)).await) }));
            }
        }
    }
    for (doing, told) in simulation::finish(tasks).await {
        if !matches!(told, Told::Bound(_) | Told::AlreadyRedeemed(_) | Told::AlreadyPaid(_)) {
            return Some(format!("stuck: {doing:?} => {told:?}"));
        }
    }
    let mut used = Vec::new();
    for payment in payments {
        let mut seen = Vec::new();
        for process in 0..world.processes.count() {
            match world.act(process, Doing::Look(payment.clone()), secs(3_600)).await {
                Told::Seen(receipt) => seen.push(receipt),
                other => return Some(format!("a quiet store answers: {other:?}")),
            }
        }
        seen.dedup();
        let [receipt] = &*seen else { return Some(format!("they see different things: {seen:?}")) };
        used.extend(receipt.clone());
    }
    let firsts = world.firsts.lock().unwrap().clone();
    if let Some((_, twice)) = firsts.iter().enumerate().find(|(at, receipt)| firsts[..*at].contains(receipt)) {
        return Some(format!("two calls are told to be the first: {twice:?}"));
    }
    let most = payments.len().min(owners.len());
    (used.len() != most).then(|| format!("a payment and an order are left over: {used:?}"))
}

#[test]
fn no_payment_has_two_orders_and_no_order_two_payments_whatever_the_store_does() {
    simulation::simulate(600, run);
}

#[test]
fn a_settling_that_comes_late_finds_its_claim_void() {
    simulation::simulate(250, run_late_settling);
}
