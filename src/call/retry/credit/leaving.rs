//! How those who waited at the gate leave it: one after the other, so that the end of a limit is not a burst.

use std::time::Duration;

use tokio::time::Instant;

use crate::call::deadline::after;

use super::Credit;

/// Those who waited at the gate leave it at so many times the pace at which calls came of late: those who came a moment ago,
/// and those who have waited for longer, so that a backlog does not make newcomers wait as well.
const NEWCOMERS_LEAVE: f64 = 1.4;
const OTHERS_LEAVE: f64 = 0.3;

/// At the latest within this time all have left, if the gate stays open.
const ALL_LEAVE_WITHIN: Duration = Duration::from_secs(8);

/// How long ago a newcomer came at most: it can still be answered within a second or so.
const NEWCOMER: Duration = Duration::from_millis(600);

/// They leave at no less than this a second.
const LEAST_LEAVING: f64 = 1.0;

impl Credit {
    /// Counts a call that waits at the gate, until what comes back is dropped.
    pub(in crate::call::retry) fn waits_at_gate(&self) -> AtGate<'_> {
        let state = &mut *self.state.lock();
        state.at_gate = state.at_gate.saturating_add(1);
        AtGate(self)
    }
}

/// A call that waits at the gate.
pub(in crate::call::retry) struct AtGate<'c>(&'c Credit);

impl AtGate<'_> {
    /// When it may leave, now that the gate is open.
    pub(in crate::call::retry) fn leaves_at(&self, came: Instant, now: Instant) -> Instant {
        let state = &mut *self.0.state.lock();
        let least = (f64::from(state.at_gate) / ALL_LEAVE_WITHIN.as_secs_f64()).max(LEAST_LEAVING);
        let a_second = state.arrivals_a_second(now);
        let is_newcomer = now.saturating_duration_since(came) <= NEWCOMER;
        let (next, share) = if is_newcomer {
            (&mut state.next_leaving.0, NEWCOMERS_LEAVE)
        } else {
            (&mut state.next_leaving.1, OTHERS_LEAVE)
        };
        let pause = Duration::from_secs_f64((share * a_second).max(least).recip());
        // The first of the others lets the newcomers' go before: of many processes both at once would be a burst.
        let first = if is_newcomer { now } else { after(now, pause.mul_f64(0.5)) };
        let at = (*next).max(first);
        *next = after(at, pause);
        // While they leave, the line stands still; for a second at most, since the gate may close before.
        let per_caller = self.0.budget.as_ref().map_or(0.0, |budget| budget.per_caller);
        state.allowed = (state.allowed - 1.0).max(-per_caller * a_second);
        at
    }
}

impl Drop for AtGate<'_> {
    fn drop(&mut self) {
        let state = &mut *self.0.state.lock();
        state.at_gate = state.at_gate.saturating_sub(1);
    }
}
