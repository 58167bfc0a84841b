//! Counts over the last while, of which a tenth is forgotten at a time.

use std::time::Duration;

use tokio::time::Instant;

use crate::call::deadline::after;

const BUCKETS: usize = 10;

/// A count over a rolling window.
#[derive(Debug)]
pub(crate) struct Rolling {
    width: Duration,
    counts: [u32; BUCKETS],
    newest: usize,
    newest_until: Instant,
}

impl Rolling {
    pub(crate) fn new(window: Duration, now: Instant) -> Self {
        let width = window.checked_div(10).unwrap_or_default().max(Duration::from_nanos(1));
        Self { width, counts: [0; BUCKETS], newest: 0, newest_until: after(now, width) }
    }

    pub(crate) fn add(&mut self, count: u32, now: Instant) {
        self.forget(now);
        if let Some(bucket) = self.counts.get_mut(self.newest) {
            *bucket = bucket.saturating_add(count);
        }
    }

    /// What was counted within the window.
    pub(crate) fn total(&mut self, now: Instant) -> u32 {
        self.forget(now);
        self.counts.iter().fold(0, |total, count| total.saturating_add(*count))
    }

    fn forget(&mut self, now: Instant) {
        for _ in 0..BUCKETS {
            if now < self.newest_until {
                return;
            }
            self.newest = self.newest.wrapping_add(1) % BUCKETS;
            self.newest_until = after(self.newest_until, self.width);
            if let Some(bucket) = self.counts.get_mut(self.newest) {
                *bucket = 0;
            }
        }
        self.newest_until = self.newest_until.max(after(now, self.width));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut rolling = Rolling::new(Duration::from_secs(1), start);
        rolling.add(3, start);
        rolling.add(4, at(550));
        assert_eq!(rolling.total(at(999)), 7);
        assert_eq!(rolling.total(at(1_050)), 4);
        assert_eq!(rolling.total(at(3_600_000)), 0);
        rolling.add(2, at(3_600_000));
        assert_eq!(rolling.total(at(3_600_900)), 2);
        assert_eq!(rolling.total(start), 2, "a clock that is read late forgets nothing");
    }
}
