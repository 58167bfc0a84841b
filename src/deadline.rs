//! How much time a call has left.

use std::time::Duration;

use tokio::time::Instant;

/// The end of a call: over its attempts, its waits, and its time in queues.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    at: Instant,
    limit: Duration,
}

impl Deadline {
    pub(crate) fn after(start: Instant, limit: Duration) -> Self {
        // A limit past what the clock can name is no limit in practice; a day stays far beyond any attempt.
        let at =
            start.checked_add(limit).or_else(|| start.checked_add(Duration::from_secs(24 * 60 * 60))).unwrap_or(start);
        Self { at, limit }
    }

    pub(crate) fn at(&self) -> Instant {
        self.at
    }

    /// What was configured, for messages.
    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }

    pub(crate) fn left(&self, now: Instant) -> Duration {
        self.at.saturating_duration_since(now)
    }

    /// Whether time remains after waiting this long. A wait that ends at the deadline is a certain miss.
    pub(crate) fn allows(&self, now: Instant, wait: Duration) -> bool {
        wait < self.left(now)
    }

    /// When an attempt started now has to end.
    pub(crate) fn attempt_until(&self, now: Instant, attempt_timeout: Duration) -> Instant {
        now.checked_add(attempt_timeout).map_or(self.at, |until| until.min(self.at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_wait_ends_in_a_certain_miss() {
        let now = Instant::now();
        let deadline = Deadline::after(now, Duration::from_secs(2));
        assert!(deadline.allows(now, Duration::from_millis(1999)));
        assert!(!deadline.allows(now, Duration::from_secs(2)));
        assert!(!deadline.allows(now, Duration::MAX));
    }

    #[test]
    fn an_attempt_never_outlives_the_deadline() {
        let now = Instant::now();
        let deadline = Deadline::after(now, Duration::from_secs(2));
        assert_eq!(deadline.attempt_until(now, Duration::from_secs(30)), deadline.at());
        assert_eq!(deadline.attempt_until(now, Duration::from_secs(1)), now + Duration::from_secs(1));
        assert_eq!(deadline.attempt_until(now, Duration::MAX), deadline.at());
    }

    #[test]
    fn an_endless_limit_does_not_overflow() {
        let now = Instant::now();
        assert!(Deadline::after(now, Duration::MAX).left(now) >= Duration::from_secs(24 * 60 * 60));
    }
}
