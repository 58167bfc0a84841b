//! Webhooks delivered to several processes over a store that goes wrong in every way, hundreds of times, on a clock that
//! jumps.
//!
//! What handlers did and what the provider was told is kept, and compared with what may be: no event is handled twice at a
//! time, none is acknowledged that was not handled, and none is handled after it was acknowledged.
#![cfg(all(feature = "test-util", feature = "webhook"))]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "numbers are small, and what is not as it should be fails the test"
)]

use std::collections::BTreeSet;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use payproof::Validator;
use payproof::testing::webhook::{EventBody, now, sign};
use payproof::webhook::{Delivery, StripeWebhooks};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::chaos_store::{ChaosStore, Trouble, Verb};
use crate::simulation::{self, Processes, Ways};
use crate::support::{NO_PATTERNS, ms, provider, secs};

/// Longer than any delivery may take: sixteen rounds of claiming, what comes before the handler, its limit, and the record.
const LONGEST: Duration = secs(90);

/// Others wait so long for a process that ended, and a second.
const LEASE_IS_OVER: Duration = secs(42);

const EVENTS: [&str; 2] = ["evt_1", "evt_2"];

/// What a handler does.
#[derive(Clone, Copy, Debug)]
enum Doing {
    Succeed(Duration),
    Fail(Duration),
    Hang,
}

#[derive(Clone, Debug)]
enum What {
    Begun(usize),
    /// It returned, or was cut off: whether it succeeded.
    Ended(bool),
    Told(&'static str, Duration),
    /// The provider hung up before it was told anything.
    Left,
}

/// What happened, in order: which event, and what.
type Log = Arc<Mutex<Vec<(&'static str, What)>>>;

/// One run of a handler. However it ends, that is written down.
struct Run {
    log: Log,
    event: &'static str,
    is_ok: bool,
}

impl Run {
    fn begin(log: &Log, event: &'static str) -> Self {
        let mut lines = log.lock().unwrap();
        let number = lines.len();
        lines.push((event, What::Begun(number)));
        Self { log: Arc::clone(log), event, is_ok: false }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.log.lock().unwrap().push((self.event, What::Ended(self.is_ok)));
    }
}

/// Put together here, so that no credential-shaped literal stands in the source.
fn secret() -> String {
    format!("{}_{}", "whsec", "of_the_orders_endpoint")
}

fn process(store: &ChaosStore) -> StripeWebhooks {
    let builder = Validator::builder(provider()).transient_patterns(NO_PATTERNS).store(store.clone());
    StripeWebhooks::builder(&builder.build().unwrap(), "orders", secret()).build().unwrap()
}

/// Delivers once, for as long as the provider waits.
async fn deliver(webhooks: &StripeWebhooks, log: &Log, event: &'static str, doing: Doing, patience: Duration) {
    let (begin, runs) = (Instant::now(), Arc::clone(log));
    let handler = move |_| async move {
        let mut run = Run::begin(&runs, event);
        match doing {
            Doing::Succeed(time) => sleep(time).await,
            Doing::Fail(time) => {
                sleep(time).await;
                return Err("scripted");
            }
            Doing::Hang => pending().await,
        }
        run.is_ok = true;
        Ok(())
    };
    let body = EventBody::of_payment(event, "charge.refunded", "pi_1").to_string();
    let receiving = webhooks.receive(Some(&sign(&secret(), now(), &body)), &body, handler);
    let what = match timeout(patience, receiving).await {
        Ok(delivered) => What::Told(delivered.map_or_else(|error| error.code(), Delivery::as_str), begin.elapsed()),
        Err(_elapsed) => What::Left,
    };
    log.lock().unwrap().push((event, what));
}

/// Delivers an event again and again, as a provider does that was not told that it was handled; and now and then all the
/// same. Some deliveries meet a process that has only just started.
async fn redeliver(processes: Arc<Processes<StripeWebhooks>>, log: Log, event: &'static str, seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    for _ in 0..6 {
        let at = rng.random_range(0..processes.count());
        let process = if rng.random_bool(0.2) { processes.fresh(at) } else { processes.get(at) };
        let time = *[ms(0), ms(900), secs(5), secs(29)].choose(&mut rng).unwrap();
        let doing = match rng.random_range(0..10) {
            0..6 => Doing::Succeed(time),
            6..9 => Doing::Fail(time),
            _ => Doing::Hang,
        };
        let patience = *[ms(500), secs(10), secs(300)].choose(&mut rng).unwrap();
        deliver(&process, &log, event, doing, patience).await;
        sleep(*[ms(0), ms(200), secs(3), secs(50)].choose(&mut rng).unwrap()).await;
    }
}

/// What must not have happened.
fn breach(lines: &[(&'static str, What)], event: &'static str) -> Option<String> {
    let (mut running, mut succeeded, mut acknowledged) = (None, false, false);
    for (_, what) in lines.iter().filter(|(of, _)| *of == event) {
        match what {
            What::Begun(run) if running.is_some() => return Some(format!("run {run} began beside {running:?}")),
            What::Begun(run) if acknowledged => return Some(format!("run {run} began after it was acknowledged")),
            What::Begun(run) => running = Some(*run),
            What::Ended(is_ok) => {
                running = None;
                succeeded |= is_ok;
            }
            What::Told(_, took) if *took > LONGEST => return Some(format!("{what:?}: it took too long")),
            What::Told("handled" | "duplicate", _) if !succeeded => return Some(format!("{what:?} before a success")),
            What::Told("handled" | "duplicate", _) => acknowledged = true,
            What::Told("record_unreadable" | "interrupted" | "no_runtime" | "handler_panicked", _) => {
                return Some(format!("the provider should not be told {what:?}"));
            }
            What::Told(..) | What::Left => {}
        }
    }
    if acknowledged { None } else { Some("it was never acknowledged".to_owned()) }
}

async fn run(seed: u64, trouble: Trouble) -> Result<BTreeSet<&'static str>, String> {
    let mut rng = StdRng::seed_from_u64(seed);
    let (ways, log) = (Ways::new(seed, 3), Log::default());
    let start = |way: &ChaosStore| {
        let way = way.clone();
        Box::new(move || process(&way)) as Box<dyn Fn() -> StripeWebhooks + Send + Sync>
    };
    let processes = Arc::new(Processes::start(ways.iter().map(start).collect()));
    ways.trouble(trouble);
    let mut tasks = JoinSet::new();
    for event in EVENTS {
        for _ in 0..3 {
            tasks.spawn(redeliver(Arc::clone(&processes), Arc::clone(&log), event, rng.random()));
        }
    }
    sleep(secs(rng.random_range(0..100))).await;
    // One process ends: what it was about to say is never heard.
    if rng.random_bool(0.5) {
        ways.of(2).crash();
    }
    tasks.join_all().await;
    ways.calm(Trouble::NONE, LEASE_IS_OVER).await;
    for process in 0..2 {
        for event in EVENTS {
            deliver(&processes.get(process), &log, event, Doing::Succeed(ms(1)), secs(300)).await;
        }
    }
    let lines = log.lock().unwrap();
    for event in EVENTS {
        if let Some(breach) = breach(&lines, event) {
            let trace: Vec<_> = lines.iter().filter(|(of, _)| *of == event).map(|(_, what)| what).collect();
            return Err(format!("{trace:#?}\n{trouble:?}: {breach}"));
        }
    }
    let told = |(_, what): &(_, What)| if let What::Told(answer, _) = what { Some(*answer) } else { None };
    Ok(lines.iter().filter_map(told).collect())
}

/// Returns what the provider was told.
fn simulate_all(trouble: Trouble) -> BTreeSet<&'static str> {
    simulation::simulate(100, |seed| run(seed, trouble)).into_iter().flatten().collect()
}

#[test]
fn deliveries_hold_while_nothing_goes_wrong() {
    simulate_all(Trouble::NONE);
    simulate_all(Trouble::SLOW);
}

#[test]
fn deliveries_hold_while_everything_goes_wrong() {
    let mut told = BTreeSet::new();
    for faults in [0.1, 0.3, 0.6] {
        told.extend(simulate_all(Trouble { faults, ghosts: true, ..Trouble::SLOW }));
    }
    for answer in [
        "handled",
        "duplicate",
        "in_progress",
        "store_unavailable",
        "not_forgotten",
        "not_recorded",
        "handler_failed",
        "handler_timed_out",
    ] {
        assert!(told.contains(answer), "the provider was not told {answer}: {told:?}");
    }
}

#[test]
fn deliveries_hold_while_one_verb_goes_wrong() {
    for verb in [Verb::Get, Verb::Claim, Verb::Replace, Verb::Remove] {
        simulate_all(Trouble { faults: 0.8, ghosts: true, sore: Some(verb), ..Trouble::SLOW });
    }
}

#[test]
fn what_must_not_happen_would_be_seen() {
    let told = |answer| What::Told(answer, secs(1));
    for (what, seen) in [
        (vec![What::Begun(0), What::Begun(1)], "beside"),
        (vec![What::Begun(0), What::Ended(true), told("handled"), What::Begun(3)], "after it was acknowledged"),
        (vec![What::Begun(0), What::Ended(false), told("handled")], "before a success"),
        (vec![What::Begun(0), What::Ended(true), told("not_recorded")], "never acknowledged"),
        (vec![What::Told("in_progress", secs(91))], "too long"),
    ] {
        let lines: Vec<_> = what.into_iter().map(|what| ("evt_1", what)).collect();
        let breach = breach(&lines, "evt_1").unwrap_or_default();
        assert!(breach.contains(seen), "{breach} about {lines:?}");
    }
}
