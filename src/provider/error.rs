//! Why a provider gave no facts.

use std::fmt;
use std::time::Duration;

use crate::accessors::{getters, setters};
#[cfg(feature = "stripe")]
use crate::http::status_meaning::is_transient;
#[cfg(feature = "stripe")]
use crate::http::transport::TransportError;
use crate::payment::request_ids::RequestIds;
use crate::provider::attempt_log::Reach;
use crate::redaction::{cut, presentable};

/// A message longer than this is cut: it is for reading, and may be a whole HTML page.
const MAX_MESSAGE: usize = 300;

/// The text patterns see more than is shown, since the reason often stands at the end.
const MAX_TEXT: usize = 4096;

/// Whom a rate limit concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RateLimit {
    /// Every call of this account: all of them wait, for a minute at a time at most.
    Account,
    /// Every call of this kind: all look-ups, or everything that guards run. They wait in the same way.
    Endpoint,
    /// This one payment, for instance because something else is changing it: only this call waits.
    Payment,
}

/// What is known about the failure, in falling order of how much it says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    NotSent,
    OutcomeUnknown,
    Refused,
    Unreadable,
    #[default]
    Message,
}

/// The provider's own word on whether trying again makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Advice {
    Header { retry: bool },
    Code { retry: bool },
}

/// A provider call that brought no facts.
///
/// Say how far the call got by the constructor; the rest refines the retry decision. Messages are cut at 300 characters,
/// and what looks like a credential is taken out.
///
/// ```
/// use std::time::Duration;
/// use payproof::provider::ProviderError;
///
/// let error = ProviderError::refused("try again later").with_status(503).with_retry_after(Duration::from_secs(2));
/// assert_eq!(error.to_string(), "status 503: try again later");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderError(Box<Details>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Details {
    kind: Kind,
    message: Box<str>,
    /// The whole message, where it is longer than what is shown and nothing else may decide.
    text: Option<Unshown>,
    status: Option<u16>,
    code: Option<Box<str>>,
    advice: Option<Advice>,
    retry_after: Option<Duration>,
    rate_limit: Option<RateLimit>,
    request_ids: RequestIds,
    timed_out: bool,
    /// Whether the answer had the form of the provider's own errors: no proxy's, and no firewall's.
    #[cfg(feature = "stripe")]
    is_in_own_form: bool,
}

impl Details {
    fn decide_by_code(&mut self, code: &str, retry: bool) {
        self.code = Some(presentable(code, MAX_MESSAGE));
        // A header outranks a code, whichever is told first.
        if !matches!(self.advice, Some(Advice::Header { .. })) {
            self.advice = Some(Advice::Code { retry });
        }
    }
}

/// Text that is matched and not shown.
#[derive(Clone, PartialEq, Eq)]
struct Unshown(Box<str>);

impl fmt::Debug for Unshown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl ProviderError {
    fn new(kind: Kind, message: &str) -> Self {
        let text = presentable(message, MAX_TEXT);
        let message = cut(&text, MAX_MESSAGE);
        let text = (kind == Kind::Message && text.len() > message.len()).then_some(Unshown(text));
        Self(Box::new(Details { kind, message, text, ..Details::default() }))
    }

    /// The provider cannot have seen the request: no connection, no address. Transient.
    #[must_use]
    pub fn not_sent(message: impl AsRef<str>) -> Self {
        Self::new(Kind::NotSent, message.as_ref())
    }

    /// The request may have been seen, and no complete answer came back. Transient for a look-up.
    #[must_use]
    pub fn outcome_unknown(message: impl AsRef<str>) -> Self {
        Self::new(Kind::OutcomeUnknown, message.as_ref())
    }

    /// The provider answered, and the answer was no. Its status or code decides what follows; without one, permanent.
    #[must_use]
    pub fn refused(message: impl AsRef<str>) -> Self {
        Self::new(Kind::Refused, message.as_ref())
    }

    /// The provider answered with success and something that cannot be read. Tried once more.
    #[must_use]
    pub fn unreadable(message: impl AsRef<str>) -> Self {
        Self::new(Kind::Unreadable, message.as_ref())
    }

    /// The adapter cannot do this at all, so nothing was sent. Permanent, with the code `unsupported`.
    #[must_use]
    pub fn unsupported(message: impl AsRef<str>) -> Self {
        Self::not_sent(message).permanent_by_code("unsupported")
    }

    /// Nothing is known but a message; the text patterns decide.
    #[must_use]
    pub fn message(message: impl AsRef<str>) -> Self {
        Self::new(Kind::Message, message.as_ref())
    }

    pub(crate) fn timed_out(limit: Duration) -> Self {
        let mut error = Self::outcome_unknown(format!("no complete answer within {limit:?}"));
        error.0.timed_out = true;
        error
    }

    setters! {
        /// The HTTP status of the answer.
        pub fn with_status(mut self, status: u16) => self.0.status = Some(status);

        /// The provider's error code, for the reader; it decides nothing by itself.
        pub fn with_code(mut self, code: impl AsRef<str>) =>
            self.0.code = Some(presentable(code.as_ref(), MAX_MESSAGE));

        /// The error code, which by itself says that the failure is transient.
        pub fn transient_by_code(mut self, code: impl AsRef<str>) => self.0.decide_by_code(code.as_ref(), true);

        /// The error code, which by itself says that the failure is permanent.
        pub fn permanent_by_code(mut self, code: impl AsRef<str>) => self.0.decide_by_code(code.as_ref(), false);

        /// The provider's own header asks to try again, which outranks everything else.
        pub fn transient_by_header(mut self) => self.0.advice = Some(Advice::Header { retry: true });

        /// The provider's own header asks not to try again, which outranks everything else.
        pub fn permanent_by_header(mut self) => self.0.advice = Some(Advice::Header { retry: false });

        /// How long the provider asks to wait.
        pub fn with_retry_after(mut self, wait: Duration) => self.0.retry_after = Some(wait);

        /// Says that this is a rate limit, and whom it concerns: only those wait.
        ///
        /// Say so where the provider does. A status of 429 alone may be a proxy's, or about this one payment, so it
        /// makes no other call wait.
        pub fn with_rate_limit(mut self, whom: RateLimit) => self.0.rate_limit = Some(whom);

        /// The provider's id of the request, for a support case.
        pub fn with_request_id(mut self, id: impl AsRef<str>) => self.0.request_ids.set_last(id.as_ref());

        /// Says that the answer had the form of the provider's own errors.
        #[cfg(feature = "stripe")]
        pub(crate) fn in_own_form(mut self) => self.0.is_in_own_form = true;

        /// Says that these requests were made, and no further one.
        #[cfg(feature = "stripe")]
        pub(crate) fn with_request_ids(mut self, ids: RequestIds) => self.0.request_ids = ids;

        /// One more request that was made before the one that failed, by the provider's id; empty where it has none. The
        /// attempt log shows it.
        pub fn with_earlier_request(mut self, id: impl AsRef<str>) => self.0.request_ids.add_earlier(id.as_ref());
    }

    getters! {
        pub(crate) fn kind(&self) -> Kind => self.0.kind;

        pub(crate) fn text(&self) -> &str => self.0.text.as_ref().map_or(&self.0.message, |text| &text.0);

        /// The HTTP status, if the provider answered over HTTP.
        pub fn status(&self) -> Option<u16> => self.0.status;

        /// The provider's error code.
        pub fn code(&self) -> Option<&str> => self.0.code.as_deref();

        pub(crate) fn advice(&self) -> Option<Advice> => self.0.advice;

        pub(crate) fn wait(&self) -> Option<Duration> => self.0.retry_after;

        /// Whom a rate limit concerns, where that was said.
        pub(crate) fn limits(&self) -> Option<RateLimit> => self.0.rate_limit;

        /// Whether it is a rate limit, whomever it concerns.
        pub(crate) fn is_rate_limit(&self) -> bool => self.0.rate_limit.is_some() || self.0.status == Some(429);

        /// The provider's id of the request.
        pub fn provider_request_id(&self) -> Option<&str> => self.0.request_ids.last();

        /// The ids of all requests of the attempt.
        pub(crate) fn request_ids(&self) -> &RequestIds => &self.0.request_ids;

        pub(crate) fn is_timeout(&self) -> bool => self.0.timed_out;

        /// Whether the provider replied at all, be it in part.
        pub(crate) fn has_reply(&self) -> bool => self.0.status.is_some() || self.reach() == Reach::Answered;

        /// Whether the same request may succeed a little later, by what the provider says and how far the call got. No text
        /// decides, and what cannot be read stays so.
        #[cfg(feature = "stripe")]
        pub(crate) fn may_pass(&self) -> bool => match (self.0.advice, self.0.status) {
            (Some(Advice::Header { retry } | Advice::Code { retry }), _) => retry,
            (None, Some(status)) => is_transient(status),
            (None, None) => matches!(self.0.kind, Kind::NotSent | Kind::OutcomeUnknown),
        };

        /// Whether the provider itself answered so. What a proxy or a firewall on the way answered says nothing lasting of the
        /// credential.
        #[cfg(feature = "stripe")]
        pub(crate) fn is_in_own_form(&self) -> bool => self.0.is_in_own_form;

        /// How far the call got.
        pub fn reach(&self) -> Reach => match self.0.kind {
            Kind::NotSent => Reach::NotSent,
            Kind::Refused | Kind::Unreadable => Reach::Answered,
            Kind::OutcomeUnknown | Kind::Message => Reach::MaybeSent,
        };
    }
}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Details { status, code, message, .. } = &*self.0;
        match (status, code) {
            (Some(status), Some(code)) => write!(f, "status {status}, {code}: {message}"),
            (Some(status), None) => write!(f, "status {status}: {message}"),
            (None, Some(code)) => write!(f, "{code}: {message}"),
            (None, None) => f.write_str(message),
        }
    }
}

impl std::error::Error for ProviderError {}

impl From<&str> for ProviderError {
    fn from(message: &str) -> Self {
        Self::message(message)
    }
}

impl From<String> for ProviderError {
    fn from(message: String) -> Self {
        Self::message(message)
    }
}

#[cfg(feature = "stripe")]
impl From<&TransportError> for ProviderError {
    fn from(error: &TransportError) -> Self {
        match error {
            TransportError::Request(cause) => {
                Self::not_sent(format!("the request cannot be made: {cause}")).permanent_by_code("request")
            }
            TransportError::Certificate(cause) => {
                Self::not_sent(format!("the server's certificate was refused: {cause}")).permanent_by_code("tls")
            }
            TransportError::NotSent(cause) => Self::not_sent(format!("no connection: {cause}")),
            TransportError::Broken(cause) => Self::outcome_unknown(format!("the connection broke: {cause}")),
            TransportError::TooLarge => Self::unreadable("the answer is larger than 1 MiB"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_do_not_survive_in_messages() {
        // Put together here, so that no credential-shaped literal stands in the source.
        let key = format!("{}_live_{}", "sk", "51HxAbCdEfGh");
        let client_secret = "pi_3Mtw_secret_YrKJUKribcBjcG8HVhfZluoGH";
        let message = format!("bad key {key} for {client_secret}\nBearer abc.def at https://me:pw@host/");
        let shown = ProviderError::refused(&message).with_status(401);
        for secret in [&*key, "YrKJUK", "abc.def", "me:pw"] {
            assert!(!format!("{shown} {shown:?}").contains(secret), "{shown:?}");
        }
    }

    #[test]
    fn messages_are_one_short_line() {
        let page = "<html>\n\t<p>Bad\u{0}Gateway</p>".to_owned() + &"x".repeat(10_000);
        let shown = ProviderError::refused(page).to_string();
        assert!(shown.starts_with("<html> <p>BadGateway</p>"), "{shown}");
        assert_eq!(shown.chars().count(), MAX_MESSAGE + 1);
    }
}
