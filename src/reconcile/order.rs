//! The shop's side: one order, as an export states it.

use serde::{Deserialize, Serialize};

use crate::accessors::{display_as_str, getters, named, partial_debug, setters};
use crate::intent::invalid_intent::{Field, InvalidIntent};
use crate::intent::money::Money;
use crate::intent::payment_intent::{PaymentId, checked};
use crate::redaction::presentable;

/// What a line that cannot be used is told with: one rule.
const MAX_RULE: usize = 300;

named! {
    /// Where an order stands in the shop.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
    pub enum OrderState {
        /// Not paid so far.
        Open = "open",
        /// Paid, and not shipped.
        Paid = "paid",
        /// Paid and shipped, or otherwise fulfilled.
        Shipped = "shipped",
        /// Cancelled: the shop keeps no money for it.
        Cancelled = "cancelled",
        /// Refunded, as the shop sees it.
        Refunded = "refunded",
    } as_str(self: Self)
}

display_as_str!(OrderState);

impl OrderState {
    /// The state of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let all = [Self::Open, Self::Paid, Self::Shipped, Self::Cancelled, Self::Refunded];
        all.into_iter().find(|state| state.as_str() == name)
    }

    /// Whether the shop says that the order is paid, and that the money is there.
    pub(super) const fn is_paid(self) -> bool {
        matches!(self, Self::Paid | Self::Shipped)
    }
}

/// What an order names as its payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NamedPayment {
    /// What can be a payment's id.
    Id(PaymentId),
    /// What cannot: it may be a secret in the wrong place, so it is not repeated.
    Unusable,
}

/// One order, as the shop's export states it. It holds no name, no address and no text of a shopper's.
///
/// ```
/// use payproof::reconcile::{OrderRecord, OrderState};
/// use payproof::{Currency, Money};
///
/// let order = OrderRecord::new("store_42", "6735", OrderState::Paid)?
///     .with_payment("pi_3MtwBw")
///     .with_money(Money::parse("19.99", Currency::USD)?)
///     .with_created(1_767_225_600)
///     .with_paid(1_767_225_660);
/// assert_eq!((order.order(), order.state()), ("6735", OrderState::Paid));
/// # Ok::<(), payproof::InvalidIntent>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct OrderRecord {
    pub(super) tenant: Box<str>,
    pub(super) order: Box<str>,
    pub(super) state: OrderState,
    pub(super) payment: Option<NamedPayment>,
    pub(super) money: Option<Money>,
    pub(super) paid_by: Option<Box<str>>,
    pub(super) created: Option<u64>,
    pub(super) paid: Option<u64>,
    pub(super) shipped: Option<u64>,
    pub(super) cancelled: Option<u64>,
    pub(super) updated: Option<u64>,
}

impl OrderRecord {
    /// Starts an order of this tenant, by the number or id that its payment's metadata names.
    ///
    /// # Errors
    /// Names the field `tenant` or `order` when a text is empty, over 255 bytes, or has control characters or white space around
    /// it.
    pub fn new(tenant: impl AsRef<str>, order: impl AsRef<str>, state: OrderState) -> Result<Self, InvalidIntent> {
        Ok(Self {
            tenant: checked(Field::Tenant, tenant.as_ref())?.into(),
            order: checked(Field::Order, order.as_ref())?.into(),
            state,
            payment: None,
            money: None,
            paid_by: None,
            created: None,
            paid: None,
            shipped: None,
            cancelled: None,
            updated: None,
        })
    }

    setters! {
        /// The payment that the order names, as the shop wrote it down. An empty text names none. What cannot be a payment's id
        /// makes the order [unknown](super::DiscrepancyClass::Unknown), and not unpaid: a charge's id is no payment's.
        pub fn with_payment(mut self, payment: impl AsRef<str>) => self.payment = match payment.as_ref() {
            "" => None,
            id => Some(PaymentId::parse(id).map_or(NamedPayment::Unusable, NamedPayment::Id)),
        };

        /// The order's total. An order whose total is zero needs no payment, and is only counted. Without a total amounts are
        /// not compared.
        pub fn with_money(mut self, money: Money) => self.money = Some(money);

        /// How the order was paid, in one word. By anything but the provider's own name, in any case, an order that names none
        /// of the provider's payments was paid by other means, and is only counted.
        pub fn with_paid_by(mut self, means: impl Into<Box<str>>) => self.paid_by = Some(means.into());

        /// When the order was made, in seconds since 1970.
        pub fn with_created(mut self, unix_seconds: u64) => self.created = Some(unix_seconds);

        /// When the shop marked it as paid, in seconds since 1970.
        pub fn with_paid(mut self, unix_seconds: u64) => self.paid = Some(unix_seconds);

        /// When it was shipped, in seconds since 1970. Without it no refund and no dispute is known to precede the shipping.
        pub fn with_shipped(mut self, unix_seconds: u64) => self.shipped = Some(unix_seconds);

        /// When it was cancelled, in seconds since 1970.
        pub fn with_cancelled(mut self, unix_seconds: u64) => self.cancelled = Some(unix_seconds);

        /// When the order was last changed, in seconds since 1970. It counts where its state has no time of its own, as of an
        /// order that is refunded: without it such an order is as old as its other times, and told only by the run of those.
        pub fn with_updated(mut self, unix_seconds: u64) => self.updated = Some(unix_seconds);
    }

    getters! {
        /// The tenant.
        pub fn tenant(&self) -> &str => &self.tenant;

        /// The order.
        pub fn order(&self) -> &str => &self.order;

        /// Where it stands in the shop.
        pub fn state(&self) -> OrderState => self.state;

        /// The payment that it names, where that can be a payment's id.
        pub fn payment(&self) -> Option<&PaymentId> => match &self.payment {
            Some(NamedPayment::Id(id)) => Some(id),
            Some(NamedPayment::Unusable) | None => None,
        };

        /// The total, if it is known.
        pub fn money(&self) -> Option<Money> => self.money;

    }

    /// When it last changed, as far as that matters here. An update may be of anything, as of a note: it counts where nothing
    /// else says since when the order stands as it does.
    pub(super) fn latest(&self) -> Option<u64> {
        let stands_since = match self.state {
            OrderState::Open => self.created,
            OrderState::Paid => self.paid,
            OrderState::Shipped => self.shipped,
            OrderState::Cancelled => self.cancelled,
            OrderState::Refunded => None,
        };
        let updated = self.updated.filter(|_| stands_since.is_none());
        [self.created, self.paid, self.shipped, self.cancelled, updated].into_iter().flatten().max()
    }
}

// Shows what a line of the report shows of it.
partial_debug!(OrderRecord, self =>
    tenant: self.tenant, order: self.order, state: self.state, payment: self.payment(), money: self.money
);

/// A line of an export that cannot be used, and is told as [unknown](super::DiscrepancyClass::Unknown).
///
/// Say which payment and order it is about, where that much can be read: a payment that such a line names is then not told to be
/// without an order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{rule}")]
pub struct UnusableOrder {
    rule: Box<str>,
    pub(super) payment: Option<PaymentId>,
    pub(super) owner: Option<(Box<str>, Box<str>)>,
}

impl UnusableOrder {
    /// A line that breaks this rule. No value of the line should stand in it: it may be a secret in the wrong place.
    #[must_use]
    pub fn new(rule: impl AsRef<str>) -> Self {
        Self { rule: presentable(rule.as_ref(), MAX_RULE), payment: None, owner: None }
    }

    setters! {
        /// The payment that the line names; what cannot be an id counts as none.
        pub fn with_payment(mut self, payment: impl AsRef<str>) => self.payment = PaymentId::parse(payment).ok();

        /// The tenant and the order that the line is of; what no order could have counts as none.
        pub fn with_order(mut self, tenant: impl AsRef<str>, order: impl AsRef<str>) => self.owner =
            checked(Field::Tenant, tenant.as_ref()).ok().zip(checked(Field::Order, order.as_ref()).ok())
                .map(|(tenant, order)| (tenant.into(), order.into()));
    }

    getters! {
        /// The rule that the line breaks.
        pub fn rule(&self) -> &str => &self.rule;
    }
}
