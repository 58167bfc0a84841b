//! The credit that pays for every extra request, the line of calls that wait to retry, and the attempts that are silent.
//!
//! | what happens | credit | then |
//! |---|---|---|
//! | a caller arrives | may spend more, up to so much per caller | the line is served |
//! | the provider answers | earns | the line is served; with nothing in line, what was overtaken is asked once more |
//! | an attempt fails | its retry costs one, at once where nothing is in line | or else the call waits in line |
//! | time passes | a trickle below five | the line is served |
//!
//! An attempt is overtaken when it is silent still, after one that began later by more than an answer usually takes was
//! answered: its connection is dead, or what it waits for is stuck.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::call::deadline::after;
use crate::call::leases::{Leases, Ticket};
use crate::call::rolling::Rolling;
use crate::lock::Lock;

use super::RetryBudget;

/// The trickle stops here, so that waiting alone never pays for a storm.
const TRICKLE_UP_TO: f64 = 5.0;

/// Of so much time the calls count that savings are a share of.
const RECENT: Duration = Duration::from_secs(10);

/// Of so much time the callers count that may have extra requests.
const ARRIVALS: Duration = Duration::from_secs(2);

/// What callers may have in extra requests is kept for this share of a second, so that a lull pays for no burst.
const KEPT_SHARE: f64 = 0.1;

/// What waiting alone allows, in requests a second and at most, so that a line moves while no caller comes.
const LEAST_ALLOWED: f64 = 2.0;

/// Those who waited at the gate leave it at so many times the pace at which calls came of late: those who came a moment ago,
/// and those who have waited for longer, so that a backlog does not make newcomers wait as well.
const NEWCOMERS_LEAVE: f64 = 1.4;
const OTHERS_LEAVE: f64 = 0.4;

/// At the latest within this time all have left, if the gate stays open.
const ALL_LEAVE_WITHIN: Duration = Duration::from_secs(8);

/// How long ago a newcomer came at most: it can still be answered within a second or so.
const NEWCOMER: Duration = Duration::from_millis(600);

/// They leave at no less than this a second.
const LEAST_LEAVING: f64 = 1.0;

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
    line: Leases<oneshot::Sender<()>>,
    /// Places in line that were served.
    served: Rolling,
    /// Attempts that are silent for longer than usual, by when they began.
    silent: Leases<oneshot::Sender<()>>,
    /// When the latest attempt began that was answered.
    newest: Option<Instant>,
    /// Calls that wait at the gate.
    at_gate: u32,
    /// When the next newcomer may leave the gate, and the next of the others.
    next_leaving: (Instant, Instant),
}

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
        let a_second = f64::from(state.arrivals.total(now)) / ARRIVALS.as_secs_f64();
        let most = (budget.per_caller * KEPT_SHARE * a_second).max(LEAST_ALLOWED);
        state.allowed = (state.allowed + budget.per_caller).min(most);
        self.serve(state, now);
    }

    /// Hears of an attempt that the provider answered.
    pub(super) fn answered(&self, start: Instant, now: Instant) {
        let state = &mut *self.state.lock();
        if let Some(budget) = &self.budget {
            let most = (f64::from(state.calls.total(now)) * budget.saved_share).max(budget.saved);
            state.credit = (state.credit + budget.per_answer).min(most.max(state.credit));
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

    /// Pays for a retry, where nothing is in line and there is credit.
    pub(super) fn pay(&self, now: Instant) -> bool {
        let Some(budget) = &self.budget else { return true };
        let state = &mut *self.state.lock();
        state.trickle(budget, now);
        let can_pay = state.line.len() == 0 && state.credit >= 1.0;
        if can_pay {
            state.spend(now);
        }
        can_pay
    }

    /// Counts a call that waits at the gate, until what comes back is dropped.
    pub(super) fn waits_at_gate(&self) -> AtGate<'_> {
        let state = &mut *self.state.lock();
        state.at_gate = state.at_gate.saturating_add(1);
        AtGate(self)
    }

    /// When a call that waited at the gate may leave it.
    fn leaves_gate_at(&self, came: Instant, now: Instant) -> Instant {
        let state = &mut *self.state.lock();
        let least = (f64::from(state.at_gate) / ALL_LEAVE_WITHIN.as_secs_f64()).max(LEAST_LEAVING);
        let a_second = f64::from(state.arrivals.total(now)) / ARRIVALS.as_secs_f64();
        let (next, share) = if now.saturating_duration_since(came) <= NEWCOMER {
            (&mut state.next_leaving.0, NEWCOMERS_LEAVE)
        } else {
            (&mut state.next_leaving.1, OTHERS_LEAVE)
        };
        let at = (*next).max(now);
        *next = after(at, Duration::from_secs_f64((share * a_second).max(least).recip()));
        // While they leave, the line stands still; for a second at most, since the gate may close before.
        let per_caller = self.budget.as_ref().map_or(0.0, |budget| budget.per_caller);
        state.allowed = (state.allowed - 1.0).max(-per_caller * a_second);
        at
    }

    /// Whether calls that cannot pay wait in line.
    pub(super) fn has_line(&self) -> bool {
        self.budget.as_ref().is_some_and(|budget| !budget.patience.is_zero())
    }

    /// Waits in line until a retry is paid for, for as long as the patience lasts, and to the deadline at most.
    ///
    /// # Errors
    /// When it was not: how long the line would still have taken, where it moved at all.
    ///
    /// # Cancel safety
    /// Dropped, it leaves the line, and gives back what was paid.
    pub(super) async fn wait_in_line(&self, now: Instant, deadline: Instant) -> Result<(), Option<Duration>> {
        let patience = self.budget.as_ref().map_or(Duration::ZERO, |budget| budget.patience);
        let until = after(now, patience).min(deadline);
        let (hand, mut served) = oneshot::channel();
        let mut place = {
            let state = &mut *self.state.lock();
            let ticket = state.line.take(now, hand);
            self.serve(state, now);
            Place { credit: self, ticket, was_seen: false }
        };
        let mut now = now;
        loop {
            let wake = self.next_trickle(now).map_or(until, |trickle| trickle.min(until));
            match timeout_at(wake, &mut served).await {
                Ok(Ok(())) => {
                    place.was_seen = true;
                    return Ok(());
                }
                // The sender stays in the line until it is served, so it is not dropped before.
                Ok(Err(_)) => return Err(None),
                Err(_elapsed) => {
                    now = Instant::now();
                    let state = &mut *self.state.lock();
                    if now >= until {
                        return Err(Self::left_in_line(state, now));
                    }
                    self.serve(state, now);
                }
            }
        }
    }

    /// When an attempt that began then is silent for longer than usual.
    pub(super) fn silent_at(&self, start: Instant) -> Instant {
        after(start, self.overtaken_after())
    }

    /// Whether attempts that were overtaken are asked once more.
    pub(super) fn hedges(&self) -> bool {
        self.hedges == Hedges::On
    }

    /// Notes an attempt that is silent. What comes back hears when it was overtaken and its hedge is paid for.
    pub(super) fn silent(&self, start: Instant) -> Silent<'_> {
        let (hand, overtaken) = oneshot::channel();
        let state = &mut *self.state.lock();
        let ticket = state.silent.take(start, hand);
        self.serve(state, Instant::now());
        Silent { credit: self, ticket, overtaken }
    }

    pub(crate) fn level(&self, now: Instant) -> CreditLevel {
        let state = &mut *self.state.lock();
        let credit = self.budget.as_ref().map(|budget| {
            state.trickle(budget, now);
            state.credit
        });
        CreditLevel { credit, in_line: state.line.len() }
    }

    /// Gives back what was paid for a request that was not sent.
    pub(super) fn give_back(&self) {
        if self.budget.is_some() {
            let state = &mut *self.state.lock();
            state.credit += 1.0;
            state.allowed += 1.0;
            self.serve(state, Instant::now());
        }
    }

    /// Serves those in line, first come, first served; where there are none, has overtaken attempts asked once more.
    fn serve(&self, state: &mut State, now: Instant) {
        while state.line.len() > 0 {
            if !self.take(state, now) {
                return;
            }
            let Some(hand) = state.line.take_first() else { return };
            if hand.send(()).is_ok() {
                state.served.add(1, now);
            } else {
                // It has left.
                self.put_back(state);
            }
        }
        let newest = state.newest.and_then(|newest| newest.checked_sub(self.overtaken_after()));
        let Some(overtaken) = newest.filter(|_| self.hedges()) else { return };
        while state.silent.next_end().is_some_and(|start| start < overtaken) {
            if !self.take(state, now) {
                return;
            }
            let Some(hand) = state.silent.take_first() else { return };
            if hand.send(()).is_err() {
                self.put_back(state);
            }
        }
    }

    /// Takes one extra request, if there is credit and callers may have one.
    fn take(&self, state: &mut State, now: Instant) -> bool {
        let Some(budget) = &self.budget else { return true };
        state.trickle(budget, now);
        let enough = state.credit >= 1.0 && state.allowed >= 1.0;
        if enough {
            state.spend(now);
        }
        enough
    }

    fn put_back(&self, state: &mut State) {
        if self.budget.is_some() {
            state.credit += 1.0;
            state.allowed += 1.0;
        }
    }

    /// When waiting alone pays for a retry.
    fn next_trickle(&self, now: Instant) -> Option<Instant> {
        let budget = self.budget.as_ref().filter(|budget| budget.trickle_per_second > 0.0)?;
        let (credit, allowed) = {
            let state = self.state.lock();
            (state.credit, state.allowed)
        };
        let earned = Duration::try_from_secs_f64((1.0 - credit).max(0.0) / budget.trickle_per_second).ok()?;
        let wait = earned.max(Duration::from_secs_f64((1.0 - allowed).max(0.0) / LEAST_ALLOWED));
        // Counted in floating point, the credit may fall a hair short at that very moment.
        Some(after(now, wait.max(Duration::from_millis(20))))
    }

    /// How long those in line would wait at the pace of late.
    fn left_in_line(state: &mut State, now: Instant) -> Option<Duration> {
        let served = state.served.total(now);
        let len = u32::try_from(state.line.len()).unwrap_or(u32::MAX);
        (served > 0).then(|| RECENT.mul_f64(f64::from(len) / f64::from(served)))
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

    fn spend(&mut self, now: Instant) {
        self.credit -= 1.0;
        self.allowed = (self.allowed - 1.0).max(self.allowed.min(0.0));
        self.calls.add(1, now);
    }
}

/// A place in line. Dropped, it leaves the line, and gives back what was paid for it and not seen.
struct Place<'c> {
    credit: &'c Credit,
    ticket: Ticket,
    /// Whether the call was told that it is paid for.
    was_seen: bool,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let was_in_line = self.credit.state.lock().line.give_back(self.ticket).is_some();
        if !was_in_line && !self.was_seen {
            self.credit.give_back();
        }
    }
}

/// A call that waits at the gate.
pub(super) struct AtGate<'c>(&'c Credit);

impl AtGate<'_> {
    /// When it may leave, now that the gate is open.
    pub(super) fn leaves_at(&self, came: Instant, now: Instant) -> Instant {
        self.0.leaves_gate_at(came, now)
    }
}

impl Drop for AtGate<'_> {
    fn drop(&mut self) {
        let state = &mut *self.0.state.lock();
        state.at_gate = state.at_gate.saturating_sub(1);
    }
}

/// An attempt that is silent. Dropped, it is asked no more, and what was paid for it and not used is given back.
pub(super) struct Silent<'c> {
    credit: &'c Credit,
    ticket: Ticket,
    overtaken: oneshot::Receiver<()>,
}

impl Silent<'_> {
    /// Ready once the attempt was overtaken and its hedge is paid for; not to be polled again after that.
    pub(super) fn poll_overtaken(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.overtaken).poll(cx).map(|_| ())
    }
}

impl Drop for Silent<'_> {
    fn drop(&mut self) {
        self.credit.state.lock().silent.give_back(self.ticket);
        self.overtaken.close();
        if self.overtaken.try_recv().is_ok() {
            self.credit.give_back();
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
