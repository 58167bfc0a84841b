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
