//! What the provider reports.

use std::sync::{Arc, OnceLock};

use serde_json::Value;

use crate::accessors::{getters, partial_debug};
use crate::intent::payment_intent::PaymentId;
use crate::payment::facts::Mode;

use super::outline::{FieldName, Outline};

/// What the ids of accounts start with. A context may also name the organization itself.
const ACCOUNT: &str = "acct_";

/// Far beyond what Stripe has.
const MAX_LEN: usize = 255;

/// One event of Stripe, as it was signed.
///
/// A clone costs one counter. Events come in any order, and an older one may come later: take an event for the news that
/// something changed, and [validate](crate::Validator::validate) to learn how things stand.
#[derive(Clone)]
pub struct Event(Arc<Inner>);

struct Inner {
    id: Box<str>,
    event_type: Box<str>,
    /// The connected account, by `account`.
    account: Option<Box<str>>,
    /// The account that an organization's event is of, by the last segment of `context`.
    context: Option<Box<str>>,
    mode: Mode,
    created: u64,
    payment: Option<PaymentId>,
    body: Box<str>,
    /// Made of the body when it is first asked for: a duplicate's never is.
    json: OnceLock<Value>,
}

impl Event {
    /// Reads a body, or says which rule it breaks. What is not known is kept and ignored.
    pub(super) fn parse(body: &[u8]) -> Result<Self, &'static str> {
        let body = std::str::from_utf8(body).map_err(|_| "is not JSON")?;
        let event: Outline<'_> = serde_json::from_str(body).map_err(|_| "is not JSON")?;
        let text = |name| event.get(name).and_then(Outline::text);
        if text(FieldName::Object) != Some("event") {
            return Err("is of another kind; `object` must be `event`, and what Stripe calls a thin event is none");
        }
        let id = text(FieldName::Id).filter(|id| is_word(id)).ok_or("has no `id`")?.into();
        let event_type = text(FieldName::Type).filter(|name| is_word(name)).ok_or("has no `type`")?.into();
        let account = match event.get(FieldName::Account) {
            None | Some(Outline::Null) => None,
            Some(account) => Some(account.text().filter(|id| is_word(id)).ok_or("has a malformed `account`")?.into()),
        };
        let last = text(FieldName::Context).and_then(|context| context.rsplit('/').next());
        let context = last.filter(|id| id.strip_prefix(ACCOUNT).is_some_and(is_word)).map(Into::into);
        let mode = match event.get(FieldName::Livemode) {
            Some(Outline::Bool(true)) => Mode::Live,
            Some(Outline::Bool(false)) => Mode::Test,
            _ => return Err("has no `livemode`"),
        };
        let Some(&Outline::Whole(Some(created))) = event.get(FieldName::Created) else {
            return Err("has no `created`");
        };
        let object = event.get(FieldName::Data).and_then(|data| data.get(FieldName::Object));
        let object = object.filter(|object| matches!(object, Outline::Fields(_))).ok_or("has no `data.object`")?;
        let (payment, body, json) = (payment(object), body.into(), OnceLock::new());
        Ok(Self(Arc::new(Inner { id, event_type, account, context, mode, created, payment, body, json })))
    }

    getters! {
        /// The event's id, the same on every delivery: `evt_…`.
        pub fn id(&self) -> &str => &self.0.id;

        /// What happened: `charge.refunded`, or any other; Stripe adds new ones.
        pub fn event_type(&self) -> &str => &self.0.event_type;

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
        /// checkout session, review and the like.
        ///
        /// `None` when it names none, or one by an id that is none, which no intent could claim either.
        pub fn payment(&self) -> Option<&PaymentId> => self.0.payment.as_ref();

        /// What it happened to: `data.object`, as it was when the event was made.
        pub fn object(&self) -> &Value => self.json().pointer("/data/object").unwrap_or(&Value::Null);

        /// The whole event. The tree is made when this or [`object`](Self::object) is first asked for.
        pub fn json(&self) -> &Value => self.0.json.get_or_init(|| serde_json::from_str(&self.0.body).unwrap_or_default());
    }
}

// Shows ids, mode and type; the rest may be personal.
partial_debug!(Event, self =>
    id: self.id(), event_type: self.event_type(), account: self.account(), mode: self.mode(), payment: self.payment()
);

/// The payment that an object is, or belongs to. Where it is a reference it may be expanded.
fn payment(object: &Outline<'_>) -> Option<PaymentId> {
    let named = match object.get(FieldName::Object).and_then(Outline::text) {
        Some("payment_intent") => object.get(FieldName::Id)?,
        _ => object.get(FieldName::PaymentIntent)?,
    };
    let id = named.text().or_else(|| named.get(FieldName::Id)?.text())?;
    PaymentId::parse(id).ok()
}

/// Ids and types are words; what is none could not be shown in a log.
fn is_word(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    (1..=MAX_LEN).contains(&text.len()) && text.bytes().all(plain)
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
