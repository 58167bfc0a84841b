//! Foreign text made fit to be shown: no credentials, no control characters, one short line.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

/// What looks like a credential, wherever a text got it from: API keys, webhook secrets, what follows an authorization
/// scheme, and the user part of URLs. Wide on purpose: a word too many is missed less than a key is found.
///
/// No branch may start with a repetition: on a hostile text it would be tried again at every character.
static CREDENTIAL: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let pattern = r"(?ix)
        \b (?:sk|rk|pk)_ [a-z0-9_*]{4,}
        | (?:sk|rk|pk)_ (?:live|test)_ \S*
        | whsec_ \S*
        | \b (?:bearer|basic) \s+ \S+
        | // [^/\s]* @";
    Regex::new(pattern).ok()
});

/// Client secrets have this in them, whatever stands around it.
const SECRET: &str = "_secret_";

/// Says that a text goes on.
const MORE: char = '…';

/// Says that there is no text.
pub(crate) const NONE: &str = "none";

/// What stands in the place of a credential.
const REDACTED: &str = "[redacted]";

/// Longer than any credential: so much may have to go where a text is cut.
const LONGEST_CREDENTIAL: usize = 512;

/// One of these is in everything that the patterns find in a single word.
const MARKS: [&[u8]; 5] = [b"sk_", b"rk_", b"pk_", b"whsec_", b"_secret_"];

/// Whether a text is a short word that holds no credential, as nearly every request id is: that is seen without the
/// patterns, which would cost more than all else that is done with an answer.
fn is_harmless_word(text: &str, limit: usize) -> bool {
    let bytes = text.as_bytes();
    bytes.len() <= limit
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte == b'-')
        && !MARKS.iter().any(|mark| bytes.windows(mark.len()).any(|part| part.eq_ignore_ascii_case(mark)))
}

/// Long enough for a name and a ticket.
const LONGEST_SIGNATURE: usize = 100;

/// Who says something, for the log; `None` where nothing is left to be shown.
pub(crate) fn signature(who: &str) -> Option<Box<str>> {
    Some(presentable(who, LONGEST_SIGNATURE)).filter(|who| !who.is_empty())
}

/// One line without control characters and credentials, and no longer than `limit` characters.
pub(crate) fn presentable(text: &str, limit: usize) -> Box<str> {
    if is_harmless_word(text, limit) {
        return text.into();
    }
    // A control character within a credential must not hide it.
    let mut readable = text.chars().filter(|c| c.is_whitespace() || !c.is_control());
    // Cut first, so that a hostile megabyte costs little.
    let most = limit.saturating_mul(4).max(LONGEST_CREDENTIAL.saturating_mul(2));
    let mut head: String = readable.by_ref().take(most).collect();
    if readable.next().is_some() {
        // The last word may be half a credential, which would not look like one.
        let whole = head.rfind(char::is_whitespace).unwrap_or(0);
        let kept = head.char_indices().nth_back(LONGEST_CREDENTIAL).map_or(0, |(end, _)| end);
        head.truncate(whole.max(kept));
    }
    let clean = CREDENTIAL.as_ref().map_or(REDACTED.into(), |credential| credential.replace_all(&head, REDACTED));
    let mut line = String::new();
    for word in clean.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(if word.contains(SECRET) { REDACTED } else { word });
    }
    cut(&line, limit)
}

/// The same, of no more than `limit` bytes. A character that it would be cut within falls off.
pub(crate) fn presentable_in_bytes(text: &str, limit: usize) -> Box<str> {
    let line = presentable(text, limit);
    (0..=limit.min(line.len())).rev().find_map(|end| line.get(..end)).unwrap_or_default().into()
}

/// A value as it is, so that [`legible`] can show what cannot be seen in it. Without its credentials, if it has any; and
/// where it is longer than `limit` characters its head, with a sign that there were more.
pub(crate) fn stated(value: &str, limit: usize) -> Box<str> {
    let line = presentable(value, limit);
    if value.chars().count() > limit {
        return if line.ends_with(MORE) { line } else { format!("{line}{MORE}").into() };
    }
    let readable: String = value.chars().filter(|c| c.is_whitespace() || !c.is_control()).collect();
    if readable.split_whitespace().eq(line.split_whitespace()) { value.into() } else { line }
}

/// A text as it is where all of it can be seen; else in quotation marks, with escapes for what cannot.
pub(crate) fn legible(text: &str) -> Cow<'_, str> {
    if is_plain(text) { text.into() } else { quoted(text).into() }
}

/// Two texts for a person to tell apart: if one of them needs quotation marks, both have them.
pub(crate) fn side_by_side<'t>(one: &'t str, other: &'t str) -> [Cow<'t, str>; 2] {
    let texts = [one, other];
    if texts.iter().all(|text| is_plain(text)) { texts.map(Cow::from) } else { texts.map(|text| quoted(text).into()) }
}

/// Letters and symbols that leave no mark: fillers of Hangul, and the blank of Braille.
const BLANK: [char; 5] = ['\u{115f}', '\u{1160}', '\u{2800}', '\u{3164}', '\u{ffa0}'];

/// Whether a character leaves a mark of its own. Control and format characters leave none, nor does white space but for the
/// blank, and an accent that is a character of its own stands on another's mark.
fn can_be_seen(c: char) -> bool {
    matches!(c, '"' | '\'' | '\\') || (c.escape_debug().eq([c]) && !BLANK.contains(&c))
}

/// Whether nothing is hidden in a text, and it can be taken neither for a quoted one nor for the word that says there is none.
fn is_plain(text: &str) -> bool {
    let has_stray_blank = text.starts_with(' ') || text.ends_with(' ') || text.contains("  ");
    !matches!(text, "" | NONE) && !text.starts_with('"') && !has_stray_blank && text.chars().all(can_be_seen)
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            _ if can_be_seen(c) => quoted.push(c),
            _ => quoted.extend(c.escape_default()),
        }
    }
    quoted.push('"');
    quoted
}

/// The first `limit` characters, and a sign that there were more.
pub(crate) fn cut(line: &str, limit: usize) -> Box<str> {
    match line.char_indices().nth(limit).and_then(|(end, _)| line.get(..end)) {
        Some(head) => format!("{head}{MORE}").into(),
        None => line.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harmless_words_stay_and_credentials_go_whatever_their_case() {
        for word in ["req_1PgafyB7WZ01", "card_declined", "a-b", ""] {
            assert_eq!(&*presentable(word, 100), word);
        }
        for kind in ["sk_live_", "SK_LIVE_", "xrk_test_", "pk_live_", "whsec_", "pi_1_secret_", "PI_1_whSec_"] {
            let word = format!("{kind}abcdefgh");
            assert!(!presentable(&word, 100).contains("abcdefgh"), "{word}");
        }
    }

    #[test]
    fn a_value_is_kept_as_it_is_unless_it_is_long_or_holds_a_credential() {
        for value in ["store_42 ", "a\nb\u{1b}[31m", "\0", "a\u{200b}b"] {
            assert_eq!(&*stated(value, 255), value);
        }
        assert_eq!(stated(&"x".repeat(300), 255).chars().count(), 256);
        assert_eq!(&*stated(&("x".repeat(255) + "\0"), 255), "x".repeat(255) + "…");
        assert_eq!(&*stated(&("store_42".to_owned() + &"\0".repeat(2_000)), 255), "store_42…");
        assert_eq!(&*stated(&("ä".repeat(255)), 255), "ä".repeat(255));
        let key = format!("{}_li\0ve_abcdefgh", "sk");
        assert!(!stated(&format!("order {key}"), 255).contains("abcdefgh"));
    }

    #[test]
    fn what_cannot_be_seen_is_escaped_and_what_can_be_seen_is_not() {
        for plain in ["store_42", "a b", "Müller", "日本", "it's", "a\"b", "a\\u{0}"] {
            assert_eq!(legible(plain), plain);
        }
        for (text, expected) in [
            ("", r#""""#),
            ("none", r#""none""#),
            (" a", r#"" a""#),
            ("a ", r#""a ""#),
            ("a  b", r#""a  b""#),
            ("\"a\"", r#""\"a\"""#),
            ("a\0", r#""a\u{0}""#),
            ("a\\\0", r#""a\\\u{0}""#),
            ("a\tb\r\n", r#""a\tb\r\n""#),
            ("a\u{a0}b", r#""a\u{a0}b""#),
            ("a\u{200b}\u{202e}\u{2060}\u{feff}\u{ad}", r#""a\u{200b}\u{202e}\u{2060}\u{feff}\u{ad}""#),
            ("e\u{301}", r#""e\u{301}""#),
            ("\u{3164}\u{2800}", r#""\u{3164}\u{2800}""#),
        ] {
            assert_eq!(legible(text), expected);
        }
    }

    #[test]
    fn of_two_texts_both_are_quoted_or_none() {
        assert_eq!(side_by_side("a", "b"), ["a", "b"]);
        assert_eq!(side_by_side("a", "a "), ["\"a\"", "\"a \""]);
        assert_eq!(side_by_side("\u{200b}a", "a"), ["\"\\u{200b}a\"", "\"a\""]);
    }
}
