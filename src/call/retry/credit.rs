//! The credit that pays for every extra request, the line of calls that wait to retry, and the attempts that are silent.
//!
//! | what happens | credit | then |
//! |---|---|---|
//! | a caller arrives | may spend more, up to so much per caller | the line is served |
//! | the provider answers | earns | the line is served; with nothing in line, what was overtaken is asked once more |
//! | an attempt fails | its retry costs one, at once where nothing is in line | or else the call waits in line |
//! | the provider fails, or is silent | a little is lost | |
//! | time passes | a trickle below five | the line is served |
//!
//! An attempt is overtaken when it is silent still, after one that began later by more than an answer usually takes was
//! answered: its connection is dead, or what it waits for is stuck.
//!
//! How calls wait in line is in `line`, and how those who waited at the gate leave it in `leaving`.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::call::deadline::after;
use crate::call::leases::{Leases, Ticket};
use crate::call::rolling::Rolling;
use crate::lock::Lock;

use super::RetryBudget;

mod leaving;
mod line;

pub(super) use leaving::AtGate;

/// The trickle stops here, so that waiting alone never pays for a storm. Hedges leave as much: those who wait for an answer
/// already would else take what a call needs that fails now.
const TRICKLE_UP_TO: f64 = 5.0;

/// Of so much time the calls count that savings are a share of.
const RECENT: Duration = Duration::from_secs(10);

/// Of so much time the callers count that may have extra requests.
const ARRIVALS: Duration = Duration::from_secs(2);

/// What callers may have in extra requests is kept for this share of a second, so that a lull pays for no burst.
const KEPT_SHARE: f64 = 0.1;

/// What waiting alone allows, in requests a second and at most, so that a line moves while no caller comes.
const LEAST_ALLOWED: f64 = 2.0;

/// What an answer is taken to need before the first one.
const USUAL_AT_FIRST: Duration = Duration::from_secs(1);

/// An attempt is overtaken when one that began later by so many usual answers, and the margin, was answered.
const OVERTAKEN_AFTER: u32 = 3;
const OVERTAKEN_MARGIN: Duration = Duration::from_millis(100);

/// How much of an answer's duration goes into the usual one.
const WEIGHT: f64 = 0.05;

/// The credit of one validator.
#[derive(Debug)]
pub(crate) struct Credit {
    /// Without one, every extra request is free.
    budget: Option<RetryBudget>,
    hedges: Hedges,
    /// How long an answer usually takes, in nanoseconds.
    usual: AtomicU64,
    state: Lock<State>,
}

#[derive(Debug)]
struct State {
    credit: f64,
    counted: Instant,
    /// What callers that arrived may still have in extra requests.
    allowed: f64,
    arrivals: Rolling,
    calls: Rolling,
    /// Calls that wait to retry, by when they came.
    line: Queue,
    /// Places in line that were served.
    served: Rolling,
    /// Attempts that are silent for longer than usual, by when they began.
    silent: Queue,
    /// When the latest attempt began that was answered.
    newest: Option<Instant>,
    /// Calls that wait at the gate.
    at_gate: u32,
    /// When the next newcomer may leave the gate, and the next of the others.
    next_leaving: (Instant, Instant),
}

/// Those who wait until an extra request is paid for, by how long they have waited.
type Queue = Leases<oneshot::Sender<()>>;

/// Whether attempts that were overtaken are asked once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hedges {
    On,
    Off,
}

/// What the credit knows, for `stats`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CreditLevel {
    pub(crate) credit: Option<f64>,
    pub(crate) in_line: usize,
}

impl Credit {
    pub(crate) fn new(budget: Option<RetryBudget>, hedges: Hedges) -> Self {
        let now = Instant::now();
        let credit = budget.as_ref().map_or(0.0, |budget| budget.at_start);
        let state = State {
            credit,
            counted: now,
            allowed: LEAST_ALLOWED,
            arrivals: Rolling::new(ARRIVALS, now),
            calls: Rolling::new(RECENT, now),
            line: Leases::new(),
            served: Rolling::new(RECENT, now),
            silent: Leases::new(),
            newest: None,
            at_gate: 0,
            next_leaving: (now, now),
        };
        let usual = AtomicU64::new(nanos(USUAL_AT_FIRST));
        Self { budget, hedges, usual, state: Lock::new(state) }
    }

    /// Hears of a caller, who may have so many extra requests.
    pub(super) fn arrived(&self, now: Instant) {
        let state = &mut *self.state.lock();
        state.calls.add(1, now);
        state.arrivals.add(1, now);
        let Some(budget) = &self.budget else { return };
        state.trickle(budget, now);
        state.allowed = (state.allowed + budget.per_caller).min(state.most_allowed(budget, now));
        self.serve(state, now);
    }

    /// Hears of an attempt that the provider answered.
    pub(super) fn answered(&self, start: Instant, now: Instant) {
        let state = &mut *self.state.lock();
        if let Some(budget) = &self.budget {
            state.credit = (state.credit + budget.per_answer).min(state.most_saved(budget, now).max(state.credit));
        }
        let usual = self.usual();
        let took = now.saturating_duration_since(start);
        let usual = if state.newest.is_none() {
            took
        } else {
            usual.mul_f64(1.0 - WEIGHT).saturating_add(took.mul_f64(WEIGHT))
        };
        self.usual.store(nanos(usual), Ordering::Relaxed);
        state.newest = state.newest.max(Some(start));
        self.serve(state, now);
    }

    /// Hears of an attempt that says that the provider is down.
    pub(super) fn failed(&self) {
        if let Some(budget) = &self.budget {
            let state = &mut *self.state.lock();
            state.credit = (state.credit - budget.per_failure).max(0.0);
        }
    }

    /// Pays for a retry, where nothing is in line and there is credit.
    pub(super) fn pay(&self, now: Instant) -> Option<Paid<'_>> {
        if let Some(budget) = &self.budget {
            let state = &mut *self.state.lock();
            state.trickle(budget, now);
            if state.line.len() > 0 || state.credit < 1.0 {
                return None;
            }
            state.spend(now);
        }
        Some(Paid(Some(self)))
    }

    /// When an attempt that began then is silent for longer than usual.
    pub(super) fn silent_at(&self, start: Instant) -> Instant {
        after(start, self.overtaken_after())
    }

    /// Whether attempts that were overtaken are asked once more.
    pub(super) fn hedges(&self) -> bool {
        self.hedges == Hedges::On
    }

    /// Notes an attempt that is silent. What comes back is ready when it was overtaken and its hedge is paid for.
    pub(super) fn silent(&self, start: Instant) -> Unpaid<'_> {
        self.queue(|state| &mut state.silent, start)
    }

    fn queue(&self, queue: fn(&mut State) -> &mut Queue, since: Instant) -> Unpaid<'_> {
        let (hand, paid) = oneshot::channel();
        let state = &mut *self.state.lock();
        let ticket = queue(state).take(since, hand);
        self.serve(state, Instant::now());
        Unpaid { credit: self, queue, ticket, paid }
    }

    pub(crate) fn level(&self, now: Instant) -> CreditLevel {
        let state = &mut *self.state.lock();
        let credit = self.budget.as_ref().map(|budget| {
            state.trickle(budget, now);
            state.credit
        });
        CreditLevel { credit, in_line: state.line.len() }
    }

    fn give_back(&self) {
        let (state, now) = (&mut *self.state.lock(), Instant::now());
        self.put_back(state, now);
        self.serve(state, now);
    }

    /// Serves those in line, first come, first served; where there are none, has overtaken attempts asked once more.
    fn serve(&self, state: &mut State, now: Instant) {
        let served = self.hand_out(state, |state| &mut state.line, |_| true, 0.0, now);
        state.served.add(served, now);
        let newest = state.newest.and_then(|newest| newest.checked_sub(self.overtaken_after()));
        if let Some(overtaken) = newest.filter(|_| self.hedges() && state.line.len() == 0) {
            let left = self.budget.as_ref().map_or(0.0, |budget| TRICKLE_UP_TO.min(budget.saved / 2.0));
            self.hand_out(state, |state| &mut state.silent, |start| start < overtaken, left, now);
        }
    }

    /// Pays for those of a queue whose turn it is, as long as so much credit is left, and says for how many.
    fn hand_out(
        &self,
        state: &mut State,
        queue: fn(&mut State) -> &mut Queue,
        is_its_turn: impl Fn(Instant) -> bool,
        left: f64,
        now: Instant,
    ) -> u32 {
        let mut paid = 0_u32;
        while queue(state).next_end().is_some_and(&is_its_turn) && self.take(state, left, now) {
            if queue(state).take_first().is_some_and(|hand| hand.send(()).is_ok()) {
                paid = paid.saturating_add(1);
            } else {
                // It has left.
                self.put_back(state, now);
            }
        }
        paid
    }

    /// Takes one extra request, if there is credit for it and so much beside, and callers may have one.
    fn take(&self, state: &mut State, left: f64, now: Instant) -> bool {
        let Some(budget) = &self.budget else { return true };
        state.trickle(budget, now);
        let enough = state.credit >= 1.0 + left && state.allowed >= 1.0;
        if enough {
            state.spend(now);
        }
        enough
    }

    /// Puts back what was taken for one request, though no more than is saved.
    fn put_back(&self, state: &mut State, now: Instant) {
        let Some(budget) = &self.budget else { return };
        state.credit = (state.credit + 1.0).min(state.most_saved(budget, now).max(state.credit));
        state.allowed = (state.allowed + 1.0).min(state.most_allowed(budget, now).max(state.allowed));
    }

    fn usual(&self) -> Duration {
        Duration::from_nanos(self.usual.load(Ordering::Relaxed))
    }

    fn overtaken_after(&self) -> Duration {
        self.usual().saturating_mul(OVERTAKEN_AFTER).saturating_add(OVERTAKEN_MARGIN)
    }
}

impl State {
    fn trickle(&mut self, budget: &RetryBudget, now: Instant) {
        let quiet = now.saturating_duration_since(self.counted).as_secs_f64();
        let ceiling = TRICKLE_UP_TO.min(budget.saved);
        if self.credit < ceiling {
            self.credit = (self.credit + quiet * budget.trickle_per_second).min(ceiling);
        }
        if self.allowed < LEAST_ALLOWED {
            self.allowed = (self.allowed + quiet * LEAST_ALLOWED).min(LEAST_ALLOWED);
        }
        self.counted = now.max(self.counted);
    }

    fn most_saved(&mut self, budget: &RetryBudget, now: Instant) -> f64 {
        (f64::from(self.calls.total(now)) * budget.saved_share).max(budget.saved)
    }

    fn most_allowed(&mut self, budget: &RetryBudget, now: Instant) -> f64 {
        (budget.per_caller * KEPT_SHARE * self.arrivals_a_second(now)).max(LEAST_ALLOWED)
    }

    fn arrivals_a_second(&mut self, now: Instant) -> f64 {
        f64::from(self.arrivals.total(now)) / ARRIVALS.as_secs_f64()
    }

    fn spend(&mut self, now: Instant) {
        self.credit -= 1.0;
        self.allowed = (self.allowed - 1.0).max(self.allowed.min(0.0));
        self.calls.add(1, now);
    }
}

/// An extra request that is paid for. Dropped before it is sent, it is given back.
pub(super) struct Paid<'c>(Option<&'c Credit>);

impl Paid<'_> {
    pub(super) fn spent(mut self) {
        self.0 = None;
    }
}

impl Drop for Paid<'_> {
    fn drop(&mut self) {
        if let Some(credit) = self.0 {
            credit.give_back();
        }
    }
}

/// A place in a queue, ready once an extra request is paid for. Dropped, it leaves the queue.
pub(super) struct Unpaid<'c> {
    credit: &'c Credit,
    queue: fn(&mut State) -> &mut Queue,
    ticket: Ticket,
    paid: oneshot::Receiver<()>,
}

impl<'c> Future for Unpaid<'c> {
    type Output = Paid<'c>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Paid<'c>> {
        // The sender stays in the queue until it is served, so it is not dropped before.
        Pin::new(&mut self.paid).poll(cx).map(|paid| Paid(paid.is_ok().then_some(self.credit)))
    }
}

impl Drop for Unpaid<'_> {
    fn drop(&mut self) {
        (self.queue)(&mut self.credit.state.lock()).give_back(self.ticket);
        self.paid.close();
        if self.paid.try_recv().is_ok() {
            self.credit.give_back();
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
