//! The gate that a provider's rate limit closes for every call of one account.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Closed until a moment, which only moves forward.
#[derive(Debug)]
pub(crate) struct Gate {
    epoch: Instant,
    /// Nanoseconds after the epoch; 0 is open.
    closed_until: AtomicU64,
}

impl Gate {
    pub(crate) fn new() -> Self {
        Self { epoch: Instant::now(), closed_until: AtomicU64::new(0) }
    }

    /// Closes the gate for this long from now, unless it is closed for longer already.
    pub(crate) fn close(&self, now: Instant, wait: Duration) {
        let until = now.saturating_duration_since(self.epoch).saturating_add(wait);
        let until = u64::try_from(until.as_nanos()).unwrap_or(u64::MAX);
        self.closed_until.fetch_max(until, Ordering::Relaxed);
    }

    /// How long the gate stays closed; `None` when it is open.
    pub(crate) fn closed_for(&self, now: Instant) -> Option<Duration> {
        // Most calls find a gate that was never closed, and then need no arithmetic.
        let until = self.closed_until.load(Ordering::Relaxed);
        if until == 0 {
            return None;
        }
        let left = Duration::from_nanos(until).saturating_sub(now.saturating_duration_since(self.epoch));
        (!left.is_zero()).then_some(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shorter_closure_never_opens_the_gate_early() {
        let (gate, now) = (Gate::new(), Instant::now());
        assert_eq!(gate.closed_for(now), None);
        gate.close(now, Duration::from_secs(10));
        gate.close(now, Duration::from_secs(1));
        assert_eq!(gate.closed_for(now + Duration::from_secs(4)), Some(Duration::from_secs(6)));
        assert_eq!(gate.closed_for(now + Duration::from_secs(10)), None);
    }
}
