//! A provider whose answers bear numbers, as each process reaches it: what simulations that trace answers have in common.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "numbers are small, and what is not as it should be fails the test"
)]

use std::future::pending;
use std::sync::{Arc, Mutex};

use payproof::provider::{Call, Provider, ProviderError, ProviderIdentity};
use payproof::{Money, PaymentId, ProviderPayment, Units};
use rand::RngExt;
use rand::rngs::StdRng;
use tokio::time::{Instant, sleep};

use crate::support::ms;

/// One answer of the provider.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stated {
    /// When it was asked.
    pub(crate) asked: Instant,
    /// When it looked.
    pub(crate) read: Instant,
    /// When its answer was there; none yet before that.
    pub(crate) answered: Option<Instant>,
}

/// How well the provider answers, and what it has answered.
pub(crate) struct Ledger {
    rng: StdRng,
    faults: f64,
    slowest: u64,
    pub(crate) stated: Vec<Stated>,
}

impl Ledger {
    pub(crate) fn new(rng: StdRng, faults: f64, slowest: u64) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self { rng, faults, slowest, stated: Vec::new() }))
    }

    /// Ends the faults, and the slowest answers.
    pub(crate) fn calm(&mut self) {
        (self.faults, self.slowest) = (0.0, self.slowest.min(3_000));
    }
}

/// What the provider knows.
pub(crate) trait Known: Clone + Send + Sync + 'static {
    fn is_alias(&self, id: &PaymentId) -> bool {
        let _ = id;
        false
    }

    /// The answer of this number, as of when it looked.
    fn answer(&self, asked: &PaymentId, number: usize, read: Instant) -> ProviderPayment;
}

/// The provider as one process reaches it.
#[derive(Clone)]
pub(crate) struct Numbering<A> {
    identity: ProviderIdentity,
    ledger: Arc<Mutex<Ledger>>,
    /// Whether the process has crashed: then no answer reaches it.
    pub(crate) crashed: Arc<Mutex<bool>>,
    known: A,
}

impl<A> Numbering<A> {
    pub(crate) fn new(ledger: &Arc<Mutex<Ledger>>, known: A) -> Self {
        let identity = ProviderIdentity::new("scripted").only_account();
        Self { identity, ledger: Arc::clone(ledger), crashed: Arc::default(), known }
    }
}

impl<A> std::fmt::Debug for Numbering<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Numbering").finish_non_exhaustive()
    }
}

impl<A: Known> Provider for Numbering<A> {
    fn identity(&self) -> &ProviderIdentity {
        &self.identity
    }

    fn is_alias(&self, id: &PaymentId) -> bool {
        self.known.is_alias(id)
    }

    async fn look_up(&self, asked: &PaymentId, _call: &Call) -> Result<ProviderPayment, ProviderError> {
        let (number, before, after, fault) = {
            let mut ledger = self.ledger.lock().unwrap();
            let Ledger { rng, faults, slowest, stated } = &mut *ledger;
            let now = Instant::now();
            stated.push(Stated { asked: now, read: now, answered: None });
            let fault = rng.random_bool(*faults).then(|| rng.random_range(0..4));
            (stated.len() - 1, ms(rng.random_range(0..=*slowest)), ms(rng.random_range(0..=*slowest)), fault)
        };
        sleep(before).await;
        let read = Instant::now();
        self.ledger.lock().unwrap().stated[number].read = read;
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
                Ok(self.known.answer(asked, number, read))
            }
        }
    }
}

/// The amount that says the number of an answer, in minor units.
pub(crate) fn amount_of(number: usize) -> u64 {
    u64::try_from(number).unwrap() + 1
}

/// The number that an amount says.
pub(crate) fn number_of(amount: Money) -> usize {
    usize::try_from(amount.minor_units(&Units::iso_4217()).unwrap()).unwrap() - 1
}
