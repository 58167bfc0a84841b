use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;

use super::disputes::DisputePage;
use super::expansion::Expansion;
use super::lists::{ListPage, SandboxList};
use super::related::ObjectQuery;
use crate::testing::loopback::head::{self, split_target};
use crate::testing::object_paths::at_path;

const PAYMENTS: &str = "/v1/payment_intents/";
const SESSIONS: &str = "/v1/checkout/sessions/";

/// What the server needs from a request's head, borrowed from the connection's buffer.
#[derive(Debug)]
pub(super) struct RequestHead<'a> {
    pub(super) method: &'a str,
    /// The request target as it was sent, with its query.
    pub(super) target: &'a str,
    /// Whether an `Authorization` header carries a key that is not empty, as a bearer token or as the user of Basic.
    pub(super) has_key: bool,
    pub(super) stripe_version: Option<&'a str>,
    /// Whether the connection may serve another request after this one.
    pub(super) keep_alive: bool,
}

impl<'a> RequestHead<'a> {
    /// Reads a head; `None` when it is not HTTP/1.x.
    pub(super) fn parse(raw: &'a [u8]) -> Option<Self> {
        let parts = head::split(raw)?;
        let mut head = Self {
            method: parts.method,
            target: parts.target,
            has_key: false,
            stripe_version: None,
            keep_alive: parts.is_1_1,
        };
        let mut has_body = false;
        for (name, value) in parts.fields {
            if name.eq_ignore_ascii_case("authorization") {
                head.has_key = head::bearer(value).is_some() || is_basic_key(value);
            } else if name.eq_ignore_ascii_case("stripe-version") {
                head.stripe_version = Some(value);
            } else if name.eq_ignore_ascii_case("connection") {
                head.keep_alive = head::keeps_alive(head.keep_alive, value);
            } else if name.eq_ignore_ascii_case("content-length") {
                has_body |= value != "0";
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                has_body = true;
            }
        }
        // Bodies are not read, so what follows one cannot be told from it. HEAD is answered with a body.
        head.keep_alive &= !has_body && parts.method != "HEAD";
        Some(head)
    }

    /// The payment, session or other object that is asked about, and what of it.
    pub(super) fn payment(&self) -> Option<(Cow<'a, str>, Subject)> {
        let (path, query) = split_target(self.target);
        if self.method != "GET" {
            return None;
        }
        if let Some(list) = SandboxList::ALL.into_iter().find(|list| list.path() == path) {
            let query = query.unwrap_or_default();
            let page = list_page(list, query);
            let payment = value(query, "payment_intent").filter(|_| list == SandboxList::Disputes);
            return Some(match payment {
                Some(payment) => {
                    let ListPage { limit, starting_after, .. } = page;
                    (payment, Subject::Disputes(DisputePage { limit, starting_after }))
                }
                None => (Cow::Borrowed(path), Subject::List(page)),
            });
        }
        if let Some((kind, id)) = at_path(path) {
            let with_charge = query.is_some_and(|query| values(query, "expand").any(|path| path == "charge"));
            return Some((percent_decoded(id), Subject::Related(ObjectQuery { kind, with_charge })));
        }
        let last = |prefix| path.strip_prefix(prefix).filter(|id: &&str| !id.is_empty() && !id.contains('/'));
        let expansion = query.map(expansion).unwrap_or_default();
        if let Some(id) = last(SESSIONS) {
            return Some((percent_decoded(id), Subject::Session(expansion)));
        }
        Some((percent_decoded(last(PAYMENTS)?), Subject::Intent(expansion)))
    }
}

/// What is asked of a payment, or of the session that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Intent(Expansion),
    Session(Expansion),
    Disputes(DisputePage),
    /// A page of a list. It goes by the list's path in the place of an id.
    List(ListPage),
    /// An object of a payment, by its own id.
    Related(ObjectQuery),
}

fn list_page(list: SandboxList, query: &str) -> ListPage {
    let number = |name| value(query, name).and_then(|value| value.parse::<u64>().ok());
    let since = number("created[gt]").map(|after| after.saturating_add(1)).or_else(|| number("created[gte]"));
    let until = number("created[lte]").map(|last| last.saturating_add(1)).or_else(|| number("created[lt]"));
    let paths = values(query, "expand").filter_map(|path| Some(path.strip_prefix("data.")?.to_owned()));
    let types = values(query, "types").chain(value(query, "type"));
    ListPage {
        list,
        since: since.unwrap_or_default(),
        until: until.unwrap_or(u64::MAX),
        limit: value(query, "limit").and_then(|limit| limit.parse().ok()),
        starting_after: value(query, "starting_after").map(Cow::into_owned),
        expansion: paths.fold(Expansion::default(), |expansion, path| expansion.with(&path)),
        types: types.map(Cow::into_owned).collect(),
    }
}

/// The value of a parameter of a query, the first if there are several.
fn value<'q>(query: &'q str, name: &str) -> Option<Cow<'q, str>> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| percent_decoded(key) == name).map(|(_, value)| percent_decoded(value))
}

/// Whether this is `Basic` with a user, which is the key. What stands for the password is not looked at.
fn is_basic_key(value: &str) -> bool {
    let Some((scheme, token)) = value.split_once(' ') else { return false };
    let decoded = || STANDARD.decode(token.trim()).unwrap_or_default();
    scheme.eq_ignore_ascii_case("basic") && decoded().iter().position(|byte| *byte == b':').is_some_and(|end| end > 0)
}

/// What a query asks to expand: `expand[]=` as curl is told to send it, or `expand[0]=` as Stripe's own clients do, in any
/// percent-encoding.
fn expansion(query: &str) -> Expansion {
    values(query, "expand").fold(Expansion::default(), |expansion, path| expansion.with(&path))
}

/// The values of a parameter that is a list, as `expand` and `types` are.
fn values<'q>(query: &'q str, name: &'static str) -> impl Iterator<Item = Cow<'q, str>> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(move |(key, _)| is_item_of(&percent_decoded(key), name)).map(|(_, value)| percent_decoded(value))
}

fn is_item_of(key: &str, name: &str) -> bool {
    let index = key.strip_prefix(name).and_then(|rest| rest.strip_prefix('[')?.strip_suffix(']'));
    index.is_some_and(|index| index.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Decodes `%XX`; a lone `%` stays, and bytes that are not UTF-8 become replacement characters.
fn percent_decoded(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(line: &str, fields: &str) -> Vec<u8> {
        format!("{line}\r\n{fields}\r\n").into_bytes()
    }

    #[test]
    fn payment_is_read_from_the_path_and_expansion_from_the_query() {
        let nothing = Expansion::default();
        let charge = Expansion { charge: true, ..nothing };
        let refunds = Expansion { refunds: true, ..charge };
        let dispute = Expansion { dispute: true, ..charge };
        let both = Expansion { refunds: true, ..dispute };
        for (query, wanted) in [
            ("", nothing),
            ("?expand[]=latest_charge", charge),
            ("?expand%5B%5D=latest_charge", charge),
            ("?expand%5b%5d=latest%5fcharge", charge),
            ("?expand[0]=latest_charge", charge),
            ("?expand%5B0%5D=latest_charge", charge),
            ("?expand[0]=customer&expand[17]=latest_charge", charge),
            ("?a=b&expand[]=customer&expand[]=latest_charge", charge),
            ("?expand[0]=latest_charge.refunds", refunds),
            ("?expand%5B0%5D=latest_charge.dispute", dispute),
            ("?expand[]=latest_charge.refunds.data&expand[]=latest_charge.dispute.charge", both),
            ("?expand[0]=latest_charge.balance_transaction", charge),
            ("?expand[]=latest_charge&expand[]=review", Expansion { review: true, ..charge }),
            ("?expand[]=latest_charge.review", charge),
            ("?expand[]=customer", nothing),
            ("?expand[0]=latest_charges", nothing),
            ("?expand=latest_charge", nothing),
            ("?expand[a]=latest_charge", nothing),
            ("?expand[0]x=latest_charge", nothing),
            ("?expand[-1]=latest_charge", nothing),
            ("?expand[0][0]=latest_charge", nothing),
            ("?xexpand[0]=latest_charge", nothing),
        ] {
            let raw = raw(&format!("GET /v1/payment_intents/pi_1{query} HTTP/1.1"), "");
            let read = RequestHead::parse(&raw).and_then(|head| head.payment());
            assert_eq!(read, Some((Cow::Borrowed("pi_1"), Subject::Intent(wanted))), "{query}");
        }
        for (query, wanted) in [
            ("", nothing),
            ("?expand[]=payment_intent", Expansion { intent: true, ..nothing }),
            ("?expand[0]=payment_intent.latest_charge.refunds", Expansion { intent: true, ..refunds }),
            (
                "?expand%5B%5D=payment_intent.latest_charge&expand%5B%5D=payment_intent.review",
                Expansion { intent: true, review: true, ..charge },
            ),
        ] {
            let raw = raw(&format!("GET /v1/checkout/sessions/cs_1{query} HTTP/1.1"), "");
            let read = RequestHead::parse(&raw).and_then(|head| head.payment());
            assert_eq!(read, Some((Cow::Borrowed("cs_1"), Subject::Session(wanted))), "{query}");
        }
        for (path, wanted) in [
            ("/v1/payment_intents/p%69_1", Some("pi_1")),
            ("/v1/payment_intents/", None),
            ("/v1/payment_intents/pi_1/capture", None),
            ("/v1/customers/cus_1", None),
        ] {
            let raw = raw(&format!("GET {path} HTTP/1.1"), "");
            let read = RequestHead::parse(&raw).and_then(|head| head.payment());
            assert_eq!(read, wanted.map(|id| (Cow::Borrowed(id), Subject::Intent(nothing))), "{path}");
        }
    }

    #[test]
    fn disputes_are_asked_for_by_their_payment() {
        let page = |limit, after: Option<&str>| {
            Subject::Disputes(DisputePage { limit, starting_after: after.map(str::to_owned) })
        };
        for (query, wanted) in [
            ("?payment_intent=pi_1", Some(page(None, None))),
            ("?limit=100&payment_intent=pi%5F1&starting_after=du_1", Some(page(Some(100), Some("du_1")))),
        ] {
            let raw = raw(&format!("GET /v1/disputes{query} HTTP/1.1"), "");
            let read = RequestHead::parse(&raw).and_then(|head| head.payment());
            assert_eq!(read, wanted.map(|wanted| (Cow::Borrowed("pi_1"), wanted)), "{query}");
        }
    }

    #[test]
    fn a_page_of_a_list_goes_by_its_path() {
        let all = ListPage {
            list: SandboxList::Disputes,
            since: 0,
            until: u64::MAX,
            limit: None,
            starting_after: None,
            expansion: Expansion::default(),
            types: Vec::new(),
        };
        let events = ListPage { list: SandboxList::Events, since: 5, until: 7, ..all.clone() };
        for (target, wanted) in [
            ("/v1/disputes", all.clone()),
            ("/v1/events?created%5Bgte%5D=5&created%5Blt%5D=7", events.clone()),
            ("/v1/events?created[gt]=4&created[lte]=6", events.clone()),
            (
                "/v1/events?created[gte]=5&created[lt]=7&types[]=a&types[1]=b",
                ListPage { types: vec!["a".to_owned(), "b".to_owned()], ..events },
            ),
            (
                "/v1/payment_intents?limit=3&starting_after=pi_1&expand[]=data.latest_charge&expand[]=latest_charge.refunds",
                ListPage {
                    list: SandboxList::Payments,
                    limit: Some(3),
                    starting_after: Some("pi_1".to_owned()),
                    expansion: Expansion { charge: true, ..Expansion::default() },
                    ..all
                },
            ),
        ] {
            let raw = raw(&format!("GET {target} HTTP/1.1"), "");
            let read = RequestHead::parse(&raw).and_then(|head| head.payment());
            let path = Cow::Borrowed(wanted.list.path());
            assert_eq!(read, Some((path, Subject::List(wanted))), "{target}");
        }
    }

    #[test]
    fn objects_are_asked_for_by_their_ids() {
        for (target, wanted) in [
            ("/v1/charges/ch_1", Some(("ch_1", "charge", false))),
            ("/v1/refunds/re%5F1?expand[]=charge", Some(("re_1", "refund", true))),
            ("/v1/disputes/du_1?expand[0]=balance_transactions", Some(("du_1", "dispute", false))),
            ("/v1/radar/early_fraud_warnings/issfr_1", Some(("issfr_1", "radar.early_fraud_warning", false))),
            ("/v1/charges/", None),
            ("/v1/charges/ch_1/refunds", None),
        ] {
            let raw = raw(&format!("GET {target} HTTP/1.1"), "");
            let read = RequestHead::parse(&raw).and_then(|head| head.payment());
            let wanted = wanted.map(|(id, kind, with_charge)| {
                (Cow::Borrowed(id), Subject::Related(ObjectQuery { kind, with_charge }))
            });
            assert_eq!(read, wanted, "{target}");
        }
    }

    #[test]
    fn only_a_key_that_is_not_empty_counts_as_bearer_or_in_basic() {
        for (field, has_key) in [
            ("Authorization: Bearer sk_test_1\r\n", true),
            ("authorization: bearer rk_live_1\r\n", true),
            ("Authorization: Bearer \r\n", false),
            ("Authorization: Bearer\r\n", false),
            // `sk:`, `sk:x`, `sk`, `:`, `:sk` and what is no base64.
            ("Authorization: Basic c2s6\r\n", true),
            ("authorization: basic c2s6eA==\r\n", true),
            ("Authorization: Basic c2s=\r\n", false),
            ("Authorization: Basic Og==\r\n", false),
            ("Authorization: Basic OnNr\r\n", false),
            ("Authorization: Basic sk:\r\n", false),
            ("Authorization: Basic\r\n", false),
            ("Authorization: Digest c2s6\r\n", false),
            ("", false),
        ] {
            let raw = raw("GET / HTTP/1.1", field);
            assert_eq!(RequestHead::parse(&raw).map(|head| head.has_key), Some(has_key), "{field}");
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
            assert_eq!(RequestHead::parse(&raw).map(|head| head.keep_alive), Some(kept), "{line} {field}");
        }
    }

    #[test]
    fn what_is_not_http_1_is_refused() {
        for line in ["PRI * HTTP/2.0", "GET /", "GET / HTTP/1.1 x", "GET x HTTP/1.1", "", "GET /\u{1} HTTP/1.1"] {
            assert!(RequestHead::parse(&raw(line, "")).is_none(), "{line}");
        }
        assert!(RequestHead::parse(&raw("GET / HTTP/1.1", "Stripe-Version: a\nb\r\n")).is_none());
    }

    #[test]
    fn broken_escapes_stay_as_they_are() {
        assert_eq!(percent_decoded("%"), "%");
        assert_eq!(percent_decoded("%4"), "%4");
        assert_eq!(percent_decoded("%zz%41"), "%zzA");
        assert_eq!(percent_decoded("%+1"), "%+1");
    }
}
