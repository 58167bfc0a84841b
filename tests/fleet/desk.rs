//! The books of the provider in the parent: what reached it, what it did, and what it says next.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::Instant;

use crate::language::{Reply, is_keyed};

/// Every so many operations one is declined for good.
const DECLINED_EVERY: u32 = 19;

/// The first of the numbers that stand for a failure after the fact.
const FAILS: u32 = 340;

/// One operation, as the provider knows it.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// Requests to execute it that were let in, as key and worker.
    pub(crate) sends: Vec<(String, u32)>,
    /// What was really done.
    pub(crate) effects: Vec<String>,
    /// Requests let in that are not over.
    pub(crate) executing: u32,
    pub(crate) is_declined: bool,
    /// How often a worker was told that it was not executed, and never will be.
    pub(crate) denials: u32,
    /// For the contributor who has to find out why a run failed.
    pub(crate) log: Vec<String>,
}

/// One look-up.
#[derive(Debug)]
pub(crate) struct LookUp {
    pub(crate) worker: u32,
    pub(crate) asked: Instant,
    pub(crate) answered: Option<Instant>,
}

/// What the provider does with a request to execute something.
#[derive(Debug)]
pub(crate) enum Course {
    Say(Reply),
    /// Breaks the connection.
    Close,
    Execute {
        takes: Duration,
        then: Then,
    },
}

/// How the provider is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Whatever goes wrong goes wrong now and then.
    Stormy,
    /// It answers everything at once.
    Calm,
    /// It executes everything, and then fails.
    Failing,
    /// It lets nothing in.
    TurningAway,
}

/// What follows an execution.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Then {
    Answer,
    Close,
    Fail,
    Hang,
}

#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) accounts: BTreeMap<u32, Account>,
    pub(crate) look_ups: HashMap<String, Vec<LookUp>>,
    /// The next look-up of these payments is not answered while its connection stands.
    pub(crate) held: HashSet<String>,
    /// Keys under which nothing is executed any more, since a worker was told so.
    closed: HashSet<String>,
    pub(crate) turned_away: u64,
    /// Requests under a key that had been sent before.
    pub(crate) repeats: u64,
    /// Of these, by another worker than before.
    pub(crate) taken_over: u64,
    effects: u64,
    /// Runs that had an effect.
    pub(crate) executed_by: HashSet<u64>,
    pub(crate) mood: Mood,
    pub(crate) look_up_takes: Duration,
    rng: StdRng,
    begin: Instant,
}

impl Desk {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            accounts: BTreeMap::new(),
            look_ups: HashMap::new(),
            held: HashSet::new(),
            closed: HashSet::new(),
            turned_away: 0,
            repeats: 0,
            taken_over: 0,
            effects: 0,
            executed_by: HashSet::new(),
            mood: Mood::Stormy,
            look_up_takes: Duration::from_millis(100),
            rng: StdRng::seed_from_u64(seed),
            begin: Instant::now(),
        }
    }

    /// Takes a request in, or turns it away, and says how it goes on.
    pub(crate) fn receive(&mut self, operation: u32, key: &str, worker: u32) -> Course {
        let number = match self.mood {
            Mood::Stormy => self.rng.random_range(0..1000),
            Mood::Calm => 1000,
            Mood::Failing => FAILS,
            Mood::TurningAway => 0,
        };
        let millis = self.rng.random_range(50..400);
        let at = self.begin.elapsed().as_millis();
        let account = self.accounts.entry(operation).or_default();
        let mut note = |what: &str| account.log.push(format!("{at} ms: worker {worker}, key {}: {what}", &key[..6]));
        if self.closed.contains(key) {
            note("too late");
            return Course::Close;
        }
        if number < 30 {
            note("turned away");
            self.turned_away += 1;
            return say(429, "lock_timeout");
        }
        if account.sends.iter().any(|(sent, _)| sent == key) {
            self.repeats += 1;
            self.taken_over += u64::from(account.sends.iter().all(|(_, sender)| *sender != worker));
        }
        account.sends.push((key.into(), worker));
        let is_declined = operation % DECLINED_EVERY == 3;
        match number {
            30..60 => {
                note("broken off before it was executed");
                return Course::Close;
            }
            60..95 => {
                note("failed before it was executed");
                return say(503, "unavailable");
            }
            _ if is_declined => {
                note("declined");
                account.is_declined = true;
                return say(402, "card_declined");
            }
            _ => {}
        }
        if is_keyed(operation) {
            if account.executing > 0 {
                note("under way already");
                return say(409, "idempotency_key_in_use");
            }
            if let Some(value) = account.effects.first() {
                note("repeated");
                return if number < 120 { Course::Close } else { say(200, value) };
            }
        }
        account.executing += 1;
        let (takes, then) = match number {
            95..250 => (Duration::from_millis(millis), Then::Answer),
            250..310 => (Duration::ZERO, Then::Close),
            310..340 => (Duration::from_millis(millis), Then::Close),
            FAILS..370 => (Duration::ZERO, Then::Fail),
            370..395 => (Duration::ZERO, Then::Hang),
            // Past the attempt's limit: executed when its client has stopped listening.
            395..410 => (Duration::from_millis(1000 + millis), Then::Answer),
            _ => (Duration::from_millis(millis / 50), Then::Answer),
        };
        note(&format!("executed, in {takes:?}, then {then:?}"));
        Course::Execute { takes, then }
    }

    /// Does it, and returns the result.
    pub(crate) fn execute(&mut self, operation: u32, run: u64) -> String {
        self.effects += 1;
        self.executed_by.insert(run);
        let result = format!("re_{}", self.effects);
        let account = self.accounts.entry(operation).or_default();
        account.executing -= 1;
        account.effects.push(result.clone());
        result
    }

    /// What became of an operation: its result, nothing if nothing ever will, `?` while that is open.
    pub(crate) fn inquire(&mut self, operation: u32, key: &str) -> String {
        let account = self.accounts.entry(operation).or_default();
        if let Some(result) = account.effects.first() {
            return result.clone();
        }
        if account.executing > 0 {
            return "?".into();
        }
        account.denials += 1;
        account.log.push(format!("{} ms: said not to be executed", self.begin.elapsed().as_millis()));
        // A request that is still on its way comes too late.
        self.closed.insert(key.into());
        String::new()
    }
}

pub(crate) fn say(status: u16, text: &str) -> Course {
    Course::Say(Reply { status, text: text.into() })
}
