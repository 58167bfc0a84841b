//! Objects that belong to a payment, each under an id that names the payment too.

use serde_json::{Value, json};

use super::payment::{SandboxPayment, SandboxRefund};

impl SandboxPayment {
    /// An id derived from the payment's as Stripe's own look alike: `ch_1` of `pi_1`.
    pub(super) fn derived(&self, prefix: &str) -> String {
        format!("{prefix}_{}", self.id.strip_prefix("pi_").unwrap_or(&self.id))
    }

    /// The ids of several objects of one kind; the first has no number.
    pub(super) fn numbered(&self, prefix: &str, at: usize) -> String {
        let first = self.derived(prefix);
        if at == 0 { first } else { format!("{first}_{at}") }
    }

    /// The refunds, the oldest first: of the rest that was never captured, where that is recorded as one.
    pub(super) fn all_refunds(&self) -> Vec<SandboxRefund> {
        let rest =
            SandboxRefund { amount: self.refunded_rest(), status: "succeeded".to_owned(), at: None, failed_at: None };
        Some(rest).filter(|rest| rest.amount > 0).into_iter().chain(self.refunds.iter().cloned()).collect()
    }
}

/// The refunds, the newest first.
pub(super) fn refunds(payment: &SandboxPayment) -> Value {
    let data: Vec<Value> = (0..payment.all_refunds().len()).rev().filter_map(|at| refund(payment, at)).collect();
    let url = format!("/v1/charges/{}/refunds", payment.charge_id());
    json!({ "object": "list", "data": data, "has_more": false, "url": url })
}

/// One refund, counted from the oldest.
pub(super) fn refund(payment: &SandboxPayment, at: usize) -> Option<Value> {
    let SandboxRefund { amount, status, at: made, .. } = payment.all_refunds().into_iter().nth(at)?;
    Some(json!({
        "id": payment.numbered("re", at),
        "object": "refund",
        "amount": amount,
        "balance_transaction": null,
        "charge": payment.charge_id(),
        "created": made.unwrap_or(payment.created),
        "currency": payment.currency,
        "metadata": {},
        "payment_intent": payment.id,
        "reason": "requested_by_customer",
        "receipt_number": null,
        "source_transfer_reversal": null,
        "status": status,
        "transfer_reversal": null,
    }))
}

pub(super) fn review_id(payment: &SandboxPayment) -> Option<String> {
    payment.review.as_ref().map(|_| payment.derived("prv"))
}

pub(super) fn review(payment: &SandboxPayment) -> Option<Value> {
    let closed_reason = payment.review.as_deref().filter(|reason| !reason.is_empty());
    Some(json!({
        "id": review_id(payment)?,
        "object": "review",
        "charge": payment.charge_id(),
        "closed_reason": closed_reason,
        "created": payment.created,
        "livemode": payment.livemode,
        "open": closed_reason.is_none(),
        "opened_reason": "rule",
        "payment_intent": payment.id,
        "reason": closed_reason.unwrap_or("rule"),
    }))
}

/// The early fraud warning, where there is one.
pub(super) fn fraud_warning(payment: &SandboxPayment) -> Option<Value> {
    payment.fraud_warning.then(|| {
        json!({
            "id": payment.derived("issfr"),
            "object": "radar.early_fraud_warning",
            "actionable": true,
            "charge": payment.charge_id(),
            "created": payment.created,
            "fraud_type": "made_with_stolen_card",
            "livemode": payment.livemode,
            "payment_intent": payment.id,
        })
    })
}

/// The payment of the invoice, where it pays one.
pub(super) fn invoice_payment(payment: &SandboxPayment) -> Option<Value> {
    let invoice = payment.invoice.as_ref()?;
    let status = match payment.status.as_str() {
        "succeeded" => "paid",
        "canceled" => "canceled",
        _ => "open",
    };
    Some(json!({
        "id": payment.derived("inpay"),
        "object": "invoice_payment",
        "amount_paid": if status == "paid" { Some(payment.received) } else { None },
        "amount_requested": payment.amount,
        "created": payment.created,
        "currency": payment.currency,
        "invoice": invoice,
        "is_default": true,
        "livemode": payment.livemode,
        "payment": { "payment_intent": payment.id, "type": "payment_intent" },
        "status": status,
        "status_transitions": { "canceled_at": null, "paid_at": null },
    }))
}
