use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use httpdate::HttpDate;
use serde_json::{Value, json};

use super::body::{self, PreparedBody};
use super::expansion::Expansion;
use super::fault::Fault;
use super::lists::ListPage;
use super::owners::Owners;
use super::payment::SandboxPayment;
use super::request::Subject;
use super::session::KeptSession;
use crate::testing::loopback::date;
use crate::testing::loopback::head::reason;

const JSON: &str = "application/json";
const HTML: &str = "text/html";
const TEXT: &str = "text/plain; charset=utf-8";

/// How an answer reaches the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AnswerDelivery {
    /// In one write.
    Whole,
    /// In one write, after this long.
    Late(Duration),
    /// Headers in one write, then each byte of the body after this long.
    Dripping(Duration),
    /// Half the body, then the connection's end.
    CutShort,
    /// In chunks, behind padding.
    Padded,
    /// Not at all: the connection is reset.
    Reset,
    /// Not at all: the connection is closed.
    HangUp,
    /// Not at all: the client has to close.
    Never,
}

/// What one request is answered with, before it is known how that reaches the client.
#[derive(Clone, Debug)]
pub(super) struct SandboxAnswer {
    status: u16,
    content_type: &'static str,
    /// Further header lines, each with its line end.
    fields: String,
    pub(super) body: Arc<[u8]>,
}

/// What the head of an answer takes from the request and the connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heading<'a> {
    pub(super) number: u64,
    pub(super) date: HttpDate,
    pub(super) stripe_version: Option<&'a str>,
    pub(super) keep_alive: bool,
}

/// How the body's end is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Length,
    Chunked,
}

impl SandboxAnswer {
    /// The healthy answer about a payment or session: its facts or its disputes, or Stripe's 404.
    pub(super) fn about(
        id: &str,
        subject: &Subject,
        kept: Option<&PreparedBody>,
        session: Option<&KeptSession>,
    ) -> Self {
        let made = match subject {
            Subject::Disputes(page) => Some(body::disputes(kept, page)),
            Subject::Intent(expansion) => kept.map(|kept| kept.bytes(*expansion)),
            Subject::Session(expansion) => session.map(|session| session.bytes(*expansion)),
            Subject::List(_) | Subject::Related(_) => None,
        };
        let (object, param) = if let Subject::Session(_) = subject {
            ("checkout.session", "session")
        } else {
            ("payment_intent", "intent")
        };
        made.map_or_else(|| Self::missing(object, param, id), Self::ok)
    }

    /// The healthy page of a list, or Stripe's 404 about what it is to begin after.
    pub(super) fn listed(asked: &ListPage, owners: &Owners, now: u64) -> Self {
        let after = || asked.starting_after.as_deref().unwrap_or_default();
        owners.page(asked, now).map_or_else(|| Self::missing("object", "starting_after", after()), Self::ok)
    }

    /// The healthy answer about an object of a payment, or Stripe's 404.
    pub(super) fn about_object(kind: &str, id: &str, found: Option<Value>) -> Self {
        match found {
            Some(object) => Self::made(200, JSON, object.to_string().into_bytes()),
            None => Self::missing(kind, "id", id),
        }
    }

    fn missing(kind: &str, param: &str, id: &str) -> Self {
        Self::error(
            404,
            &json!({
                "code": "resource_missing",
                "doc_url": "https://stripe.com/docs/error-codes/resource-missing",
                "message": format!("No such {kind}: '{id}'"),
                "param": param,
                "type": "invalid_request_error",
            }),
        )
    }

    pub(super) fn without_key() -> Self {
        let message = "You did not provide an API key. You need to provide your API key in the Authorization header, \
            using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY'). See \
            https://stripe.com/docs/api#authentication for details.";
        Self::error(401, &json!({ "message": message, "type": "invalid_request_error" }))
            .field("WWW-Authenticate", "Bearer realm=\"Stripe\"")
    }

    pub(super) fn unrecognized(method: &str, target: &str) -> Self {
        let path = target.split('?').next().unwrap_or_default();
        let message = format!(
            "Unrecognized request URL ({method}: {path}). Please see https://stripe.com/docs or we can help at \
             https://support.stripe.com/."
        );
        Self::error(404, &json!({ "message": message, "type": "invalid_request_error" }))
    }

    /// For a head that is not HTTP/1.x, or too long: the connection ends after it.
    pub(super) fn unreadable(status: u16) -> Self {
        Self::made(status, TEXT, Vec::new())
    }

    /// What `fault` makes of this answer about payment `id`, and how it reaches the client.
    pub(super) fn distorted(self, fault: Fault, id: &str, now: u64) -> (Self, AnswerDelivery) {
        let answer = match fault {
            Fault::RateLimited { retry_after } => {
                let limited = Self::rate_limited();
                match retry_after {
                    Some(wait) => limited.field("Retry-After", &date::seconds_up(wait).to_string()),
                    None => limited,
                }
            }
            Fault::RateLimitedUntil { wait } => {
                let until = now.saturating_add(date::seconds_up(wait));
                Self::rate_limited().field("Retry-After", &date::http_date(until).to_string())
            }
            Fault::LockTimeout => Self::error(
                429,
                &json!({
                    "code": "lock_timeout",
                    "doc_url": "https://stripe.com/docs/error-codes/lock-timeout",
                    "message": "This object cannot be accessed right now because another API request or Stripe process is currently accessing it.",
                    "type": "invalid_request_error",
                }),
            ),
            Fault::InternalError => Self::api_error(500),
            Fault::ShouldNotRetry => Self::api_error(500).field("Stripe-Should-Retry", "false"),
            Fault::ShouldRetry => Self::error(
                400,
                &json!({
                    "message": "This request could not be handled now.",
                    "type": "invalid_request_error",
                }),
            )
            .field("Stripe-Should-Retry", "true"),
            Fault::BadGateway => Self::page(502),
            Fault::Unavailable => Self::api_error(503),
            Fault::GatewayTimeout => Self::page(504),
            Fault::Status(status, body) => Self::custom(status, body),
            Fault::WrongJson => Self::made(200, JSON, half(&self.intent(id)).to_vec()),
            Fault::NotJson => Self::page(200),
            Fault::WrongPayment => {
                Self::made(200, JSON, body::altered(&self.intent(id), "id", format!("{id}_other").into()))
            }
            Fault::UnknownStatus => {
                Self::made(200, JSON, body::altered(&self.intent(id), "status", "requires_divination".into()))
            }
            Fault::NoChargeYet => Self::made(200, JSON, body::altered(&self.intent(id), "latest_charge", Value::Null)),
            Fault::Redirect(address) => {
                // Line ends in the address would end the header.
                let address: String = address.chars().filter(|letter| !letter.is_control()).collect();
                Self::made(302, TEXT, Vec::new()).field("Location", &address)
            }
            Fault::HugeBody => return (Self::ok(self.intent(id)), AnswerDelivery::Padded),
            Fault::SlowHeaders(wait) => return (self, AnswerDelivery::Late(wait)),
            Fault::DrippingBody { every } => return (self, AnswerDelivery::Dripping(every)),
            Fault::TruncatedBody => return (self, AnswerDelivery::CutShort),
            Fault::Reset => return (self, AnswerDelivery::Reset),
            Fault::DropAfterRequest => return (self, AnswerDelivery::HangUp),
            Fault::Stall => return (self, AnswerDelivery::Never),
        };
        (answer, AnswerDelivery::Whole)
    }

    /// Appends the status line and all headers.
    pub(super) fn write_head(&self, out: &mut Vec<u8>, heading: Heading<'_>, framing: Framing) -> io::Result<()> {
        let Self { status, content_type, fields, body } = self;
        write!(
            out,
            "HTTP/1.1 {status} {}\r\nServer: payproof-sandbox\r\nDate: {}\r\nContent-Type: {content_type}\r\n\
             Request-Id: req_sandbox_{}\r\n",
            reason(*status),
            heading.date,
            heading.number,
        )?;
        match framing {
            // The two statuses that have no body by definition must not announce one.
            Framing::Length if matches!(status, 204 | 304) => {}
            Framing::Length => write!(out, "Content-Length: {}\r\n", body.len())?,
            Framing::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        }
        if let Some(version) = heading.stripe_version {
            write!(out, "Stripe-Version: {version}\r\n")?;
        }
        out.extend_from_slice(fields.as_bytes());
        out.extend_from_slice(if heading.keep_alive {
            b"Connection: keep-alive\r\n\r\n"
        } else {
            b"Connection: close\r\n\r\n"
        });
        Ok(())
    }

    /// The facts in this answer, or those of a stand-in where the payment is unknown.
    fn intent(&self, id: &str) -> Arc<[u8]> {
        if self.status == 200 {
            Arc::clone(&self.body)
        } else {
            let stand_in = PreparedBody::of(SandboxPayment::paid(id, 1_000, "usd"));
            stand_in.bytes(Expansion { charge: true, ..Expansion::default() })
        }
    }

    fn ok(body: Arc<[u8]>) -> Self {
        Self { status: 200, content_type: JSON, fields: String::new(), body }
    }

    fn made(status: u16, content_type: &'static str, body: Vec<u8>) -> Self {
        Self { status, content_type, fields: String::new(), body: body.into() }
    }

    fn error(status: u16, error: &Value) -> Self {
        Self::made(status, JSON, json!({ "error": error }).to_string().into_bytes())
    }

    fn api_error(status: u16) -> Self {
        let message = "Sorry! There was an error while talking to one of our backends. Support has been notified.";
        Self::error(status, &json!({ "message": message, "type": "api_error" }))
    }

    fn rate_limited() -> Self {
        Self::error(429, &json!({
            "code": "rate_limit",
            "doc_url": "https://stripe.com/docs/error-codes/rate-limit",
            "message": "Request rate limit exceeded. Learn more about rate limits here https://stripe.com/docs/rate-limits.",
            "type": "invalid_request_error",
        }))
        .field("Stripe-Rate-Limited-Reason", "global-rate")
    }

    fn page(status: u16) -> Self {
        let title = reason(status);
        let page = format!(
            "<html>\r\n<head><title>{status} {title}</title></head>\r\n<body>\r\n<center><h1>{status} {title}</h1></center>\r\n\
             <hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
        );
        Self::made(status, HTML, page.into_bytes())
    }

    fn custom(status: u16, body: String) -> Self {
        let status = status.clamp(200, 599);
        let body = if matches!(status, 204 | 304) { String::new() } else { body };
        let content_type = if body.starts_with('{') { JSON } else { TEXT };
        Self::made(status, content_type, body.into_bytes())
    }

    /// Adds one header line; `value` holds no line end.
    fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.extend([name, ": ", value, "\r\n"]);
        self
    }
}

/// The first half of a body; of one that is a JSON object never the whole.
pub(super) fn half(body: &[u8]) -> &[u8] {
    body.get(..body.len() / 2).unwrap_or_default()
}
