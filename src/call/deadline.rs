//! How much time a call has left.

use std::time::Duration;

use tokio::time::Instant;

/// Whether something of this age is recent enough. An age of zero asked for means that nothing from before is.
pub(crate) fn is_recent(age: Duration, max_age: Duration) -> bool {
    age <= max_age && !max_age.is_zero()
}

/// What stands for a moment that the clock cannot name: thirty years on.
const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// The moment this long after another.
pub(crate) fn after(start: Instant, wait: Duration) -> Instant {
    start.checked_add(wait).or_else(|| start.checked_add(FAR)).unwrap_or(start)
}

/// The end of a call: over its attempts, its waits, and its time in queues.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    at: Instant,
    limit: Duration,
}

impl Deadline {
    pub(crate) fn after(start: Instant, limit: Duration) -> Self {
        Self { at: after(start, limit), limit }
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
