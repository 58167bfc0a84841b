//! Waiting in line for a retry.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::call::deadline::after;
use crate::call::leases::Ticket;

use super::{Credit, LEAST_ALLOWED, RECENT, State};

impl Credit {
    /// Whether calls that cannot pay wait in line.
    pub(in crate::call::retry) fn has_line(&self) -> bool {
        self.budget.as_ref().is_some_and(|budget| !budget.patience.is_zero())
    }

    /// Waits in line until a retry is paid for, for as long as the patience lasts, and to the deadline at most.
    ///
    /// # Errors
    /// When it was not: how long the line would still have taken, where it moved at all.
    ///
    /// # Cancel safety
    /// Dropped, it leaves the line, and gives back what was paid.
    pub(in crate::call::retry) async fn wait_in_line(
        &self,
        now: Instant,
        deadline: Instant,
    ) -> Result<(), Option<Duration>> {
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
