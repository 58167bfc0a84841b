//! Events and signatures as Stripe makes them, for tests of an endpoint that receives them.
//!
//! ```
//! use payproof::testing::webhook::{EventBody, now, sign};
//!
//! let body = EventBody::of_payment("evt_1", "payment_intent.succeeded", "pi_1").to_string();
//! let header = sign("whsec_test", now(), &body);
//! assert!(header.starts_with("t="));
//! ```

use std::fmt;

use serde_json::{Value, json};

use crate::moment::since_1970;
use crate::payment::facts::Mode;
use crate::webhook;

/// The `Stripe-Signature` header that Stripe would send with a body, at a time in seconds since 1970.
///
/// Any secret will do, also one that [`StripeWebhooks`](crate::webhook::StripeWebhooks) would not take.
///
/// ```
/// let header = payproof::testing::webhook::sign("whsec_test", 1_492_774_577, "{}");
/// let signature = "0d0602f6611bd2252dd4b74b58a4528355a7380639a15e6cc21e3059d56d5b8b";
/// assert_eq!(header, format!("t=1492774577,v1={signature}"));
/// ```
#[must_use]
pub fn sign(secret: &str, unix_seconds: u64, body: impl AsRef<[u8]>) -> String {
    webhook::sign(secret, unix_seconds, body.as_ref())
}

/// The time in seconds since 1970, as an endpoint reads it.
#[must_use]
pub fn now() -> u64 {
    since_1970().as_secs()
}

/// The body of an event; `to_string` writes it as JSON.
///
/// Live, of the endpoint's own account, and created now, unless told otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct EventBody(Value);

impl EventBody {
    /// An event of this type, which happened to this object.
    pub fn new(id: &str, event_type: &str, object: impl Into<Value>) -> Self {
        Self(json!({
            "id": id,
            "object": "event",
            "api_version": "2026-10-28.endive",
            "created": now(),
            "data": { "object": object.into() },
            "livemode": true,
            "pending_webhooks": 1,
            "request": { "id": null, "idempotency_key": null },
            "type": event_type,
        }))
    }

    /// An event about this payment: of the payment intent itself, for types that begin with `payment_intent.`; else of an
    /// object that belongs to it, such as a charge.
    pub fn of_payment(id: &str, event_type: &str, payment: &str) -> Self {
        let kind = event_type.rsplit_once('.').map_or(event_type, |(kind, _)| kind);
        let object = match kind {
            "payment_intent" => json!({ "id": payment, "object": kind }),
            "charge.dispute" => json!({ "id": "dp_1", "object": "dispute", "payment_intent": payment }),
            "charge.refund" => json!({ "id": "re_1", "object": "refund", "payment_intent": payment }),
            _ => json!({ "id": "obj_1", "object": kind, "payment_intent": payment }),
        };
        Self::new(id, event_type, object)
    }

    /// The mode; live unless told otherwise.
    pub fn mode(self, mode: Mode) -> Self {
        self.with("livemode", mode == Mode::Live)
    }

    /// The connected account that the event is of; none unless told otherwise.
    pub fn account(self, id: &str) -> Self {
        self.with("account", id)
    }

    /// When it happened, in seconds since 1970; now unless told otherwise.
    pub fn created(self, unix_seconds: u64) -> Self {
        self.with("created", unix_seconds)
    }

    /// Another value for a field of the event, or a further field.
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        if let Value::Object(fields) = &mut self.0 {
            fields.insert(field.to_owned(), value.into());
        }
        self
    }
}

impl fmt::Display for EventBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
