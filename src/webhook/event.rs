//! What the provider reports.

use std::sync::Arc;

use serde_json::Value;

use crate::accessors::{getters, partial_debug};
use crate::intent::payment_intent::PaymentId;
use crate::payment::facts::Mode;

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
    json: Value,
}

impl Event {
    /// Reads a body, or says which rule it breaks. What is not known is kept and ignored.
    pub(super) fn parse(body: &[u8]) -> Result<Self, &'static str> {
        let json: Value = serde_json::from_slice(body).map_err(|_| "is not JSON")?;
        let text = |field| json.get(field).and_then(Value::as_str);
        if text("object") != Some("event") {
            return Err("is of another kind; `object` must be `event`, and what Stripe calls a thin event is none");
        }
        let id = text("id").filter(|id| is_word(id)).ok_or("has no `id`")?.into();
        let event_type = text("type").filter(|name| is_word(name)).ok_or("has no `type`")?.into();
        let account = match json.get("account") {
            None | Some(Value::Null) => None,
            Some(account) => Some(account.as_str().filter(|id| is_word(id)).ok_or("has a malformed `account`")?.into()),
        };
        let last = text("context").and_then(|context| context.rsplit('/').next());
        let context = last.filter(|id| id.strip_prefix(ACCOUNT).is_some_and(is_word)).map(Into::into);
        let is_live = json.get("livemode").and_then(Value::as_bool).ok_or("has no `livemode`")?;
        let mode = if is_live { Mode::Live } else { Mode::Test };
        let created = json.get("created").and_then(Value::as_u64).ok_or("has no `created`")?;
        let object = object(&json).filter(|object| object.is_object()).ok_or("has no `data.object`")?;
        let payment = payment(object);
        Ok(Self(Arc::new(Inner { id, event_type, account, context, mode, created, payment, json })))
    }

    getters! {
        /// The event's id, the same on every delivery: `evt_…`.
        pub fn id(&self) -> &str => &self.0.id;

        /// What happened: `charge.refunded`, or any other; Stripe adds new ones.
        pub fn event_type(&self) -> &str => &self.0.event_type;

        /// The account it happened at: a connected one by `account`, or one of an organization by the last segment of
        /// `context`. `None` where neither names one, as in events of the endpoint's own account.
        pub fn account(&self) -> Option<&str> => self.0.account.as_deref().or(self.0.context.as_deref());
    }

    /// Whether it happened at a connected account, which is never the one that the endpoint's own key is of.
    pub(super) fn is_connected(&self) -> bool {
        self.0.account.is_some()
    }

    getters! {
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
        pub fn object(&self) -> &Value => object(&self.0.json).unwrap_or(&Value::Null);

        /// The whole event.
        pub fn json(&self) -> &Value => &self.0.json;
    }
}

// Shows ids, mode and type; the rest may be personal.
partial_debug!(Event, self =>
    id: self.id(), event_type: self.event_type(), account: self.account(), mode: self.mode(), payment: self.payment()
);

fn object(json: &Value) -> Option<&Value> {
    json.get("data")?.get("object")
}

/// The payment that an object is, or belongs to. Where it is a reference it may be expanded.
fn payment(object: &Value) -> Option<PaymentId> {
    let named = match object.get("object").and_then(Value::as_str) {
        Some("payment_intent") => object.get("id")?,
        _ => object.get("payment_intent")?,
    };
    let id = named.as_str().or_else(|| named.get("id")?.as_str())?;
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
        payment(object).map(|id| id.as_str().to_owned())
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
