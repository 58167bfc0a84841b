//! The dates and waits that a server writes into its answers.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use httpdate::HttpDate;

/// 9999-12-31T23:59:59Z, the last second whose year has the four digits that the format allows.
const LAST: u64 = 253_402_300_799;

/// Seconds since 1970; 0 for a clock set before.
pub(crate) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Whole seconds, rounded up: a wait that is announced must never be shorter than meant.
pub(crate) fn seconds_up(duration: Duration) -> u64 {
    duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` for seconds since 1970; times after the year 9999 become its end.
pub(crate) fn http_date(unix: u64) -> HttpDate {
    let since = Duration::from_secs(unix.min(LAST));
    UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_end_with_the_last_year_of_four_digits() {
        for (unix, written) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (LAST, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(http_date(unix).to_string(), written, "{unix}");
        }
    }

    #[test]
    fn waits_are_rounded_up() {
        assert_eq!(seconds_up(Duration::ZERO), 0);
        assert_eq!(seconds_up(Duration::from_millis(1)), 1);
        assert_eq!(seconds_up(Duration::from_secs(2)), 2);
        assert_eq!(seconds_up(Duration::MAX), u64::MAX);
    }
}
