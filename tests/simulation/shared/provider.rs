//! A provider whose answers bear numbers, as each process reaches it.

use std::future::pending;
use std::sync::{Arc, Mutex};

use payproof::provider::{Call, Provider, ProviderError, ProviderIdentity};
use payproof::{
    Currency, Dispute, Finding, Mode, Money, PaymentId, PaymentIntent, PaymentStatus, ProviderPayment, Units,
    Validation, Verdict,
};
use rand::RngExt;
use rand::rngs::StdRng;
use tokio::time::{Instant, sleep};

use crate::support::ms;

/// One answer of the provider.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stated {
    /// When it was asked.
    pub(super) asked: Instant,
    /// When it looked.
    pub(super) read: Instant,
    /// When its answer was there; none yet before that.
    pub(super) answered: Option<Instant>,
}

pub(super) struct Ledger {
    pub(super) rng: StdRng,
    pub(super) faults: f64,
    pub(super) slowest: u64,
    pub(super) stated: Vec<Stated>,
}

/// The provider as one process reaches it.
#[derive(Clone)]
pub(super) struct Numbering {
    pub(super) identity: ProviderIdentity,
    pub(super) ledger: Arc<Mutex<Ledger>>,
    pub(super) crashed: Arc<Mutex<bool>>,
}

impl std::fmt::Debug for Numbering {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Numbering").finish_non_exhaustive()
    }
}

impl Provider for Numbering {
    fn identity(&self) -> &ProviderIdentity {
        &self.identity
    }

    async fn look_up(&self, payment: &PaymentId, _call: &Call) -> Result<ProviderPayment, ProviderError> {
        let (number, before, after, fault) = {
            let mut ledger = self.ledger.lock().unwrap();
            let Ledger { rng, faults, slowest, stated } = &mut *ledger;
            let now = Instant::now();
            stated.push(Stated { asked: now, read: now, answered: None });
            let fault = rng.random_bool(*faults).then(|| rng.random_range(0..4));
            (stated.len() - 1, ms(rng.random_range(0..=*slowest)), ms(rng.random_range(0..=*slowest)), fault)
        };
        sleep(before).await;
        self.ledger.lock().unwrap().stated[number].read = Instant::now();
        sleep(after).await;
        let crashed = *self.crashed.lock().unwrap();
        match fault {
            _ if crashed => pending().await,
            Some(0) => Err(ProviderError::refused("busy").with_status(503)),
            Some(1) => Err(ProviderError::refused("no").with_status(401)),
            Some(2) => Err(ProviderError::not_sent("no connection")),
            Some(_) => pending().await,
            None => {
                self.ledger.lock().unwrap().stated[number].answered = Some(Instant::now());
                Ok(facts(payment, number))
            }
        }
    }
}

/// The number stands in the amount, or in the order where that can be mended. The kind of the payment is in its id.
fn facts(payment: &PaymentId, number: usize) -> ProviderPayment {
    let minor = u64::try_from(number).unwrap() + 1;
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
        Finding::Amount(mismatch) => Some(usize::try_from(minor(mismatch.actual)).unwrap() - 1),
        Finding::Order(mismatch) => Some(mismatch.actual.as_deref()?.parse().unwrap()),
        _ => None,
    });
    number.unwrap_or_else(|| panic!("no number in {findings}"))
}

fn minor(money: Money) -> u64 {
    money.minor_units(&Units::iso_4217()).unwrap()
}

pub(super) fn claims(payment: &PaymentId) -> PaymentIntent {
    let money = Money::parse("999999.99", Currency::USD).unwrap();
    PaymentIntent::new("store_42", payment.as_str(), money).unwrap().with_order("6735").unwrap()
}
