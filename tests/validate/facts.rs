//! Facts in memory: what is served without asking, for how long, to whom, and what makes it go away.
#![cfg(feature = "test-util")]
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unchecked_time_subtraction,
    reason = "the numbers are literals of this file; a slip fails the test"
)]

mod claims;
mod forgetting;
mod freshness;
mod model;
mod outages;
mod room;
mod shelf_life;

use std::time::Duration;

use payproof::testing::ScriptedProvider;
use payproof::{
    Currency, Mode, Money, PaymentId, PaymentIntent, PaymentStatus, ProviderPayment, Validation, Validator,
    ValidatorBuilder,
};

use crate::support::{intent, secs};

/// The documented default of `fresh_for`.
const FRESH_FOR: Duration = secs(15 * 60);

/// The documented limit for whatever may change at any moment.
const VOLATILE: Duration = secs(2);

const TICK: Duration = Duration::from_nanos(1);

const MIDNIGHT: u64 = 1_700_000_000;

#[expect(clippy::unwrap_used, reason = "the settings are valid")]
fn validator(provider: &ScriptedProvider) -> Validator {
    build(provider, |builder| builder).unwrap()
}

fn build(
    provider: &ScriptedProvider,
    set: impl FnOnce(ValidatorBuilder) -> ValidatorBuilder,
) -> Result<Validator, payproof::BuildError> {
    set(Validator::builder(provider.clone())).build()
}

#[expect(clippy::unwrap_used, reason = "the provider answers")]
async fn ask(validator: &Validator, intent: &PaymentIntent) -> Validation {
    validator.validate(intent).await.unwrap()
}

#[expect(clippy::unwrap_used, reason = "the literal is well-formed")]
fn id(id: &str) -> PaymentId {
    PaymentId::parse(id).unwrap()
}

/// An authorization for this many more seconds.
fn authorized(id: &str, left: u64) -> ProviderPayment {
    ProviderPayment::new(id, PaymentStatus::Authorized)
        .with_mode(Mode::Live)
        .with_amount(1999, Currency::USD)
        .with_amount_received(0)
        .with_amount_refunded(0)
        .with_amount_capturable(1999)
        .with_as_of(MIDNIGHT)
        .with_capture_before(MIDNIGHT + left)
        .with_metadata("store_id", "store_42")
        .with_metadata("order_id", "6735")
}

fn canceled(id: &str) -> ProviderPayment {
    let facts =
        ProviderPayment::new(id, PaymentStatus::Canceled).with_mode(Mode::Live).with_amount(1999, Currency::USD);
    facts.with_metadata("store_id", "store_42").with_metadata("order_id", "6735")
}

fn processing(id: &str) -> ProviderPayment {
    ProviderPayment::new(id, PaymentStatus::Processing)
        .with_mode(Mode::Live)
        .with_amount(1999, Currency::USD)
        .with_metadata("store_id", "store_42")
        .with_metadata("order_id", "6735")
}

/// Claims about `pi_1` that differ from the paid one in one point each.
#[expect(clippy::unwrap_used, reason = "the literals are well-formed")]
fn forgeries() -> Vec<(&'static str, PaymentIntent)> {
    let claim = |tenant: &str, amount: &str, currency| {
        PaymentIntent::new(tenant, "pi_1", Money::parse(amount, currency).unwrap()).unwrap()
    };
    let usd = Currency::USD;
    vec![
        ("a cent less", claim("store_42", "19.98", usd).with_order("6735").unwrap()),
        ("a cent more", claim("store_42", "20", usd).with_order("6735").unwrap()),
        ("ten times", claim("store_42", "199.9", usd).with_order("6735").unwrap()),
        ("cents as dollars", claim("store_42", "1999", usd).with_order("6735").unwrap()),
        ("another currency", claim("store_42", "19.99", Currency::EUR).with_order("6735").unwrap()),
        ("another tenant", claim("store_43", "19.99", usd).with_order("6735").unwrap()),
        ("another order", claim("store_42", "19.99", usd).with_order("6736").unwrap()),
        ("no order", claim("store_42", "19.99", usd)),
        ("order as customer", claim("store_42", "19.99", usd).with_customer("6735").unwrap()),
        ("an unproven customer", intent("pi_1").with_customer("cus_9").unwrap()),
        ("borders moved", claim("store_4", "19.99", usd).with_order("26735").unwrap()),
    ]
}
