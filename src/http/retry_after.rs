//! The Retry-After header.

use std::time::{Duration, SystemTime};

/// Reads Retry-After from every line on which it stands, in either of its forms (RFC 9110 §10.2.3).
///
/// Servers also send fractions of a second, and proxies join two headers into a list. A fraction counts as the next whole
/// second, and of several waits the longest counts, so that no server that asked is asked again too early. What is
/// neither a number nor a date is passed over.
///
/// A date is counted from `date`, the same answer's Date header, so that a wrong clock here does not matter; without one,
/// it is passed over. A date in the past means no wait. A number too large for 64 bits counts as the largest.
pub(crate) fn parse<'v>(lines: impl IntoIterator<Item = &'v str>, date: Option<&str>) -> Option<Duration> {
    lines.into_iter().filter_map(|line| longest(line, date)).max()
}

fn longest(line: &str, date: Option<&str>) -> Option<Duration> {
    let (mut rest, mut longest) = (line, None);
    while !rest.trim().is_empty() {
        let (wait, after) = first(rest, date);
        longest = longest.max(wait);
        rest = after;
    }
    longest
}

/// The first element of a list, if it says a wait, and what follows it.
fn first<'l>(list: &'l str, date: Option<&str>) -> (Option<Duration>, &'l str) {
    let (element, after) = list.split_once(',').unwrap_or((list, ""));
    // A date of today's form has a comma of its own, behind the day of the week.
    let dated = after.split(',').next().unwrap_or_default();
    let with_comma = list.get(..element.len().saturating_add(1).saturating_add(dated.len())).unwrap_or(list);
    if let Some(until) = moment(with_comma) {
        let after = after.get(dated.len()..).unwrap_or_default();
        return (wait_until(until, date), after.strip_prefix(',').unwrap_or(after));
    }
    (seconds(element.trim()).or_else(|| wait_until(moment(element)?, date)), after)
}

/// Digits, perhaps with a fraction; neither a sign nor an exponent.
fn seconds(text: &str) -> Option<Duration> {
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let up = u64::from(fraction.bytes().any(|digit| digit != b'0'));
    Some(Duration::from_secs(whole.parse::<u64>().map_or(u64::MAX, |whole| whole.saturating_add(up))))
}

fn moment(text: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(text.trim()).ok()
}

fn wait_until(until: SystemTime, date: Option<&str>) -> Option<Duration> {
    Some(until.duration_since(moment(date?)?).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: Option<&str> = Some("Sun, 06 Nov 1994 08:49:37 GMT");

    fn read(line: &str) -> Option<u64> {
        parse([line], DATE).map(|wait| wait.as_secs())
    }

    #[test]
    fn seconds_are_read_and_never_overflow() {
        assert_eq!(read("0"), Some(0));
        assert_eq!(read(" 120 "), Some(120));
        for huge in ["18446744073709551615", "18446744073709551615.5", "99999999999999999999"] {
            assert_eq!(read(huge), Some(u64::MAX), "{huge}");
        }
    }

    #[test]
    fn a_fraction_of_a_second_counts_as_a_whole_one() {
        for (value, expected) in
            [("1.5", 2), ("1.0", 1), ("0.001", 1), ("0.000", 0), ("59.999999999999999999999999", 60), ("007.10", 8)]
        {
            assert_eq!(read(value), Some(expected), "{value}");
        }
    }

    #[test]
    fn of_several_waits_the_longest_counts() {
        for (value, expected) in [
            ("120, 60", 120),
            ("60,120", 120),
            ("\t60 ,\t120.5 ", 121),
            (",, 7 ,", 7),
            ("0, 0", 0),
            ("soon, 5", 5),
            ("5, soon, Sun", 5),
            ("Sun, 06 Nov 1994 08:50:07 GMT, 20", 30),
            ("20, Sun, 06 Nov 1994 08:50:07 GMT", 30),
            ("40, Sun, 06 Nov 1994 08:50:07 GMT,", 40),
            ("Sun, 06 Nov 1994 08:50:07 GMT, Sun, 06 Nov 1994 08:51:37 GMT", 120),
            ("Sunday, 06-Nov-94 08:50:07 GMT, 7", 30),
            ("7, Sun Nov  6 08:50:07 1994", 30),
            ("Sun, 20, 06 Nov 1994 08:50:07 GMT", 20),
        ] {
            assert_eq!(read(value), Some(expected), "{value}");
        }
        assert_eq!(parse(["2", "soon", "Sun, 06 Nov 1994 08:50:07 GMT", "4"], DATE), Some(Duration::from_secs(30)));
        assert_eq!(parse([], DATE), None);
    }

    #[test]
    fn a_date_is_counted_from_the_answers_own_date() {
        assert_eq!(read("Sun, 06 Nov 1994 08:50:07 GMT"), Some(30));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:07 GMT"), Some(0));
        let without = |line| parse([line], None).map(|wait| wait.as_secs());
        assert_eq!(without("Sun, 06 Nov 1994 08:50:07 GMT"), None);
        assert_eq!(without("Sun, 06 Nov 1994 08:50:07 GMT, 3"), Some(3));
    }

    #[test]
    fn anything_else_is_passed_over() {
        for value in [
            "",
            " ",
            ",",
            "-1",
            "+3",
            "3 s",
            "3s",
            "soon",
            "1.",
            ".5",
            "1.5.2",
            "-0.5",
            "1e3",
            "1.5e3",
            "0x10",
            "1_000",
            "NaN",
            "nan",
            "inf",
            "infinity",
            "-inf",
            "1 000",
            "\u{663}",
            "Sun, 31 Feb 1994 08:50:07 GMT",
            "\u{e9},\u{20ac}",
        ] {
            assert_eq!(read(value), None, "{value:?}");
        }
    }
}
