use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::accessors::{getters, setters};
use crate::testing::loopback::date;

/// How long an authorization lasts when nothing else was set: Stripe's usual seven days, in seconds.
const AUTHORIZATION: u64 = 7 * 86_400;

/// How a payment's charge comes in the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChargeShape {
    /// `latest_charge` is an object when expansion was asked for, else an id. The default.
    #[default]
    Expanded,
    /// `latest_charge` is always an id.
    Id,
    /// `latest_charge` is always null.
    Null,
}

/// How far a payment's charge has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// There is no charge yet.
    None,
    Pending,
    Failed,
    Authorized,
    Captured,
}

/// One refund of a payment.
#[derive(Clone, Debug)]
pub(super) struct SandboxRefund {
    pub(super) amount: u64,
    pub(super) status: String,
    /// When it was made; when the payment was, unless that is set.
    pub(super) at: Option<u64>,
    /// When it failed or was canceled; when it was made, unless that is set.
    pub(super) failed_at: Option<u64>,
}

/// A dispute as the sandbox knows it.
#[derive(Clone, Debug)]
pub(super) struct SandboxDispute {
    pub(super) status: String,
    pub(super) case_type: String,
    /// When it was opened; when the payment was made, unless that is set.
    pub(super) at: Option<u64>,
    /// When it was decided; when it was opened, unless that is set.
    pub(super) closed_at: Option<u64>,
}

/// Constructors for the statuses of Stripe.
macro_rules! of_status {
    ($($(#[$doc:meta])* $name:ident $status:literal;)*) => {
        $($(#[$doc])* pub fn $name(id: &str, amount: u64, currency: &str) -> Self {
            Self::status(id, amount, currency, $status)
        })*
    };
}

/// A payment as the sandbox knows it, answered as a Stripe payment intent.
///
/// Amounts are in the provider's minor units. Unless set otherwise a payment is live, was created now, belongs
/// to no customer and carries no metadata.
///
/// ```
/// use payproof::testing::sandbox::SandboxPayment;
///
/// let paid = SandboxPayment::paid("pi_1", 1999, "usd").tenant("store_42").order("6735");
/// let refunded = SandboxPayment::paid("pi_2", 1999, "usd").refunded(500);
/// # assert_eq!((paid.id(), refunded.id()), ("pi_1", "pi_2"));
/// ```
#[derive(Clone, Debug)]
#[must_use = "a payment is answered only once it was put into a sandbox"]
pub struct SandboxPayment {
    pub(super) id: String,
    pub(super) status: String,
    pub(super) amount: u64,
    pub(super) capturable: u64,
    pub(super) received: u64,
    pub(super) currency: String,
    pub(super) created: u64,
    pub(super) final_at: Option<u64>,
    pub(super) livemode: bool,
    pub(super) customer: Option<String>,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) on_behalf_of: Option<String>,
    pub(super) destination: Option<String>,
    pub(super) stage: Stage,
    pub(super) shape: ChargeShape,
    pub(super) refunds: Vec<SandboxRefund>,
    /// The statuses of refunds that the charge counts.
    pub(super) counted: Vec<String>,
    pub(super) rest_is_refund: bool,
    pub(super) tip: Option<u64>,
    pub(super) surcharge: Option<u64>,
    pub(super) most_capturable: Option<u64>,
    pub(super) disputes: Vec<SandboxDispute>,
    pub(super) stripe_report: Option<String>,
    pub(super) user_report: Option<String>,
    /// Why the review was closed; empty while it is open.
    pub(super) review: Option<String>,
    pub(super) fraud_warning: bool,
    /// The invoice that it pays.
    pub(super) invoice: Option<String>,
    pub(super) outcome_type: String,
    pub(super) risk_level: String,
    pub(super) network_status: String,
    pub(super) capture_before: Option<u64>,
    pub(super) next_action: Option<Value>,
    pub(super) method_details: Option<Value>,
    pub(super) order_reference: Option<String>,
    pub(super) replacement: Option<Value>,
    pub(super) left_out: Vec<String>,
}

impl SandboxPayment {
    of_status! {
        /// Status `succeeded`: everything was received.
        paid "succeeded";

        /// Status `processing`, with a pending charge and nothing received.
        processing "processing";

        /// Status `requires_action`, with a redirect as the next action and no charge.
        requires_action "requires_action";

        /// Status `requires_confirmation`, without a charge.
        requires_confirmation "requires_confirmation";

        /// Status `requires_payment_method` without an earlier failure and without a charge.
        requires_payment_method "requires_payment_method";

        /// Status `requires_capture`: everything is authorized, nothing is received.
        ///
        /// The charge's card details hold `capture_before`, seven days after `created` unless set.
        requires_capture "requires_capture";

        /// Status `canceled`, with the reason `requested_by_customer` and no charge.
        canceled "canceled";
    }

    /// Status `requires_payment_method` after the card was declined.
    ///
    /// `last_payment_error` has the code `card_declined`, and the charge has failed.
    pub fn declined(id: &str, amount: u64, currency: &str) -> Self {
        let mut payment = Self::requires_payment_method(id, amount, currency);
        payment.stage = Stage::Failed;
        payment.outcome_type("issuer_declined").network_status("declined_by_network")
    }

    /// Any status; one that Stripe does not have comes with the facts of a paid payment.
    ///
    /// So only the status itself tells it from a paid one. The known statuses are as their own constructors say.
    pub fn status(id: &str, amount: u64, currency: &str, status: &str) -> Self {
        let stage = match status {
            "requires_action" | "requires_confirmation" | "requires_payment_method" | "canceled" => Stage::None,
            "processing" => Stage::Pending,
            "requires_capture" => Stage::Authorized,
            _ => Stage::Captured,
        };
        Self {
            id: id.to_owned(),
            status: status.to_owned(),
            amount,
            capturable: if stage == Stage::Authorized { amount } else { 0 },
            received: if stage == Stage::Captured { amount } else { 0 },
            currency: currency.to_ascii_lowercase(),
            created: date::unix_now(),
            final_at: None,
            livemode: true,
            customer: None,
            metadata: BTreeMap::new(),
            on_behalf_of: None,
            destination: None,
            stage,
            shape: ChargeShape::Expanded,
            refunds: Vec::new(),
            counted: ["pending", "requires_action", "succeeded"].map(str::to_owned).into(),
            rest_is_refund: false,
            tip: None,
            surcharge: None,
            most_capturable: None,
            disputes: Vec::new(),
            stripe_report: None,
            user_report: None,
            review: None,
            fraud_warning: false,
            invoice: None,
            outcome_type: "authorized".to_owned(),
            risk_level: "normal".to_owned(),
            network_status: "approved_by_network".to_owned(),
            capture_before: None,
            next_action: None,
            method_details: None,
            order_reference: None,
            replacement: None,
            left_out: Vec::new(),
        }
    }

    getters! {
        /// The payment's id.
        pub fn id(&self) -> &str => &self.id;
    }

    /// Sets the metadata entry `store_id`.
    pub fn tenant(self, tenant: &str) -> Self {
        self.metadata("store_id", tenant)
    }

    /// Adds a dispute that waits for the merchant's response.
    pub fn disputed(self) -> Self {
        self.dispute("needs_response", "chargeback")
    }

    /// Sets the metadata entry `order_id`.
    pub fn order(self, order: &str) -> Self {
        self.metadata("order_id", order)
    }

    setters! {
        /// Sets one metadata entry.
        pub fn metadata(mut self, key: &str, value: &str) => self.metadata.insert(key.to_owned(), value.to_owned());

        /// Sets the customer's id; the default is null.
        pub fn customer(mut self, customer: &str) => self.customer = Some(customer.to_owned());

        /// Makes it a payment of test mode; the default is live mode.
        pub fn test_mode(mut self) => self.livemode = false;

        /// Sets the creation time in seconds since 1970; the default is now.
        pub fn created(mut self, unix: u64) => self.created = unix;

        /// Sets when it succeeded or was canceled, in seconds since 1970, as the event of that says; the default is when it was
        /// created.
        pub fn final_at(mut self, unix: u64) => self.final_at = Some(unix);

        /// Sets when the refund that was added last was made, in seconds since 1970; the default is when the payment was.
        pub fn refunded_at(mut self, unix: u64) => if let Some(refund) = self.refunds.last_mut() {
            refund.at = Some(unix);
        };

        /// Sets when the refund that was added last failed or was canceled, in seconds since 1970, as the event of that says; the
        /// default is when it was made.
        pub fn refund_failed_at(mut self, unix: u64) => if let Some(refund) = self.refunds.last_mut() {
            refund.failed_at = Some(unix);
        };

        /// Sets when the dispute that was added last was opened, in seconds since 1970; the default is when the payment was made.
        pub fn disputed_at(mut self, unix: u64) => if let Some(dispute) = self.disputes.last_mut() {
            dispute.at = Some(unix);
        };

        /// Sets when the dispute that was added last was decided, in seconds since 1970, as the event of that says; the default is
        /// when it was opened.
        pub fn dispute_closed_at(mut self, unix: u64) => if let Some(dispute) = self.disputes.last_mut() {
            dispute.closed_at = Some(unix);
        };

        /// Sets what was received, in minor units; the charge's captured amount follows.
        ///
        /// Under `requires_capture` the rest stays capturable.
        pub fn amount_received(mut self, minor: u64) => {
            self.received = minor;
            if self.stage == Stage::Authorized {
                self.capturable = self.amount.saturating_sub(minor);
            }
        };

        /// Sets what may still be captured, in minor units.
        pub fn amount_capturable(mut self, minor: u64) => self.capturable = minor;

        /// Sets when the authorization ends, in seconds since 1970; shown under `requires_capture` only.
        pub fn capture_before(mut self, unix: u64) => self.capture_before = Some(unix);

        /// Sets what the charge has refunded, in minor units, in one refund that succeeded; everything received makes it a
        /// full refund.
        pub fn refunded(mut self, minor: u64) => {
            self.refunds.clear();
            if minor > 0 {
                self.refunds.push(SandboxRefund { amount: minor, status: "succeeded".to_owned(), at: None, failed_at: None });
            }
        };

        /// Adds a refund that stands so: `pending`, `requires_action`, `succeeded`, `failed` or `canceled`.
        ///
        /// The charge counts it as refunded unless it failed or was canceled; see
        /// [`refunds_counted_as`](Self::refunds_counted_as).
        pub fn refund(mut self, minor: u64, status: &str) =>
            self.refunds.push(SandboxRefund { amount: minor, status: status.to_owned(), at: None, failed_at: None });

        /// Has the charge count the refunds that stand so, and no others; the default is `pending`, `requires_action` and
        /// `succeeded`. Which Stripe counts is undocumented.
        pub fn refunds_counted_as(mut self, statuses: &[&str]) =>
            self.counted = statuses.iter().map(|status| (*status).to_owned()).collect();

        /// Records what was never captured as a refund, as Stripe did before 2025-03-31.basil.
        pub fn rest_is_refund(mut self) => self.rest_is_refund = true;

        /// Sets the part of the amount that is a tip, in minor units; the default is an empty `tip`.
        pub fn tip(mut self, minor: u64) => self.tip = Some(minor);

        /// Sets the part of the amount that is a surcharge, in minor units; the default is no `surcharge`.
        pub fn surcharge(mut self, minor: u64) => self.surcharge = Some(minor);

        /// Lets more be captured than the amount, up to this, in minor units; the default is that no more can be.
        pub fn overcapture_up_to(mut self, minor: u64) => self.most_capturable = Some(minor);

        /// Adds a dispute with this `status` and `case_type`; the charge is disputed from then on.
        pub fn dispute(mut self, status: &str, case_type: &str) =>
            self.disputes.push(SandboxDispute { status: status.to_owned(), case_type: case_type.to_owned(), at: None, closed_at: None });

        /// Sets the charge's `fraud_details.stripe_report`; the default is none.
        pub fn stripe_report(mut self, word: &str) => self.stripe_report = Some(word.to_owned());

        /// Sets the charge's `fraud_details.user_report`, as the merchant reports it; the default is none.
        pub fn user_report(mut self, word: &str) => self.user_report = Some(word.to_owned());

        /// Opens a review of the payment; the default is none.
        pub fn review_open(mut self) => self.review = Some(String::new());

        /// Has the payment reviewed, with this `closed_reason`.
        pub fn review_closed(mut self, reason: &str) => self.review = Some(reason.to_owned());

        /// Has an early fraud warning about the charge; the default is none. It is asked for by its id, `issfr_1` of `pi_1`.
        pub fn early_fraud_warning(mut self) => self.fraud_warning = true;

        /// Has it pay this invoice; the default is none. The invoice's payment is asked for by its id, `inpay_1` of `pi_1`.
        pub fn invoice(mut self, invoice: &str) => self.invoice = Some(invoice.to_owned());

        /// Sets the charge's `outcome.risk_level`; the default is `normal`.
        pub fn risk_level(mut self, level: &str) => level.clone_into(&mut self.risk_level);

        /// Sets the charge's `outcome.type`; the default is `authorized`.
        pub fn outcome_type(mut self, kind: &str) => kind.clone_into(&mut self.outcome_type);

        /// Sets the charge's `outcome.network_status`; the default is `approved_by_network`.
        pub fn network_status(mut self, status: &str) => status.clone_into(&mut self.network_status);

        /// Sets the next action, with its details; under `requires_action` the default is a redirect.
        pub fn next_action(mut self, kind: &str, details: Value) => {
            self.next_action = Some(json!({ "type": kind, kind: details }));
        };

        /// Sets the way of paying, with the charge's details of it; the default is a card.
        pub fn method(mut self, kind: &str, details: Value) => {
            self.method_details = Some(json!({ "type": kind, kind: details }));
        };

        /// Sets `payment_details.order_reference`; the default is null.
        pub fn order_reference(mut self, reference: &str) => self.order_reference = Some(reference.to_owned());

        /// Sets the account that the money is transferred to; the default is no `transfer_data`.
        pub fn destination(mut self, account: &str) => self.destination = Some(account.to_owned());

        /// Sets the account on whose behalf the payment was made; the default is null.
        pub fn on_behalf_of(mut self, account: &str) => self.on_behalf_of = Some(account.to_owned());

        /// Sets how the charge comes in the answer; the default is [`ChargeShape::Expanded`].
        ///
        /// A payment without a charge has none in any shape.
        pub fn charge_shape(mut self, shape: ChargeShape) => self.shape = shape;

        /// Answers with this JSON instead of everything above, whether or not expansion is asked for.
        pub fn json(mut self, body: Value) => self.replacement = Some(body);

        /// Leaves one top-level field out of the answer.
        pub fn without(mut self, field: &str) => self.left_out.push(field.to_owned());
    }

    /// What refunds gave back, as the charge counts.
    pub(super) fn given_back(&self) -> u64 {
        let counted = self.refunds.iter().filter(|refund| self.counted.contains(&refund.status));
        counted.fold(0, |sum, refund| sum.saturating_add(refund.amount))
    }

    /// What of the amount was never captured and is recorded as a refund.
    pub(super) fn refunded_rest(&self) -> u64 {
        if self.rest_is_refund { self.amount.saturating_sub(self.received) } else { 0 }
    }

    /// What the charge says was refunded.
    pub(super) fn amount_refunded(&self) -> u64 {
        self.given_back().saturating_add(self.refunded_rest())
    }

    /// The charge's id, derived from the payment's as Stripe's own look alike.
    pub(super) fn charge_id(&self) -> String {
        self.derived("ch")
    }

    /// When it succeeded or was canceled, and the type of the event that told so.
    pub(super) fn became_final(&self) -> Option<(u64, &'static str)> {
        let event_type = match self.status.as_str() {
            "succeeded" => "payment_intent.succeeded",
            "canceled" => "payment_intent.canceled",
            _ => return None,
        };
        Some((self.final_at.unwrap_or(self.created), event_type))
    }

    /// When the authorization ends, in seconds since 1970.
    pub(super) fn authorized_until(&self) -> u64 {
        self.capture_before.unwrap_or_else(|| self.created.saturating_add(AUTHORIZATION))
    }
}
