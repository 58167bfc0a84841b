//! Times as thin events state them: `2026-11-02T10:00:00.000Z`.

use crate::moment::midnight;

/// The seconds since 1970; `None` where it is no time from then on.
pub(super) fn unix_seconds(text: &str) -> Option<u64> {
    let (date, time) = text.split_once(['T', 't'])?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let zone_at = time.find(['Z', 'z', '+', '-'])?;
    let (time, zone) = time.split_at_checked(zone_at)?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    let is_time = hour < 24 && minute < 60 && second <= 60 && is_digits(fraction);
    let local = midnight(year, month, day)?.checked_add(in_seconds(hour, minute, second)?)?;
    let ahead = match (zone.split_at_checked(1)?, zone.len()) {
        (("Z" | "z", ""), _) => Some(local),
        (("+", offset), 6) => local.checked_sub(offset_of(offset)?),
        (("-", offset), 6) => local.checked_add(offset_of(offset)?),
        _ => None,
    };
    ahead.filter(|_| is_time)
}

fn offset_of(text: &str) -> Option<u64> {
    let [hours, minutes] = numbers(text, ':', [2, 2])?;
    if hours < 24 && minutes < 60 { in_seconds(hours, minutes, 0) } else { None }
}

fn in_seconds(hours: u64, minutes: u64, seconds: u64) -> Option<u64> {
    hours.checked_mul(3_600)?.checked_add(minutes.checked_mul(60)?)?.checked_add(seconds)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Numbers of so many digits each.
fn numbers<const N: usize>(text: &str, between: char, digits: [usize; N]) -> Option<[u64; N]> {
    let mut parts = text.split(between);
    let mut numbers = [0; N];
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part = parts.next().filter(|part| part.len() == digits && is_digits(part))?;
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_whatever_its_fraction_and_its_zone() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2026-11-02T10:00:00.000Z", Some(1_793_613_600)),
            ("2026-11-02T10:00:00.999999Z", Some(1_793_613_600)),
            ("2026-11-02t10:00:00z", Some(1_793_613_600)),
            ("2026-11-02T11:30:00+01:30", Some(1_793_613_600)),
            ("2026-11-02T05:00:00-05:00", Some(1_793_613_600)),
            ("2024-02-29T00:00:00Z", Some(1_709_164_800)),
            ("2000-03-01T00:00:00Z", Some(951_868_800)),
            ("2023-02-29T00:00:00Z", None),
            ("2026-13-01T00:00:00Z", None),
            ("2026-00-01T00:00:00Z", None),
            ("2026-11-31T00:00:00Z", None),
            ("2026-11-02T24:00:00Z", None),
            ("2026-11-02T10:60:00Z", None),
            ("2026-11-02T10:00:00", None),
            ("2026-11-02T10:00:00.Z", None),
            ("2026-11-02T10:00:00ZZ", None),
            ("2026-11-02T10:00:00+1:00", None),
            ("2026-11-02 10:00:00Z", None),
            ("26-11-02T10:00:00Z", None),
            ("1969-12-31T23:59:59Z", None),
            ("1970-01-01T00:00:00+01:00", None),
            ("1793613600", None),
            ("", None),
            ("T", None),
            ("2026-11-02T10:00:00\u{e9}", None),
        ] {
            assert_eq!(unix_seconds(text), expected, "{text}");
        }
    }
}
