//! A provider with as many payments as are asked for, and the orders that most of them pay. Both are made as they are read.

use payproof::provider::{
    Call, ListCursor, ListOf, ListQuery, Listed, ListedItem, Provider, ProviderError, ProviderIdentity,
};
use payproof::reconcile::{OrderRecord, OrderState};
use payproof::{Currency, Mode, Money, PaymentId, PaymentStatus, ProviderPayment, Units};

/// The first second of 2026, in UTC.
pub(crate) const NEW_YEAR: u64 = 1_767_225_600;
pub(crate) const DAY: u64 = 24 * 60 * 60;

/// One of so many payments has no order.
pub(crate) const ONE_IN: u64 = 1000;

#[derive(Debug)]
pub(crate) struct Endless {
    identity: ProviderIdentity,
    payments: u64,
    page: u64,
    one_order: bool,
}

impl Endless {
    pub(crate) fn new(payments: u64, page: u64, one_order: bool) -> Self {
        Self { identity: ProviderIdentity::new("endless").only_account(), payments, page, one_order }
    }
}

/// Ids and times that are in no order, as a provider's are.
fn scattered(number: u64) -> u64 {
    number.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

pub(crate) fn id(number: u64) -> String {
    format!("pi_3{:016x}{:07}", scattered(number), number)
}

pub(crate) fn created(number: u64) -> u64 {
    NEW_YEAR.saturating_add(scattered(number) % DAY)
}

fn money(number: u64) -> Money {
    Units::iso_4217().to_money(minor(number), Currency::USD)
}

fn minor(number: u64) -> u64 {
    (scattered(number) % 50_000).saturating_add(100)
}

/// A payment of this order.
fn payment(number: u64, order: u64) -> ProviderPayment {
    ProviderPayment::new(id(number), PaymentStatus::Paid)
        .with_mode(Mode::Live)
        .with_amount(minor(number), Currency::USD)
        .with_amount_received(minor(number))
        .with_amount_refunded(0)
        .with_created(created(number))
        .with_as_of(NEW_YEAR.saturating_add(DAY))
        .with_metadata("store_id", "store_42")
        .with_metadata("order_id", order.to_string())
}

pub(crate) fn order(number: u64) -> OrderRecord {
    let order = OrderRecord::new("store_42", number.to_string(), OrderState::Paid);
    let Ok(order) = order else { unreachable!("a number is an order's id") };
    order.with_payment(id(number)).with_money(money(number)).with_created(created(number))
}

impl Provider for Endless {
    fn identity(&self) -> &ProviderIdentity {
        &self.identity
    }

    async fn look_up(&self, payment: &PaymentId, _call: &Call) -> Result<ProviderPayment, ProviderError> {
        Ok(ProviderPayment::not_found(payment.as_str()))
    }

    async fn list(&self, query: &ListQuery, _call: &Call) -> Result<Listed, ProviderError> {
        if query.what() != ListOf::Payments {
            return Ok(Listed::default());
        }
        let from = query.cursor().map_or(Ok(0), |cursor| cursor.as_str().parse());
        let from: u64 = from.map_err(|_| ProviderError::refused("the cursor is another list's"))?;
        let to = from.saturating_add(self.page).min(self.payments);
        let item = |number| ListedItem::Payment(Box::new(payment(number, if self.one_order { 0 } else { number })));
        let items = (from..to).map(item).collect();
        let next = (to < self.payments).then(|| ListCursor::parse(to.to_string()).ok()).flatten();
        Ok(Listed { items, next, complete_since: None })
    }
}
