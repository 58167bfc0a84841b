//! The text patterns, for errors that carry nothing but a message.

use std::sync::LazyLock;

use regex::{Regex, RegexBuilder};

use crate::settings::build_error::BuildError;
use words::{LASTING, TRANSIENT};

mod words;

/// What may stand before the words, and what behind: a part of an id, of a path or of a larger number may not.
const BEFORE: &str = r#"(?:^|[\s"'(\[{<:;,|=>`])"#;
const BEHIND: &str = r#"(?:$|[\s"'()\[\]{}<>:;,!?|`]|\.(?:$|[\s"')]))"#;

/// Compiled once for all validators, by the first message that needs them.
static BUILT_IN: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let bounded = |pattern| built_in(&format!("{BEFORE}(?:{pattern}){BEHIND}"));
    TRANSIENT.iter().filter_map(|words| Some((bounded(words.pattern)?, words.pattern))).collect()
});

static ABOUT_CERTIFICATES: LazyLock<Option<Regex>> = LazyLock::new(|| built_in(LASTING));

/// A test holds that none is left out.
fn built_in(pattern: &str) -> Option<Regex> {
    RegexBuilder::new(pattern).case_insensitive(true).unicode(false).build().ok()
}

/// The patterns that make a message transient.
#[derive(Clone, Debug)]
pub(crate) struct TransientPatterns {
    with_built_in: bool,
    added: Vec<Regex>,
}

impl TransientPatterns {
    /// Compiles the added patterns; they replace the built-in ones or stand beside them.
    pub(crate) fn compile(replace: bool, added: &[String]) -> Result<Self, BuildError> {
        let added = added.iter().map(|pattern| compile(pattern)).collect::<Result<_, _>>()?;
        Ok(Self { with_built_in: !replace, added })
    }

    /// The first pattern that matches.
    pub(crate) fn matching(&self, message: &str) -> Option<&str> {
        let built_in = if self.with_built_in { matching_built_in(message) } else { None };
        built_in.or_else(|| self.added.iter().find(|pattern| pattern.is_match(message)).map(Regex::as_str))
    }
}

fn matching_built_in(message: &str) -> Option<&'static str> {
    if ABOUT_CERTIFICATES.as_ref().is_some_and(|lasting| lasting.is_match(message)) {
        return None;
    }
    BUILT_IN.iter().find(|(bounded, _)| bounded.is_match(message)).map(|(_, pattern)| *pattern)
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
    use std::collections::BTreeMap;
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn every_pattern_compiles_and_matches_what_it_is_there_for() {
        assert_eq!(BUILT_IN.len(), TRANSIENT.len());
        assert!(ABOUT_CERTIFICATES.is_some());
        for ((bounded, pattern), words) in BUILT_IN.iter().zip(TRANSIENT) {
            assert!(!words.said_by.is_empty(), "{pattern}");
            for (source, text) in words.said_by {
                assert!(bounded.is_match(text), "{source}: {text:?} is not matched by {pattern}");
                assert!(matching_built_in(text).is_some(), "{source}: {text:?}");
            }
        }
    }

    /// The table in the public documentation, made of the data.
    fn table() -> String {
        let mut by_source: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (source, text) in TRANSIENT.iter().flat_map(|words| words.said_by) {
            by_source.entry(source).or_default().push(text);
        }
        let mut table = "| who says it | what counts as passing |\n|---|---|\n".to_owned();
        for (source, texts) in by_source {
            let texts: Vec<String> = texts.iter().map(|text| format!("`{}`", text.replace('|', "\\|"))).collect();
            writeln!(table, "| {source} | {} |", texts.join(", ")).unwrap();
        }
        table
    }

    #[test]
    fn the_documented_table_is_the_one_that_decides() {
        assert_eq!(include_str!("words.md"), table());
    }

    #[test]
    fn other_texts_are_unknown() {
        for text in [
            "",
            "card declined",
            "No such payment_intent: pi_3503zz",
            "No such payment_intent: 'pi_503'",
            "No such payment_intent: 'pi_timeout'",
            "No such order: timeout-503",
            "order time-out_7",
            "order timeout.example",
            "amount 50200 is too large",
            "order 6503 not found",
            "order 503 not found",
            "503 items are too many",
            "amount 503",
            "the amount is 502.00 USD",
            "card number 4242 502",
            "pi_502",
            "503abc",
            "x503",
            "50300",
            "-503",
            "503.00",
            "500 USD",
            "upstream said 502",
            "error: 504 from gateway",
            "error 503: refused by the issuer",
            "code 429",
            "invoice status: 5030",
            "status: 503-7",
            "status: 404",
            "HTTP 401",
            "HTTP 402 Payment Required",
            "https://api.example.com/503",
            "http://api.example.com:503/",
            "networking_fee unknown",
            "declined by the card network",
            "the account is not connected",
            "the sales channel closed",
            "the operation was canceled by the customer",
            "it is too early to capture",
            "failed to resolve the dispute",
            "failed to lookup order 7",
            "the exchange rate exceeded what is allowed",
            "the order was aborted",
            "the contract is terminated",
            "network fee unknown",
            "declined_by_network",
            "pi_ECONNRESET",
            "order ECONNRESET-1",
            "xrate_limited",
            "the rate is limited to 5",
            "georgeof is no customer",
            "curl: (60) SSL peer was not trusted",
            "curl 281 was not found",
            "GOAWAY-1",
            "item 14 unavailable in stock",
            "invoice 8 resource_exhausted",
            "invalid DNS name: shop_7",
            "the order is on a DNS blocklist",
            "connectionless",
            // Certificates do not mend themselves.
            "invalid peer certificate: UnknownIssuer",
            "error sending request for url (https://api.example.com/): invalid peer certificate: Expired",
            "TypeError: fetch failed: self-signed certificate in certificate chain",
            "fetch failed: DEPTH_ZERO_SELF_SIGNED_CERT",
            "fetch failed: ERR_TLS_CERT_ALTNAME_INVALID",
            "fetch failed: UNABLE_TO_VERIFY_LEAF_SIGNATURE",
            "fetch failed: UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
            "fetch failed: CERT_HAS_EXPIRED",
            "http2 error: tlsv1 alert unknown ca",
            "unable to verify the first certificate",
            "<urlopen error [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed (_ssl.c:1006)>",
            "x509: certificate signed by unknown authority",
            "tls: failed to verify certificate: x509: certificate has expired or is not yet valid",
            "curl: (60) SSL certificate problem: self signed certificate",
            "connection error: invalid peer certificate: NotValidForName",
        ] {
            assert_eq!(matching_built_in(text), None, "{text}");
        }
    }

    #[test]
    fn a_pattern_of_the_users_outranks_what_is_said_of_certificates() {
        let patterns = TransientPatterns::compile(false, &["certificate is not yet valid".to_owned()]).unwrap();
        assert_eq!(patterns.matching("certificate is not yet valid"), Some("certificate is not yet valid"));
        assert!(TransientPatterns::compile(true, &[]).unwrap().matching("connection refused").is_none());
    }

    #[test]
    fn an_invalid_pattern_is_quoted() {
        let error = TransientPatterns::compile(false, &["(unclosed".to_owned()]).unwrap_err();
        assert!(error.to_string().contains("`(unclosed`"), "{error}");
        assert!(error.to_string().contains("unclosed group"), "{error}");
    }
}
