//! The Retry-After header of an answer, as an adapter reads it.

use std::time::Duration;

use payproof::provider::Answer;

const DATE: Option<&str> = Some("Sun, 06 Nov 1994 08:49:37 GMT");

fn parse<'v>(lines: impl IntoIterator<Item = &'v str>, date: Option<&'v str>) -> Option<Duration> {
    let dates = date.map(|date| ("Date", date));
    let headers: Vec<_> = lines.into_iter().map(|line| ("Retry-After", line)).chain(dates).collect();
    Answer { status: 429, headers: &headers, body: b"" }.retry_after()
}

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
