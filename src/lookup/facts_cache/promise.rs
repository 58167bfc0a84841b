//! The promise of a line, in seeded interleavings of processes over one store: once `forget` is answered, no process with a
//! living line serves the older facts more than a second later, and none at all more than five.
//!
//! The memory is the real one. The store, the lines' queues and the flights are played here, one step at a time and in any
//! order. A run without one of the rules has to break the promise, or nothing is proven by those with all of them.
#![allow(clippy::arithmetic_side_effects, reason = "numbers and times are small")]

use std::cell::Cell;
use std::collections::VecDeque;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::{Instant, advance};

use super::{FactsCache, Keep, ReadTicket};
use crate::intent::currency::Currency;
use crate::intent::fingerprint::Fingerprint;
use crate::intent::money::Money;
use crate::intent::payment_intent::{PaymentId, PaymentIntent};
use crate::moment::Moment;
use crate::payment::facts::{PaymentStatus, ProviderPayment};
use crate::payment::shelf_life::ShelfLife;
use crate::store::line::{ALIVE_FOR, Listener as _};

const PAYMENTS: usize = 6;
const PROCESSES: usize = 3;
const STEPS: usize = 2_500;
const MEMORY_FOR: Duration = Duration::from_secs(5);
const FRESH_FOR: Duration = Duration::from_secs(900);

/// What keeps the promise, and can be left out here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protection {
    /// What was announced since a read began keeps it out of memory.
    Ring,
    /// A shard that has another session's number is emptied.
    ShardsNumber,
    /// Beside a line nothing is kept uncovered.
    NothingUncovered,
}

thread_local! {
    static WITHOUT: Cell<Option<Protection>> = const { Cell::new(None) };
}

pub(super) fn is_without(rule: Protection) -> bool {
    WITHOUT.get() == Some(rule)
}

/// What a line carries, in the order in which the server sent it.
enum Sent {
    Changed(usize),
    /// The answer to a beat that was sent then.
    Beat(Instant),
}

/// A connection over which the server announces.
struct Connection {
    queue: VecDeque<Sent>,
    /// A beat that the server has not seen yet.
    asked: Option<Instant>,
    session: Option<u64>,
    alive_until: Option<Instant>,
}

struct Process {
    cache: FactsCache,
    line: Option<Connection>,
    /// A session whose line is cut, and whose end was not noticed.
    unnoticed: Option<u64>,
}

impl Process {
    fn has_living_line(&self, now: Instant) -> bool {
        self.line.as_ref().is_some_and(|line| line.alive_until.is_some_and(|until| now < until))
    }
}

/// What a payment's record is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Record {
    Nothing,
    Claimed(u64),
    Settled(u64),
}

enum Stage {
    Begun,
    Asked(Option<ReadTicket>, Instant),
    Read(Option<ReadTicket>, Instant, u64),
    Leads(u64),
    Answered(u64, u64),
    Settled(u64),
    /// The store fails, so that the provider is asked without it.
    Alone(Instant),
    AnsweredAlone(Instant, u64),
}

struct Flight {
    process: usize,
    payment: usize,
    stage: Stage,
    is_current: bool,
}

struct Forgotten {
    process: usize,
    payment: usize,
    version: u64,
    answered: Instant,
}

struct World {
    rng: StdRng,
    processes: Vec<Process>,
    records: [Record; PAYMENTS],
    /// What the provider would say: how often it has changed.
    truth: [u64; PAYMENTS],
    claims: u64,
    flights: Vec<Flight>,
    forgotten: Vec<Forgotten>,
    /// What was claimed by payment and version.
    claims_of: Vec<Vec<Fingerprint>>,
    served: usize,
    /// How often that was so late that only a line allows it.
    covered: usize,
}

fn id(payment: usize) -> PaymentId {
    PaymentId::parse(format!("pi_{payment}")).unwrap()
}

fn key(payment: usize) -> String {
    format!("payproof:facts:{{{payment}}}")
}

fn claims(payment: usize, version: u64) -> Fingerprint {
    let money = Money::parse(&format!("{}.00", version + 1), Currency::USD).unwrap();
    *PaymentIntent::new("shop", format!("pi_{payment}"), money).unwrap().fingerprint()
}

fn facts(payment: usize, version: u64) -> ProviderPayment {
    ProviderPayment { as_of: Some(version), ..ProviderPayment::new(format!("pi_{payment}"), PaymentStatus::Paid) }
}

fn life(fresh_for: Duration) -> ShelfLife {
    ShelfLife { fresh_for, lasting: false }
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        // Some have room for fewer payments than there are.
        let capacity = if rng.random_bool(0.5) { 2 } else { 100 };
        let process = || Process { cache: FactsCache::new(capacity), line: None, unnoticed: None };
        Self {
            rng,
            processes: (0..PROCESSES).map(|_| process()).collect(),
            records: [Record::Nothing; PAYMENTS],
            truth: [0; PAYMENTS],
            claims: 0,
            flights: Vec::new(),
            forgotten: Vec::new(),
            claims_of: (0..PAYMENTS).map(|payment| vec![claims(payment, 0)]).collect(),
            served: 0,
            covered: 0,
        }
    }

    fn write(&mut self, payment: usize, record: Record) {
        self.records[payment] = record;
        for line in self.processes.iter_mut().filter_map(|process| process.line.as_mut()) {
            line.queue.push_back(Sent::Changed(payment));
        }
    }

    fn forget(&mut self, process: usize, payment: usize) {
        self.truth[payment] += 1;
        self.claims_of[payment].push(claims(payment, self.truth[payment]));
        self.write(payment, Record::Nothing);
        for flight in &mut self.flights {
            flight.is_current &= flight.process != process || flight.payment != payment;
        }
        self.processes[process].cache.forget(&id(payment), None);
        let version = self.truth[payment];
        self.forgotten.push(Forgotten { process, payment, version, answered: Instant::now() });
    }

    /// A flight's next step.
    fn fly(&mut self) {
        if self.flights.is_empty() {
            return;
        }
        let at = self.rng.random_range(0..self.flights.len());
        let Flight { process, payment, stage, is_current } = self.flights.swap_remove(at);
        let now = Instant::now();
        let stage = match stage {
            Stage::Begun if self.rng.random_bool(0.1) => Stage::Alone(now),
            Stage::Alone(asked_at) => Stage::AnsweredAlone(asked_at, self.truth[payment]),
            Stage::AnsweredAlone(asked_at, version) => {
                let left = |time: Duration| {
                    let left = time.saturating_sub(now.duration_since(asked_at));
                    (!left.is_zero()).then_some(life(left))
                };
                let (uncovered, beside_line) = (left(MEMORY_FOR), left(ALIVE_FOR));
                let keep = Keep { uncovered, beside_line, ..Keep::default() };
                return self.keep((process, payment), is_current, now, version, keep);
            }
            Stage::Begun => Stage::Asked(self.processes[process].cache.ticket(&key(payment)), now),
            Stage::Asked(ticket, asked_at) => match self.records[payment] {
                Record::Settled(version) => Stage::Read(ticket, asked_at, version),
                Record::Nothing => {
                    self.claims += 1;
                    self.write(payment, Record::Claimed(self.claims));
                    Stage::Leads(self.claims)
                }
                // Looks again later.
                Record::Claimed(_) => Stage::Begun,
            },
            Stage::Leads(claim) => Stage::Answered(claim, self.truth[payment]),
            Stage::Answered(claim, version) if self.records[payment] == Record::Claimed(claim) => {
                self.write(payment, Record::Settled(version));
                Stage::Settled(version)
            }
            Stage::Answered(..) => return,
            Stage::Read(ticket, asked_at, version) => {
                let uncovered = Some(life(MEMORY_FOR));
                let covered = ticket.map(|ticket| (life(FRESH_FOR), ticket));
                let keep = Keep { uncovered, covered, beside_line: None };
                return self.keep((process, payment), is_current, asked_at, version, keep);
            }
            Stage::Settled(version) => {
                let keep = Keep::from(Some(life(MEMORY_FOR)));
                return self.keep((process, payment), is_current, now, version, keep);
            }
        };
        self.flights.push(Flight { process, payment, stage, is_current });
    }

    fn keep(&mut self, (process, payment): (usize, usize), is_current: bool, at: Instant, version: u64, keep: Keep) {
        let cache = &self.processes[process].cache;
        let stamp = cache.stamp(Moment::at(at));
        if is_current && cache.keep(&id(payment), &facts(payment, version), stamp, keep) {
            cache.prove(&id(payment), self.claims_of[payment][usize::try_from(version).unwrap()], stamp);
        }
    }

    /// What a line does next: it opens, beats, carries, or is cut.
    fn line(&mut self, process: usize) {
        let (now, dice) = (Instant::now(), self.rng.random_range(0..1_000));
        let Process { cache, line, unnoticed } = &mut self.processes[process];
        let Some(open) = line else {
            // What tells of its end late is its task, which begins the next session.
            if dice < 400 {
                if let Some(session) = unnoticed.take() {
                    cache.ended(session);
                }
                let queue = VecDeque::from([Sent::Beat(now)]);
                *line = Some(Connection { queue, asked: None, session: None, alive_until: None });
            }
            return;
        };
        match dice {
            0..2 => {
                let session = open.session;
                *line = None;
                match session {
                    Some(session) if dice == 0 => cache.ended(session),
                    session => *unnoticed = session,
                }
            }
            2..250 if open.asked.is_none() => open.asked = Some(now),
            250..450 => open.queue.extend(open.asked.take().map(Sent::Beat)),
            _ => match open.queue.pop_front() {
                Some(Sent::Changed(payment)) => cache.changed(key(payment).as_bytes()),
                Some(Sent::Beat(sent)) => {
                    let until = sent + ALIVE_FOR;
                    if now >= until {
                        let session = open.session;
                        *line = None;
                        if let Some(session) = session {
                            cache.ended(session);
                        }
                        return;
                    }
                    let session = *open.session.get_or_insert_with(|| cache.opened());
                    open.alive_until = Some(until);
                    // Given up meanwhile, it is another one: the connection goes on.
                    if !cache.alive(session, until) {
                        let session = cache.opened();
                        open.session = Some(session);
                        cache.alive(session, until);
                    }
                }
                None => {}
            },
        }
    }

    /// A call: what memory serves it, and whether it may. Without that it has a flight begin.
    fn ask(&mut self, process: usize, payment: usize) -> Result<(), String> {
        let (now, asked) = (Instant::now(), &self.processes[process]);
        let kept = asked.cache.get(&id(payment), now).filter(|kept| kept.fresh);
        let age = kept.as_ref().map_or(Duration::ZERO, |kept| kept.age);
        let judged = kept.map(|kept| kept.facts::<&str>().unwrap().as_of.unwrap());
        let claims = |version: u64| &self.claims_of[payment][usize::try_from(version).unwrap()];
        let is_proven =
            |version: &u64| asked.cache.proven(&id(payment), claims(*version), now, Duration::MAX).is_some();
        let oldest = (0..=self.truth[payment]).find(is_proven).into_iter().chain(judged).min();
        let Some(version) = oldest else {
            let is_same = |flight: &Flight| flight.is_current && (flight.process, flight.payment) == (process, payment);
            if !self.flights.iter().any(is_same) {
                self.flights.push(Flight { process, payment, stage: Stage::Begun, is_current: true });
            }
            return Ok(());
        };
        self.served += 1;
        self.covered += usize::from(age > MEMORY_FOR);
        let bound = if asked.has_living_line(now) { ALIVE_FOR } else { MEMORY_FOR };
        for forgotten in self.forgotten.iter().filter(|forgotten| forgotten.payment == payment) {
            let bound = if forgotten.process == process { Duration::ZERO } else { bound };
            let since = now.duration_since(forgotten.answered);
            if version < forgotten.version && since > bound {
                return Err(format!("process {process} serves version {version} {since:?} after it was forgotten"));
            }
        }
        Ok(())
    }

    /// More than a second in which no call is made, and the lines go on: what is stale then stays so.
    async fn quiet(&mut self) {
        for _ in 0..70 {
            advance(Duration::from_millis(20)).await;
            (0..PROCESSES).for_each(|process| (0..4).for_each(|_| self.line(process)));
        }
    }

    async fn run(mut self) -> Result<(usize, usize), String> {
        for _ in 0..STEPS {
            advance(Duration::from_millis(self.rng.random_range(0..6))).await;
            let (process, payment) = (self.rng.random_range(0..PROCESSES), self.rng.random_range(0..PAYMENTS));
            match self.rng.random_range(0..1_000) {
                0..8 => self.forget(process, payment),
                8..350 => self.fly(),
                350..650 => self.line(process),
                650..993 => self.ask(process, payment)?,
                _ => self.quiet().await,
            }
        }
        Ok((self.served, self.covered))
    }
}

/// How many answers memory gave in so many runs, and how many of them late, or what the first breach is.
fn runs(seeds: u64, without: Option<Protection>) -> Result<(usize, usize), String> {
    WITHOUT.set(without);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let all = (0..seeds).try_fold((0, 0), |(served, covered), seed| {
        let run = runtime.block_on(World::new(seed).run());
        run.map(|more| (served + more.0, covered + more.1)).map_err(|breach| format!("seed {seed}: {breach}"))
    });
    WITHOUT.set(None);
    all
}

#[test]
fn what_is_forgotten_is_served_for_a_second_at_most_beside_a_line() {
    let (served, covered) = runs(60, None).unwrap();
    println!("{served} answers from memory, {covered} of them late");
    assert!(served > 2_000 && covered > 200, "memory answers, or nothing is proven: {served}, {covered} late");
}

#[test]
fn without_any_one_of_the_rules_the_promise_is_broken() {
    for rule in [Protection::Ring, Protection::ShardsNumber, Protection::NothingUncovered] {
        let broken = runs(60, Some(rule));
        assert!(broken.is_err(), "{rule:?} is not needed: {broken:?}");
    }
}
