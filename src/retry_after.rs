//! The Retry-After header.

use std::time::Duration;

/// Reads Retry-After, in either of its forms (RFC 9110 §10.2.3).
///
/// A date is counted from `date`, the same answer's Date header, so that a wrong clock here does not matter; without one,
/// or for anything malformed, the header is ignored. A date in the past means no wait. A number too large for 64 bits
/// counts as the largest.
pub(crate) fn parse(value: &str, date: Option<&str>) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let until = httpdate::parse_http_date(value).ok()?;
    let now = httpdate::parse_http_date(date?.trim()).ok()?;
    Some(until.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: Option<&str> = Some("Sun, 06 Nov 1994 08:49:37 GMT");

    #[test]
    fn seconds_are_read_and_never_overflow() {
        assert_eq!(parse("0", None), Some(Duration::ZERO));
        assert_eq!(parse(" 120 ", None), Some(Duration::from_secs(120)));
        assert_eq!(parse("99999999999999999999", None), Some(Duration::from_secs(u64::MAX)));
    }

    #[test]
    fn a_date_is_counted_from_the_answers_own_date() {
        assert_eq!(parse("Sun, 06 Nov 1994 08:50:07 GMT", DATE), Some(Duration::from_secs(30)));
        assert_eq!(parse("Sun, 06 Nov 1994 08:49:07 GMT", DATE), Some(Duration::ZERO));
        assert_eq!(parse("Sun, 06 Nov 1994 08:50:07 GMT", None), None);
    }

    #[test]
    fn anything_else_is_ignored() {
        for value in ["", "-1", "1.5", "soon", "+3", "3 s"] {
            assert_eq!(parse(value, DATE), None, "{value:?}");
        }
    }
}
