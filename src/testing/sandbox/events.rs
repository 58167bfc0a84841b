//! Events about what a sandbox holds, as Stripe would send them.

use std::sync::Arc;

use serde_json::Value;

use super::Sandbox;
use super::expansion::Expansion;
use super::related::objects_of;
use super::session::KeptSession;
use crate::payment::facts::Mode;
use crate::testing::webhook::EventBody;

impl Sandbox {
    /// A snapshot event of this type about a payment: `charge.refunded` holds its charge as it is now, `refund.updated` its
    /// latest refund, and `checkout.session.completed` the session that it completed. [`EventBody::thin`] makes the thin event of it.
    ///
    /// `None` where the payment is unknown, has no such object, or events of the type are about something else.
    ///
    /// ```
    /// use payproof::testing::sandbox::{Sandbox, SandboxPayment};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let sandbox = Sandbox::start().await?;
    /// sandbox.put(SandboxPayment::paid("pi_1", 1999, "usd").refunded(500));
    /// let event = sandbox.event("evt_1", "charge.refunded", "pi_1").expect("it has a charge");
    /// assert!(event.to_string().contains(r#""amount_refunded":500"#));
    /// assert!(event.thin("evt_2").to_string().contains(r#""snapshot_event":"evt_1""#));
    /// assert_eq!(sandbox.event("evt_3", "charge.dispute.created", "pi_1"), None);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn event(&self, id: &str, event_type: &str, payment: &str) -> Option<EventBody> {
        let kept = self.state.book.lock().file(payment).kept.clone()?;
        let of = kept.payment();
        let latest = |kind| objects_of(of, kind).pop();
        let object = match event_type.rsplit_once('.')?.0 {
            "payment_intent" => serde_json::from_slice(&kept.bytes(Expansion::default())).ok(),
            kind @ ("charge" | "refund" | "review" | "radar.early_fraud_warning" | "invoice_payment") => latest(kind),
            "charge.refund" => latest("refund"),
            "charge.dispute" => latest("dispute"),
            "checkout.session" => self.session_of(payment),
            _ => None,
        };
        let event = EventBody::new(id, event_type, object?);
        Some(if of.livemode { event } else { event.mode(Mode::Test) })
    }

    /// The Checkout session of a payment; of several the one whose id comes first.
    fn session_of(&self, payment: &str) -> Option<Value> {
        let book = self.state.book.lock();
        let session = book.sessions.values().filter(|session| session.payment.as_deref() == Some(payment));
        let session = Arc::clone(session.min_by(|one, other| one.id.cmp(&other.id))?);
        serde_json::from_slice(&KeptSession { session, payment: None }.bytes(Expansion::default())).ok()
    }
}
