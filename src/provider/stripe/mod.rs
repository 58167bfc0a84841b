//! The Stripe adapter.

use reqwest::header::HeaderMap;
use reqwest::{Client, Url};

use crate::accessors::partial_debug;
use crate::http::transport::{self, HttpReply};
use crate::intent::invalid_intent::{Field, InvalidIntent};
use crate::intent::payment_intent::PaymentId;
use crate::payment::dispute::Dispute;
use crate::payment::facts::ProviderPayment;
use crate::settings::build_error::BuildError;

use super::{
    Answer, Call, ListQuery, Listed, LookUp, Provider, ProviderError, ProviderIdentity, RelatedAnswer, RelatedObject,
};
use refusal::Unsuccessful;
use right::Right;

mod builder;
mod disputes;
mod list;
mod other_objects;
mod payment;
mod refunds;
mod refusal;
mod related;
mod reply;
mod right;
mod session;
mod units;
mod wire;

pub use builder::StripeBuilder;

/// What is asked for in place of ids.
const WITH_REVIEW: &str = "expand%5B%5D=latest_charge&expand%5B%5D=review";
const WITHOUT_REVIEW: &str = "expand%5B%5D=latest_charge";

const BASE_URL: &str = "https://api.stripe.com";

/// The newest version that what is read here was compared with: nothing of it changed since 2025-03-31.basil, when a partial
/// capture stopped being a refund, and with 2025-12-15.clover `customer_account` was added
/// (<https://docs.stripe.com/changelog>).
const API_VERSION: &str = "2026-10-28.endive";

/// Looks payments up at Stripe.
///
/// One look-up is one `GET /v1/payment_intents/{id}` with charge and review expanded, on a pooled connection, or for the id of a
/// Checkout session one `GET /v1/checkout/sessions/{id}` with its payment intent, and in it those two. Where the
/// charge is disputed, a `GET /v1/disputes` follows, which says how that stands, and where something was given back, the
/// payment is asked for again with its refunds. Neither redirects nor retries happen in here.
///
/// A restricted key needs read access to payment intents and charges, and to Checkout sessions where their ids are validated. Without read access to disputes every disputed payment
/// is invalid, and without read access to reviews every payment that was ever reviewed is as risky as one under review; the
/// event `payproof.right_missing` tells of either, once an hour. [Lists](Provider::list) of what changed need read access to
/// disputes and to events, or fail.
///
/// ```no_run
/// use payproof::Stripe;
///
/// let stripe = Stripe::new(std::env::var("STRIPE_SECRET_KEY")?)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Stripe {
    identity: ProviderIdentity,
    client: Client,
    /// Complete but for the path and the query.
    address: Url,
    /// What every path begins with.
    root: Box<str>,
    disputes_right: Right,
    reviews_right: Right,
    refunds_right: Right,
    /// Whether refunds are asked for although nothing was given back.
    lists_refunds: bool,
    headers: HeaderMap,
    account: Option<Box<str>>,
}

impl Stripe {
    /// Makes an adapter with every default; see [`StripeBuilder`].
    ///
    /// # Errors
    /// `Credential` when the key is empty, malformed or of another kind, `HttpClient` when there are no root
    /// certificates.
    pub fn new(secret_key: impl Into<String>) -> Result<Self, BuildError> {
        Self::builder(secret_key).build()
    }

    /// Starts from the defaults.
    ///
    /// ```
    /// use payproof::provider::Provider;
    /// use payproof::{Mode, Stripe};
    ///
    /// let stripe = Stripe::builder("sk_test_placeholder").base_url("http://127.0.0.1:12111").account("acct_1").build()?;
    /// assert_eq!(stripe.identity().mode(), Mode::Test);
    /// assert_eq!(stripe.identity().label(), "acct_1");
    /// # Ok::<(), payproof::BuildError>(())
    /// ```
    pub fn builder(secret_key: impl Into<String>) -> StripeBuilder {
        StripeBuilder::new(secret_key.into())
    }

    fn assemble(
        identity: ProviderIdentity,
        base: Url,
        headers: HeaderMap,
        account: Option<String>,
        lists_refunds: bool,
    ) -> Result<Self, BuildError> {
        let client = transport::client(&base)?;
        let root = format!("{}/v1/", base.path().trim_end_matches('/')).into();
        let address = base;
        let account = account.map(Into::into);
        let rights = ["Disputes, read", payment::REVIEWS, "Charges and Refunds, read"].map(Right::new);
        let [disputes_right, reviews_right, refunds_right] = rights;
        Ok(Self {
            identity,
            client,
            address,
            root,
            disputes_right,
            reviews_right,
            refunds_right,
            lists_refunds,
            headers,
            account,
        })
    }

    /// Where Stripe is asked: scheme, host and port.
    #[must_use]
    pub fn base_url(&self) -> String {
        self.address.origin().ascii_serialization()
    }

    fn address_of(&self, payment: &PaymentId, with_review: bool) -> Url {
        let (list, query) = match (self.is_alias(payment), with_review) {
            (false, true) => (payment::LIST, WITH_REVIEW),
            (false, false) => (payment::LIST, WITHOUT_REVIEW),
            (true, true) => (session::LIST, session::WITH_REVIEW),
            (true, false) => (session::LIST, session::WITHOUT_REVIEW),
        };
        let mut address = self.address_in(list, payment.as_str());
        address.set_query(Some(query));
        address
    }

    /// Where one object of a list stands, without a query. The alphabet of a checked id cannot leave its place in the path.
    fn address_in(&self, list: &str, id: &str) -> Url {
        let mut address = self.address.clone();
        address.set_path(&[&*self.root, list, "/", id].concat());
        address
    }

    /// Asks for the payment, with the review expanded if the key may read it.
    async fn ask(&self, payment: &PaymentId, with_review: bool) -> Result<ProviderPayment, ProviderError> {
        let reply = transport::get(&self.client, self.address_of(payment, with_review), &self.headers).await;
        let mut facts = self.read(payment, &reply.map_err(|error| ProviderError::from(&error))?)?;
        if facts.missing_right.take().is_some() && with_review {
            facts.missing_right = self.reviews_right.note();
        }
        Ok(facts)
    }

    /// Asks once more after a refusal, which may be for the review alone.
    async fn ask_without_review(
        &self,
        payment: &PaymentId,
        call: &Call,
        refused: ProviderError,
    ) -> Result<ProviderPayment, ProviderError> {
        let id = refused.provider_request_id().unwrap_or_default();
        let with_earlier = |error: ProviderError| error.with_earlier_request(id);
        let call = call.further().await.map_err(|error| error.with_request_id(id))?;
        let mut facts = self.ask(payment, false).await.map_err(with_earlier)?.with_earlier_request(id);
        facts.missing_right = self.reviews_right.refused(&refused);
        self.complete(facts, call).await
    }

    /// Asks for what the payment's own answer leaves open: first how its refunds stand, by which a dispute that was prevented is
    /// read.
    async fn complete(&self, facts: ProviderPayment, call: Call) -> Result<ProviderPayment, ProviderError> {
        let (facts, call) =
            if self.asks_for_refunds(&facts) { self.add_refunds(facts, call).await? } else { (facts, call) };
        if facts.dispute == Dispute::None { Ok(facts) } else { self.add_disputes(facts, call).await }
    }

    fn read(&self, payment: &PaymentId, reply: &HttpReply) -> Result<ProviderPayment, ProviderError> {
        let facts = match reply::body(reply, Some(payment.as_str())) {
            Ok(body) => {
                let account = self.account.as_deref();
                let facts = if self.is_alias(payment) {
                    session::read(body, Some(payment.as_str()), account)
                } else {
                    payment::read(body, account)
                };
                facts.map_err(|error| reply::unreadable(error, reply))?
            }
            Err(Unsuccessful::Missing(_, hint)) => {
                ProviderPayment::not_found(payment.as_str()).with_not_found_hint(hint)
            }
            Err(Unsuccessful::Refused(error)) => return Err(error),
        };
        Ok(reply::stamped(facts, reply))
    }
}

/// Whether a refusal of what was asked with its review may be for the review alone. A compatible server may not know what to
/// expand.
fn may_be_for_review(error: &ProviderError) -> bool {
    matches!(error.status(), Some(400 | 403)) && !error.may_pass()
}

impl Provider for Stripe {
    fn identity(&self) -> &ProviderIdentity {
        &self.identity
    }

    /// Plain ids, and none that is known to be another object's.
    fn check(&self, payment: &PaymentId) -> Result<(), InvalidIntent> {
        let rule = match other_objects::rule_for(payment.as_str()) {
            None if payment.is_plain() => return Ok(()),
            None => "must consist of A-Z, a-z, 0-9, `_` and `-`, as Stripe's ids do".to_owned(),
            Some(rule) => rule,
        };
        Err(InvalidIntent::new(Field::PaymentId, rule))
    }

    /// Checkout sessions, those of Payment Links among them.
    fn is_alias(&self, id: &PaymentId) -> bool {
        id.as_str().starts_with(session::PREFIX)
    }

    async fn look_up(&self, payment: &PaymentId, call: &Call) -> Result<ProviderPayment, ProviderError> {
        // So that also who asks an adapter without a validator can reach no other path.
        self.check(payment)
            .map_err(|invalid| ProviderError::not_sent(invalid.to_string()).permanent_by_code("payment_id"))?;
        let with_review = !self.reviews_right.is_missing();
        // Boxed, and waited for where the first answer is no longer held, so that what most look-ups do not need makes none of
        // them larger.
        let further: LookUp<'_> = match self.ask(payment, with_review).await {
            Ok(facts) if facts.dispute == Dispute::None && !self.asks_for_refunds(&facts) => return Ok(facts),
            Ok(facts) => Box::pin(self.complete(facts, call.clone())),
            Err(error) if with_review && may_be_for_review(&error) => {
                Box::pin(self.ask_without_review(payment, call, error))
            }
            Err(error) => return Err(error),
        };
        further.await
    }

    async fn related(&self, object: &RelatedObject, _call: &Call) -> Result<RelatedAnswer, ProviderError> {
        self.ask_for_related(object).await
    }

    /// Payment intents with their charges and reviews, newest first. What changed are the refunds and disputes of the window,
    /// and then its events of payments that succeeded or were canceled, which Stripe keeps for 30 days.
    async fn list(&self, query: &ListQuery, call: &Call) -> Result<Listed, ProviderError> {
        self.list_page(query, call).await
    }

    fn read_refusal(&self, answer: &Answer<'_>) -> ProviderError {
        if answer.status == 200 {
            let account = self.account.as_deref();
            let read = payment::read(answer.body, account);
            return match read.or_else(|error| session::read(answer.body, None, account).map_err(|_| error)) {
                Ok(_) => ProviderError::refused("a payment's facts, which are not an error").with_status(200),
                Err(unreadable) => unreadable,
            };
        }
        refusal::read(answer, None).into()
    }
}

// Shows no key.
partial_debug!(Stripe, self =>
    base_url: self.base_url(), account_label: self.identity.label(),
    mode: self.identity.mode()
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::transport::TransportError;
    use crate::provider::{Advice, Kind};

    const PAID: &str = r#"{"id":"pi_1","object":"payment_intent","status":"succeeded",
    "latest_charge":{"id":"ch_1","status":"succeeded","amount_refunded":0}}"#;

    #[test]
    fn a_success_is_read_as_one_even_when_an_error_is_asked_for() {
        let stripe = Stripe::builder("sk_live_x").base_url("http://localhost:1").build().unwrap();
        let explain = |status, body: &str| stripe.read_refusal(&Answer { status, headers: &[], body: body.as_bytes() });
        assert!(explain(200, PAID).to_string().contains("not an error"));
        assert_eq!(explain(200, "<html>").kind(), Kind::Unreadable);
        assert_eq!(explain(204, "").kind(), Kind::Unreadable);
    }

    #[test]
    fn a_cut_error_keeps_its_status_and_a_cut_success_has_none() {
        let stripe = Stripe::builder("sk_live_x").base_url("http://localhost:1").build().unwrap();
        let read = |status, body: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("request-id", "req_1".parse().unwrap());
            let fault = Some(TransportError::Broken("reset".to_owned()));
            let reply = HttpReply { status, headers, body: body.into(), fault };
            stripe.read(&PaymentId::parse("pi_1").unwrap(), &reply).unwrap_err()
        };
        let error = read(503, "<html>");
        assert_eq!((error.kind(), error.status()), (Kind::Refused, Some(503)));
        // A missing payment and a wrong address differ in the body alone.
        let error = read(404, r#"{"error":{"code":"resource_miss"#);
        assert_eq!((error.kind(), error.status()), (Kind::OutcomeUnknown, None));
        let error = read(200, PAID);
        assert_eq!((error.kind(), error.status()), (Kind::OutcomeUnknown, None));
        assert_eq!(error.provider_request_id(), Some("req_1"));
    }

    #[test]
    fn every_line_of_retry_after_counts() {
        let stripe = Stripe::builder("sk_live_x").base_url("http://localhost:1").build().unwrap();
        let mut headers = HeaderMap::new();
        headers.append("retry-after", "1.5".parse().unwrap());
        headers.append("retry-after", "3, 5".parse().unwrap());
        let reply = HttpReply { status: 503, headers, body: "busy".into(), fault: None };
        let error = stripe.read(&PaymentId::parse("pi_1").unwrap(), &reply).unwrap_err();
        assert_eq!(error.wait().map(|wait| wait.as_secs()), Some(5));
    }

    #[test]
    fn facts_carry_the_answers_time_and_request_id() {
        let stripe = Stripe::builder("sk_live_x").base_url("http://localhost:1").account("acct_1").build().unwrap();
        let (payment, mut headers) = (PaymentId::parse("pi_1").unwrap(), HeaderMap::new());
        headers.insert("date", "Sun, 06 Nov 1994 08:49:37 GMT".parse().unwrap());
        headers.insert("request-id", "req_1".parse().unwrap());
        for (status, body) in [(200, PAID), (404, r#"{"error":{"code":"resource_missing"}}"#)] {
            let reply = HttpReply { status, headers: headers.clone(), body: body.into(), fault: None };
            let facts = stripe.read(&payment, &reply).unwrap();
            assert_eq!((facts.as_of, facts.request_ids.last()), (Some(784_111_777), Some("req_1")));
            assert_eq!(&*facts.id, "pi_1");
        }
    }

    #[test]
    fn every_header_is_sent_and_the_key_is_marked_sensitive() {
        let stripe = Stripe::builder("sk_live_x").base_url("http://localhost:1").account("acct_1").build().unwrap();
        assert_eq!(stripe.headers["authorization"], "Bearer sk_live_x");
        assert!(stripe.headers["authorization"].is_sensitive());
        assert_eq!(stripe.headers["stripe-version"], API_VERSION);
        assert_eq!(stripe.headers["stripe-account"], "acct_1");
    }

    #[test]
    fn the_address_is_the_base_the_path_and_the_expansion() {
        let address = |base: &str| {
            let stripe = Stripe::builder("sk_live_a").base_url(base).build().unwrap();
            stripe.address_of(&PaymentId::parse("pi_1").unwrap(), true).to_string()
        };
        let expected = "http://localhost:1/v1/payment_intents/pi_1?expand%5B%5D=latest_charge&expand%5B%5D=review";
        assert_eq!(address("http://localhost:1"), expected);
        assert_eq!(address("http://localhost:1/"), expected);
        assert_eq!(address("http://localhost:1/a/"), expected.replace("/v1", "/a/v1"));
    }

    #[test]
    fn transport_errors_keep_how_far_the_call_got() {
        let of = |error: TransportError| {
            let error = ProviderError::from(&error);
            (error.kind(), error.advice())
        };
        let text = || "x".to_owned();
        let permanent = Some(Advice::Code { retry: false });
        assert_eq!(of(TransportError::NotSent(text())), (Kind::NotSent, None));
        assert_eq!(of(TransportError::Broken(text())), (Kind::OutcomeUnknown, None));
        assert_eq!(of(TransportError::Certificate(text())), (Kind::NotSent, permanent));
        assert_eq!(of(TransportError::Request(text())), (Kind::NotSent, permanent));
        assert_eq!(of(TransportError::TooLarge), (Kind::Unreadable, None));
    }
}
