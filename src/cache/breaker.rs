//! Whether the store is asked: after two failures in a row it is not, until a probe beside the calls was answered.

use std::time::Duration;

use tokio::time::Instant;

use crate::call::deadline::after;
use crate::lock::Lock;

/// One lost reply says little; the second in a row says that each further call would lose as much time.
const FAILURES: u32 = 2;

/// How long no call asks the store, before one of them has it probed.
const OPEN_FOR: Duration = Duration::from_secs(1);

/// Stops calls from asking a store that does not answer.
#[derive(Debug, Default)]
pub(super) struct StoreBreaker(Lock<Phase>);

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// The failures in a row.
    Closed(u32),
    /// No probe before this.
    Open(Instant),
}

impl Default for Phase {
    fn default() -> Self {
        Self::Closed(0)
    }
}

/// Whether a call asks the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    Yes,
    No,
    /// No; and it has the store probed beside it.
    Probes,
}

impl StoreBreaker {
    pub(super) fn asks(&self, now: Instant) -> Asks {
        let mut phase = self.0.lock();
        match *phase {
            Phase::Closed(_) => Asks::Yes,
            Phase::Open(until) if now < until => Asks::No,
            Phase::Open(_) => {
                *phase = Phase::Open(after(now, OPEN_FOR));
                Asks::Probes
            }
        }
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(*self.0.lock(), Phase::Open(_))
    }

    pub(super) fn answered(&self) {
        *self.0.lock() = Phase::Closed(0);
    }

    /// Counts a failure. True when it is the one that opens.
    pub(super) fn failed(&self, now: Instant) -> bool {
        let mut phase = self.0.lock();
        let Phase::Closed(failures) = *phase else { return false };
        let failures = failures.saturating_add(1);
        let opens = failures >= FAILURES;
        *phase = if opens { Phase::Open(after(now, OPEN_FOR)) } else { Phase::Closed(failures) };
        opens
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_failures_in_a_row_open_it_and_an_answered_probe_closes_it() {
        let (breaker, now) = (StoreBreaker::default(), Instant::now());
        assert!(!breaker.failed(now));
        breaker.answered();
        assert!(!breaker.failed(now) && breaker.failed(now), "an answer in between begins anew");
        assert_eq!(breaker.asks(now), Asks::No);
        let later = now + OPEN_FOR;
        assert_eq!([breaker.asks(later), breaker.asks(later)], [Asks::Probes, Asks::No], "one probe at a time");
        assert!(!breaker.failed(later) && breaker.is_open());
        assert_eq!(breaker.asks(later + OPEN_FOR), Asks::Probes);
        breaker.answered();
        assert_eq!(breaker.asks(later), Asks::Yes);
    }
}
