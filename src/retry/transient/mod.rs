//! The text patterns, for errors that carry nothing but a message.

use regex::{Regex, RegexBuilder};

use crate::build_error::BuildError;

/// What a transient failure calls itself. Bounded to words, so that no id or amount looks like a status: `pi_3503zz` and
/// `50200` match nothing here.
const BUILT_IN: &[&str] = &[
    r"\bnetwork\b",
    r"\btime[d-]?[ -]?out\b",
    r"\btemporarily unavailable\b",
    r"\bservice unavailable\b",
    r"\brate[ -]?limit(?:ed|ing|s)?\b",
    r"\btoo many requests\b",
    r"(?:^|[\s:(\[])50[234](?:$|[\s:;,.)\]])",
    r"\bconnection (?:was )?(?:reset|refused|aborted|closed)\b",
    r"\bECONN(?:RESET|REFUSED|ABORTED)\b",
    r"\bE(?:TIMEDOUT|AI_AGAIN|NOTFOUND)\b",
    r"\bdns\b",
    r"\bfailed to (?:lookup|resolve)\b",
    r"\bname resolution\b",
];

/// The patterns that make a message transient.
#[derive(Clone, Debug)]
pub(crate) struct TransientPatterns(Vec<Regex>);

impl TransientPatterns {
    /// Compiles the built-in patterns, unless they are replaced, and the added ones.
    pub(crate) fn compile(replace: bool, added: &[String]) -> Result<Self, BuildError> {
        let built_in = BUILT_IN.iter().copied().filter(|_| !replace);
        built_in.chain(added.iter().map(String::as_str)).map(compile).collect::<Result<_, _>>().map(Self)
    }

    /// The first pattern that matches.
    pub(crate) fn matching(&self, message: &str) -> Option<&str> {
        self.0.iter().find(|pattern| pattern.is_match(message)).map(Regex::as_str)
    }
}

fn compile(pattern: &str) -> Result<Regex, BuildError> {
    let invalid = |reason: String| BuildError::InvalidPattern { pattern: pattern.to_owned(), reason };
    if pattern.is_empty() {
        return Err(invalid("it is empty, and would match everything".to_owned()));
    }
    let compiled = RegexBuilder::new(pattern).case_insensitive(true).build();
    compiled.map_err(|error| {
        // The parser's message is a drawing over several lines whose last line says what is wrong.
        let text = error.to_string();
        invalid(text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(message: &str) -> bool {
        TransientPatterns::compile(false, &[]).unwrap().matching(message).is_some()
    }

    #[test]
    fn words_for_passing_trouble_are_transient() {
        let messages = [
            "Network error",
            "request timeout",
            "the request timed out",
            "operation timed-out",
            "Service Temporarily Unavailable",
            "rate limit exceeded",
            "you are being rate limited",
            "Rate-limited",
            "Too Many Requests",
            "HTTP 502",
            "error 503: try later",
            "status: 504",
            "(503)",
            "connection refused",
            "Connection reset by peer",
            "read ECONNRESET",
            "dns error: no such host",
            "failed to lookup address information: Temporary failure in name resolution",
        ];
        for message in messages {
            assert!(matches(message), "{message}");
        }
    }

    #[test]
    fn ids_and_amounts_that_hold_a_status_are_not() {
        let messages = [
            "No such payment_intent: pi_3503zz",
            "No such payment_intent: 'pi_503'",
            "amount 50200 is too large",
            "order 6503 not found",
            "card declined",
            "pi_502",
            "503abc",
            "x503",
            "50300",
            "networking_fee unknown",
        ];
        for message in messages {
            assert!(!matches(message), "{message}");
        }
    }

    #[test]
    fn an_invalid_pattern_is_quoted() {
        let error = TransientPatterns::compile(false, &["(unclosed".to_owned()]).unwrap_err();
        assert!(error.to_string().contains("`(unclosed`"), "{error}");
        assert!(error.to_string().contains("unclosed group"), "{error}");
    }
}
