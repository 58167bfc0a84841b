//! Reads an answer that is no payment. The one place that decides, for real calls and for explanations.

use std::borrow::Cow;

use crate::http::object::Object;
use crate::payment::facts::NotFoundHint;
use crate::provider::{Answer, ProviderError, RateLimit};

use super::wire::{self, ErrorObject, Expandable};

/// How much of a body without JSON is looked at for a message; the error keeps still less.
const EXCERPT: usize = 2048;

/// What an answer other than success says.
#[derive(Debug)]
pub(super) enum Unsuccessful {
    /// Stripe knows no such payment. That is a fact; the error is for explaining it.
    Missing(ProviderError, NotFoundHint),
    /// Anything else.
    Refused(ProviderError),
}

impl From<Unsuccessful> for ProviderError {
    fn from(answer: Unsuccessful) -> Self {
        match answer {
            Unsuccessful::Missing(error, _) | Unsuccessful::Refused(error) => error,
        }
    }
}

/// Reads an answer other than 200.
///
/// | answer | reading |
/// |---|---|
/// | `Stripe-Should-Retry` | decides, whatever else is said |
/// | 404 with Stripe's `resource_missing` about the payment intent or the session | no such payment |
/// | 404 of a compatible server, in words of its own about this payment | no such payment |
/// | 404 otherwise, and 3xx | permanent: the base URL is wrong |
/// | `lock_timeout`, 429 `resource-specific` | this payment waits |
/// | 429 `global-…` | every call of the account waits |
/// | 429 `endpoint-…` | every look-up waits |
/// | 429 otherwise | this call waits |
/// | 409 and 424 of Stripe's own | transient |
/// | else | by status |
///
/// `asked` is the payment that was asked for, where that is known.
pub(super) fn read(answer: &Answer<'_>, asked: Option<&str>) -> Unsuccessful {
    let parsed: Option<Object<wire::ErrorBody<'_>>> = serde_json::from_slice(answer.body).ok();
    let said = Said::of(parsed.as_deref(), answer.body);
    let status = answer.status;
    let is_missing = status == 404 && said.stripe.is_some_and(|error| says_missing(error, asked));
    let message = match hint(status, is_missing) {
        Some(hint) => format!("{hint}: {}", said.message),
        None => said.message.to_string(),
    };
    let mut error = match status {
        // A success without a payment in it: a proxy's, or a wrong base URL's.
        200..=299 => ProviderError::unreadable(format!("status {status} where 200 was expected")),
        _ => ProviderError::refused(message),
    };
    error = error.with_status(status);
    if said.stripe.is_some() {
        error = error.in_own_form();
    }
    match (said.code, status) {
        (Some("lock_timeout"), _) => {
            error = error.transient_by_code("lock_timeout").with_rate_limit(RateLimit::Payment);
        }
        (code, 409 | 424) if said.stripe.is_some() => {
            let http = if status == 409 { "http_409" } else { "http_424" };
            error = error.transient_by_code(code.or(said.kind).unwrap_or(http));
        }
        (Some(code), _) => error = error.with_code(code),
        (None, _) => {}
    }
    if status == 429 && said.code != Some("lock_timeout") {
        // Without a reason it may be a proxy's, and says nothing of other calls.
        let whom = answer.header("stripe-rate-limited-reason").map(str::trim).and_then(limited);
        if let Some(whom) = whom {
            error = error.with_rate_limit(whom);
        }
    }
    if let Some(wait) = answer.retry_after() {
        error = error.with_retry_after(wait);
    }
    if let Some(id) = answer.header("request-id") {
        error = error.with_request_id(id);
    }
    let advice = answer.header("stripe-should-retry").map(str::trim);
    error = match advice {
        Some("true") => error.transient_by_header(),
        Some("false") => error.permanent_by_header(),
        _ => error,
    };
    // Where Stripe itself asks to try again, the payment is not known to be missing.
    if is_missing && advice != Some("true") {
        Unsuccessful::Missing(error, elsewhere(&said.message))
    } else {
        Unsuccessful::Refused(error)
    }
}

/// Where a missing payment is, by what follows on its id: "; a similar object exists in test mode, but …". The text itself is
/// Stripe's to change, and says no more than this.
fn elsewhere(message: &str) -> NotFoundHint {
    let (_, more) = message.split_once(';').unwrap_or_default();
    match more {
        _ if more.contains(" mode") => NotFoundHint::OtherMode,
        _ if more.contains(" account") => NotFoundHint::OtherAccount,
        _ => NotFoundHint::Unsaid,
    }
}

/// Whom a `Stripe-Rate-Limited-Reason` concerns.
fn limited(reason: &str) -> Option<RateLimit> {
    match reason {
        "resource-specific" => Some(RateLimit::Payment),
        _ if reason.starts_with("global-") => Some(RateLimit::Account),
        _ if reason.starts_with("endpoint-") => Some(RateLimit::Endpoint),
        _ => None,
    }
}

/// What the body says, in whichever form.
struct Said<'a> {
    /// Present when the body is an error of Stripe's own form.
    stripe: Option<&'a ErrorObject<'a>>,
    kind: Option<&'a str>,
    code: Option<&'a str>,
    message: Cow<'a, str>,
}

impl<'a> Said<'a> {
    fn of(parsed: Option<&'a wire::ErrorBody<'a>>, body: &'a [u8]) -> Self {
        match parsed.map(|refusal| (&refusal.error, refusal.error_description.as_deref())) {
            Some((Expandable::Object(error), _)) => Self {
                stripe: Some(error),
                kind: error.kind.as_deref(),
                code: error.code.as_deref(),
                message: error.message.as_deref().or(error.kind.as_deref()).unwrap_or("no message").into(),
            },
            Some((Expandable::Id(code), description)) => {
                Self { stripe: None, kind: None, code: Some(code), message: description.unwrap_or(code).into() }
            }
            None => {
                let head = body.get(..EXCERPT).unwrap_or(body);
                let text = String::from_utf8_lossy(head);
                let message = if text.trim().is_empty() { "an empty body".into() } else { text };
                Self { stripe: None, kind: None, code: None, message }
            }
        }
    }
}

/// What to look at, before what Stripe says, since long messages are cut at the end.
fn hint(status: u16, is_missing: bool) -> Option<&'static str> {
    match status {
        300..=399 => Some("redirects are not followed; check the base URL"),
        401 => Some("the secret key was not accepted"),
        403 => Some("check the key's permissions and the account"),
        404 if is_missing => Some("not found for this account and mode"),
        404 => Some("nothing is served here; check the base URL"),
        _ => None,
    }
}

/// What Stripe says of a payment intent or a Checkout session that is not there, and servers that follow it.
const NO_SUCH: [&str; 2] = ["No such payment_intent", "No such checkout.session"];

/// All that localstripe says of an object that is not there. Of a path that it does not serve it speaks in plain text.
const NOT_FOUND: &str = "Not Found";

/// Whether a 404 says that this payment is missing.
///
/// A server that serves no payment intents answers 404 as well, in the same form and about a path that holds the
/// payment's id, so only what is known to speak of the payment counts.
fn says_missing(error: &ErrorObject<'_>, asked: Option<&str>) -> bool {
    let message = error.message.as_deref();
    let about_payment = || {
        message.is_some_and(|message| {
            let rest = NO_SUCH.iter().find_map(|no_such| message.strip_prefix(no_such));
            rest.is_some_and(|rest| rest.is_empty() || asked.is_none_or(|id| names(rest, id)))
        })
    };
    match (error.code.as_deref(), error.param.as_deref()) {
        (Some("resource_missing"), Some("intent" | "payment_intent" | "session")) => true,
        (Some("resource_missing"), None | Some("id")) => {
            about_payment() || !message.is_some_and(|message| message.starts_with("No such "))
        }
        // Some compatible servers send no code.
        (None, None | Some("intent" | "payment_intent" | "session" | "id")) => {
            error.kind.as_deref() == Some("invalid_request_error") && (message == Some(NOT_FOUND) || about_payment())
        }
        _ => false,
    }
}

/// Whether a text names this id, and not a longer one that holds it.
fn names(text: &str, id: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric() && !"_-".contains(c)).any(|word| word == id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::{Advice, Kind};

    fn refusal(status: u16, headers: &[(&str, &str)], body: &str) -> Unsuccessful {
        read(&Answer { status, headers, body: body.as_bytes() }, Some("pi_1"))
    }

    fn refused(status: u16, headers: &[(&str, &str)], body: &str) -> ProviderError {
        match refusal(status, headers, body) {
            Unsuccessful::Refused(error) => error,
            Unsuccessful::Missing(error, _) => panic!("{error}"),
        }
    }

    const MISSING: &str = r#"{"error":{"type":"invalid_request_error","code":"resource_missing","param":"intent",
    "message":"No such payment_intent: 'pi_1'"}}"#;

    #[test]
    fn a_missing_payment_is_a_fact() {
        assert!(matches!(refusal(404, &[], MISSING), Unsuccessful::Missing(..)));
        let without_code = r#"{"error":{"type":"invalid_request_error","message":"Not Found"}}"#;
        assert!(matches!(refusal(404, &[], without_code), Unsuccessful::Missing(..)));
        let Unsuccessful::Missing(explained, _) = refusal(404, &[], MISSING) else { panic!() };
        assert_eq!(
            explained.to_string(),
            "status 404, resource_missing: not found for this account and mode: No such payment_intent: 'pi_1'"
        );
    }

    #[test]
    fn a_compatible_server_may_say_it_in_words_about_this_payment() {
        let said = |code, param, message: &str| {
            let error =
                serde_json::json!({"type": "invalid_request_error", "code": code, "param": param, "message": message});
            serde_json::json!({ "error": error }).to_string()
        };
        let missing = |body: &str| matches!(refusal(404, &[], body), Unsuccessful::Missing(..));
        let (coded, none) = (Some("resource_missing"), None::<&str>);
        for message in
            ["No such payment_intent: 'pi_1'", "No such payment_intent: pi_1; a similar one exists in test mode"]
        {
            assert!(missing(&said(coded, none, message)) && missing(&said(none, none, message)), "{message}");
        }
        assert!(missing(&said(none, none, "No such payment_intent")));
        assert!(missing(&said(none, Some("id"), "Not Found")));
        assert!(missing(&said(coded, Some("payment_intent"), "nicht gefunden")));
        for message in [
            "No such payment_intent: 'pi_12'",
            "No such payment_intent: 'pi_2'",
            "No such customer: 'cus_1'",
            "No such charge: 'pi_1'",
        ] {
            assert!(!missing(&said(coded, none, message)) && !missing(&said(none, none, message)), "{message}");
        }
        assert!(missing(&said(coded, none, "none")));
        for message in [
            "No matching path: /v1/payment_intents/pi_1",
            "Unrecognized request URL (GET: /v1/payment_intents/pi_1).",
            "404: Not Found",
            "Not found: /v1/payment_intents/pi_1",
            "pi_1",
            "",
        ] {
            assert!(!missing(&said(none, none, message)), "{message}");
        }
        assert!(!missing(&said(none, Some("customer"), "Not Found")));
        assert!(!missing(&said(Some("url_invalid"), Some("intent"), "No such payment_intent: 'pi_1'")));
        // Nothing was asked where an answer is only explained.
        let answer = said(none, none, "No such payment_intent: 'pi_2'");
        let explained = read(&Answer { status: 404, headers: &[], body: answer.as_bytes() }, None);
        assert!(matches!(explained, Unsuccessful::Missing(..)));
    }

    #[test]
    fn where_a_missing_payment_is_comes_as_a_hint() {
        let hint = |rest: &str| {
            let error = format!("No such payment_intent: 'pi_1'{rest}");
            let error = serde_json::json!({"type": "invalid_request_error", "code": "resource_missing",
                "param": "intent", "message": error});
            match refusal(404, &[], &serde_json::json!({ "error": error }).to_string()) {
                Unsuccessful::Missing(_, hint) => hint,
                Unsuccessful::Refused(error) => panic!("{error}"),
            }
        };
        let key = "but a live mode key was used to make this request.";
        assert_eq!(hint(&format!("; a similar object exists in test mode, {key}")), NotFoundHint::OtherMode);
        assert_eq!(hint("; a similar object exists on a connected account."), NotFoundHint::OtherAccount);
        for rest in ["", "; a similar object exists", " in this mode", "; try again"] {
            assert_eq!(hint(rest), NotFoundHint::Unsaid, "{rest}");
        }
    }

    #[test]
    fn a_404_that_is_not_about_the_payment_is_no_verdict() {
        let bodies = [
            r#"{"error":{"type":"invalid_request_error","message":"Unrecognized request URL (GET: /v2/x)."}}"#,
            r#"{"error":{"type":"invalid_request_error","code":"resource_missing","param":"customer"}}"#,
            r#"{"error":{"type":"invalid_request_error","code":"account_invalid"}}"#,
            r#"{"error":{"type":"invalid_request_error","message":"No matching path: /v1/payment_intents/pi_1"}}"#,
            r#"{"error":{"type":"invalid_request_error"}}"#,
            r#"{"error":{"type":"api_error","message":"x"}}"#,
            r#"{"error":"invalid_grant","error_description":"No such thing"}"#,
            r#"{"error":{"type":"invalid_request_error","code":"resource_mis"#,
            r#"{"message":"Not Found"}"#,
            r#"[{"type":"invalid_request_error","code":"resource_missing","param":"intent"}]"#,
            r#"{"error":["invalid_request_error","resource_missing","No such payment_intent: 'pi_1'","intent"]}"#,
            r#"[["invalid_request_error","resource_missing","No such payment_intent: 'pi_1'","intent"],null]"#,
            "<html>404</html>",
            "",
        ];
        for body in bodies {
            let error = refused(404, &[], body);
            assert_eq!((error.status(), error.advice(), error.kind()), (Some(404), None, Kind::Refused), "{body}");
            assert!(error.to_string().contains("base URL"), "{error}");
        }
        assert_eq!(
            refused(404, &[("Stripe-Should-Retry", "true")], MISSING).advice(),
            Some(Advice::Header { retry: true })
        );
    }

    #[test]
    fn the_header_decides_whatever_else_is_said() {
        let lock = r#"{"error":{"type":"invalid_request_error","code":"lock_timeout"}}"#;
        let advice = |header| refused(429, &[("stripe-should-retry", header)], lock).advice();
        assert_eq!(advice("false"), Some(Advice::Header { retry: false }));
        assert_eq!(advice("true"), Some(Advice::Header { retry: true }));
        assert_eq!(advice("perhaps"), Some(Advice::Code { retry: true }));
    }

    #[test]
    fn rate_limits_name_whom_they_concern() {
        let limited = |reason| refused(429, &[("Stripe-Rate-Limited-Reason", reason), ("Retry-After", "7")], "{}");
        for reason in ["global-rate", "global-concurrency"] {
            assert_eq!(limited(reason).limits(), Some(RateLimit::Account), "{reason}");
        }
        for reason in ["endpoint-rate", "endpoint-concurrency"] {
            assert_eq!(limited(reason).limits(), Some(RateLimit::Endpoint), "{reason}");
        }
        for reason in ["", "new-one", "globally"] {
            assert_eq!(limited(reason).limits(), None, "{reason}");
        }
        assert_eq!(refused(429, &[("Retry-After", "7")], "{}").limits(), None, "a proxy's");
        assert_eq!(limited("resource-specific").limits(), Some(RateLimit::Payment));
        assert_eq!(limited("global-rate").wait().map(|wait| wait.as_secs()), Some(7));
        let lock = refused(429, &[], r#"{"error":{"code":"lock_timeout"}}"#);
        assert_eq!((lock.limits(), lock.advice()), (Some(RateLimit::Payment), Some(Advice::Code { retry: true })));
        assert_eq!(refused(503, &[], "").limits(), None);
    }

    #[test]
    fn a_conflict_of_stripes_own_is_transient() {
        for (status, body, code) in [
            (409, r#"{"error":{"type":"idempotency_error"}}"#, "idempotency_error"),
            (409, r#"{"error":{"message":"in use"}}"#, "http_409"),
            (424, r#"{"error":{"code":"external_failed"}}"#, "external_failed"),
        ] {
            let error = refused(status, &[], body);
            assert_eq!((error.advice(), error.code()), (Some(Advice::Code { retry: true }), Some(code)));
        }
        for body in ["<html>", "", r#"{"error":"conflict"}"#] {
            assert_eq!(refused(409, &[], body).advice(), None, "{body}");
        }
    }

    #[test]
    fn messages_help_in_whichever_form_the_error_comes() {
        let said = |status, body| refused(status, &[], body).to_string();
        let key = r#"{"error":{"type":"invalid_request_error","message":"Invalid API Key provided: sk_live_abcdef"}}"#;
        assert_eq!(said(401, key), "status 401: the secret key was not accepted: Invalid API Key provided: [redacted]");
        assert!(said(403, "{}").contains("permissions and the account"));
        assert!(said(302, "").contains("redirects are not followed"));
        let oauth = r#"{"error":"invalid_client","error_description":"No such application"}"#;
        assert_eq!(said(400, oauth), "status 400, invalid_client: No such application");
        assert_eq!(said(400, r#"{"error":"invalid_client"}"#), "status 400, invalid_client: invalid_client");
        assert_eq!(said(502, "<html>\n<h1>Bad Gateway</h1>"), "status 502: <html> <h1>Bad Gateway</h1>");
        assert_eq!(said(500, ""), "status 500: an empty body");
        assert_eq!(said(500, r#"{"error":{"type":"api_error""#), r#"status 500: {"error":{"type":"api_error""#);
        assert!(said(500, &"\u{e9}".repeat(1 << 19)).len() < 1000);
        let traced = refused(500, &[("Request-Id", "req_1")], r#"{"error":{"type":"api_error"}}"#);
        assert_eq!(
            (traced.provider_request_id(), traced.to_string().as_str()),
            (Some("req_1"), "status 500: api_error")
        );
    }
}
