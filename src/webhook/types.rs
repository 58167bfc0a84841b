//! The events that lead to a payment: what each is about, and whether it may have taken money back.

use IfUnread::{Acknowledged, ComesAgain};

/// What Stripe's types begin with in a thin event.
const THIN: &str = "v1.";

/// What becomes of an event whose object the credential may not read, so that its payment stays unknown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum IfUnread {
    /// A verdict from before it can only be too strict, or is corrected when its facts are too old.
    Acknowledged,
    /// Money may have gone back, so that a verdict from before may be valid and wrong.
    ComesAgain,
}

/// Each type without `v1.`, and what it is about (stripe-node 23.1.0, `resources/V2/Core/Events.d.ts`). `docs/webhooks.md`
/// shows this table.
const TYPES: [(&str, &str, IfUnread); 35] = [
    ("payment_intent.amount_capturable_updated", PAYMENT, Acknowledged),
    ("payment_intent.canceled", PAYMENT, Acknowledged),
    ("payment_intent.created", PAYMENT, Acknowledged),
    ("payment_intent.partially_funded", PAYMENT, Acknowledged),
    ("payment_intent.payment_failed", PAYMENT, Acknowledged),
    ("payment_intent.processing", PAYMENT, Acknowledged),
    ("payment_intent.requires_action", PAYMENT, Acknowledged),
    ("payment_intent.succeeded", PAYMENT, Acknowledged),
    ("charge.captured", "charge", Acknowledged),
    ("charge.expired", "charge", ComesAgain),
    ("charge.failed", "charge", Acknowledged),
    ("charge.pending", "charge", Acknowledged),
    ("charge.refunded", "charge", ComesAgain),
    ("charge.succeeded", "charge", Acknowledged),
    ("charge.updated", "charge", Acknowledged),
    ("charge.dispute.closed", "dispute", ComesAgain),
    ("charge.dispute.created", "dispute", ComesAgain),
    ("charge.dispute.funds_reinstated", "dispute", ComesAgain),
    ("charge.dispute.funds_withdrawn", "dispute", ComesAgain),
    ("charge.dispute.updated", "dispute", ComesAgain),
    ("charge.refund.updated", "refund", ComesAgain),
    ("refund.created", "refund", ComesAgain),
    ("refund.failed", "refund", ComesAgain),
    ("refund.updated", "refund", ComesAgain),
    ("review.closed", "review", Acknowledged),
    ("review.opened", "review", Acknowledged),
    ("checkout.session.async_payment_failed", SESSION, Acknowledged),
    ("checkout.session.async_payment_succeeded", SESSION, Acknowledged),
    ("checkout.session.completed", SESSION, Acknowledged),
    ("checkout.session.expired", SESSION, Acknowledged),
    ("radar.early_fraud_warning.created", "radar.early_fraud_warning", Acknowledged),
    ("radar.early_fraud_warning.updated", "radar.early_fraud_warning", Acknowledged),
    ("invoice_payment.canceled", INVOICE_PAYMENT, ComesAgain),
    ("invoice_payment.open", INVOICE_PAYMENT, Acknowledged),
    ("invoice_payment.paid", INVOICE_PAYMENT, Acknowledged),
];

/// A payment itself.
pub(super) const PAYMENT: &str = "payment_intent";

/// What a validation may name instead of its payment.
pub(super) const SESSION: &str = "checkout.session";

const INVOICE_PAYMENT: &str = "invoice_payment";

/// What an event of this type is about, where the type is known.
pub(super) fn object_of(event_type: &str) -> Option<&'static str> {
    of_type(event_type).map(|(_, object, _)| *object)
}

fn of_type(event_type: &str) -> Option<&'static (&'static str, &'static str, IfUnread)> {
    let name = event_type.strip_prefix(THIN).unwrap_or(event_type);
    TYPES.iter().find(|(known, ..)| *known == name)
}

/// Whether an object of this kind belongs to a payment that it has to be asked for. A type that is new about such an object
/// leads there as well.
pub(super) fn leads_to_payment(object: &str) -> bool {
    object != PAYMENT && TYPES.iter().any(|(_, known, _)| *known == object)
}

/// Whether an event that could not be followed to its payment has to come again. Of a type that is new, its object decides.
pub(super) fn has_to_come_again(event_type: &str, object: &str) -> bool {
    let all_of_object = || TYPES.iter().filter(|(_, known, _)| *known == object).all(|(.., then)| *then == ComesAgain);
    of_type(event_type).map_or_else(all_of_object, |(.., then)| *then == ComesAgain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_money_back_comes_again_whatever_its_type_is_called() {
        for (event_type, object, comes_again) in [
            ("v1.charge.refunded", "charge", true),
            ("v1.charge.expired", "charge", true),
            ("v1.charge.updated", "charge", false),
            ("v1.charge.novel", "charge", false),
            ("v1.refund.novel", "refund", true),
            ("v1.charge.dispute.novel", "dispute", true),
            ("v1.review.opened", "review", false),
            ("v1.invoice_payment.canceled", INVOICE_PAYMENT, true),
            ("v1.invoice_payment.paid", INVOICE_PAYMENT, false),
        ] {
            assert_eq!(has_to_come_again(event_type, object), comes_again, "{event_type}");
        }
        assert!(leads_to_payment("dispute") && leads_to_payment(SESSION));
        assert!(!leads_to_payment(PAYMENT) && !leads_to_payment("customer") && !leads_to_payment(""));
    }
}
