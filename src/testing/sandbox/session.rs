//! Checkout sessions, and their JSON.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::body::{PreparedBody, left_out, nulls};
use super::expansion::Expansion;
use crate::accessors::{getters, setters};
use crate::testing::loopback::date;

/// How long a session is open unless it is completed, in seconds.
const OPEN_FOR: u64 = 86_400;

/// The fields of Stripe that the sandbox has no value for.
const EMPTY: &str = "after_expiration allow_promotion_codes billing_address_collection cancel_url client_secret consent \
    consent_collection currency_conversion customer_account customer_creation customer_email discounts invoice \
    payment_method_configuration_details presentment_details recovered_from return_url setup_intent shipping_options \
    submit_type subscription success_url url";

/// A Checkout session as the sandbox knows it, answered as Stripe's.
///
/// Amounts are in the provider's minor units. Unless set otherwise a session is live, was created now, is open, belongs to no
/// customer and no Payment Link, and carries no metadata.
///
/// ```
/// use payproof::testing::sandbox::SandboxSession;
///
/// let open = SandboxSession::open("cs_1", 1999, "usd").order("6735");
/// let paid = open.clone().paid("pi_1");
/// # assert_eq!((open.id(), paid.id()), ("cs_1", "cs_1"));
/// ```
#[derive(Clone, Debug)]
#[must_use = "a session is answered only once it was put into a sandbox"]
pub struct SandboxSession {
    pub(super) id: String,
    status: Option<String>,
    payment_status: String,
    mode: String,
    pub(super) payment: Option<String>,
    amount_total: Option<u64>,
    currency: String,
    conversion: Option<(u64, String)>,
    created: u64,
    livemode: bool,
    customer: Option<String>,
    metadata: BTreeMap<String, String>,
    client_reference_id: Option<String>,
    payment_link: Option<String>,
    left_out: Vec<String>,
}

impl SandboxSession {
    /// Status `open`, without a payment intent, as until the shopper confirms.
    pub fn open(id: &str, amount_total: u64, currency: &str) -> Self {
        Self {
            id: id.to_owned(),
            status: Some("open".to_owned()),
            payment_status: "unpaid".to_owned(),
            mode: "payment".to_owned(),
            payment: None,
            amount_total: Some(amount_total),
            currency: currency.to_ascii_lowercase(),
            conversion: None,
            created: date::unix_now(),
            livemode: true,
            customer: None,
            metadata: BTreeMap::new(),
            client_reference_id: None,
            payment_link: None,
            left_out: Vec::new(),
        }
    }

    getters! {
        /// The session's id.
        pub fn id(&self) -> &str => &self.id;
    }

    /// Completes the session with this payment, which is not paid yet, as by a way of paying that takes days.
    pub fn unpaid(self, payment: &str) -> Self {
        self.payment(payment).status("complete")
    }

    /// Completes the session with this payment, which is paid. The payment itself is put into the sandbox beside it.
    pub fn paid(self, payment: &str) -> Self {
        self.unpaid(payment).payment_status("paid")
    }

    /// Expires the session.
    pub fn expired(self) -> Self {
        self.status("expired")
    }

    /// Sets the metadata entry `store_id`.
    pub fn tenant(self, tenant: &str) -> Self {
        self.metadata("store_id", tenant)
    }

    /// Sets the metadata entry `order_id`.
    pub fn order(self, order: &str) -> Self {
        self.metadata("order_id", order)
    }

    setters! {
        /// Sets the payment intent, whatever the status; the default is null.
        pub fn payment(mut self, id: &str) => self.payment = Some(id.to_owned());

        /// Sets `status`; an empty one is null.
        pub fn status(mut self, status: &str) => self.status = Some(status.to_owned()).filter(|status| !status.is_empty());

        /// Sets `payment_status`: `paid`, `unpaid` or `no_payment_required`.
        pub fn payment_status(mut self, status: &str) => status.clone_into(&mut self.payment_status);

        /// Sets `mode`: `payment`, `subscription` or `setup`.
        pub fn mode(mut self, mode: &str) => mode.clone_into(&mut self.mode);

        /// Sets one metadata entry of the session's own.
        pub fn metadata(mut self, key: &str, value: &str) => self.metadata.insert(key.to_owned(), value.to_owned());

        /// Sets `client_reference_id`.
        pub fn client_reference_id(mut self, reference: &str) => self.client_reference_id = Some(reference.to_owned());

        /// Makes it a session of this Payment Link.
        pub fn payment_link(mut self, id: &str) => self.payment_link = Some(id.to_owned());

        /// Sets the shop's own amount and currency, where those of the session are the shopper's: as of sessions with adaptive
        /// pricing from before 2025-03-31.
        pub fn converted_from(mut self, amount_total: u64, currency: &str) =>
            self.conversion = Some((amount_total, currency.to_ascii_lowercase()));

        /// Leaves the amount null.
        pub fn without_amount(mut self) => self.amount_total = None;

        /// Sets the customer's id; the default is null.
        pub fn customer(mut self, customer: &str) => self.customer = Some(customer.to_owned());

        /// Makes it a session of test mode; the default is live mode.
        pub fn test_mode(mut self) => self.livemode = false;

        /// Sets the creation time in seconds since 1970; the default is now.
        pub fn created(mut self, unix: u64) => self.created = unix;

        /// Leaves one top-level field out of the answer.
        pub fn without(mut self, field: &str) => self.left_out.push(field.to_owned());
    }
}

/// A session and its payment, as they were when they were asked for.
#[derive(Clone, Debug)]
pub(super) struct KeptSession {
    pub(super) session: Arc<SandboxSession>,
    pub(super) payment: Option<Arc<PreparedBody>>,
}

impl KeptSession {
    pub(super) fn bytes(&self, expansion: Expansion) -> Arc<[u8]> {
        let intent = match (&self.payment, &self.session.payment) {
            (Some(payment), Some(_)) if expansion.intent => payment.json(expansion),
            (_, id) => id.clone().into(),
        };
        let body = left_out(render(&self.session, intent), &self.session.left_out);
        Arc::from(body.to_string().into_bytes())
    }
}

fn render(session: &SandboxSession, intent: Value) -> Value {
    let conversion = session.conversion.as_ref().map(|(amount, currency)| {
        json!({ "amount_subtotal": amount, "amount_total": amount, "fx_rate": "1.0885", "source_currency": currency })
    });
    let mut body = json!({
        "id": session.id,
        "object": "checkout.session",
        "amount_subtotal": session.amount_total,
        "amount_total": session.amount_total,
        "automatic_tax": { "enabled": false, "liability": null, "status": null },
        "client_reference_id": session.client_reference_id,
        "created": session.created,
        "currency": session.currency,
        "custom_fields": [],
        "customer": session.customer,
        "customer_details": { "address": null, "email": "shopper@example.com", "name": null, "phone": null },
        "expires_at": session.created.saturating_add(OPEN_FOR),
        "livemode": session.livemode,
        "locale": null,
        "metadata": session.metadata,
        "mode": session.mode,
        "payment_link": session.payment_link,
        "payment_method_types": ["card"],
        "payment_status": session.payment_status,
        "status": session.status,
        "total_details": { "amount_discount": 0, "amount_shipping": 0, "amount_tax": 0 },
        "ui_mode": "hosted_page",
    });
    if let Some(fields) = body.as_object_mut() {
        fields.extend(nulls(EMPTY));
        fields.extend(conversion.map(|conversion| ("currency_conversion".to_owned(), conversion)));
        fields.insert("payment_intent".to_owned(), intent);
    }
    body
}
