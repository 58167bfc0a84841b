//! Times as people and exports write them, in seconds since 1970.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::output::since_1970;
use crate::settings;

/// What a time has to look like.
const FORMS: &str = "must be a time such as 2026-07-01T05:00:12Z, in RFC 3339, or ten digits of seconds since 1970";

/// How many digits the seconds since 1970 have, from 2001 until 2286.
const SECONDS_DIGITS: usize = 10;

/// How long a date is: `2026-07-01`.
const DATE: usize = 10;

/// Reads times. Those without an offset are of this time zone, where one is named.
#[derive(Clone, Debug)]
pub(crate) struct Times {
    zone: Option<TimeZone>,
    now: u64,
}

impl Times {
    pub(crate) fn new(zone: Option<TimeZone>) -> Self {
        Self { zone, now: since_1970().as_secs() }
    }

    /// When the command began.
    pub(crate) fn now(&self) -> u64 {
        self.now
    }

    /// A moment that an order states: with its time of day.
    ///
    /// # Errors
    /// The rule that the text breaks.
    pub(crate) fn moment(&self, text: &str) -> Result<u64, String> {
        if text.len() == SECONDS_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().map_err(|_| FORMS.to_owned());
        }
        if let Some(stated) = stated(text) {
            return u64::try_from(stated.as_second()).map_err(|_| "must lie after 1970".to_owned());
        }
        let of_day = text.get(DATE..).unwrap_or_default();
        let has_offset = of_day.contains(['+', '-', '[']) || of_day.ends_with(['Z', 'z', 'C']);
        let local: DateTime = text.parse().ok().filter(|_| !has_offset).ok_or(FORMS)?;
        if of_day.is_empty() {
            return Err("must have a time of day; a date alone may be 24 hours off".to_owned());
        }
        let zone = self.zone.as_ref();
        let zone = zone.ok_or("names no offset, such as Z or +02:00; say whose time it is with --tz")?;
        in_zone(zone, local)
    }

    /// A bound that an argument states: a moment, a date (its first second, in the time zone or else in UTC), or how long ago it
    /// was.
    ///
    /// # Errors
    /// The rule that the text breaks.
    pub(crate) fn bound(&self, text: &str) -> Result<u64, String> {
        if let Some(ago) = span(text) {
            return Ok(self.now.saturating_sub(ago.as_secs()));
        }
        if text.len() == DATE && text.contains('-') {
            let day: DateTime = text.parse().map_err(|_| FORMS)?;
            return in_zone(self.zone.as_ref().unwrap_or(&TimeZone::UTC), day);
        }
        self.moment(text)
            .map_err(|rule| if rule == FORMS { format!("{rule}, or a date, or how long ago: 3d") } else { rule })
    }
}

/// How long a text says, such as `3d`. A bare number would be seconds, and may be meant as a time.
pub(crate) fn span(text: &str) -> Option<Duration> {
    settings::duration(text).ok().filter(|_| text.ends_with(|c: char| c.is_ascii_lowercase()))
}

/// A moment that a text states by itself. Shopify writes a space before the offset, and Ruby `UTC`.
fn stated(text: &str) -> Option<Timestamp> {
    if let Ok(moment) = text.parse() {
        return Some(moment);
    }
    let (time, offset) = text.rsplit_once(' ')?;
    let offset = if offset == "UTC" { "Z" } else { offset };
    let is_offset = offset == "Z" || offset.starts_with(['+', '-']);
    format!("{time}{offset}").parse().ok().filter(|_| is_offset)
}

fn in_zone(zone: &TimeZone, local: DateTime) -> Result<u64, String> {
    let moment = zone.to_ambiguous_timestamp(local).unambiguous();
    let moment = moment.map_err(|_| "comes twice or never where clocks are set in --tz; write it with its offset")?;
    u64::try_from(moment.as_second()).map_err(|_| "must lie after 1970".to_owned())
}

/// The time zone of a name.
pub(crate) fn zone(name: &str) -> Result<TimeZone, String> {
    let unknown =
        |_| "must name a time zone, such as Europe/Berlin or UTC, that the system knows (package tzdata)".to_owned();
    TimeZone::get(name).map_err(unknown)
}

/// A time as reports show it: `2026-07-01T05:00:12Z`.
pub(crate) fn shown(seconds: u64) -> String {
    let moment = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    moment.map_or_else(|| seconds.to_string(), |moment| moment.to_string())
}

/// The day of a time in UTC: `2026-07-01`.
pub(crate) fn day(seconds: u64) -> String {
    let mut day = shown(seconds);
    day.truncate(DATE);
    day
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 05:00:12 on the first of July 2026, in UTC.
    const MOMENT: u64 = 1_782_882_012;

    fn times(zone: Option<&str>) -> Times {
        Times { zone: zone.map(|name| super::zone(name).unwrap()), now: MOMENT }
    }

    #[test]
    fn a_moment_is_read_as_databases_and_shops_write_it() {
        for text in [
            "2026-07-01T05:00:12Z",
            "2026-07-01 05:00:12Z",
            "2026-07-01T07:00:12+02:00",
            "2026-07-01 07:00:12+02",
            "2026-07-01 05:00:12.987654+00",
            "2026-07-01 07:00:12 +0200",
            "2026-07-01 05:00:12 UTC",
            "1782882012",
        ] {
            assert_eq!(times(None).moment(text), Ok(MOMENT), "{text}");
            assert_eq!(times(Some("America/New_York")).moment(text), Ok(MOMENT), "{text}");
        }
        assert_eq!((shown(MOMENT), day(MOMENT)), ("2026-07-01T05:00:12Z".to_owned(), "2026-07-01".to_owned()));
    }

    #[test]
    fn a_moment_without_an_offset_needs_a_time_zone() {
        for text in ["2026-07-01 07:00:12", "2026-07-01T07:00:12.5"] {
            assert_eq!(times(Some("Europe/Berlin")).moment(text), Ok(MOMENT), "{text}");
            assert!(times(None).moment(text).unwrap_err().contains("--tz"), "{text}");
        }
    }

    #[test]
    fn a_moment_that_comes_twice_or_never_is_refused() {
        let berlin = times(Some("Europe/Berlin"));
        for text in ["2026-10-25 02:30:00", "2026-03-29 02:30:00"] {
            assert!(berlin.moment(text).unwrap_err().contains("twice or never"), "{text}");
        }
        assert_eq!(berlin.moment("2026-10-25 02:30:00+01:00"), Ok(1_792_891_800));
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        let berlin = times(Some("Europe/Berlin"));
        for text in [
            "",
            "yesterday",
            "01/07/2026",
            "2026-07-01",
            "2026-13-01T00:00:00Z",
            "178288201",
            "5",
            "1960-01-01T00:00:00Z",
        ]
        .into_iter()
        .chain(["2026-07-01T05:00:12+99:00", "2026-07-01T05:00:12[Europe/Berlin]", "2026-07-01 05:00:12 CEST"])
        {
            assert!(berlin.moment(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_bound_may_be_a_date_or_how_long_ago_it_was() {
        let midnight = MOMENT - 5 * 3600 - 12;
        assert_eq!(times(None).bound("2026-07-01"), Ok(midnight));
        assert_eq!(times(Some("Europe/Berlin")).bound("2026-07-01"), Ok(midnight - 2 * 3600));
        assert_eq!(times(None).bound("3d"), Ok(MOMENT - 3 * 86_400));
        assert_eq!(times(None).bound("12h"), Ok(MOMENT - 12 * 3600));
        assert_eq!(times(None).bound("2026-07-01T05:00:12Z"), Ok(MOMENT));
        for text in ["", "3", "3x", "yesterday", "2026-02-30", "2026-07-01T05:00"] {
            assert!(times(None).bound(text).is_err(), "{text}");
        }
    }
}
