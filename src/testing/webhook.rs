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
use crate::testing::loopback::date::http_date;
use crate::testing::object_paths::path_of;
use crate::testing::snapshot_event::snapshot_event;
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
        Self(snapshot_event(id, event_type, now(), &object.into()))
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

    /// A thin event of this type, such as `v1.charge.refunded`, which happened to an object of this kind and id.
    ///
    /// ```
    /// use payproof::testing::webhook::EventBody;
    ///
    /// let event = EventBody::thin_about("evt_1", "v1.charge.refunded", "charge", "ch_1").to_string();
    /// assert!(event.contains(r#""related_object":{"id":"ch_1","type":"charge","url":"/v1/charges/ch_1"}"#));
    /// ```
    pub fn thin_about(id: &str, event_type: &str, kind: &str, object: &str) -> Self {
        let url = path_of(kind, object).unwrap_or_else(|| format!("/v1/{}s/{object}", kind.replace('.', "/")));
        let event = Self(json!({
            "id": id,
            "object": "v2.core.event",
            "context": null,
            "livemode": true,
            "reason": null,
            "related_object": { "id": object, "type": kind, "url": url },
            "type": event_type,
        }));
        event.created(now())
    }

    /// The thin event that says the same as this snapshot event, and names it as its twin.
    pub fn thin(&self, id: &str) -> Self {
        let of = |pointer: &str| self.0.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let event_type = format!("v1.{}", of("/type"));
        let thin = Self::thin_about(id, &event_type, of("/data/object/object"), of("/data/object/id"));
        let kept = |field: &str| self.0.get(field).cloned().unwrap_or_default();
        let context = [kept("context"), kept("account")].into_iter().find(|context| !context.is_null());
        let thin = thin.with("context", context.unwrap_or_default()).with("livemode", kept("livemode"));
        thin.created(self.0.get("created").and_then(Value::as_u64).unwrap_or_default())
            .with("snapshot_event", of("/id"))
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
        let is_thin = self.0.get("object").is_some_and(|object| object == "v2.core.event");
        if is_thin { self.with("created", rfc3339(unix_seconds)) } else { self.with("created", unix_seconds) }
    }

    /// Another value for a field of the event, or a further field.
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        if let Value::Object(fields) = &mut self.0 {
            fields.insert(field.to_owned(), value.into());
        }
        self
    }
}

/// A time as thin events state it, put together from the parts of an HTTP date.
fn rfc3339(unix_seconds: u64) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let date = http_date(unix_seconds).to_string();
    let mut parts = date.split(' ').skip(1);
    let mut part = || parts.next().unwrap_or_default();
    let (day, month, year, time) = (part(), part(), part(), part());
    let month = MONTHS.iter().zip(1_u8..).find(|(name, _)| **name == month).map_or(1, |(_, number)| number);
    format!("{year}-{month:02}-{day}T{time}.000Z")
}

impl fmt::Display for EventBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thin_events_time_is_that_of_its_snapshot() {
        for (unix, written) in [(0, "1970-01-01T00:00:00.000Z"), (1_709_210_096, "2024-02-29T12:34:56.000Z")] {
            assert_eq!(rfc3339(unix), written);
        }
    }
}
