//! The store's own clock: it goes on over restarts, and never goes back.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::moment::since_1970;

/// Microseconds since 1970, as far as the system's clock was right when the file was opened.
///
/// Microseconds, so that no record is dropped up to a millisecond before its time.
#[derive(Debug)]
pub(super) struct Clock {
    base: u64,
    since: Instant,
    /// What was told last. Threads of several runtimes may read clocks that differ.
    latest: AtomicU64,
}

impl Clock {
    /// Goes on from the system's time, or from what the file has seen already if that is later.
    pub(super) fn from(seen: u64) -> Self {
        let base = micros(since_1970()).max(seen);
        Self { base, since: Instant::now(), latest: AtomicU64::new(base) }
    }

    pub(super) fn now(&self) -> u64 {
        let now = self.base.saturating_add(micros(self.since.elapsed()));
        self.latest.fetch_max(now, Ordering::AcqRel).max(now)
    }
}

pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(60 * 60);

    #[tokio::test(start_paused = true)]
    async fn it_goes_with_the_runtimes_clock() {
        let clock = Clock::from(0);
        let before = clock.now();
        tokio::time::advance(HOUR).await;
        assert_eq!(clock.now().checked_sub(before), Some(micros(HOUR)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_system_clock_that_was_set_back_does_not_turn_it_back() {
        let seen = micros(since_1970()).saturating_add(micros(HOUR));
        let clock = Clock::from(seen);
        assert_eq!(clock.now(), seen);
        tokio::time::advance(HOUR).await;
        assert_eq!(clock.now(), seen.saturating_add(micros(HOUR)), "it goes on all the same");
    }

    #[test]
    fn it_begins_with_the_systems_time() {
        assert!(Clock::from(1).now() >= micros(since_1970()).saturating_sub(micros(HOUR)));
    }
}
