//! A moment in the past, which may lie before this process began.

use std::time::Duration;

use tokio::time::Instant;

/// A moment, told as an age at an instant of this process.
///
/// Facts, claims and sendings found in a store may be older than the process that reads them, and older than its machine
/// has been running. An `Instant` need not reach back that far; an age does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) seen_at: Instant,
    /// How long ago the moment was at `seen_at`.
    pub(crate) age: Duration,
}

impl Moment {
    /// The moment that is this instant.
    pub(crate) fn at(instant: Instant) -> Self {
        Self::before(instant, Duration::ZERO)
    }

    /// The moment that was this long ago at `seen_at`.
    pub(crate) fn before(seen_at: Instant, age: Duration) -> Self {
        Self { seen_at, age }
    }

    /// How long ago the moment is at `now`; zero when it is still to come.
    pub(crate) fn age_at(&self, now: Instant) -> Duration {
        match now.checked_duration_since(self.seen_at) {
            Some(later) => self.age.saturating_add(later),
            None => self.age.saturating_sub(self.seen_at.saturating_duration_since(now)),
        }
    }

    /// How long ago the moment is now.
    pub(crate) fn age(&self) -> Duration {
        self.age_at(Instant::now())
    }
}

/// The time since 1970 by the system's clock; zero where that is set before.
#[cfg(any(feature = "file", feature = "redis", feature = "upstash", feature = "webhook"))]
pub(crate) fn since_1970() -> Duration {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_age_counts_from_before_the_process_and_from_before_the_clock() {
        let now = Instant::now();
        for age in [Duration::ZERO, SECOND, SECOND * 3_000_000_000, Duration::MAX] {
            let moment = Moment::before(now, age);
            assert_eq!(moment.age_at(now), age);
            assert_eq!(moment.age_at(now + SECOND), age.saturating_add(SECOND));
            assert_eq!(moment.age_at(now.checked_sub(SECOND).unwrap()), age.saturating_sub(SECOND));
        }
    }
}
