//! The disputes of a payment, and the list that they are asked for in.

use serde_json::{Value, json};

use super::payment::{SandboxDispute, SandboxPayment};

/// How many Stripe lists unless asked otherwise, and at most.
pub(super) const PAGE: (usize, usize) = (10, 100);

/// Which page of the list is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct DisputePage {
    pub(super) limit: Option<usize>,
    pub(super) starting_after: Option<String>,
}

/// One dispute of a payment, the newest first.
pub(super) fn dispute(payment: &SandboxPayment, at: usize) -> Option<Value> {
    let SandboxDispute { status, case_type, at: opened, .. } = payment.disputes.get(at)?;
    Some(json!({
        "id": dispute_id(payment, at),
        "object": "dispute",
        "amount": payment.received,
        "balance_transactions": [],
        "charge": payment.charge_id(),
        "created": opened.unwrap_or(payment.created),
        "currency": payment.currency,
        "is_charge_refundable": false,
        "livemode": payment.livemode,
        "metadata": {},
        "payment_intent": payment.id,
        "payment_method_details": {
            "card": { "brand": "visa", "case_type": case_type, "network_reason_code": "10" },
            "type": "card",
        },
        "reason": "fraudulent",
        "status": status,
    }))
}

pub(super) fn dispute_id(payment: &SandboxPayment, at: usize) -> String {
    payment.numbered("du", at)
}

/// A page of a payment's disputes; an empty one where the payment is unknown.
pub(super) fn page(payment: Option<&SandboxPayment>, asked: &DisputePage) -> Value {
    let disputes = payment.map_or(0, |payment| payment.disputes.len());
    let after = asked.starting_after.as_deref();
    let place = |after: &str| (0..disputes).find(|at| payment.is_some_and(|payment| dispute_id(payment, *at) == after));
    let first = after.and_then(place).map_or(0, |at| at.saturating_add(1));
    let limit = asked.limit.unwrap_or(PAGE.0).clamp(1, PAGE.1);
    let data: Vec<Value> =
        (first..disputes).take(limit).filter_map(|at| payment.and_then(|payment| dispute(payment, at))).collect();
    let has_more = first.saturating_add(data.len()) < disputes;
    json!({ "object": "list", "data": data, "has_more": has_more, "url": "/v1/disputes" })
}
