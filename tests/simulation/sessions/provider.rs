//! A provider of payments and of sessions that stand for them, whose answers bear numbers, as each process reaches it.

use std::collections::HashMap;
use std::future::pending;
use std::sync::{Arc, Mutex};

use payproof::provider::{Call, Provider, ProviderError, ProviderIdentity};
use payproof::{
    AliasState, Currency, Finding, Mode, Money, PaymentAlias, PaymentId, PaymentIntent, PaymentStatus, ProviderPayment,
    Units, Validation, Verdict,
};
use rand::RngExt;
use rand::rngs::StdRng;
use tokio::time::{Instant, sleep};

use crate::support::ms;

/// One answer of the provider, about a payment or a session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stated {
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
    /// When each session is completed.
    pub(super) completed: HashMap<String, Instant>,
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

impl Provider for Numbering {
    fn identity(&self) -> &ProviderIdentity {
        &self.identity
    }

    fn is_alias(&self, id: &PaymentId) -> bool {
        is_session(id.as_str())
    }

    async fn look_up(&self, asked: &PaymentId, _call: &Call) -> Result<ProviderPayment, ProviderError> {
        let (number, before, after, fault) = {
            let mut ledger = self.ledger.lock().unwrap();
            let Ledger { rng, faults, slowest, stated, .. } = &mut *ledger;
            let now = Instant::now();
            stated.push(Stated { asked: now, read: now, answered: None });
            let fault = rng.random_bool(*faults).then(|| rng.random_range(0..4));
            (stated.len() - 1, ms(rng.random_range(0..=*slowest)), ms(rng.random_range(0..=*slowest)), fault)
        };
        sleep(before).await;
        let is_complete = {
            let mut ledger = self.ledger.lock().unwrap();
            let now = Instant::now();
            ledger.stated[number].read = now;
            ledger.completed.get(asked.as_str()).is_some_and(|at| *at <= now)
        };
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
                Ok(answer(asked.as_str(), number, is_complete))
            }
        }
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
    let minor = if is_redeemed(payment) { CLAIMED } else { u64::try_from(number).unwrap() + 1 };
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
            Finding::Amount(mismatch) => of_payment = Some(usize::try_from(minor(mismatch.actual)).unwrap() - 1),
            Finding::Order(mismatch) => of_session = mismatch.actual.as_deref().map(|number| number.parse().unwrap()),
            _ => {}
        }
    }
    (of_payment, of_session)
}

fn minor(money: Money) -> u64 {
    money.minor_units(&Units::iso_4217()).unwrap()
}

pub(super) fn claims(id: &str) -> PaymentIntent {
    let money = Money::parse("999999.99", Currency::USD).unwrap();
    PaymentIntent::new("store_42", id, money).unwrap()
}
