//! A payment's JSON, and the bytes that are kept of it.

use std::sync::Arc;

use serde_json::{Value, json};

use super::disputes::{DisputePage, dispute, dispute_id, page};
use super::expansion::Expansion;
use super::objects::{refunds, review, review_id};
use super::payment::{ChargeShape, SandboxPayment, Stage};

/// A payment's body, in the two forms that validators ask for made once, so that a healthy answer only copies bytes.
#[derive(Debug)]
pub(super) struct PreparedBody {
    plain: Arc<[u8]>,
    expanded: Arc<[u8]>,
    payment: SandboxPayment,
}

impl PreparedBody {
    pub(super) fn of(payment: SandboxPayment) -> Self {
        let bytes = |charge| bytes(&payment, Expansion { charge, ..Expansion::default() });
        Self { plain: bytes(false), expanded: bytes(true), payment }
    }

    pub(super) fn payment(&self) -> &SandboxPayment {
        &self.payment
    }

    /// The tree of it, to stand in another object.
    pub(super) fn json(&self, expansion: Expansion) -> Value {
        json(&self.payment, expansion)
    }

    pub(super) fn bytes(&self, expansion: Expansion) -> Arc<[u8]> {
        let review = expansion.review && self.payment.review.is_some();
        match expansion {
            _ if review => bytes(&self.payment, expansion),
            Expansion { charge: false, .. } => Arc::clone(&self.plain),
            Expansion { refunds: false, dispute: false, .. } => Arc::clone(&self.expanded),
            Expansion { .. } => bytes(&self.payment, expansion),
        }
    }
}

/// A page of the disputes of a payment that is kept, or of one that is not.
pub(super) fn disputes(kept: Option<&PreparedBody>, asked: &DisputePage) -> Arc<[u8]> {
    Arc::from(page(kept.map(|kept| &kept.payment), asked).to_string().into_bytes())
}

pub(super) fn bytes(payment: &SandboxPayment, expansion: Expansion) -> Arc<[u8]> {
    Arc::from(json(payment, expansion).to_string().into_bytes())
}

/// The same body with another value in a field.
pub(super) fn altered(body: &[u8], field: &str, value: Value) -> Vec<u8> {
    let mut json: Value = serde_json::from_slice(body).unwrap_or_default();
    if let Some(fields) = json.as_object_mut() {
        fields.insert(field.to_owned(), value);
    }
    json.to_string().into_bytes()
}

pub(super) fn json(payment: &SandboxPayment, expansion: Expansion) -> Value {
    let body = payment.replacement.clone().unwrap_or_else(|| intent(payment, expansion));
    left_out(body, &payment.left_out)
}

/// A body without some of its fields.
pub(super) fn left_out(mut body: Value, names: &[String]) -> Value {
    if let Some(fields) = body.as_object_mut() {
        for name in names {
            fields.remove(name);
        }
    }
    body
}

/// The fields of Stripe that the sandbox has no value for.
const EMPTY_OF_INTENT: &str = "application application_fee_amount description payment_method_configuration_details processing \
    receipt_email setup_future_usage shipping source statement_descriptor statement_descriptor_suffix transfer_group";
const EMPTY_OF_CHARGE: &str = "application application_fee application_fee_amount balance_transaction description \
    receipt_email receipt_url shipping transfer_group";

pub(super) fn nulls(names: &str) -> impl Iterator<Item = (String, Value)> {
    names.split_whitespace().map(|name| (name.to_owned(), Value::Null))
}

fn intent(payment: &SandboxPayment, expansion: Expansion) -> Value {
    let waits_for_method = payment.status == "requires_payment_method";
    let method = if waits_for_method { Value::Null } else { "pm_sandbox_card".into() };
    let canceled = payment.status == "canceled";
    let mut body = json!({
        "id": payment.id,
        "object": "payment_intent",
        "amount": payment.amount,
        "amount_capturable": payment.capturable,
        "amount_details": amount_details(payment),
        "amount_received": payment.received,
        "automatic_payment_methods": { "allow_redirects": "always", "enabled": true },
        "canceled_at": payment.became_final().filter(|_| canceled).map(|(at, _)| at),
        "cancellation_reason": canceled.then_some("requested_by_customer"),
        "capture_method": if payment.stage == Stage::Authorized { "manual" } else { "automatic_async" },
        "client_secret": format!("{}_secret_sandbox", payment.id),
        "confirmation_method": "automatic",
        "created": payment.created,
        "currency": payment.currency,
        "customer": payment.customer,
        "last_payment_error": last_payment_error(payment),
        "livemode": payment.livemode,
        "metadata": payment.metadata,
        "next_action": next_action(payment),
        "on_behalf_of": payment.on_behalf_of,
        "payment_details": { "customer_reference": null, "order_reference": payment.order_reference },
        "payment_method": method,
        "payment_method_options": {
            "card": { "installments": null, "mandate_options": null, "network": null, "request_three_d_secure": "automatic" }
        },
        "payment_method_types": ["card"],
        "review": if expansion.review { review(payment) } else { review_id(payment).map(Value::from) },
        "status": payment.status,
        "transfer_data": payment.destination.as_ref().map(|account| json!({ "destination": account })),
    });
    if let Some(fields) = body.as_object_mut() {
        fields.extend(nulls(EMPTY_OF_INTENT));
        fields.insert("latest_charge".to_owned(), latest_charge(payment, expansion));
    }
    body
}

/// What the amount includes beside the price.
fn amount_details(payment: &SandboxPayment) -> Value {
    let part = |minor: u64| json!({ "amount": minor });
    let mut details = json!({ "tip": payment.tip.map_or(json!({}), part) });
    if let Some(fields) = details.as_object_mut() {
        fields.extend(payment.surcharge.map(|minor| ("surcharge".to_owned(), part(minor))));
    }
    details
}

fn latest_charge(payment: &SandboxPayment, expansion: Expansion) -> Value {
    match payment.shape {
        _ if payment.stage == Stage::None => Value::Null,
        ChargeShape::Expanded if expansion.charge => charge(payment, expansion),
        ChargeShape::Expanded | ChargeShape::Id => payment.charge_id().into(),
        ChargeShape::Null => Value::Null,
    }
}

pub(super) fn charge(payment: &SandboxPayment, expansion: Expansion) -> Value {
    let failed = payment.stage == Stage::Failed;
    // A pending bank debit counts as captured although nothing was received: the trap is part of the picture.
    let captured = matches!(payment.stage, Stage::Captured | Stage::Pending);
    let amount_captured = if payment.stage == Stage::Pending { payment.amount } else { payment.received };
    let status = match payment.stage {
        Stage::Failed => "failed",
        Stage::Pending => "pending",
        Stage::None | Stage::Authorized | Stage::Captured => "succeeded",
    };
    let disputed = !payment.disputes.is_empty();
    let dispute = if expansion.dispute { dispute(payment, 0) } else { disputed.then(|| dispute_id(payment, 0).into()) };
    let mut charge = json!({
        "id": payment.charge_id(),
        "object": "charge",
        "amount": payment.amount,
        "amount_captured": amount_captured,
        "amount_refunded": payment.amount_refunded(),
        "billing_details": { "address": null, "email": null, "name": null, "phone": null },
        "calculated_statement_descriptor": "SANDBOX",
        "captured": captured,
        "created": payment.created,
        "currency": payment.currency,
        "customer": payment.customer,
        "destination": payment.destination,
        "dispute": dispute,
        "disputed": disputed,
        "failure_code": failed.then_some("card_declined"),
        "failure_message": failed.then_some("Your card was declined."),
        "fraud_details": fraud_details(payment),
        "livemode": payment.livemode,
        "metadata": payment.metadata,
        "on_behalf_of": payment.on_behalf_of,
        "outcome": outcome(payment),
        "paid": matches!(payment.stage, Stage::Captured | Stage::Authorized),
        "payment_intent": payment.id,
        "payment_method": "pm_sandbox_card",
        "payment_method_details": method_details(payment),
        "review": review_id(payment),
        "refunded": payment.given_back() > 0 && payment.given_back() >= payment.received,
        "status": status,
        "transfer_data": payment.destination.as_ref().map(|account| json!({ "amount": null, "destination": account })),
    });
    if let Some(fields) = charge.as_object_mut() {
        fields.extend(nulls(EMPTY_OF_CHARGE));
        fields.extend(expansion.refunds.then(|| ("refunds".to_owned(), refunds(payment))));
    }
    charge
}

/// Only what was reported stands in it.
fn fraud_details(payment: &SandboxPayment) -> Value {
    let reports = [("stripe_report", &payment.stripe_report), ("user_report", &payment.user_report)];
    let made = reports.into_iter().filter_map(|(field, report)| Some((field.to_owned(), report.as_deref()?.into())));
    Value::Object(made.collect())
}

fn outcome(payment: &SandboxPayment) -> Value {
    let failed = payment.stage == Stage::Failed;
    let message =
        if failed { "The bank did not return any further details with this decline." } else { "Payment complete." };
    json!({
        "network_status": payment.network_status,
        "reason": failed.then_some("generic_decline"),
        "risk_level": payment.risk_level,
        "risk_score": 20,
        "seller_message": message,
        "type": payment.outcome_type,
    })
}

fn card(payment: &SandboxPayment) -> Value {
    json!({
        "amount_authorized": payment.amount,
        "brand": "visa",
        "capture_before": (payment.stage == Stage::Authorized).then(|| payment.authorized_until()),
        "country": "US",
        "exp_month": 12,
        "exp_year": 2034,
        "funding": "credit",
        "last4": "4242",
        "network": "visa",
        "overcapture": {
            "maximum_amount_capturable": payment.most_capturable.unwrap_or(payment.amount),
            "status": if payment.most_capturable.is_some() { "available" } else { "unavailable" },
        },
        "three_d_secure": null,
    })
}

fn last_payment_error(payment: &SandboxPayment) -> Option<Value> {
    (payment.stage == Stage::Failed).then(|| {
        json!({
            "charge": payment.charge_id(),
            "code": "card_declined",
            "decline_code": "generic_decline",
            "doc_url": "https://stripe.com/docs/error-codes/card-declined",
            "message": "Your card was declined.",
            "payment_method": { "id": "pm_sandbox_card", "object": "payment_method", "type": "card" },
            "type": "card_error",
        })
    })
}

fn method_details(payment: &SandboxPayment) -> Value {
    payment.method_details.clone().unwrap_or_else(|| json!({ "card": card(payment), "type": "card" }))
}

fn next_action(payment: &SandboxPayment) -> Option<Value> {
    let redirects = payment.next_action.is_none() && payment.status == "requires_action";
    payment.next_action.clone().or_else(|| redirects.then(|| {
        json!({
            "redirect_to_url": { "return_url": "https://shop.example/return", "url": "https://hooks.stripe.com/sandbox/authenticate" },
            "type": "redirect_to_url",
        })
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Expansion = Expansion { charge: false, refunds: false, dispute: false, review: false, intent: false };
    const CHARGE: Expansion = Expansion { charge: true, ..PLAIN };

    fn at(body: &Value, pointer: &str) -> Value {
        body.pointer(pointer).cloned().unwrap_or_else(|| Value::from("(absent)"))
    }

    #[test]
    fn authorized_payment_is_capturable_and_says_until_when() {
        let payment = SandboxPayment::requires_capture("pi_1", 500, "usd").created(1_000);
        let body = json(&payment, CHARGE);
        assert_eq!(at(&body, "/amount_received"), 0);
        assert_eq!(at(&body, "/amount_capturable"), 500);
        assert_eq!(at(&body, "/capture_method"), "manual");
        assert_eq!(at(&body, "/latest_charge/captured"), false);
        assert_eq!(at(&body, "/latest_charge/payment_method_details/card/capture_before"), 605_800);
        let partly = json(&payment.amount_received(200).capture_before(9), CHARGE);
        assert_eq!(at(&partly, "/amount_capturable"), 300);
        assert_eq!(at(&partly, "/latest_charge/amount_captured"), 200);
        assert_eq!(at(&partly, "/latest_charge/payment_method_details/card/capture_before"), 9);
    }

    #[test]
    fn declined_payment_says_why() {
        let body = json(&SandboxPayment::declined("pi_1", 500, "USD"), CHARGE);
        assert_eq!(at(&body, "/currency"), "usd");
        assert_eq!(at(&body, "/livemode"), true);
        assert_eq!(at(&body, "/status"), "requires_payment_method");
        assert_eq!(at(&body, "/last_payment_error/code"), "card_declined");
        assert_eq!(at(&body, "/latest_charge/outcome/type"), "issuer_declined");
        assert_eq!(at(&body, "/amount_received"), 0);
    }

    #[test]
    fn only_a_full_refund_counts_as_refunded() {
        let refunded = |minor| {
            at(&json(&SandboxPayment::paid("pi_1", 500, "usd").refunded(minor), CHARGE), "/latest_charge/refunded")
        };
        assert_eq!(refunded(0), false);
        assert_eq!(refunded(499), false);
        assert_eq!(refunded(500), true);
    }

    #[test]
    fn the_rest_of_a_partial_capture_is_a_refund_only_as_before_basil() {
        let shown = |payment: SandboxPayment| {
            let body = json(&payment, CHARGE);
            (at(&body, "/latest_charge/amount_refunded"), at(&body, "/latest_charge/refunded"))
        };
        let part = || SandboxPayment::paid("pi_1", 2_000, "usd").amount_received(500);
        assert_eq!(shown(part()), (0.into(), false.into()));
        assert_eq!(shown(part().rest_is_refund()), (1_500.into(), false.into()));
        assert_eq!(shown(part().rest_is_refund().refunded(500)), (2_000.into(), true.into()));
    }

    #[test]
    fn tip_and_surcharge_are_part_of_the_amount() {
        let payment = SandboxPayment::paid("pi_1", 500, "usd");
        let details = |payment| at(&json(&payment, CHARGE), "/amount_details");
        assert_eq!(details(payment.clone()), json!({ "tip": {} }));
        let expected = json!({ "tip": { "amount": 30 }, "surcharge": { "amount": 5 } });
        assert_eq!(details(payment.tip(30).surcharge(5)), expected);
    }

    #[test]
    fn charge_comes_in_the_shape_that_was_set() {
        let shown = |shape, expansion| json(&SandboxPayment::paid("pi_1", 500, "usd").charge_shape(shape), expansion);
        assert_eq!(at(&shown(ChargeShape::Expanded, PLAIN), "/latest_charge"), "ch_1");
        assert_eq!(at(&shown(ChargeShape::Expanded, CHARGE), "/latest_charge/object"), "charge");
        assert_eq!(at(&shown(ChargeShape::Id, CHARGE), "/latest_charge"), "ch_1");
        assert_eq!(at(&shown(ChargeShape::Null, CHARGE), "/latest_charge"), Value::Null);
    }

    #[test]
    fn payment_without_a_charge_has_none_in_any_shape() {
        let payment = SandboxPayment::requires_action("pi_1", 500, "usd").disputed();
        assert_eq!(at(&json(&payment, CHARGE), "/latest_charge"), Value::Null);
        let id = json(&payment.charge_shape(ChargeShape::Id), CHARGE);
        assert_eq!(at(&id, "/latest_charge"), Value::Null);
    }

    #[test]
    fn fields_are_left_out_and_the_body_replaced() {
        let body = json(&SandboxPayment::paid("pi_1", 500, "usd").without("amount_received"), CHARGE);
        assert_eq!(at(&body, "/amount_received"), "(absent)");
        let body = json(&SandboxPayment::paid("pi_1", 500, "usd").json(json!({ "a": 1, "b": 2 })).without("b"), CHARGE);
        assert_eq!(body, json!({ "a": 1 }));
    }

    #[test]
    fn unknown_status_looks_paid_otherwise() {
        let body = json(&SandboxPayment::status("pi_1", 500, "usd", "succeeded_maybe"), CHARGE);
        assert_eq!(at(&body, "/status"), "succeeded_maybe");
        assert_eq!(at(&body, "/amount_received"), 500);
    }

    #[test]
    fn refunds_and_dispute_come_where_they_are_asked_for() {
        let payment = SandboxPayment::paid("pi_1", 500, "usd").refunded(200).disputed();
        let body = json(&payment, CHARGE);
        assert_eq!(at(&body, "/latest_charge/refunds"), "(absent)");
        assert_eq!(at(&body, "/latest_charge/dispute"), "du_1");
        let body = json(&payment, Expansion { refunds: true, dispute: true, ..CHARGE });
        assert_eq!(at(&body, "/latest_charge/refunds/data/0/amount"), 200);
        assert_eq!(at(&body, "/latest_charge/dispute/object"), "dispute");
        assert_eq!(at(&body, "/latest_charge/dispute/amount"), 500);
        let body =
            json(&SandboxPayment::paid("pi_1", 500, "usd"), Expansion { refunds: true, dispute: true, ..CHARGE });
        assert_eq!(at(&body, "/latest_charge/refunds/data"), json!([]));
        assert_eq!(at(&body, "/latest_charge/dispute"), Value::Null);
    }
}
