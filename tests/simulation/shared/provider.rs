//! What the provider of these simulations knows of payments.

use payproof::{
    Currency, Dispute, Finding, Mode, Money, PaymentId, PaymentIntent, PaymentStatus, ProviderPayment, Validation,
    Verdict,
};
use tokio::time::Instant;

use crate::numbering::{Known, amount_of, number_of};

#[derive(Clone)]
pub(super) struct Payments;

impl Known for Payments {
    fn answer(&self, asked: &PaymentId, number: usize, _read: Instant) -> ProviderPayment {
        facts(asked, number)
    }
}

/// The number stands in the amount, or in the order where that can be mended. The kind of the payment is in its id.
fn facts(payment: &PaymentId, number: usize) -> ProviderPayment {
    let minor = amount_of(number);
    let facts = ProviderPayment::new(payment.as_str(), PaymentStatus::Paid)
        .with_mode(Mode::Live)
        .with_amount_refunded(0)
        .with_metadata("store_id", "store_42")
        .with_reason(format!("number={number};"));
    match kind(payment) {
        Kind::Lasting => {
            facts.with_amount(minor, Currency::USD).with_amount_received(minor).with_metadata("order_id", "6735")
        }
        Kind::Volatile => facts
            .with_amount(minor, Currency::USD)
            .with_amount_received(minor)
            .with_metadata("order_id", "6735")
            .with_dispute(Dispute::Open),
        Kind::Mendable => facts
            .with_amount(CLAIMED, Currency::USD)
            .with_amount_received(CLAIMED)
            .with_metadata("order_id", number.to_string()),
    }
}

const CLAIMED: u64 = 99_999_999;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Lasting,
    Volatile,
    Mendable,
}

fn kind(payment: &PaymentId) -> Kind {
    match payment.as_str().as_bytes() {
        [.., b'0'] => Kind::Lasting,
        [.., b'1'] => Kind::Volatile,
        _ => Kind::Mendable,
    }
}

pub(super) fn number(validation: &Validation) -> usize {
    let Verdict::Invalid(findings) = validation.verdict() else { panic!("no claim fits: {validation:?}") };
    let number = findings.iter().find_map(|finding| match finding {
        Finding::Amount(mismatch) => Some(number_of(mismatch.actual)),
        Finding::Order(mismatch) => Some(mismatch.actual.as_deref()?.parse().unwrap()),
        _ => None,
    });
    number.unwrap_or_else(|| panic!("no number in {findings}"))
}

pub(super) fn claims(payment: &PaymentId) -> PaymentIntent {
    let money = Money::parse("999999.99", Currency::USD).unwrap();
    PaymentIntent::new("store_42", payment.as_str(), money).unwrap().with_order("6735").unwrap()
}
