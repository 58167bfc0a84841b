//! The checkout whose payments are validated, and a provider in the same process that always answers at once.

use payproof::provider::{Call, Provider, ProviderError, ProviderIdentity};
use payproof::{Currency, Mode, Money, PaymentId, PaymentIntent, PaymentStatus, ProviderPayment, Risk, Validator};
use rand::distr::Alphanumeric;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use tokio::runtime::{Builder, Runtime};

use crate::turns::Preparation;

/// The same payments in the same order in every run.
const SEED: u64 = 42;

pub(crate) const TENANT: &str = "store_42";
pub(crate) const MINOR_UNITS: u64 = 1999;
const MAJOR_UNITS: &str = "19.99";

/// The one thread that a figure is measured on.
pub(crate) fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("the system has room for a runtime")
}

/// Ids such as `pi_3MtwBwLkdIwHu7ix28a3tqPa`: 27 characters, as Stripe's are.
pub(crate) fn payment_ids() -> impl Iterator<Item = String> {
    let mut rng = StdRng::seed_from_u64(SEED);
    std::iter::repeat_with(move || {
        let random = (&mut rng).sample_iter(Alphanumeric).take(23).map(char::from);
        "pi_3".chars().chain(random).collect()
    })
}

/// The order that a payment is for; part of the payment's id, so that a provider can tell it without a table.
pub(crate) fn order_of(id: &str) -> &str {
    id.get(id.len().saturating_sub(7)..).unwrap_or(id)
}

pub(crate) fn intent(id: &str) -> PaymentIntent {
    let money = Money::parse(MAJOR_UNITS, Currency::USD).expect("a plain decimal");
    let intent = PaymentIntent::new(TENANT, id, money).expect("the id has the alphabet of ids");
    intent.with_order(order_of(id)).expect("a part of an id is a plain text")
}

/// Makes the validator ask the provider next time.
pub(crate) fn forgetting(
    validator: &Validator,
) -> impl Fn(&PaymentIntent) -> Preparation + Clone + Send + Sync + use<> {
    let validator = validator.clone();
    move |intent| {
        let forgotten = validator.forget(intent.payment());
        Box::pin(async { forgotten.await.expect("memory confirms") })
    }
}

/// Puts things into a random order, the same for all lists of one length: lists that went side by side still do.
pub(crate) fn shuffled<T>(mut things: Vec<T>) -> Vec<T> {
    things.shuffle(&mut StdRng::seed_from_u64(SEED));
    things
}

/// A provider without I/O: every payment exists and is paid.
#[derive(Debug)]
pub(crate) struct Prompt {
    identity: ProviderIdentity,
    states: fn(&str) -> ProviderPayment,
}

impl Prompt {
    pub(crate) fn new() -> Self {
        Self { identity: ProviderIdentity::new("prompt").only_account(), states: facts }
    }

    /// One that states as little as it can.
    pub(crate) fn terse() -> Self {
        Self { identity: ProviderIdentity::new("terse"), states: terse_facts }
    }
}

impl Provider for Prompt {
    fn identity(&self) -> &ProviderIdentity {
        &self.identity
    }

    async fn look_up(&self, payment: &PaymentId, _call: &Call) -> Result<ProviderPayment, ProviderError> {
        Ok((self.states)(payment.as_str()))
    }
}

/// What a provider states about an ordinary card payment.
pub(crate) fn facts(id: &str) -> ProviderPayment {
    terse_facts(id)
        .with_metadata("store_id", TENANT)
        .with_metadata("order_id", order_of(id))
        .with_customer("cus_NffrFeUfNV2Hib")
}

/// The least that makes a payment valid where one tenant has the account to itself: one allocation, for the id.
pub(crate) fn terse_facts(id: &str) -> ProviderPayment {
    ProviderPayment::new(id, PaymentStatus::Paid)
        .with_mode(Mode::Live)
        .with_amount(MINOR_UNITS, Currency::USD)
        .with_amount_received(MINOR_UNITS)
        .with_amount_refunded(0)
        .with_captured(true)
        .with_risk(Risk::Normal)
        .with_created(1_767_225_600)
        // Stated, so that the payment does not grow too old for its redemption as time goes by.
        .with_as_of(1_767_225_660)
}
