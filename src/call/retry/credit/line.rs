//! Waiting in line for a retry.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::call::deadline::after;

use super::{Credit, LEAST_ALLOWED, Paid, RECENT, State};

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
    ) -> Result<Paid<'_>, Option<Duration>> {
        let patience = self.budget.as_ref().map_or(Duration::ZERO, |budget| budget.patience);
        let until = after(now, patience).min(deadline);
        let mut place = self.queue(|state| &mut state.line, now);
        let mut now = now;
        loop {
            let wake = self.next_trickle(now).map_or(until, |trickle| trickle.min(until));
            if let Ok(paid) = timeout_at(wake, &mut place).await {
                return Ok(paid);
            }
            now = Instant::now();
            let state = &mut *self.state.lock();
            if now >= until {
                return Err(Self::left_in_line(state, now));
            }
            self.serve(state, now);
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
