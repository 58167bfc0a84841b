//! What the provider reports: a snapshot of the object, or in a thin event no more than which object it is.

use std::sync::{Arc, OnceLock};

use serde_json::Value;

use crate::accessors::{getters, partial_debug};
use crate::intent::payment_intent::PaymentId;
use crate::payment::facts::Mode;
use crate::provider::RelatedObject;

use super::outline::{FieldName, Outline};
use super::rfc3339::unix_seconds;
use super::types::{self, PAYMENT, SESSION};

/// What the ids of accounts start with. A context may also name the organization itself.
const ACCOUNT: &str = "acct_";

/// Far beyond what Stripe has.
const MAX_LEN: usize = 255;

/// What `object` says of an event: with the object as it was then, or thin.
const SNAPSHOT: &str = "event";
const THIN: &str = "v2.core.event";

/// One event of Stripe, as it was signed.
///
/// A clone costs one counter. Events come in any order, and an older one may come later: take an event for the news that
/// something changed, and [validate](crate::Validator::validate) to learn how things stand.
#[derive(Clone)]
pub struct Event(Arc<Inner>);

struct Inner {
    id: Box<str>,
    event_type: Box<str>,
    is_thin: bool,
    /// The event of the other form that says the same, where a thin one names it.
    twin: Option<Box<str>>,
    /// The connected account, by `account`.
    account: Option<Box<str>>,
    /// The account that an organization's event is of, by the last segment of `context`.
    context: Option<Box<str>>,
    mode: Mode,
    created: u64,
    payment: Option<PaymentId>,
    /// The Checkout session that it is about, which a validation may name instead of its payment.
    session: Option<PaymentId>,
    /// What has to be asked for, since the body names no payment.
    related: Option<RelatedObject>,
    fetched: OnceLock<Fetched>,
    body: Box<str>,
    /// Made of the body when it is first asked for: a duplicate's never is.
    json: OnceLock<Value>,
}

/// What an event happened to, and as of when.
///
/// ```
/// use payproof::webhook::{Event, EventObject};
///
/// /// How much is refunded by now, as far as the event says it.
/// fn refunded(event: &Event) -> Option<u64> {
///     match event.object() {
///         // Another refund may have followed meanwhile.
///         EventObject::AsOfEvent(charge) | EventObject::AsOfNow(charge) => charge["amount_refunded"].as_u64(),
///         // Validate the payment, which says how it stands.
///         _ => None,
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum EventObject<'e> {
    /// The object as it was when the event was made: `data.object` of a snapshot event.
    AsOfEvent(&'e Value),
    /// The object as it was found when this delivery of a thin event asked for it, which is later.
    AsOfNow(&'e Value),
    /// Stripe has no such object any more; which one it was is in [`Event::json`].
    Gone,
    /// The key may not read the object; [`Validator::health`](crate::Validator::health) says so, too.
    Unreadable,
    /// The event is thin, and the object was not asked for: it is the payment itself, leads to none, or has no id that could be
    /// asked for.
    NotFetched,
}

impl<'e> EventObject<'e> {
    /// The object, as of whenever it is known.
    #[must_use]
    pub fn value(self) -> Option<&'e Value> {
        match self {
            Self::AsOfEvent(object) | Self::AsOfNow(object) => Some(object),
            Self::Gone | Self::Unreadable | Self::NotFetched => None,
        }
    }
}

/// What came of asking for the object of a thin event.
pub(super) enum Fetched {
    Found { payment: Option<PaymentId>, object: Value },
    Gone,
    Unreadable,
}

impl Event {
    /// Reads a body, or says which rule it breaks. What is not known is kept and ignored.
    pub(super) fn parse(body: &[u8]) -> Result<Self, &'static str> {
        let body = std::str::from_utf8(body).map_err(|_| "is not JSON")?;
        let event: Outline<'_> = serde_json::from_str(body).map_err(|_| "is not JSON")?;
        let text = |name| event.get(name).and_then(Outline::text);
        let is_thin = match text(FieldName::Object) {
            Some(SNAPSHOT) => false,
            Some(THIN) => true,
            _ => return Err("is of another kind; `object` must be `event` or `v2.core.event`"),
        };
        let id = text(FieldName::Id).filter(|id| is_word(id)).ok_or("has no `id`")?.into();
        let event_type = text(FieldName::Type).filter(|name| is_type(name)).ok_or("has no `type`")?;
        let account = match event.get(FieldName::Account) {
            None | Some(Outline::Null) => None,
            Some(account) => Some(account.text().filter(|id| is_word(id)).ok_or("has a malformed `account`")?.into()),
        };
        let scope = text(FieldName::Context);
        let last = scope.and_then(|scope| scope.rsplit('/').next());
        let context = last.filter(|id| id.strip_prefix(ACCOUNT).is_some_and(is_word));
        let mode = match event.get(FieldName::Livemode) {
            Some(Outline::Bool(true)) => Mode::Live,
            Some(Outline::Bool(false)) => Mode::Test,
            _ => return Err("has no `livemode`"),
        };
        let created = match event.get(FieldName::Created) {
            Some(Outline::Whole(created)) if !is_thin => *created,
            Some(Outline::Text(created)) if is_thin => unix_seconds(created),
            _ => None,
        };
        let created = created.ok_or("has no `created`")?;
        let Subject { payment, session, related } = if is_thin {
            // One that ends in an organization names no account that could be asked.
            let scope = context.and(scope.filter(|scope| is_scope(scope))).or(context);
            Subject::of_thin(&event, event_type, scope)
        } else {
            Subject::of_snapshot(&event)?
        };
        let context = context.map(Into::into);
        let twin = text(FieldName::SnapshotEvent).filter(|twin| is_thin && is_word(twin)).map(Into::into);
        let (fetched, body, json) = (OnceLock::new(), body.into(), OnceLock::new());
        Ok(Self(Arc::new(Inner {
            id,
            event_type: event_type.into(),
            is_thin,
            twin,
            account,
            context,
            mode,
            created,
            payment,
            session,
            related,
            fetched,
            body,
            json,
        })))
    }

    getters! {
        /// The event's id, the same on every delivery: `evt_…`.
        pub fn id(&self) -> &str => &self.0.id;

        /// The id under which it is known that it was handled: that of the snapshot event which says the same, where a thin
        /// one names it.
        pub(super) fn known_as(&self) -> &str => self.0.twin.as_deref().unwrap_or(&self.0.id);

        /// What happened: `charge.refunded`, or any other; Stripe adds new ones. A thin event's begins with `v1.` or `v2.`.
        pub fn event_type(&self) -> &str => &self.0.event_type;

        /// Whether it is a thin event, which says what happened to which object and nothing of the object itself.
        pub fn is_thin(&self) -> bool => self.0.is_thin;

        /// The account it happened at: a connected one by `account`, or one of an organization by the last segment of
        /// `context`. `None` where neither names one, as in events of the endpoint's own account.
        pub fn account(&self) -> Option<&str> => self.0.account.as_deref().or(self.0.context.as_deref());

        /// Whether it happened at a connected account, which is never the one that the endpoint's own key is of.
        pub(super) fn is_connected(&self) -> bool => self.0.account.is_some();

        /// The mode. A handler only sees events of the validator's own.
        pub fn mode(&self) -> Mode => self.0.mode;

        /// When it happened, in seconds since 1970 by Stripe's clock.
        pub fn created(&self) -> u64 => self.0.created;

        /// The payment it is about: a payment intent's own id, or the `payment_intent` of a charge, dispute, refund,
        /// checkout session, review, payment of an invoice and the like. A thin event about one of those has it once that
        /// object was asked for, as it is for a handler.
        ///
        /// `None` when it names none, or one by an id that is none, which no intent could claim either.
        pub fn payment(&self) -> Option<&PaymentId> => self.0.payment.as_ref().or_else(|| match self.0.fetched.get()? {
            Fetched::Found { payment, .. } => payment.as_ref(),
            Fetched::Gone | Fetched::Unreadable => None,
        });

        /// What has to be asked for, since the body does not name the payment.
        pub(super) fn related(&self) -> Option<&RelatedObject> => self.0.related.as_ref();

        /// What it happened to, and as of when.
        pub fn object(&self) -> EventObject<'_> => match self.0.fetched.get() {
            Some(Fetched::Found { object, .. }) => EventObject::AsOfNow(object),
            Some(Fetched::Gone) => EventObject::Gone,
            Some(Fetched::Unreadable) => EventObject::Unreadable,
            None if self.0.is_thin => EventObject::NotFetched,
            None => EventObject::AsOfEvent(self.json().pointer("/data/object").unwrap_or(&Value::Null)),
        };

        /// The whole event. The tree is made when this or [`object`](Self::object) is first asked for.
        pub fn json(&self) -> &Value => self.0.json.get_or_init(|| serde_json::from_str(&self.0.body).unwrap_or_default());
    }

    /// What the body itself names: the payment, and the Checkout session that stands for it.
    pub(super) fn named(&self) -> impl Iterator<Item = &PaymentId> {
        self.0.payment.iter().chain(&self.0.session)
    }

    /// Keeps what came of asking for its object.
    pub(super) fn keep(&self, fetched: Fetched) {
        // It is asked for once, before a handler sees it.
        let _ = self.0.fetched.set(fetched);
    }
}

// Shows ids, mode and type; the rest may be personal.
partial_debug!(Event, self =>
    id: self.id(), event_type: self.event_type(), account: self.account(), mode: self.mode(), payment: self.payment()
);

/// What an event is about, as far as its body says it.
struct Subject {
    payment: Option<PaymentId>,
    session: Option<PaymentId>,
    related: Option<RelatedObject>,
}

impl Subject {
    fn of_snapshot(event: &Outline<'_>) -> Result<Self, &'static str> {
        let object = event.get(FieldName::Data).and_then(|data| data.get(FieldName::Object));
        let object = object.filter(|object| matches!(object, Outline::Fields(_))).ok_or("has no `data.object`")?;
        let is_session = object.get(FieldName::Object).and_then(Outline::text) == Some(SESSION);
        let session = if is_session { own_id(object) } else { None };
        Ok(Self { payment: payment(object), session, related: None })
    }

    /// What the object is, the event's type says, and of a type that is not known the object. The URL of the object is not
    /// read: the adapter knows where each kind is.
    fn of_thin(event: &Outline<'_>, event_type: &str, scope: Option<&str>) -> Self {
        let object = event.get(FieldName::RelatedObject);
        let stated = || object.and_then(|object| object.get(FieldName::Type)).and_then(Outline::text);
        let kind = types::object_of(event_type).or_else(stated).unwrap_or_default();
        let id = object.and_then(own_id);
        let related = id.as_ref().filter(|_| types::leads_to_payment(kind));
        let related = related.and_then(|id| RelatedObject::new(kind, id.as_str()));
        let related = related.map(|related| match scope {
            Some(scope) => related.in_context(scope),
            None => related,
        });
        Self { payment: id.clone().filter(|_| kind == PAYMENT), session: id.filter(|_| kind == SESSION), related }
    }
}

fn own_id(object: &Outline<'_>) -> Option<PaymentId> {
    PaymentId::parse(object.get(FieldName::Id)?.text()?).ok()
}

/// The payment that an object is, or belongs to. Where it is a reference it may be expanded.
fn payment(object: &Outline<'_>) -> Option<PaymentId> {
    let is_payment = object.get(FieldName::Object).and_then(Outline::text) == Some(PAYMENT);
    let of_invoice = || object.get(FieldName::Payment)?.get(FieldName::PaymentIntent);
    let named =
        if is_payment { object.get(FieldName::Id) } else { object.get(FieldName::PaymentIntent).or_else(of_invoice) };
    let named = named?;
    let id = named.text().or_else(|| named.get(FieldName::Id)?.text())?;
    PaymentId::parse(id).ok()
}

/// Ids are words; what is none could not be shown in a log.
fn is_word(text: &str) -> bool {
    is_made_of(text, b"_-.")
}

/// Types are words, some with a part in brackets: `v2.core.account[requirements].updated`.
fn is_type(text: &str) -> bool {
    is_made_of(text, b"_-.[]")
}

fn is_made_of(text: &str, signs: &[u8]) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || signs.contains(&byte);
    (1..=MAX_LEN).contains(&text.len()) && text.bytes().all(plain)
}

/// Ids of accounts, from the outermost to the one that it is of.
fn is_scope(text: &str) -> bool {
    text.len() <= MAX_LEN && text.split('/').all(is_word)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn payment_of(object: &Value) -> Option<String> {
        let object = object.to_string();
        payment(&serde_json::from_str(&object).unwrap()).map(|id| id.as_str().to_owned())
    }

    #[test]
    fn each_object_leads_to_its_payment() {
        for (object, expected) in [
            (json!({"object": "payment_intent", "id": "pi_1"}), Some("pi_1")),
            (json!({"object": "charge", "id": "ch_1", "payment_intent": "pi_1"}), Some("pi_1")),
            (json!({"object": "dispute", "id": "dp_1", "payment_intent": "pi_1"}), Some("pi_1")),
            (json!({"object": "refund", "id": "re_1", "payment_intent": {"id": "pi_1"}}), Some("pi_1")),
            (json!({"object": "checkout.session", "id": "cs_1", "payment_intent": null}), None),
            (
                json!({"object": "invoice_payment", "payment": {"type": "payment_intent", "payment_intent": "pi_1"}}),
                Some("pi_1"),
            ),
            (json!({"object": "invoice_payment", "payment": {"type": "charge", "charge": "ch_1"}}), None),
            (json!({"object": "customer", "id": "cus_1"}), None),
            (json!({"object": "charge", "payment_intent": 7}), None),
            (json!({"object": "charge", "payment_intent": {}}), None),
            (json!({"object": "payment_intent"}), None),
            (json!({"object": "payment_intent", "id": "../pi_1"}), None),
            (json!({"object": "payment_intent", "id": ""}), None),
        ] {
            assert_eq!(payment_of(&object).as_deref(), expected, "{object}");
        }
    }

    #[test]
    fn what_is_no_event_is_told_why() {
        let event = json!({"object": "event", "id": "evt_1", "type": "a.b", "livemode": true, "created": 1,
            "data": {"object": {}}, "account": null, "unknown": [1]});
        assert!(Event::parse(event.to_string().as_bytes()).is_ok());
        for (field, value) in [
            ("object", json!("v2.core.event")),
            ("id", json!("")),
            ("id", json!("evt 1")),
            ("id", json!("e".repeat(256))),
            ("id", json!(7)),
            ("type", json!("a\nb")),
            ("type", json!("a{b}")),
            ("type", json!("")),
            ("type", json!("e".repeat(256))),
            ("id", json!("evt[1]")),
            ("account", json!("")),
            ("account", json!({"id": "acct_1"})),
            ("livemode", json!("true")),
            ("created", json!("2026-01-01")),
            ("created", json!(-1)),
            ("data", json!({})),
            ("data", json!({"object": "ch_1"})),
            ("data", json!({"object": ["charge"]})),
            ("data", json!([{"object": {}}])),
        ] {
            let mut broken = event.clone();
            broken[field] = value;
            assert!(Event::parse(broken.to_string().as_bytes()).is_err(), "{broken}");
        }
        for body in ["", "{", "[]", r#"["event"]"#, "null", "\"event\""] {
            assert!(Event::parse(body.as_bytes()).is_err(), "{body}");
        }
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(Event::parse(deep.as_bytes()).unwrap_err(), "is not JSON");
    }
}
