use std::borrow::Cow;
use std::fmt;

const PAYMENTS: &str = "/v1/payment_intents/";

/// What the server needs from a request's head, borrowed from the connection's buffer.
#[derive(Debug)]
pub(super) struct Head<'a> {
    pub(super) method: &'a str,
    /// The request target as it was sent, with its query.
    pub(super) target: &'a str,
    /// Whether an `Authorization` header carries a non-empty bearer key.
    pub(super) has_key: bool,
    pub(super) stripe_version: Option<&'a str>,
    /// Whether the connection may serve another request after this one.
    pub(super) keep_alive: bool,
}

impl<'a> Head<'a> {
    /// Reads a head; `None` when it is not HTTP/1.x.
    pub(super) fn parse(raw: &'a [u8]) -> Option<Self> {
        let (line, fields) = split(raw)?;
        let mut words = line.split(' ');
        let (method, target, version) = (words.next()?, words.next()?, words.next()?);
        if words.next().is_some() || method.is_empty() || !target.starts_with('/') {
            return None;
        }
        let mut head = Self {
            method,
            target,
            has_key: false,
            stripe_version: None,
            keep_alive: match version {
                "HTTP/1.1" => true,
                "HTTP/1.0" => false,
                _ => return None,
            },
        };
        let mut has_body = false;
        for (name, value) in fields {
            if name.eq_ignore_ascii_case("authorization") {
                head.has_key = value
                    .split_once(' ')
                    .is_some_and(|(scheme, key)| scheme.eq_ignore_ascii_case("bearer") && !key.trim().is_empty());
            } else if name.eq_ignore_ascii_case("stripe-version") {
                head.stripe_version = Some(value);
            } else if name.eq_ignore_ascii_case("connection") {
                if value.eq_ignore_ascii_case("close") {
                    head.keep_alive = false;
                } else if value.eq_ignore_ascii_case("keep-alive") {
                    head.keep_alive = true;
                }
            } else if name.eq_ignore_ascii_case("content-length") {
                has_body |= value != "0";
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                has_body = true;
            }
        }
        // Bodies are not read, so what follows one cannot be told from it. HEAD is answered with a body.
        head.keep_alive &= !has_body && method != "HEAD";
        Some(head)
    }

    /// The payment that is asked about, and whether its charge is to be expanded.
    pub(super) fn payment(&self) -> Option<(Cow<'a, str>, bool)> {
        let (path, query) = split_target(self.target);
        let id = path.strip_prefix(PAYMENTS)?;
        if self.method != "GET" || id.is_empty() || id.contains('/') {
            return None;
        }
        Some((percent_decoded(id), query.is_some_and(asks_for_charge)))
    }
}

/// One request as the server read it.
///
/// Its `Debug` leaves out the value of `Authorization`; [`headers`](Self::headers) has it.
#[derive(Clone, PartialEq, Eq)]
pub struct RecordedRequest {
    method: String,
    path: String,
    query: Option<String>,
    headers: Vec<(String, String)>,
}

impl RecordedRequest {
    pub(super) fn parse(raw: &[u8]) -> Option<Self> {
        let head = Head::parse(raw)?;
        let (path, query) = split_target(head.target);
        let (_, fields) = split(raw)?;
        Some(Self {
            method: head.method.to_owned(),
            path: path.to_owned(),
            query: query.map(str::to_owned),
            headers: fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        })
    }

    /// The method, as sent.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The path without the query, as sent: percent-encoding is kept.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What follows the question mark, as sent; none when there is no question mark.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// Every header in order, its name spelled as sent, secrets included.
    #[must_use]
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// The first header of this name, in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

impl fmt::Debug for RecordedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |(name, value): &(String, String)| {
            let secret = name.eq_ignore_ascii_case("authorization") || name.eq_ignore_ascii_case("proxy-authorization");
            (name.clone(), if secret { "[redacted]".to_owned() } else { value.clone() })
        };
        f.debug_struct("RecordedRequest")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("query", &self.query)
            .field("headers", &self.headers.iter().map(shown).collect::<Vec<_>>())
            .finish()
    }
}

/// The request line, and the headers as name and trimmed value. Control characters are refused, since values
/// are echoed into answers.
fn split(raw: &[u8]) -> Option<(&str, impl Iterator<Item = (&str, &str)>)> {
    let text = std::str::from_utf8(raw).ok()?.strip_suffix("\r\n\r\n")?;
    let mut lines = text.split("\r\n");
    let line = lines.next()?;
    if text.split("\r\n").any(|line| line.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t')) {
        return None;
    }
    Some((line, lines.filter_map(|line| line.split_once(':')).map(|(name, value)| (name, value.trim()))))
}

fn split_target(target: &str) -> (&str, Option<&str>) {
    target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)))
}

/// Whether a query holds `expand[]=latest_charge`, in any percent-encoding.
fn asks_for_charge(query: &str) -> bool {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .any(|(name, value)| percent_decoded(name) == "expand[]" && percent_decoded(value) == "latest_charge")
}

/// Decodes `%XX`; a lone `%` stays, and bytes that are not UTF-8 become replacement characters.
fn percent_decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escape = match (first, after) {
            (b'%', [high, low, tail @ ..]) => hex(*high).zip(hex(*low)).map(|(high, low)| (high << 4 | low, tail)),
            _ => None,
        };
        let (byte, tail) = escape.unwrap_or((first, after));
        decoded.push(byte);
        rest = tail;
    }
    Cow::Owned(String::from_utf8_lossy(&decoded).into_owned())
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(line: &str, fields: &str) -> Vec<u8> {
        format!("{line}\r\n{fields}\r\n").into_bytes()
    }

    #[test]
    fn payment_is_read_from_the_path_and_expansion_from_the_query() {
        for (target, wanted) in [
            ("/v1/payment_intents/pi_1", Some(("pi_1", false))),
            ("/v1/payment_intents/pi_1?expand[]=latest_charge", Some(("pi_1", true))),
            ("/v1/payment_intents/pi_1?expand%5B%5D=latest_charge", Some(("pi_1", true))),
            ("/v1/payment_intents/pi_1?expand%5b%5d=latest%5fcharge", Some(("pi_1", true))),
            ("/v1/payment_intents/pi_1?a=b&expand[]=customer&expand[]=latest_charge", Some(("pi_1", true))),
            ("/v1/payment_intents/pi_1?expand[]=customer", Some(("pi_1", false))),
            ("/v1/payment_intents/pi_1?expand=latest_charge", Some(("pi_1", false))),
            ("/v1/payment_intents/p%69_1", Some(("pi_1", false))),
            ("/v1/payment_intents/", None),
            ("/v1/payment_intents", None),
            ("/v1/payment_intents/pi_1/capture", None),
            ("/v1/charges/ch_1", None),
        ] {
            let raw = raw(&format!("GET {target} HTTP/1.1"), "");
            let read = Head::parse(&raw).and_then(|head| head.payment());
            assert_eq!(read, wanted.map(|(id, expanded)| (Cow::Borrowed(id), expanded)), "{target}");
        }
    }

    #[test]
    fn only_a_bearer_key_that_is_not_empty_counts() {
        for (field, has_key) in [
            ("Authorization: Bearer sk_test_1\r\n", true),
            ("authorization: bearer rk_live_1\r\n", true),
            ("Authorization: Bearer \r\n", false),
            ("Authorization: Bearer\r\n", false),
            ("Authorization: Basic c2s6\r\n", false),
            ("", false),
        ] {
            let raw = raw("GET / HTTP/1.1", field);
            assert_eq!(Head::parse(&raw).map(|head| head.has_key), Some(has_key), "{field}");
        }
    }

    #[test]
    fn connection_is_kept_unless_the_request_rules_it_out() {
        for (line, field, kept) in [
            ("GET / HTTP/1.1", "", true),
            ("GET / HTTP/1.1", "Connection: close\r\n", false),
            ("GET / HTTP/1.0", "", false),
            ("GET / HTTP/1.0", "Connection: keep-alive\r\n", true),
            ("POST / HTTP/1.1", "Content-Length: 0\r\n", true),
            ("POST / HTTP/1.1", "Content-Length: 3\r\n", false),
            ("POST / HTTP/1.1", "Transfer-Encoding: chunked\r\n", false),
            ("HEAD / HTTP/1.1", "", false),
        ] {
            let raw = raw(line, field);
            assert_eq!(Head::parse(&raw).map(|head| head.keep_alive), Some(kept), "{line} {field}");
        }
    }

    #[test]
    fn what_is_not_http_1_is_refused() {
        for line in ["PRI * HTTP/2.0", "GET /", "GET / HTTP/1.1 x", "GET x HTTP/1.1", "", "GET /\u{1} HTTP/1.1"] {
            assert!(Head::parse(&raw(line, "")).is_none(), "{line}");
        }
        assert!(Head::parse(&raw("GET / HTTP/1.1", "Stripe-Version: a\nb\r\n")).is_none());
    }

    #[test]
    fn debug_hides_the_key_and_nothing_else() {
        let raw = raw("GET /v1/x?y=1 HTTP/1.1", "AUTHORIZATION: Bearer sk_live_secret\r\nStripe-Account: acct_1\r\n");
        let shown = RecordedRequest::parse(&raw).map(|request| format!("{request:?}")).unwrap_or_default();
        assert!(!shown.contains("sk_live_secret"), "{shown}");
        assert!(shown.contains("acct_1") && shown.contains("/v1/x") && shown.contains("[redacted]"), "{shown}");
    }

    #[test]
    fn broken_escapes_stay_as_they_are() {
        assert_eq!(percent_decoded("%"), "%");
        assert_eq!(percent_decoded("%4"), "%4");
        assert_eq!(percent_decoded("%zz%41"), "%zzA");
        assert_eq!(percent_decoded("%+1"), "%+1");
    }
}
