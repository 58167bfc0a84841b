//! Foreign text made fit to be shown: no credentials, no control characters, one short line.

use std::sync::LazyLock;

use regex::Regex;

/// What looks like a credential, whoever wrote it into a text: API keys, webhook and client secrets, what follows an
/// authorization scheme, and the user part of URLs. Wide on purpose: a word too many is missed less than a key is found.
static CREDENTIAL: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let pattern = r"(?ix)
        \b (?:sk|rk|pk)_ [a-z0-9_*]{4,}
        | (?:sk|rk|pk)_ (?:live|test)_ \S*
        | whsec_ \S*
        | \S* _secret_ \S*
        | \b (?:bearer|basic) \s+ \S+
        | // [^/\s]* @";
    Regex::new(pattern).ok()
});

/// What stands in the place of a credential.
const REDACTED: &str = "[redacted]";

/// One line without control characters and credentials, and no longer than `limit` characters.
pub(crate) fn presentable(text: &str, limit: usize) -> Box<str> {
    // Cut first, so that a hostile megabyte costs little.
    let most = limit.saturating_mul(4);
    let head = match text.char_indices().nth(most).and_then(|(end, _)| text.get(..end)) {
        // Without its last word, which may be half a credential.
        Some(head) => head.rsplit_once(char::is_whitespace).map_or(head, |(whole, _)| whole),
        None => text,
    };
    // A control character within a credential must not hide it.
    let head: String = head.chars().filter(|c| c.is_whitespace() || !c.is_control()).collect();
    let clean = CREDENTIAL.as_ref().map_or(REDACTED.into(), |credential| credential.replace_all(&head, REDACTED));
    let mut line = String::new();
    for word in clean.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    cut(&line, limit)
}

/// The first `limit` characters, and a sign that there were more.
pub(crate) fn cut(line: &str, limit: usize) -> Box<str> {
    match line.char_indices().nth(limit).and_then(|(end, _)| line.get(..end)) {
        Some(head) => format!("{head}…").into(),
        None => line.into(),
    }
}
