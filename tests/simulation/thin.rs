//! Thin events beside their snapshot twins, delivered to several processes over a store and a provider that go wrong, while
//! others validate.
//!
//! A payment is changed again and again, and each change is told in a thin event, now and then in a snapshot as well, which come
//! until they are acknowledged. From then on no process may answer from before the change, and of the two one handler ran.
#![cfg(all(feature = "test-util", feature = "webhook"))]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "numbers are small, and what is not as it should be fails the test"
)]

use std::collections::BTreeSet;
use std::future::pending;
use std::sync::{Arc, Mutex};

use payproof::provider::{Call, Provider, ProviderError, ProviderIdentity, RelatedAnswer, RelatedObject};
use payproof::testing::webhook::{EventBody, now, sign};
use payproof::webhook::{Delivery, StripeWebhooks};
use payproof::{
    Currency, Finding, Mode, Money, PaymentId, PaymentIntent, PaymentStatus, ProviderPayment, Retry, Units, Validation,
    Validator, Verdict,
};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::chaos_store::{ChaosStore, Trouble};
use crate::simulation::{self, Processes, Ways, fork};
use crate::support::{NO_PATTERNS, ms, secs};

/// Others wait so long for a process that ended, and a second.
const LEASE_IS_OVER: std::time::Duration = secs(56);

/// How often the payment changes in one run.
const CHANGES: u64 = 4;

/// The provider's truth, and how well it answers.
struct Truth {
    rng: StdRng,
    faults: f64,
    change: u64,
}

#[derive(Clone)]
struct Shop(Arc<Mutex<Truth>>, ProviderIdentity);

impl std::fmt::Debug for Shop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shop").finish_non_exhaustive()
    }
}

impl Shop {
    fn new(seed: u64, faults: f64) -> Self {
        let truth = Truth { rng: StdRng::seed_from_u64(seed), faults, change: 0 };
        Self(Arc::new(Mutex::new(truth)), ProviderIdentity::new("scripted").only_account())
    }

    fn change(&self) -> u64 {
        let mut truth = self.0.lock().unwrap();
        truth.change += 1;
        truth.change
    }

    /// Which change it has come to, after a while, or what goes wrong.
    async fn answer(&self) -> Result<u64, ProviderError> {
        let (before, after, fault) = {
            let Truth { rng, faults, .. } = &mut *self.0.lock().unwrap();
            let fault = rng.random_bool(*faults).then(|| rng.random_range(0..4));
            (ms(rng.random_range(0..=800)), ms(rng.random_range(0..=800)), fault)
        };
        sleep(before).await;
        let change = self.0.lock().unwrap().change;
        sleep(after).await;
        match fault {
            Some(0) => Err(ProviderError::refused("busy").with_status(503)),
            Some(1) => Err(ProviderError::refused("no right").with_status(403)),
            Some(2) => Err(ProviderError::not_sent("no connection")),
            Some(_) => pending().await,
            None => Ok(change),
        }
    }
}

impl Provider for Shop {
    fn identity(&self) -> &ProviderIdentity {
        &self.1
    }

    /// The number of the change stands in the amount, so that the verdict lasts and tells it.
    async fn look_up(&self, payment: &PaymentId, _call: &Call) -> Result<ProviderPayment, ProviderError> {
        let minor = self.answer().await? + 1;
        Ok(ProviderPayment::new(payment.as_str(), PaymentStatus::Paid)
            .with_mode(Mode::Live)
            .with_amount(minor, Currency::USD)
            .with_amount_received(minor)
            .with_amount_refunded(0)
            .with_metadata("store_id", "store_42"))
    }

    async fn related(&self, object: &RelatedObject, _call: &Call) -> Result<RelatedAnswer, ProviderError> {
        self.answer().await?;
        let fields = json!({ "id": object.id(), "object": object.kind() });
        Ok(RelatedAnswer::Found { payment: PaymentId::parse("pi_1").ok(), object: fields })
    }
}

fn claims() -> PaymentIntent {
    PaymentIntent::new("store_42", "pi_1", Money::parse("999999.99", Currency::USD).unwrap()).unwrap()
}

/// The change that a verdict was made of.
fn seen(validation: &Validation) -> u64 {
    let Verdict::Invalid(findings) = validation.verdict() else { panic!("no claim fits: {validation:?}") };
    let amount = findings.iter().find_map(|finding| match finding {
        Finding::Amount(mismatch) => mismatch.actual.minor_units(&Units::iso_4217()).ok(),
        _ => None,
    });
    amount.unwrap_or_else(|| panic!("no amount in {findings}")) - 1
}

#[derive(Clone, Debug)]
enum What {
    Begun,
    Ended,
    /// A delivery of one of the two events was answered.
    Told(&'static str),
    /// A validation that began then saw this change.
    Seen {
        from: Instant,
        change: u64,
    },
}

/// What happened and when, by the change that it is about.
type Log = Arc<Mutex<Vec<(u64, Instant, What)>>>;

fn write(log: &Log, change: u64, what: What) {
    log.lock().unwrap().push((change, Instant::now(), what));
}

struct Run {
    log: Log,
    change: u64,
}

impl Drop for Run {
    fn drop(&mut self) {
        write(&self.log, self.change, What::Ended);
    }
}

#[derive(Clone)]
struct Process {
    validator: Validator,
    webhooks: StripeWebhooks,
}

/// Put together here, so that no credential-shaped literal stands in the source.
fn secret() -> String {
    format!("{}_{}", "whsec", "of_the_orders_endpoint")
}

fn process(shop: &Shop, store: &ChaosStore) -> Process {
    let builder = Validator::builder(shop.clone()).transient_patterns(NO_PATTERNS).retry(Retry::none());
    // What is in memory may be that old in other processes, as is documented; here it would hide what stands in the store.
    let builder = builder.attempt_timeout(secs(5)).facts_in_memory_for(secs(0));
    let validator = builder.store(store.clone()).build().unwrap();
    let webhooks = StripeWebhooks::builder(&validator, "orders", secret()).build().unwrap();
    Process { validator, webhooks }
}

async fn validate(process: &Process, log: &Log) {
    let from = Instant::now();
    if let Ok(Ok(validation)) = timeout(secs(20), process.validator.validate(claims())).await {
        let change = seen(&validation);
        write(log, change, What::Seen { from, change });
    }
}

/// The two events about a change.
fn events(change: u64) -> (EventBody, EventBody) {
    let object = json!({ "object": "charge", "id": "ch_1", "payment_intent": "pi_1" });
    let snapshot = EventBody::new(&format!("evt_{change}"), "charge.refunded", object);
    let thin = snapshot.thin(&format!("evt_thin_{change}"));
    (snapshot, thin)
}

/// Delivers once, for as long as the provider waits. Whether it was acknowledged.
async fn deliver(
    process: &Process,
    log: &Log,
    change: u64,
    event: &EventBody,
    handler_takes: std::time::Duration,
) -> bool {
    let (asking, runs) = (process.clone(), Arc::clone(log));
    let handler = move |_| async move {
        write(&runs, change, What::Begun);
        let run = Run { log: runs, change };
        validate(&asking, &run.log).await;
        sleep(handler_takes).await;
        Ok::<(), ProviderError>(())
    };
    let body = event.to_string();
    let receiving = process.webhooks.receive(Some(&sign(&secret(), now(), &body)), &body, handler);
    let Ok(delivered) = timeout(secs(90), receiving).await else { return false };
    let word = delivered.map_or_else(|error| error.code(), Delivery::as_str);
    write(log, change, What::Told(word));
    matches!(word, "handled" | "duplicate")
}

async fn redeliver(processes: Arc<Processes<Process>>, log: Log, change: u64, event: EventBody, seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    for _ in 0..8 {
        let at = rng.random_range(0..processes.count());
        let process = if rng.random_bool(0.2) { processes.fresh(at) } else { processes.get(at) };
        let takes = *[ms(0), ms(900), secs(5)].choose(&mut rng).unwrap();
        let is_acknowledged = deliver(&process, &log, change, &event, takes).await;
        if is_acknowledged && rng.random_bool(0.7) {
            return;
        }
        sleep(*[ms(0), ms(200), secs(3), secs(50)].choose(&mut rng).unwrap()).await;
    }
}

/// What must not have happened.
fn breach(lines: &[(u64, Instant, What)]) -> Option<String> {
    let told = |of: u64| {
        move |(change, at, what): &(u64, Instant, What)| {
            (*change == of && matches!(what, What::Told("handled" | "duplicate"))).then_some(*at)
        }
    };
    for change in 1..=CHANGES {
        let Some(acknowledged) = lines.iter().find_map(told(change)) else {
            return Some(format!("change {change} was never acknowledged"));
        };
        let (mut running, mut has_run) = (false, false);
        for (of, at, what) in lines {
            match what {
                What::Seen { from, change: seen } if *from >= acknowledged && *seen < change => {
                    return Some(format!("{seen} was seen after {change} was acknowledged"));
                }
                What::Begun if *of == change && running => return Some(format!("two handlers at a time for {change}")),
                What::Begun if *of == change && *at > acknowledged => {
                    return Some(format!("a handler began after {change} was acknowledged"));
                }
                What::Begun if *of == change => (running, has_run) = (true, true),
                What::Ended if *of == change => running = false,
                What::Told("record_unreadable" | "interrupted" | "handler_panicked") => {
                    return Some(format!("the provider should not be told {what:?}"));
                }
                _ => {}
            }
        }
        if !has_run {
            return Some(format!("no handler ran for {change}"));
        }
    }
    None
}

fn judged(log: &Log) -> Result<BTreeSet<&'static str>, String> {
    let lines = log.lock().unwrap();
    match breach(&lines) {
        Some(breach) => Err(format!("{lines:#?}\n{breach}")),
        None => Ok(lines
            .iter()
            .filter_map(|(.., what)| if let What::Told(word) = what { Some(*word) } else { None })
            .collect()),
    }
}

fn start(shop: &Shop, ways: &Ways) -> Arc<Processes<Process>> {
    let start = |way: &ChaosStore| {
        let (shop, way) = (shop.clone(), way.clone());
        Box::new(move || process(&shop, &way)) as Box<dyn Fn() -> Process + Send + Sync>
    };
    Arc::new(Processes::start(ways.iter().map(start).collect()))
}

async fn run(seed: u64, trouble: Trouble, faults: f64) -> Result<BTreeSet<&'static str>, String> {
    let mut rng = StdRng::seed_from_u64(seed);
    let (ways, log, shop) = (Ways::new(seed, 3), Log::default(), Shop::new(seed, faults));
    let processes = start(&shop, &ways);
    ways.trouble(trouble);
    let mut tasks = JoinSet::new();
    for process in 0..processes.count() {
        let (processes, log, mut rng) = (Arc::clone(&processes), Arc::clone(&log), fork(&mut rng));
        tasks.spawn(async move {
            for _ in 0..40 {
                validate(&processes.get(process), &log).await;
                sleep(*[ms(0), ms(300), secs(4)].choose(&mut rng).unwrap()).await;
            }
        });
    }
    for _ in 0..CHANGES {
        sleep(ms(rng.random_range(0..20_000))).await;
        let change = shop.change();
        let (snapshot, thin) = events(change);
        let told_twice = rng.random_bool(0.5);
        for event in [Some(thin), told_twice.then_some(snapshot)].into_iter().flatten() {
            tasks.spawn(redeliver(Arc::clone(&processes), Arc::clone(&log), change, event, rng.random()));
        }
        if rng.random_bool(0.2) {
            ways.of(2).crash();
        }
    }
    tasks.join_all().await;
    ways.calm(Trouble::NONE, LEASE_IS_OVER).await;
    shop.0.lock().unwrap().faults = 0.0;
    for process in 0..2 {
        for change in 1..=CHANGES {
            let (_, thin) = events(change);
            deliver(&processes.get(process), &log, change, &thin, ms(1)).await;
        }
        validate(&processes.get(process), &log).await;
    }
    judged(&log)
}

/// One process ends over its call to the store after this many, in the delivery of a thin event; another one hears of it again.
/// Whether it ended in there.
async fn ends_after(calls: u64, seed: u64) -> Result<bool, String> {
    let (ways, log, shop) = (Ways::new(seed, 2), Log::default(), Shop::new(seed, 0.0));
    let processes = start(&shop, &ways);
    let [ending, other] = [0, 1].map(|process| processes.get(process));
    let mut ended = false;
    for change in 1..=CHANGES {
        for process in [&ending, &other] {
            validate(process, &log).await;
        }
        assert_eq!(shop.change(), change);
        let (_, thin) = events(change);
        if change == CHANGES {
            ways.of(0).crash_after(calls);
        }
        deliver(&ending, &log, change, &thin, ms(1)).await;
        ended = ways.of(0).has_crashed();
        validate(&other, &log).await;
        while !deliver(&other, &log, change, &thin, ms(1)).await {
            sleep(secs(20)).await;
        }
        validate(&other, &log).await;
        deliver(&other, &log, change, &thin, ms(1)).await;
        validate(&other, &log).await;
    }
    judged(&log).map(|_| ended)
}

fn simulate_all(trouble: Trouble, faults: f64) -> BTreeSet<&'static str> {
    simulation::simulate(60, |seed| run(seed, trouble, faults)).into_iter().flatten().collect()
}

#[test]
fn thin_events_hold_while_nothing_goes_wrong() {
    simulate_all(Trouble::NONE, 0.0);
    simulate_all(Trouble::SLOW, 0.2);
}

#[test]
fn thin_events_hold_while_everything_goes_wrong() {
    let mut told = BTreeSet::new();
    for faults in [0.1, 0.3] {
        told.extend(simulate_all(Trouble { faults, ghosts: true, ..Trouble::SLOW }, 0.3));
    }
    for answer in ["handled", "duplicate", "in_progress", "not_looked_up", "object_unreadable", "not_forgotten"] {
        assert!(told.contains(answer), "the provider was not told {answer}: {told:?}");
    }
}

#[test]
fn a_process_may_end_at_every_step_of_a_thin_event() {
    let mut ends = Vec::new();
    for calls in 0..12 {
        ends.push(simulation::simulate(4, |seed| ends_after(calls, seed)).into_iter().all(|ended| ended));
    }
    let steps = ends.iter().take_while(|ended| **ended).count();
    assert!(steps >= 4, "a delivery claims, forgets and settles: {ends:?}");
    assert!(ends.iter().any(|ended| !ended), "some number of calls is more than a delivery makes: {ends:?}");
}

#[test]
fn what_must_not_happen_to_thin_events_would_be_seen() {
    let then = Instant::now();
    let later = then + secs(9);
    let whole =
        |change| vec![(change, then, What::Begun), (change, then, What::Ended), (change, then, What::Told("handled"))];
    let good: Vec<_> = (1..=CHANGES).flat_map(whole).collect();
    assert_eq!(breach(&good), None);
    for (line, seen) in [
        ((1, later, What::Seen { from: later, change: CHANGES - 1 }), "was seen after"),
        ((2, later, What::Begun), "began after"),
        ((2, later, What::Told("interrupted")), "should not be told"),
    ] {
        let lines: Vec<_> = good.iter().cloned().chain([line]).collect();
        assert!(breach(&lines).unwrap_or_default().contains(seen), "{seen}");
    }
    assert!(breach(&good[3..]).unwrap_or_default().contains("never acknowledged"));
}
