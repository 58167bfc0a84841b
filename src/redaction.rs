//! Foreign text made fit to be shown: no credentials, no control characters, one short line.

use std::sync::LazyLock;

use regex::Regex;

/// What looks like a credential, whoever wrote it into a text: API keys, webhook secrets, what follows an authorization
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

/// A value as it is, so that a stray blank can be seen, unless it would have to be changed to be shown.
pub(crate) fn shown(value: &str, limit: usize) -> Box<str> {
    let line = presentable(value, limit);
    let unchanged = value.split_whitespace().eq(line.split_whitespace()) && !value.contains(char::is_control);
    if unchanged && value.len() <= limit { value.into() } else { line }
}

/// The first `limit` characters, and a sign that there were more.
pub(crate) fn cut(line: &str, limit: usize) -> Box<str> {
    match line.char_indices().nth(limit).and_then(|(end, _)| line.get(..end)) {
        Some(head) => format!("{head}…").into(),
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
    fn a_value_is_shown_with_its_blanks_unless_it_has_to_be_changed() {
        assert_eq!(&*shown("store_42 ", 255), "store_42 ");
        assert_eq!(&*shown("a\nb\u{1b}[31m", 255), "a b[31m");
        assert_eq!(shown(&"x".repeat(300), 255).chars().count(), 256);
    }
}
