//! The gate that a provider's rate limit closes, for every call that the limit concerns.
//!
//! | it is | a call |
//! |---|---|
//! | open | passes |
//! | closed | waits until its time is over |
//! | closed, its time over | the first to come passes, as a probe |
//! | probed | waits for a probe's answer, which opens the gate or closes it again; without one, or a second later, another passes |

use std::sync::MutexGuard;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;

use crate::call::deadline::after;
use crate::lock::Lock;
use crate::provider::Door;

/// The longest that a gate closes at a time: then a probe finds out, so that one mistaken header does not close an account
/// for a day.
pub(crate) const LONGEST_CLOSURE: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct Gate {
    /// Beside a probe that takes longer another one passes: the provider may hang.
    longest_probe: Duration,
    /// Most calls find an open gate, and then take no lock.
    is_open: AtomicBool,
    state: Lock<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// Probes so far, so that a late one cannot decide about the next.
    probes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    Closed {
        until: Instant,
        /// Until when the provider asked to wait.
        asked_until: Instant,
    },
    Probed {
        since: Instant,
        number: u64,
        /// The first probe since the gate was closed: the answer of any since then opens it.
        first: u64,
    },
}

/// What a call may do at the gate.
pub(crate) enum Passing<'g> {
    Open,
    /// It passes, and its answer decides for the others.
    Probe(Probe<'g>),
    /// It waits for so long, where the provider asked for `asked`.
    Closed {
        left: Duration,
        asked: Duration,
    },
    /// It waits for a change, for this long at most.
    Probed(Notified<'g>, Duration),
}

impl Gate {
    pub(crate) fn new(longest_probe: Duration) -> Self {
        let state = Lock::new(State { phase: Phase::Open, probes: 0 });
        Self { longest_probe, is_open: AtomicBool::new(true), state, changed: Notify::new() }
    }

    /// Changes the phase, and tells those who wait for a change.
    fn enter(&self, mut state: MutexGuard<'_, State>, phase: Phase) {
        state.phase = phase;
        self.is_open.store(phase == Phase::Open, Ordering::Release);
        drop(state);
        self.changed.notify_waiters();
    }

    /// Closes the gate for this long from now, a minute at most, unless it is closed for longer already.
    pub(crate) fn close(&self, now: Instant, wait: Duration) {
        let (mut until, mut asked_until) = (after(now, wait.min(LONGEST_CLOSURE)), after(now, wait));
        let state = self.state.lock();
        if let Phase::Closed { until: closed_until, asked_until: asked_before } = state.phase {
            (until, asked_until) = (until.max(closed_until), asked_until.max(asked_before));
        }
        self.enter(state, Phase::Closed { until, asked_until });
    }

    pub(crate) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }

    pub(crate) fn pass(&self, now: Instant) -> Passing<'_> {
        if self.is_open() {
            return Passing::Open;
        }
        let mut state = self.state.lock();
        match state.phase {
            Phase::Open => return Passing::Open,
            Phase::Closed { until, asked_until } if now < until => {
                let left = |until: Instant| until.saturating_duration_since(now);
                return Passing::Closed { left: left(until), asked: left(asked_until) };
            }
            Phase::Probed { since, .. } if now.saturating_duration_since(since) <= self.longest_probe => {
                let longest = self.longest_probe.saturating_sub(now.saturating_duration_since(since));
                // Made under the lock, so that it hears of every change from here on.
                return Passing::Probed(self.changed.notified(), longest);
            }
            Phase::Closed { .. } | Phase::Probed { .. } => {}
        }
        state.probes = state.probes.wrapping_add(1);
        let number = state.probes;
        let first = if let Phase::Probed { first, .. } = state.phase { first } else { number };
        state.phase = Phase::Probed { since: now, number, first };
        Passing::Probe(Probe { gate: self, number })
    }

    /// Opens the gate for the answer of a probe, unless it was closed again meanwhile.
    fn answered(&self, probe: u64) {
        let state = self.state.lock();
        if matches!(state.phase, Phase::Probed { first, .. } if probe >= first) {
            self.enter(state, Phase::Open);
        }
    }

    /// Makes room for another probe, unless one took this one's place already.
    fn dropped(&self, probe: u64, now: Instant) {
        let state = self.state.lock();
        if matches!(state.phase, Phase::Probed { number, .. } if number == probe) {
            self.enter(state, Phase::Closed { until: now, asked_until: now });
        }
    }
}

impl Door for Gate {
    /// How long the provider asks to wait, while the gate is closed; `None` when it is not.
    fn closed_for(&self, now: Instant) -> Option<Duration> {
        if self.is_open() {
            return None;
        }
        match self.state.lock().phase {
            Phase::Closed { until, asked_until } if now < until => Some(asked_until.saturating_duration_since(now)),
            Phase::Open | Phase::Closed { .. } | Phase::Probed { .. } => None,
        }
    }
}

/// The call that finds out. Dropped without an answer, it leaves that to the next one.
#[derive(Debug)]
pub(crate) struct Probe<'g> {
    gate: &'g Gate,
    number: u64,
}

impl Probe<'_> {
    /// It was answered. An answer that speaks of the limit has closed the gate before this.
    pub(crate) fn answered(self) {
        self.gate.answered(self.number);
    }
}

impl Drop for Probe<'_> {
    fn drop(&mut self) {
        self.gate.dropped(self.number, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_secs(30);

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn a_shorter_closure_never_opens_the_gate_early() {
        let (gate, now) = (Gate::new(LONGEST), Instant::now());
        assert_eq!(gate.closed_for(now), None);
        gate.close(now, secs(10));
        gate.close(now, secs(1));
        assert_eq!(gate.closed_for(now + secs(4)), Some(secs(6)));
        assert_eq!(gate.closed_for(now + secs(10)), None);
    }

    #[test]
    fn a_closure_is_a_minute_at_most_and_ends_with_one_probe() {
        let (gate, now) = (Gate::new(LONGEST), Instant::now());
        gate.close(now, secs(3600));
        assert_eq!(gate.closed_for(now), Some(secs(3600)), "what the provider asks for is said all the same");
        assert!(matches!(gate.pass(now), Passing::Closed { left, .. } if left == secs(60)));
        let then = now + secs(60);
        let Passing::Probe(probe) = gate.pass(then) else { panic!() };
        assert!(matches!(gate.pass(then), Passing::Probed(_, longest) if longest == LONGEST));
        gate.close(then, secs(5));
        probe.answered();
        assert!(matches!(gate.pass(then), Passing::Closed { left, .. } if left == secs(5)), "it was limited again");
        let Passing::Probe(probe) = gate.pass(then + secs(5)) else { panic!() };
        probe.answered();
        assert!(matches!(gate.pass(then + secs(5)), Passing::Open));
    }

    #[test]
    fn a_probe_that_is_dropped_or_stands_still_makes_room_for_another() {
        let (gate, now) = (Gate::new(LONGEST), Instant::now());
        gate.close(now, secs(1));
        let then = now + secs(1);
        drop(gate.pass(then));
        let Passing::Probe(still) = gate.pass(then + secs(1)) else { panic!() };
        let later = then + secs(2) + LONGEST;
        let Passing::Probe(next) = gate.pass(later) else { panic!() };
        still.answered();
        assert!(gate.is_open(), "slow answers are answers too");
        next.answered();
        gate.close(later, secs(1));
        let Passing::Probe(before) = gate.pass(later + secs(1)) else { panic!() };
        gate.close(later + secs(1), secs(1));
        let Passing::Probe(_since) = gate.pass(later + secs(2)) else { panic!() };
        before.answered();
        assert!(!gate.is_open(), "it was asked before the limit was told again");
    }
}
