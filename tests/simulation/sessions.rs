//! Validations, forgettings and redemptions by a payment's id and by its sessions', by several processes over a store and a
//! provider that go wrong in every way, on a clock that jumps.
//!
//! Each answer of the provider bears a number, so that what a caller is told can be traced to the moment when the provider read
//! it. Whatever name a payment was forgotten by, nothing from before is told by any of its names; and whatever name it was
//! redeemed by, it has one owner.
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

mod provider;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use payproof::redeem::{Receipt, RedeemError};
use payproof::{Degradation, PaymentId, Validator, Verdict};
use provider::{Sessions, claims, is_redeemed, is_session, numbers, payment_of};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, sleep, timeout};

use crate::chaos_store::{ChaosStore, Trouble, Verb};
use crate::numbering::{Ledger, Numbering, Stated};
use crate::simulation::{self, Processes, Ways, fork};
use crate::support::{NO_PATTERNS, forgetful, ms, secs};

/// Timers count in milliseconds, and ages are rounded to them.
const ROUNDING: Duration = ms(5);

/// Each payment by its own id and by its sessions: two that are traced, and two that are redeemed.
const IDS: [&str; 8] = ["pi_t0", "cs_t0_0", "cs_t0_1", "pi_t1", "cs_t1_0", "pi_r0", "cs_r0_0", "cs_r1_0"];

/// What a caller was told of a payment that is traced.
#[derive(Clone, Debug)]
struct Asked {
    process: usize,
    id: &'static str,
    max_age: Option<Duration>,
    from: Instant,
    to: Instant,
    of_payment: Option<usize>,
    of_session: Option<usize>,
    degraded: Option<Degradation>,
}

#[derive(Clone, Debug)]
struct Forgotten {
    process: usize,
    id: &'static str,
    from: Instant,
    to: Instant,
}

struct World {
    start: Instant,
    processes: Processes<Validator>,
    memory_for: Vec<Duration>,
    ways: Ways,
    ledger: Arc<Mutex<Ledger>>,
    sessions: Sessions,
    crashed: Vec<Arc<Mutex<bool>>>,
    asked: Mutex<Vec<Asked>>,
    forgotten: Mutex<Vec<Forgotten>>,
    receipts: Mutex<Vec<Receipt>>,
    /// When which process was started anew.
    restarted: Mutex<Vec<(usize, Instant)>>,
    wrong: Mutex<Vec<String>>,
}

impl World {
    fn is_crashed(&self, process: usize) -> bool {
        *self.crashed[process].lock().unwrap()
    }

    async fn ask(&self, process: usize, id: &'static str, max_age: Option<Duration>, patience: Duration) -> bool {
        let from = Instant::now();
        let mut validate = self.processes.get(process).validate(claims(id));
        if let Some(age) = max_age {
            validate = validate.max_age(age);
        }
        let Ok(Ok(validation)) = timeout(patience, validate).await else { return false };
        // No caller hears what a crashed process says.
        if !self.is_crashed(process) {
            let ((of_payment, of_session), degraded) = (numbers(&validation), validation.degraded());
            let asked = Asked { process, id, max_age, from, to: Instant::now(), of_payment, of_session, degraded };
            self.asked.lock().unwrap().push(asked);
            if let Verdict::Valid(proof) = validation.verdict()
                && proof.payment().as_str() != payment_of(id)
            {
                self.wrong.lock().unwrap().push(format!("{id} is proven as {}", proof.payment()));
            }
        }
        true
    }

    async fn forget(&self, process: usize, id: &'static str, patience: Duration) {
        let from = Instant::now();
        let payment = PaymentId::parse(id).unwrap();
        let confirmed = timeout(patience, self.processes.get(process).forget(&payment)).await;
        if !self.is_crashed(process) && matches!(confirmed, Ok(Ok(()))) {
            self.forgotten.lock().unwrap().push(Forgotten { process, id, from, to: Instant::now() });
        }
    }

    /// Validates by one name, and redeems for an order.
    async fn redeem(&self, process: usize, id: &'static str, order: &str, patience: Duration) -> Option<bool> {
        let validator = self.processes.get(process);
        let redeeming = async {
            let Ok(validation) = validator.validate(claims(id)).await else { return None };
            let Verdict::Valid(proof) = validation.into_verdict() else { return None };
            Some(validator.redeem(proof).order(order).await)
        };
        let told = timeout(patience, redeeming).await.ok()??;
        if self.is_crashed(process) {
            return None;
        }
        match told {
            Ok(redeemed) => {
                let receipt = redeemed.into_receipt();
                if receipt.payment().as_str() != payment_of(id) {
                    self.wrong.lock().unwrap().push(format!("the receipt is of {}", receipt.payment()));
                }
                self.receipts.lock().unwrap().push(receipt);
                Some(true)
            }
            Err(RedeemError::AlreadyRedeemed { .. } | RedeemError::OrderAlreadyPaid { .. }) => Some(false),
            Err(_) => None,
        }
    }

    /// Everything that must not have been told.
    fn breaches(&self) -> Vec<String> {
        let stated = self.ledger.lock().unwrap().stated.clone();
        let (asked, forgotten) = (self.asked.lock().unwrap().clone(), self.forgotten.lock().unwrap().clone());
        let (of_facts, of_aliases) = (self.ways.delays("number=", ';'), self.ways.delays("alias=", ';'));
        let made = self.ways.iter().flat_map(ChaosStore::made);
        let longest_delay = made.map(|made| made.at.duration_since(made.sent)).max().unwrap_or_default();
        let mut breaches = self.wrong.lock().unwrap().clone();
        for call in &asked {
            let parts = [(call.of_payment, &of_facts, false), (call.of_session, &of_aliases, true)];
            for (number, delays, is_of_session) in parts {
                let Some(number) = number else { continue };
                let Stated { asked, read, answered } = stated[number];
                let mut breach = |what: &str| {
                    let (asked, read) = (self.at(asked), self.at(read));
                    breaches
                        .push(format!("{what}: answer {number}, asked {asked:?}, read {read:?}: {}", self.shown(call)));
                };
                let unknown = delays.get(&number).copied().unwrap_or_default() + ROUNDING;
                let max_age = call.max_age.unwrap_or(Duration::MAX).saturating_add(unknown);
                if call.from.saturating_duration_since(asked.min(answered.unwrap())) > max_age
                    && call.to.saturating_duration_since(answered.unwrap()) > max_age
                {
                    breach("max_age");
                }
                for forgotten in &forgotten {
                    let is_meant = if is_of_session { forgotten.id == call.id } else { self.names(forgotten, call.id) };
                    let here = forgotten.process == call.process && !self.restarted_while(forgotten);
                    let memory_for = if here { Duration::ZERO } else { self.memory_for[call.process] };
                    let late = call.from > forgotten.to + memory_for && read < forgotten.from;
                    if is_meant && late && call.degraded != Some(Degradation::StoreDown) {
                        breach(&format!(
                            "forgotten by {} {:?} to {:?}",
                            forgotten.id,
                            self.at(forgotten.from),
                            self.at(forgotten.to)
                        ));
                    }
                }
            }
            // By what a session's look-up brought it was told already how its payment stands. Facts that were written late seem
            // younger than they are, and so does the claim of a look-up that was waited for.
            if let (Some(of_payment), Some(of_session)) = (call.of_payment, call.of_session) {
                let unknown = of_facts.get(&of_payment).copied().unwrap_or_default() + longest_delay + ROUNDING;
                if stated[of_payment].answered.unwrap() + unknown < stated[of_session].asked {
                    breaches.push(format!("older than its session: {}", self.shown(call)));
                }
            }
        }
        breaches.extend(self.owners());
        breaches
    }

    /// Whether the process that forgot was started anew meanwhile, so that it is another one that had not heard of it.
    fn restarted_while(&self, forgotten: &Forgotten) -> bool {
        let is_meanwhile = |at: Instant| forgotten.from <= at && at <= forgotten.to;
        self.restarted.lock().unwrap().iter().any(|(process, at)| *process == forgotten.process && is_meanwhile(*at))
    }

    /// Whether what was forgotten has the same payment. A session that is still open has none.
    fn names(&self, forgotten: &Forgotten, id: &str) -> bool {
        let is_open = self.sessions.0.get(forgotten.id).is_some_and(|completed| *completed > forgotten.from);
        payment_of(forgotten.id) == payment_of(id) && !is_open
    }

    /// Payments with two owners, and owners with two payments.
    fn owners(&self) -> Vec<String> {
        let receipts = self.receipts.lock().unwrap();
        let mut breaches = Vec::new();
        for (at, one) in receipts.iter().enumerate() {
            for two in &receipts[at + 1..] {
                let (same_payment, same_order) = (one.payment() == two.payment(), one.order() == two.order());
                if same_payment != same_order || same_payment && one != two {
                    breaches.push(format!("two redemptions: {one:?} {two:?}"));
                }
            }
        }
        breaches
    }

    fn at(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.start)
    }

    fn shown(&self, call: &Asked) -> String {
        let (from, to) = (self.at(call.from), self.at(call.to));
        format!("{from:?} to {to:?} {call:?}")
    }
}

/// What one run may do.
#[derive(Clone, Copy, Debug)]
struct Plan {
    store: Trouble,
    provider: f64,
    crashes: bool,
}

fn begin(seed: u64, rng: &mut StdRng, plan: Plan, span: u64) -> Arc<World> {
    let start = Instant::now();
    let slowest = *[0, 50, 3_000].choose(rng).unwrap();
    let sessions = IDS.iter().filter(|id| is_session(id));
    let completed = sessions.map(|id| ((*id).to_owned(), start + ms(rng.random_range(0..=span / 4)))).collect();
    let chances = StdRng::seed_from_u64(rng.random());
    let (ledger, sessions) = (Ledger::new(chances, plan.provider, slowest), Sessions(Arc::new(completed)));
    let (mut starts, mut memory_for, mut crashed) = (vec![], vec![], vec![]);
    let ways = Ways::new(seed, 2);
    for way in ways.iter() {
        let provider = Numbering::new(&ledger, sessions.clone());
        crashed.push(Arc::clone(&provider.crashed));
        let memory = *[secs(0), secs(0), secs(5)].choose(rng).unwrap();
        let way = way.clone();
        let start = move || {
            let builder = Validator::builder(provider.clone()).no_retry_budget().transient_patterns(NO_PATTERNS);
            let builder = builder.single_tenant().store(way.clone()).facts_in_memory_for(memory);
            forgetful(builder).proof_max_age(secs(24 * 60 * 60)).seed(seed).build().unwrap()
        };
        starts.push(Box::new(start) as Box<dyn Fn() -> Validator + Send + Sync>);
        memory_for.push(memory);
    }
    Arc::new(World {
        start,
        processes: Processes::start(starts),
        memory_for,
        ways,
        ledger,
        sessions,
        crashed,
        asked: Mutex::default(),
        forgotten: Mutex::default(),
        receipts: Mutex::default(),
        restarted: Mutex::default(),
        wrong: Mutex::default(),
    })
}

async fn run(seed: u64, plan: Plan) -> Result<(), String> {
    let mut rng = StdRng::seed_from_u64(seed);
    let span = *[1_u64, 10, 120, 1_200].choose(&mut rng).unwrap() * 1000;
    let world = begin(seed, &mut rng, plan, span);
    world.ways.trouble(plan.store);
    let mut tasks = Vec::new();
    for process in 0..world.processes.count() {
        let (world, mut rng) = (Arc::clone(&world), fork(&mut rng));
        tasks.push(tokio::spawn(async move {
            while plan.store.faults > 0.0 && rng.random_bool(0.5) {
                sleep(ms(rng.random_range(0..=span))).await;
                world.ways.of(process).cut(ms(rng.random_range(0..=50_000)));
            }
            while rng.random_bool(0.5) {
                sleep(ms(rng.random_range(0..=span))).await;
                world.processes.restart(process);
                world.restarted.lock().unwrap().push((process, Instant::now()));
            }
            if plan.crashes && process > 0 && rng.random_bool(0.7) {
                sleep(ms(rng.random_range(0..=span))).await;
                world.ways.of(process).crash();
                *world.crashed[process].lock().unwrap() = true;
            }
        }));
    }
    for _ in 0..rng.random_range(8..=30) {
        let (world, mut rng) = (Arc::clone(&world), fork(&mut rng));
        tasks.push(tokio::spawn(async move {
            sleep(ms(rng.random_range(0..=span))).await;
            for _ in 0..rng.random_range(1..=5) {
                let (process, id) = (rng.random_range(0..world.processes.count()), *IDS.choose(&mut rng).unwrap());
                let patience = if rng.random_bool(0.1) { ms(rng.random_range(0..=2_000)) } else { secs(3_600) };
                if world.is_crashed(process) {
                    continue;
                }
                match rng.random_range(0..10) {
                    0 | 1 => world.forget(process, id, patience).await,
                    2..=4 if is_redeemed(id) => {
                        let order = ["order 0", "order 1", "order 2"].choose(&mut rng).unwrap();
                        world.redeem(process, id, order, patience).await;
                    }
                    _ => {
                        let max_age = *[None, None, Some(0), Some(1), Some(5), Some(60)].choose(&mut rng).unwrap();
                        world.ask(process, id, max_age.map(secs), patience).await;
                    }
                }
                sleep(ms(rng.random_range(0..=span / 4))).await;
            }
        }));
    }
    simulation::finish(tasks).await;
    world.ledger.lock().unwrap().calm();
    world.ways.calm(Trouble::SLOW, secs(200)).await;
    let mut breaches = finish(&world).await;
    breaches.extend(world.breaches());
    let Some(first) = breaches.first() else { return Ok(()) };
    Err(format!("{plan:?}, {span} ms\n{} breaches, the first: {first}", breaches.len()))
}

/// With everything healthy, every process gets an answer by every name, and each payment has an owner by whatever name.
async fn finish(world: &Arc<World>) -> Vec<String> {
    let mut breaches = Vec::new();
    for process in (0..world.processes.count()).filter(|process| !world.is_crashed(*process)) {
        for id in IDS {
            if !world.ask(process, id, None, secs(3_600)).await {
                breaches.push(format!("stuck: {id} in process {process}"));
            }
            if is_redeemed(id) && world.redeem(process, id, "order 3", secs(3_600)).await.is_none() {
                breaches.push(format!("not redeemed: {id} in process {process}"));
            }
        }
        let redemption = |id: &str| {
            let (validator, id) = (world.processes.get(process), PaymentId::parse(id).unwrap());
            async move { validator.redemption(&id).await.unwrap().map(|redemption| redemption.receipt().clone()) }
        };
        let (by_session, by_payment) = (redemption("cs_r0_0").await, redemption("pi_r0").await);
        if by_payment.is_none() || by_session != by_payment {
            breaches.push(format!("redeemed as {by_payment:?}, by its session as {by_session:?}"));
        }
    }
    breaches
}

fn simulate(seeds: u64, plan: impl Fn(&mut StdRng) -> Plan) {
    simulation::simulate(seeds, |seed| run(seed, plan(&mut StdRng::seed_from_u64(seed))));
}

#[test]
fn with_a_healthy_store_all_names_of_a_payment_are_one() {
    simulate(100, |_| Plan { store: Trouble::SLOW, provider: 0.1, crashes: false });
}

#[test]
fn with_processes_that_crash_all_names_of_a_payment_are_one() {
    simulate(100, |_| Plan { store: Trouble::SLOW, provider: 0.1, crashes: true });
}

#[test]
fn whatever_store_and_provider_do_all_names_of_a_payment_are_one() {
    simulate(200, |rng| {
        let (faults, provider) = (*[0.02, 0.1, 0.4].choose(rng).unwrap(), *[0.0, 0.1, 0.5].choose(rng).unwrap());
        let sore = *[None, None, Some(Verb::Get), Some(Verb::Claim), Some(Verb::Replace)].choose(rng).unwrap();
        Plan { store: Trouble { faults, delays: 0.5, ghosts: true, sore }, provider, crashes: rng.random_bool(0.5) }
    });
}
