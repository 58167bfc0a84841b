//! A cache in several processes over a store that goes wrong in every way and forgets what it likes, on a clock that jumps.
//!
//! Each load bears a number, so that what a caller is told can be traced to the moment when its load began: nothing from
//! before an invalidation, nothing past its life, nothing of another key, and no error while the loader works.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unchecked_time_subtraction,
    clippy::unwrap_used,
    reason = "numbers are small, and what is not as it should be fails the test"
)]

mod home;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use home::{Began, FRESH, Home, KEYS, Key, Loaded, Process, Reach, SPACES, STALE, TENANTS, What, tenant};
use payproof::cache::{CacheError, Hit, Tag};
use payproof::store::Store as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, sleep, timeout};

use crate::chaos_store::{ChaosStore, Trouble};
use crate::simulation::{self, Processes, Ways, fork};
use crate::support::{ms, secs};

/// Timers count in milliseconds, and ages are rounded to them.
const ROUNDING: Duration = ms(5);

/// How long a process serves what it has not checked, be the store up or down.
const UNCHECKED: Duration = secs(1);

#[derive(Clone, Debug)]
enum Told {
    Value { loaded: Loaded, age: Duration, is_stale: bool },
    Error(String),
    Left,
}

#[derive(Clone, Debug)]
struct Asked {
    process: usize,
    what: What,
    max_age: Option<Duration>,
    has_deadline: bool,
    from: Instant,
    to: Instant,
    told: Told,
}

#[derive(Clone, Debug)]
struct Invalidated {
    process: usize,
    reach: Reach,
    from: Instant,
    to: Instant,
    confirmed: bool,
}

struct World {
    start: Instant,
    processes: Processes<Process>,
    ways: Ways,
    home: Arc<Mutex<Home>>,
    crashed: Vec<Arc<AtomicBool>>,
    asked: Mutex<Vec<Asked>>,
    invalidated: Mutex<Vec<Invalidated>>,
    restarted: Mutex<Vec<(Instant, usize)>>,
}

impl World {
    fn is_crashed(&self, process: usize) -> bool {
        self.crashed[process].load(Relaxed)
    }

    async fn ask(&self, process: usize, what: What, rng: &mut StdRng) {
        let from = Instant::now();
        let max_age = [None, None, None, Some(secs(0)), Some(secs(5))].choose(rng).copied().flatten();
        let deadline = [None, None, Some(secs(2))].choose(rng).copied().flatten();
        let patience = if rng.random_bool(0.1) { ms(rng.random_range(0..=2_000)) } else { secs(3_600) };
        let (space, key) = (self.processes.get(process).spaces[what.space].clone(), what.key());
        let mut get = space.get(&key);
        if let Some(age) = max_age {
            get = get.max_age(age);
        }
        if let Some(limit) = deadline {
            get = get.deadline(limit);
        }
        let told = timeout(patience, get).await.map_or(Told::Left, told);
        self.note(Asked { process, what, max_age, has_deadline: deadline.is_some(), from, to: Instant::now(), told });
    }

    async fn ask_many(&self, process: usize, space: usize) {
        let from = Instant::now();
        let all: Vec<What> = What::all(space).collect();
        let keys: Vec<Key> = all.iter().map(|what| what.key()).collect();
        let answers = self.processes.get(process).spaces[space].get_many(&keys).await;
        for (what, answer) in all.into_iter().zip(answers) {
            let (told, to) = (told(answer), Instant::now());
            self.note(Asked { process, what, max_age: None, has_deadline: false, from, to, told });
        }
    }

    /// No caller hears what a crashed process says.
    fn note(&self, asked: Asked) {
        if !self.is_crashed(asked.process) {
            self.asked.lock().unwrap().push(asked);
        }
    }

    async fn invalidate(&self, process: usize, reach: Reach, patience: Duration) {
        let (from, running) = (Instant::now(), self.processes.get(process));
        let confirmed = timeout(patience, async {
            match reach {
                Reach::Key(what) => running.spaces[what.space].invalidate(&what.key()).await,
                Reach::User(user) => running.cache.invalidate(&Tag::new("user", user)).await,
                Reach::Tenant(number) => running.cache.invalidate(&Tag::tenant(&tenant(number))).await,
                Reach::Space(space) => running.cache.invalidate(&Tag::space(SPACES[space])).await,
                Reach::All => running.cache.invalidate(&Tag::all()).await,
            }
        });
        let confirmed = confirmed.await.is_ok_and(|said| said.is_ok()) && !self.is_crashed(process);
        let to = Instant::now();
        self.invalidated.lock().unwrap().push(Invalidated { process, reach, from, to, confirmed });
    }

    /// What a caller made takes the place of every load that began before.
    async fn put(&self, process: usize, what: What) {
        let (loaded, _) = self.home.lock().unwrap().begin(what);
        let from = Instant::now();
        let load = loaded.load;
        let put = self.processes.get(process).spaces[what.space].put(&what.key(), loaded).await;
        // It counts from some moment of the call, which an invalidation beside it may come before.
        self.home.lock().unwrap().loads[load].at = Instant::now();
        let (reach, to, confirmed) = (Reach::Key(what), Instant::now(), put.is_ok() && !self.is_crashed(process));
        self.invalidated.lock().unwrap().push(Invalidated { process, reach, from, to, confirmed });
    }

    /// The store forgets some of what it has, as a full or a flushed one does; or the record of one tag alone.
    async fn evict(&self, rng: &mut StdRng, share: f64) {
        let keys: BTreeSet<String> = self.ways.iter().flat_map(ChaosStore::keys).collect();
        let keys: Vec<&String> = if rng.random_bool(0.5) {
            let tags: Vec<&String> = keys.iter().filter(|key| key.contains(":cache-tag:")).collect();
            tags.choose(rng).copied().into_iter().collect()
        } else {
            keys.iter().filter(|_| rng.random_bool(share)).collect()
        };
        let store = self.ways.of(0).beneath();
        for key in keys {
            if let Some(stored) = store.get(key).await.unwrap() {
                store.remove(key, &stored.bytes).await.unwrap();
            }
        }
    }

    /// Everything that must not have been told.
    fn breaches(&self) -> Vec<(&'static str, String)> {
        let (loads, delays) = (self.home.lock().unwrap().loads.clone(), self.ways.delays("{\"load\":", ','));
        let (asked, invalidated) = (self.asked.lock().unwrap().clone(), self.invalidated.lock().unwrap().clone());
        let (restarted, mut breaches) = (self.restarted.lock().unwrap().clone(), Vec::new());
        for call in &asked {
            let mut breach = |what, why: String| breaches.push((what, format!("{why}: {}", self.shown(call))));
            let Told::Value { loaded, age, is_stale } = &call.told else {
                if matches!(&call.told, Told::Error(code) if !(call.has_deadline && code == "deadline_exceeded")) {
                    breach("error", "the loader works".to_owned());
                }
                continue;
            };
            let began = loads[loaded.load];
            let unknown = delays.get(&loaded.load).copied().unwrap_or_default() + ROUNDING;
            let truth = call.to.duration_since(began.at);
            if began.what != call.what {
                breach("key", format!("it is the value of {:?}", began.what));
            }
            if *age + unknown < truth {
                breach("age", format!("{age:?} of {truth:?}, {unknown:?} of it unknown"));
            }
            let stale = if call.what.space == 1 { STALE } else { Duration::ZERO };
            let is_past = began.at < call.from && call.from.duration_since(began.at) > FRESH + stale + unknown;
            if is_past || (*is_stale && call.what.space != 1) {
                breach("life", format!("{truth:?} old"));
            }
            if let Some(max_age) = call.max_age
                && began.at < call.from
                && call.from.duration_since(began.at) > max_age + unknown
            {
                breach("max_age", format!("{truth:?} old"));
            }
            for by in invalidated.iter().filter(|by| by.confirmed && by.reach.covers(call.what, began.user)) {
                // What a process did before it started anew, it knows no better than the others.
                let is_new =
                    |(at, process): &(Instant, usize)| *process == call.process && (by.from..=call.from).contains(at);
                let is_here = by.process == call.process && !restarted.iter().any(is_new);
                let bound = if is_here { Duration::ZERO } else { UNCHECKED };
                if call.from > by.to + bound && began.at < by.from {
                    let (from, to) = (self.at(by.from), self.at(by.to));
                    breach("invalidate", format!("loaded {:?}, ended {from:?} to {to:?}", self.at(began.at)));
                }
            }
        }
        breaches
    }

    fn at(&self, at: Instant) -> Duration {
        at.duration_since(self.start)
    }

    fn shown(&self, call: &Asked) -> String {
        let Asked { process, what, max_age, from, to, told, .. } = call;
        let (from, to) = (self.at(*from), self.at(*to));
        format!("{from:>10.3?} to {to:>10.3?} process {process} {what:?} {max_age:?} => {told:?}")
    }

    fn trace(&self) -> String {
        let mut lines: Vec<(Instant, String)> = Vec::new();
        lines.extend(self.asked.lock().unwrap().iter().map(|call| (call.from, self.shown(call))));
        for Invalidated { process, reach, from, to, confirmed } in self.invalidated.lock().unwrap().iter() {
            let (begun, ended) = (self.at(*from), self.at(*to));
            let text = format!("{begun:>10.3?} to {ended:>10.3?} process {process} ends {reach:?} => {confirmed}");
            lines.push((*from, text));
        }
        for (number, Began { at, what, user }) in self.home.lock().unwrap().loads.iter().enumerate() {
            lines.push((*at, format!("{:>10.3?} load {number} of {what:?}, user {user}", self.at(*at))));
        }
        for (at, process) in self.restarted.lock().unwrap().iter() {
            lines.push((*at, format!("{:>10.3?} process {process} starts anew", self.at(*at))));
        }
        lines.sort();
        let mut text = String::new();
        for (_, line) in lines {
            let _ = writeln!(text, "{line}");
        }
        text
    }
}

fn told(answer: Result<Hit<Loaded>, CacheError>) -> Told {
    match answer {
        Ok(hit) => Told::Value { loaded: Loaded::clone(&hit), age: hit.age(), is_stale: hit.is_stale() },
        Err(error) => Told::Error(payproof::ErrorInfo::code(&error).to_owned()),
    }
}

/// What one run may do.
#[derive(Clone, Copy, Debug)]
struct Plan {
    store: Trouble,
    evictions: f64,
    crashes: bool,
}

fn begin(seed: u64, rng: &mut StdRng) -> Arc<World> {
    let slowest = *[0, 50, 900, 4_000].choose(rng).unwrap();
    let home = Arc::new(Mutex::new(Home { rng: fork(rng), slowest, loads: Vec::new() }));
    let store_timeout = *[ms(100), ms(300), secs(1)].choose(rng).unwrap();
    let ways = Ways::new(seed, rng.random_range(2..=3));
    let crashed: Vec<Arc<AtomicBool>> = ways.iter().map(|_| Arc::default()).collect();
    let start = |(way, crashed): (&ChaosStore, &Arc<AtomicBool>)| {
        let (way, home, crashed) = (way.clone(), Arc::clone(&home), Arc::clone(crashed));
        Box::new(move || Process::start(&way, store_timeout, &home, &crashed)) as Box<dyn Fn() -> Process + Send + Sync>
    };
    let processes = Processes::start(ways.iter().zip(&crashed).map(start).collect());
    let (start, asked, invalidated) = (Instant::now(), Mutex::default(), Mutex::default());
    let restarted = Mutex::default();
    Arc::new(World { start, processes, ways, home, crashed, asked, invalidated, restarted })
}

/// One run: tasks that ask, put and invalidate, faults that end, and then every process asks once more.
async fn run(seed: u64, plan: Plan) -> Result<usize, String> {
    let mut rng = StdRng::seed_from_u64(seed);
    let world = begin(seed, &mut rng);
    world.ways.trouble(plan.store);
    let span = *[1_u64, 5, 30, 240].choose(&mut rng).unwrap() * 1000;
    let mut tasks = Vec::new();
    for process in 0..world.processes.count() {
        let (world, mut rng) = (Arc::clone(&world), fork(&mut rng));
        tasks.push(tokio::spawn(async move { trouble(&world, process, plan, span, &mut rng).await }));
    }
    for _ in 0..rng.random_range(6..=20) {
        let (world, mut rng) = (Arc::clone(&world), fork(&mut rng));
        tasks.push(tokio::spawn(async move { visit(&world, span, &mut rng).await }));
    }
    simulation::finish(tasks).await;
    world.ways.calm(Trouble::NONE, secs(100)).await;
    let mut breaches = once_more(&world).await;
    breaches.extend(world.breaches());
    let Some((what, why)) = breaches.first() else { return Ok(world.asked.lock().unwrap().len()) };
    Err(format!("{}{plan:?}\n{} breaches, the first: {what}: {why}", world.trace(), breaches.len()))
}

async fn trouble(world: &World, process: usize, plan: Plan, span: u64, rng: &mut StdRng) {
    while plan.store.faults > 0.0 && rng.random_bool(0.5) {
        sleep(ms(rng.random_range(0..=span))).await;
        world.ways.of(process).cut(ms(rng.random_range(0..=20_000)));
    }
    while plan.evictions > 0.0 && rng.random_bool(0.7) {
        sleep(ms(rng.random_range(0..=span))).await;
        world.evict(rng, plan.evictions).await;
    }
    while rng.random_bool(0.4) {
        sleep(ms(rng.random_range(0..=span))).await;
        world.processes.restart(process);
        world.restarted.lock().unwrap().push((Instant::now(), process));
    }
    if plan.crashes && process > 0 && rng.random_bool(0.4) {
        sleep(ms(rng.random_range(0..=span))).await;
        world.ways.of(process).crash();
        world.crashed[process].store(true, Relaxed);
    }
}

/// One visitor, who calls several times.
async fn visit(world: &World, span: u64, rng: &mut StdRng) {
    sleep(ms(rng.random_range(0..=span))).await;
    for _ in 0..rng.random_range(2..=8) {
        let process = rng.random_range(0..world.processes.count());
        if world.is_crashed(process) {
            continue;
        }
        let what = What::any(rng);
        match rng.random_range(0..20) {
            0..=4 => {
                let patience = if rng.random_bool(0.1) { ms(rng.random_range(0..=2_000)) } else { secs(3_600) };
                world.invalidate(process, Reach::any(rng), patience).await;
            }
            5 => world.put(process, what).await,
            6 => {
                let _ = world.processes.get(process).spaces[what.space].expire(&what.key()).await;
            }
            7 | 8 => world.ask_many(process, what.space).await,
            _ => world.ask(process, what, rng).await,
        }
        if rng.random_bool(0.7) {
            sleep(ms(rng.random_range(0..=span / 8))).await;
        }
    }
}

/// With everything healthy, one load of each key answers every process.
async fn once_more(world: &Arc<World>) -> Vec<(&'static str, String)> {
    let alive: Vec<usize> = (0..world.processes.count()).filter(|process| !world.is_crashed(*process)).collect();
    for process in &alive {
        world.invalidate(*process, Reach::All, secs(3_600)).await;
    }
    // What processes have not checked is over.
    sleep(secs(5)).await;
    let (loads, mut tasks) = (|| world.home.lock().unwrap().loads.len(), Vec::new());
    let before = loads();
    // Those of the last one have tags of their own, be they known or not.
    for space in [0, SPACES.len() - 1] {
        for what in What::all(space) {
            for process in alive.iter().chain(&alive) {
                let (world, process) = (Arc::clone(world), *process);
                let mut rng = StdRng::seed_from_u64(u64::from(what.key));
                tasks.push(tokio::spawn(async move {
                    world.ask_patiently(process, what, &mut rng).await;
                }));
            }
        }
    }
    simulation::finish(tasks).await;
    let (loads, keys) = (loads() - before, usize::from(2 * TENANTS * KEYS));
    if loads == keys { Vec::new() } else { vec![("loads", format!("{loads} loads of {keys} keys"))] }
}

impl World {
    /// Without limits of any kind.
    async fn ask_patiently(&self, process: usize, what: What, rng: &mut StdRng) {
        sleep(ms(rng.random_range(0..=50))).await;
        let from = Instant::now();
        let answer = self.processes.get(process).spaces[what.space].get(&what.key()).await;
        let (to, told) = (Instant::now(), told(answer));
        self.note(Asked { process, what, max_age: None, has_deadline: false, from, to, told });
    }
}

/// How many calls were answered, in all runs.
fn simulate(seeds: u64, plan: impl Fn(&mut StdRng) -> Plan) {
    let calls = simulation::simulate(seeds, |seed| run(seed, plan(&mut StdRng::seed_from_u64(seed))));
    assert!(calls.iter().sum::<usize>() > calls.len() * 10, "the runs ask too little to show anything");
}

#[test]
fn with_a_healthy_store_the_promise_is_kept() {
    simulate(100, |_| Plan { store: Trouble::NONE, evictions: 0.0, crashes: false });
}

#[test]
fn with_a_slow_store_the_promise_is_kept() {
    simulate(100, |_| Plan { store: Trouble::SLOW, evictions: 0.0, crashes: false });
}

#[test]
fn with_a_store_that_evicts_and_processes_that_crash_the_promise_is_kept() {
    simulate(150, |rng| Plan { store: Trouble::SLOW, evictions: *[0.1, 0.5, 1.0].choose(rng).unwrap(), crashes: true });
}

#[test]
fn whatever_the_store_does_the_promise_of_the_cache_is_kept() {
    simulate(250, |rng| {
        let faults = *[0.02, 0.1, 0.4].choose(rng).unwrap();
        let store = Trouble { faults, delays: 0.5, ghosts: true, sore: None };
        Plan { store, evictions: *[0.0, 0.0, 0.3, 1.0].choose(rng).unwrap(), crashes: rng.random_bool(0.5) }
    });
}
