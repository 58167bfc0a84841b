//! What the provider of these simulations knows of payments, and of sessions that stand for them.

use std::collections::HashMap;
use std::sync::Arc;

use payproof::{
    AliasState, Currency, Finding, Mode, Money, PaymentAlias, PaymentId, PaymentIntent, PaymentStatus, ProviderPayment,
    Validation, Verdict,
};
use tokio::time::Instant;

use crate::numbering::{Known, amount_of, number_of};

/// When each session is completed.
#[derive(Clone)]
pub(super) struct Sessions(pub(super) Arc<HashMap<String, Instant>>);

/// The payment that an id names: `cs_t0_1` is the session of `pi_t0`.
pub(super) fn payment_of(id: &str) -> String {
    let own = id.trim_start_matches("cs_").trim_start_matches("pi_");
    format!("pi_{}", own.split('_').next().unwrap())
}

pub(super) fn is_session(id: &str) -> bool {
    id.starts_with("cs_")
}

/// Whether every claim on it is valid, so that it can be redeemed. Else its amount is the number of the answer.
pub(super) fn is_redeemed(id: &str) -> bool {
    payment_of(id).starts_with("pi_r")
}

impl Known for Sessions {
    fn is_alias(&self, id: &PaymentId) -> bool {
        is_session(id.as_str())
    }

    fn answer(&self, asked: &PaymentId, number: usize, read: Instant) -> ProviderPayment {
        let is_complete = self.0.get(asked.as_str()).is_some_and(|at| *at <= read);
        answer(asked.as_str(), number, is_complete)
    }
}

fn answer(asked: &str, number: usize, is_complete: bool) -> ProviderPayment {
    if !is_session(asked) {
        return facts(asked, number);
    }
    let state = if is_complete { AliasState::Complete } else { AliasState::Open };
    let alias = PaymentAlias::new(state).with_reference(format!("alias={number};"));
    // What a session states itself is seen by the order that it names.
    let alias = if is_redeemed(asked) { alias } else { alias.with_metadata("order_id", number.to_string()) };
    let facts = if is_complete {
        facts(&payment_of(asked), number)
    } else {
        ProviderPayment::new(asked, PaymentStatus::ActionRequired).with_mode(Mode::Live)
    };
    facts.with_alias(alias)
}

fn facts(payment: &str, number: usize) -> ProviderPayment {
    let minor = if is_redeemed(payment) { CLAIMED } else { amount_of(number) };
    ProviderPayment::new(payment, PaymentStatus::Paid)
        .with_mode(Mode::Live)
        .with_amount(minor, Currency::USD)
        .with_amount_received(minor)
        .with_amount_refunded(0)
        .with_created(1_767_225_600)
        .with_as_of(1_767_225_660)
        .with_reason(format!("number={number};"))
}

const CLAIMED: u64 = 99_999_999;

/// The numbers of the answers that a verdict rests on: of the payment, and of the session.
pub(super) fn numbers(validation: &Validation) -> (Option<usize>, Option<usize>) {
    let Verdict::Invalid(findings) = validation.verdict() else { return (None, None) };
    let (mut of_payment, mut of_session) = (None, None);
    for finding in findings {
        match finding {
            Finding::Amount(mismatch) => of_payment = Some(number_of(mismatch.actual)),
            Finding::Order(mismatch) => of_session = mismatch.actual.as_deref().map(|number| number.parse().unwrap()),
            _ => {}
        }
    }
    (of_payment, of_session)
}

pub(super) fn claims(id: &str) -> PaymentIntent {
    let money = Money::parse("999999.99", Currency::USD).unwrap();
    PaymentIntent::new("store_42", id, money).unwrap()
}
