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

/// What a clock's own start counts as, in nanoseconds: what it dates may be older than the process, by up to 18 years.
const CLOCK_START: u64 = 1 << 59;

/// Dates moments in nanoseconds, in eight bytes. What two clocks say cannot be compared.
#[derive(Debug)]
pub(crate) struct NanoClock(Instant);

impl NanoClock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn at(&self, instant: Instant) -> u64 {
        match instant.checked_duration_since(self.0) {
            Some(after) => CLOCK_START.saturating_add(nanos(after)),
            None => CLOCK_START.saturating_sub(nanos(self.0.saturating_duration_since(instant))),
        }
    }

    pub(crate) fn of(&self, moment: Moment) -> u64 {
        self.at(moment.seen_at).saturating_sub(nanos(moment.age))
    }
}

/// In whole nanoseconds, up to 584 years.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The time since 1970 by the system's clock; zero where that is set before.
pub(crate) fn since_1970() -> Duration {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default()
}

/// The beginning of a day of the calendar, in UTC, in seconds since 1970. `None` before then, after the year 9999, and where the
/// calendar has no such day.
#[cfg(any(feature = "stripe", feature = "webhook"))]
pub(crate) fn midnight(year: u64, month: u64, day: u64) -> Option<u64> {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let last_day = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        _ => return None,
    };
    if !(1970..=9999).contains(&year) || !(1..=last_day).contains(&day) {
        return None;
    }
    // Years that begin in March have their leap day at the end.
    let (year, month) =
        if month < 3 { (year.checked_sub(1)?, month.checked_add(9)?) } else { (year, month.checked_sub(3)?) };
    let leap_days = (year / 4).checked_sub(year / 100)?.checked_add(year / 400)?;
    let days_before_month = month.checked_mul(153)?.checked_add(2)? / 5;
    let days = year.checked_mul(365)?.checked_add(leap_days)?.checked_add(days_before_month)?.checked_add(day)?;
    // Counted from the first of March of the year 0.
    days.checked_sub(719_469)?.checked_mul(24 * 60 * 60)
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
