//! Validations by several processes over a store and a provider that go wrong in every way, on a clock that jumps.
//!
//! Each answer of the provider bears a number, so that what a caller is told can be traced to the moment when the provider
//! read it: nothing from before a forgetting, nothing younger than it is, nothing older than was asked for.
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

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use payproof::{Degradation, PaymentId, Provenance, Validator, WhenProviderIsDown};
use provider::{Payments, claims, number};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, sleep, timeout};

use crate::chaos_store::{Trouble, Verb};
use crate::numbering::{Ledger, Numbering, Stated};
use crate::simulation::{self, Processes, Ways, fork};
use crate::support::{NO_PATTERNS, ms, secs};

/// Timers count in milliseconds, and ages are rounded to them.
const ROUNDING: Duration = ms(5);

#[derive(Clone, Debug)]
enum Told {
    Facts { number: usize, age: Duration, provenance: Provenance, degraded: Option<Degradation> },
    Error(&'static str),
    Left,
}

#[derive(Clone, Debug)]
struct Asked {
    process: usize,
    payment: PaymentId,
    max_age: Option<Duration>,
    deadline: Option<Duration>,
    from: Instant,
    to: Instant,
    told: Told,
}

#[derive(Clone, Debug)]
struct Forgotten {
    process: usize,
    payment: PaymentId,
    from: Instant,
    to: Instant,
    confirmed: bool,
}

struct World {
    start: Instant,
    /// Each may have started long after the facts it meets.
    processes: Processes<Validator>,
    memory_for: Vec<Duration>,
    fresh_for: Duration,
    ways: Ways,
    ledger: Arc<Mutex<Ledger>>,
    crashed: Vec<Arc<Mutex<bool>>>,
    asked: Mutex<Vec<Asked>>,
    forgotten: Mutex<Vec<Forgotten>>,
}

impl World {
    fn is_crashed(&self, process: usize) -> bool {
        *self.crashed[process].lock().unwrap()
    }

    async fn ask(
        &self,
        process: usize,
        payment: &PaymentId,
        max_age: Option<Duration>,
        deadline: Option<Duration>,
        patience: Duration,
    ) -> Told {
        let from = Instant::now();
        let mut validate = self.processes.get(process).validate(claims(payment));
        if let Some(age) = max_age {
            validate = validate.max_age(age);
        }
        if let Some(limit) = deadline {
            validate = validate.deadline(limit);
        }
        let told = match timeout(patience, validate).await {
            Err(_elapsed) => Told::Left,
            Ok(Err(error)) => Told::Error(error.code()),
            Ok(Ok(validation)) => {
                let (age, provenance, degraded) = (validation.age(), validation.provenance(), validation.degraded());
                Told::Facts { number: number(&validation), age, provenance, degraded }
            }
        };
        // No caller hears what a crashed process says.
        if !self.is_crashed(process) {
            let (payment, to, told) = (payment.clone(), Instant::now(), told.clone());
            self.asked.lock().unwrap().push(Asked { process, payment, max_age, deadline, from, to, told });
        }
        told
    }

    async fn forget(&self, process: usize, payment: &PaymentId, patience: Duration) {
        let from = Instant::now();
        let confirmed = timeout(patience, self.processes.get(process).forget(payment)).await;
        let confirmed = !self.is_crashed(process) && matches!(confirmed, Ok(Ok(())));
        let (payment, to) = (payment.clone(), Instant::now());
        self.forgotten.lock().unwrap().push(Forgotten { process, payment, from, to, confirmed });
    }

    /// Everything that must not have been told.
    fn breaches(&self) -> Vec<(&'static str, String)> {
        let (stated, delays) = (self.ledger.lock().unwrap().stated.clone(), self.ways.delays("number=", ';'));
        let (asked, forgotten) = (self.asked.lock().unwrap().clone(), self.forgotten.lock().unwrap().clone());
        let mut breaches = Vec::new();
        for call in &asked {
            let mut breach = |what, why: String| breaches.push((what, format!("{why}: {}", self.shown(call))));
            let took = call.to.duration_since(call.from);
            let longest = self.processes.get(call.process).worst_case();
            if took > longest + ROUNDING {
                breach("worst case", format!("{took:?} of {longest:?}"));
            }
            // Older facts may have to be looked up in the store when the time is over.
            if call.deadline.is_some_and(|limit| took > limit + secs(2) + ROUNDING) {
                breach("deadline", format!("{took:?}"));
            }
            if let Told::Error("record_unreadable" | "store_unavailable" | "interrupted" | "no_runtime") = call.told {
                breach("error", "no caller should be told that".to_owned());
            }
            let Told::Facts { number, age, provenance, degraded } = call.told else { continue };
            let Stated { asked, read, answered } = stated[number];
            let answered = answered.unwrap();
            let unknown = delays.get(&number).copied().unwrap_or_default() + ROUNDING;
            let truth = call.to.duration_since(answered);
            if age + unknown < truth {
                breach("age", format!("{age:?} of {truth:?}, {unknown:?} of it unknown"));
            }
            let max_age = call.max_age.unwrap_or(Duration::MAX);
            // What was known counts by its age; of an answer that was asked for, it is the question that counts.
            let recent = match provenance {
                _ if asked >= call.from => true,
                Provenance::Replayed => !max_age.is_zero() && truth <= max_age.saturating_add(unknown),
                _ => call.from.duration_since(asked) <= max_age.saturating_add(ROUNDING),
            };
            if !recent && degraded != Some(Degradation::ProviderDown) {
                breach("max_age", format!("asked {:?}, answered {:?}", self.at(asked), self.at(answered)));
            }
            for forgotten in forgotten.iter().filter(|forgotten| forgotten.confirmed) {
                let here = forgotten.process == call.process;
                let memory_for = if here { Duration::ZERO } else { self.memory_for[call.process] };
                let late = call.from > forgotten.to + memory_for && read < forgotten.from;
                if forgotten.payment == call.payment && late && degraded != Some(Degradation::StoreDown) {
                    let (from, to) = (self.at(forgotten.from), self.at(forgotten.to));
                    breach("forget", format!("read {:?}, forgotten {from:?} to {to:?}", self.at(read)));
                }
            }
        }
        breaches
    }

    fn at(&self, at: Instant) -> Duration {
        at.duration_since(self.start)
    }

    fn shown(&self, call: &Asked) -> String {
        let Asked { process, payment, max_age, deadline, from, to, told } = call;
        let (from, to) = (self.at(*from), self.at(*to));
        format!("{from:>10.3?} to {to:>10.3?} process {process} {payment:?} {max_age:?} {deadline:?} => {told:?}")
    }

    fn trace(&self) -> String {
        let mut lines: Vec<(Instant, String)> = Vec::new();
        for call in self.asked.lock().unwrap().iter() {
            lines.push((call.from, self.shown(call)));
        }
        for Forgotten { process, payment, from, to, confirmed } in self.forgotten.lock().unwrap().iter() {
            let (begun, ended) = (self.at(*from), self.at(*to));
            let text = format!("{begun:>10.3?} to {ended:>10.3?} process {process} {payment:?} forgets => {confirmed}");
            lines.push((*from, text));
        }
        for (number, Stated { asked, read, answered }) in self.ledger.lock().unwrap().stated.iter().enumerate() {
            let (begun, read, answered) = (self.at(*asked), self.at(*read), answered.map(|at| self.at(at)));
            lines.push((*asked, format!("{begun:>10.3?} provider {number} reads {read:.3?} answers {answered:.3?}")));
        }
        lines.sort();
        let mut text = String::new();
        for (_, line) in lines {
            let _ = writeln!(text, "{line}");
        }
        text
    }
}

/// What one run may do.
#[derive(Clone, Copy, Debug)]
struct Plan {
    store: Trouble,
    provider: f64,
    crashes: bool,
}

fn begin(seed: u64, rng: &mut StdRng, plan: Plan) -> Arc<World> {
    let (slowest, span) = (*[0, 50, 3_000, 20_000].choose(rng).unwrap(), StdRng::seed_from_u64(rng.random()));
    let ledger = Ledger::new(span, plan.provider, slowest);
    let (total, renewed) = (*[secs(150), secs(20)].choose(rng).unwrap(), rng.random_bool(0.5));
    let fresh_for = *[secs(15 * 60), secs(15 * 60), secs(30), secs(0)].choose(rng).unwrap();
    let serves_stale = rng.random_bool(0.5);
    let (mut starts, mut memory_for, mut crashed) = (vec![], vec![], vec![]);
    let ways = Ways::new(seed, rng.random_range(3..=5));
    for way in ways.iter() {
        let provider = Numbering::new(&ledger, Payments);
        crashed.push(Arc::clone(&provider.crashed));
        let memory = *[secs(0), secs(0), secs(5)].choose(rng).unwrap();
        let way_there = way.clone();
        let start = move || {
            let mut builder = Validator::builder(provider.clone()).no_retry_budget().transient_patterns(NO_PATTERNS);
            builder =
                builder.store(way_there.clone()).total_deadline(total).fresh_for(fresh_for).facts_in_memory_for(memory);
            if renewed {
                builder = builder.renewed_lease(secs(6));
            }
            if serves_stale {
                builder = builder.when_provider_is_down(WhenProviderIsDown::ServeStale { up_to: secs(60 * 60) });
            }
            builder.seed(seed).build().unwrap()
        };
        starts.push(Box::new(start) as Box<dyn Fn() -> Validator + Send + Sync>);
        memory_for.push(memory);
    }
    let (start, asked, forgotten) = (Instant::now(), Mutex::default(), Mutex::default());
    let processes = Processes::start(starts);
    Arc::new(World { start, processes, memory_for, fresh_for, ways, ledger, crashed, asked, forgotten })
}

/// One run: tasks that ask and forget, faults that end, and then every process asks once more.
async fn run(seed: u64, plan: Plan) -> Result<(), String> {
    let mut rng = StdRng::seed_from_u64(seed);
    let world = begin(seed, &mut rng, plan);
    let payments: Vec<PaymentId> = (0..3).map(|kind| PaymentId::parse(format!("pi_{kind}")).unwrap()).collect();
    world.ways.trouble(plan.store);
    let span = *[1_u64, 10, 120, 1_200].choose(&mut rng).unwrap() * 1000;
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
            }
            if plan.crashes && process > 0 && rng.random_bool(0.2) {
                sleep(ms(rng.random_range(0..=span))).await;
                world.ways.of(process).crash();
                *world.crashed[process].lock().unwrap() = true;
            }
        }));
    }
    for _ in 0..rng.random_range(8..=30) {
        let (world, mut rng) = (Arc::clone(&world), fork(&mut rng));
        let payments = payments.clone();
        tasks.push(tokio::spawn(async move {
            sleep(ms(rng.random_range(0..=span))).await;
            for _ in 0..rng.random_range(1..=5) {
                let (process, payment) =
                    (rng.random_range(0..world.processes.count()), payments.choose(&mut rng).unwrap());
                let patience = if rng.random_bool(0.1) { ms(rng.random_range(0..=2_000)) } else { secs(3_600) };
                if world.is_crashed(process) {
                    continue;
                }
                if rng.random_bool(0.15) {
                    world.forget(process, payment, patience).await;
                } else {
                    let max_age = *[None, None, Some(0), Some(1), Some(5), Some(60)].choose(&mut rng).unwrap();
                    let deadline = *[None, None, Some(2), Some(30)].choose(&mut rng).unwrap();
                    world.ask(process, payment, max_age.map(secs), deadline.map(secs), patience).await;
                }
                sleep(ms(rng.random_range(0..=span / 4))).await;
            }
        }));
    }
    simulation::finish(tasks).await;
    world.ledger.lock().unwrap().calm();
    world.ways.calm(Trouble::SLOW, secs(200)).await;
    let mut breaches = finish(&world, &payments).await;
    breaches.extend(world.breaches());
    let Some((what, why)) = breaches.first() else { return Ok(()) };
    Err(format!("{}{plan:?}\n{} breaches, the first: {what}: {why}", world.trace(), breaches.len()))
}

/// With everything healthy, every process gets an answer without a mark, by one call of the provider for each payment.
async fn finish(world: &Arc<World>, payments: &[PaymentId]) -> Vec<(&'static str, String)> {
    let alive: Vec<usize> = (0..world.processes.count()).filter(|process| !world.is_crashed(*process)).collect();
    for payment in payments {
        for process in &alive {
            world.forget(*process, payment, secs(3_600)).await;
        }
    }
    let calls = || world.ledger.lock().unwrap().stated.len();
    let (before, mut tasks, mut breaches) = (calls(), Vec::new(), Vec::new());
    for payment in payments {
        for process in alive.iter().chain(&alive) {
            let (world, payment, process) = (Arc::clone(world), payment.clone(), *process);
            tasks.push(tokio::spawn(async move { world.ask(process, &payment, None, None, secs(3_600)).await }));
        }
    }
    for told in simulation::finish(tasks).await {
        if !matches!(told, Told::Facts { degraded: None, .. }) {
            breaches.push(("stuck", format!("{told:?}")));
        }
    }
    let calls = calls() - before;
    // Where nothing is ever fresh, those who come a little later ask again.
    if calls != payments.len() && !world.fresh_for.is_zero() {
        breaches.push(("calls", format!("{calls} calls for {} payments", payments.len())));
    }
    breaches
}

fn simulate(seeds: u64, plan: impl Fn(&mut StdRng) -> Plan) {
    simulation::simulate(seeds, |seed| run(seed, plan(&mut StdRng::seed_from_u64(seed))));
}

#[test]
fn with_a_healthy_store_and_provider_all_is_kept() {
    simulate(60, |_| Plan { store: Trouble::SLOW, provider: 0.0, crashes: false });
}

#[test]
fn with_a_provider_that_fails_all_is_kept() {
    simulate(60, |_| Plan { store: Trouble::SLOW, provider: 0.4, crashes: false });
}

#[test]
fn with_processes_that_crash_all_is_kept() {
    simulate(60, |_| Plan { store: Trouble::SLOW, provider: 0.1, crashes: true });
}

#[test]
fn whatever_store_and_provider_do_all_is_kept() {
    simulate(120, |rng| {
        let (faults, provider) = (*[0.02, 0.1, 0.4].choose(rng).unwrap(), *[0.0, 0.1, 0.5].choose(rng).unwrap());
        let sore = *[None, None, Some(Verb::Claim), Some(Verb::Replace)].choose(rng).unwrap();
        Plan { store: Trouble { faults, delays: 0.5, ghosts: true, sore }, provider, crashes: rng.random_bool(0.5) }
    });
}
