//! What payproof has to reach, as rules that a measured case keeps or misses.
//!
//! All of them look at means over the seeds. A peer is usable where it recovers within a second by itself.

use super::Case;
use super::figures::Figure;
use super::peers::Peer;
use super::scenario::Fault;

/// One rule, and what was measured.
#[derive(Clone, Debug)]
pub(crate) struct Goal {
    pub(crate) rule: &'static str,
    /// The limit that the rule sets here, and whether it is the least or the most.
    pub(crate) bound: Bound,
    pub(crate) measured: f64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// So far from its bound a figure still keeps a goal, so that a sum's rounding misses none.
const ROUNDING: f64 = 1e-5;

/// A wait of a millisecond is the clock's own step.
const CLOCK_STEP: f64 = 0.002;

/// The longest answer of a provider that is well, in seconds, and the clock's step.
const USUAL_ANSWER: f64 = 0.082;

impl Goal {
    pub(crate) fn is_met(&self) -> bool {
        self.margin() >= -ROUNDING
    }

    /// How far the figure is on the right side of its bound, or below zero on the wrong one, as a part of the bound.
    pub(crate) fn margin(&self) -> f64 {
        let apart = match self.bound {
            Bound::AtLeast(least) => self.measured - least,
            Bound::AtMost(most) => most - self.measured,
        };
        apart / self.bound.value().max(ROUNDING)
    }
}

impl Bound {
    pub(crate) const fn value(self) -> f64 {
        match self {
            Self::AtLeast(bound) | Self::AtMost(bound) => bound,
        }
    }
}

/// The rules that apply to a case, or none where payproof was not among the peers.
pub(crate) fn goals(case: &Case) -> Vec<Goal> {
    let Some(own) = case.of(Peer::Payproof) else { return Vec::new() };
    let mut goals = Vec::new();
    let mut add = |rule, figure, bound| goals.push(Goal { rule, bound, measured: own.mean(figure) });
    answered(case, &mut add);
    load(case, &mut add);
    afterwards(case, &mut add);
    waits(case, &mut add);
    goals
}

/// How many callers hear that they are valid.
fn answered(case: &Case, add: &mut impl FnMut(&'static str, Figure, Bound)) {
    let scenario = &case.scenario;
    let others = || case.peers.iter().filter(|(peer, _)| *peer != Peer::Payproof).map(|(_, measured)| measured);
    let usable = others().filter(|measured| measured.mean(Figure::Recovery) <= 1.0);
    if let Some(best) = usable.map(|measured| measured.mean(Figure::Valid)).reduce(f64::max) {
        add("valid by the deadline: 0.98 of the best usable peer's", Figure::Valid, Bound::AtLeast(0.98 * best));
    }
    if let Some(bare) = case.of(Peer::Bare) {
        let (rule, part) = if scenario.depends_on_load() {
            ("valid within 3 s: 0.6 of the bare client's, where failure depends on load", 0.6)
        } else {
            ("valid within 3 s: 0.95 of the bare client's", 0.95)
        };
        add(rule, Figure::Prompt, Bound::AtLeast(part * bare.mean(Figure::Prompt)));
    }
    if scenario.all(|fault| matches!(fault, Fault::Fail(share) if *share <= 0.3))
        && let Some(best) = others().map(|measured| measured.mean(Figure::Prompt)).reduce(f64::max)
    {
        let rule = "valid within 3 s, up to 30 % random failure: 0.98 of the best peer's";
        add(rule, Figure::Prompt, Bound::AtLeast(0.98 * best));
    }
}

/// What the provider has to bear.
fn load(case: &Case, add: &mut impl FnMut(&'static str, Figure, Bound)) {
    let scenario = &case.scenario;
    if scenario.troubles.len() == 1 && scenario.all(|fault| *fault == Fault::Fail(1.0)) {
        let callers = (scenario.end() - scenario.begin()) * f64::from(case.rate);
        let most = 1.1 + 20.0 * case.processes as f64 / callers;
        add("calls when all fail: 1.1 for each caller, and 20 a process", Figure::Calls, Bound::AtMost(most));
    }
    if scenario.all(|fault| matches!(fault, Fault::Congest { .. }))
        && let Some(unbounded) = case.of(Peer::Middleware)
    {
        let most = unbounded.mean(Figure::Calls);
        add("calls in congestion: fewer than with three retries and no budget", Figure::Calls, Bound::AtMost(most));
    }
    if scenario.all(|fault| matches!(fault, Fault::Rate { told: true, .. })) {
        let others = || case.peers.iter().filter(|(peer, _)| *peer != Peer::Payproof).map(|(_, measured)| measured);
        let best = |figure, of: fn(f64, f64) -> f64| others().map(|measured| measured.mean(figure)).reduce(of);
        if let (Some(valid), Some(calls)) = (best(Figure::Valid, f64::max), best(Figure::Calls, f64::min)) {
            add("at a told limit: as many valid as any peer's", Figure::Valid, Bound::AtLeast(valid));
            add("at a told limit: as few calls as any peer's", Figure::Calls, Bound::AtMost(calls));
        }
    }
}

/// What is left of the trouble when it is over.
fn afterwards(case: &Case, add: &mut impl FnMut(&'static str, Figure, Bound)) {
    let scenario = &case.scenario;
    if let Some(room) = scenario.lasting_room()
        && room >= 1.3
    {
        add("back within 25 s, with 30 % to spare", Figure::Recovery, Bound::AtMost(25.0));
    }
    if !scenario.ends() {
        return;
    }
    add("95 % of newcomers answered within 1 s, from 0.5 s after the end", Figure::Recovery, Bound::AtMost(0.5));
    add("p99 of those who arrive 1 s after the end: twice the normal", Figure::After, Bound::AtMost(2.0));
    add("no quarter of a second after the end above 3.5 times the normal calls", Figure::Burst, Bound::AtMost(3.5));
    if scenario.all(|fault| *fault == Fault::Hang(1.0)) {
        add("who still waits after a hang is answered within 10 s", Figure::Waiters, Bound::AtMost(10.0));
    }
}

/// What callers must not wait for.
fn waits(case: &Case, add: &mut impl FnMut(&'static str, Figure, Bound)) {
    let scenario = &case.scenario;
    if !scenario.limits() {
        add("first attempts wait only for a closed gate", Figure::First, Bound::AtMost(CLOCK_STEP));
    }
    if let [trouble] = &*scenario.troubles
        && let Fault::Slow(seconds) = trouble.fault
    {
        let rule = "a slow answer is all that a caller waits for";
        add(rule, Figure::Longest, Bound::AtMost(seconds + USUAL_ANSWER));
        add("a slow answer is not asked for twice", Figure::Calls, Bound::AtMost(1.0));
    }
}
