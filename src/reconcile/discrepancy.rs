//! One line of the report, and what a person has accepted.

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::accessors::{getters, setters};
use crate::intent::currency::Currency;
use crate::intent::money::Money;

use super::class::DiscrepancyClass;

/// The parts of an exact amount, as files hold it.
pub(super) type MoneyParts = (u64, u8, Currency);

/// Takes an amount apart.
pub(super) fn parts(money: Money) -> MoneyParts {
    let (digits, scale) = money.decimal();
    (digits, scale, money.currency())
}

/// Puts an amount together again.
pub(super) fn money_of((digits, scale, currency): MoneyParts) -> Money {
    Money::normalized(digits, scale, currency)
}

/// What is wrong between one payment and one order.
///
/// It says ids, amounts, times and codes: no name, no address, no metadata. Serializable: as JSON it has the fields `class`, `at`,
/// `payment`, `tenant`, `order`, `amount`, `currency`, `findings`, `confirmed`, `recent` and `known`, each of them always.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discrepancy {
    pub(super) class: DiscrepancyClass,
    pub(super) at: u64,
    pub(super) payment: Option<Box<str>>,
    pub(super) owner: Option<(Box<str>, Box<str>)>,
    pub(super) money: Option<Money>,
    pub(super) findings: Vec<Box<str>>,
    pub(super) confirmed: bool,
    pub(super) recent: bool,
    pub(super) known: Option<Box<str>>,
}

impl Discrepancy {
    getters! {
        /// What is wrong.
        pub fn class(&self) -> DiscrepancyClass => self.class;

        /// When payment or order last changed, in seconds since 1970; of a pending payment when it became overdue. It lies in
        /// the window.
        pub fn at(&self) -> u64 => self.at;

        /// The payment's id, where there is a payment.
        pub fn payment(&self) -> Option<&str> => self.payment.as_deref();

        /// The tenant, where an order or the payment names one.
        pub fn tenant(&self) -> Option<&str> => {
            self.owner.as_ref().map(|(tenant, _)| &**tenant).filter(|tenant| !tenant.is_empty())
        };

        /// The order, where there is one or the payment names one.
        pub fn order(&self) -> Option<&str> => self.owner.as_ref().map(|(_, order)| &**order);

        /// The money that the merchant has of the payment, or else the order's total.
        pub fn money(&self) -> Option<Money> => self.money;

        /// What the verdict on the payment found, or why it is unknown: codes, in the order in which they were found.
        pub fn findings(&self) -> &[Box<str>] => &self.findings;

        /// Whether the payment was looked up afresh and judged again. There is a
        /// [limit](super::ReconcilerBuilder::confirm) to that.
        pub fn is_confirmed(&self) -> bool => self.confirmed;

        /// Whether it may mend itself: money is there of which the shop has not heard, and that changed within the
        /// [time](super::ReconcilerBuilder::recent) in which a provider still delivers its webhooks again.
        pub fn is_recent(&self) -> bool => self.recent;

        /// The reason for which a person accepted it, if one did.
        pub fn known(&self) -> Option<&str> => self.known.as_deref();
    }
}

impl Serialize for Discrepancy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut line = serializer.serialize_struct("Discrepancy", 11)?;
        line.serialize_field("class", &self.class)?;
        line.serialize_field("at", &self.at)?;
        line.serialize_field("payment", &self.payment)?;
        line.serialize_field("tenant", &self.tenant())?;
        line.serialize_field("order", &self.order())?;
        line.serialize_field("amount", &self.money.map(|money| money.amount()))?;
        line.serialize_field("currency", &self.money.map(|money| money.currency()))?;
        line.serialize_field("findings", &self.findings)?;
        line.serialize_field("confirmed", &self.confirmed)?;
        line.serialize_field("recent", &self.recent)?;
        line.serialize_field("known", &self.known)?;
        line.end()
    }
}

/// A discrepancy that a person has accepted: it is told as known, and no run ends as if it were news.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownDiscrepancy {
    pub(super) class: DiscrepancyClass,
    pub(super) payment: Option<Box<str>>,
    pub(super) tenant: Option<Box<str>>,
    pub(super) order: Option<Box<str>>,
    pub(super) reason: Box<str>,
    pub(super) until: Option<u64>,
}

impl KnownDiscrepancy {
    /// Accepts discrepancies of this class, for this reason. It has to name a payment or an order, or both: one that names
    /// neither accepts nothing.
    #[must_use]
    pub fn new(class: DiscrepancyClass, reason: impl Into<Box<str>>) -> Self {
        Self { class, payment: None, tenant: None, order: None, reason: reason.into(), until: None }
    }

    setters! {
        /// The payment that it is about; of any payment unless set.
        pub fn with_payment(mut self, payment: impl Into<Box<str>>) => self.payment = Some(payment.into());

        /// The tenant whose payment or order it is about; of any tenant unless set.
        pub fn with_tenant(mut self, tenant: impl Into<Box<str>>) => self.tenant = Some(tenant.into());

        /// The order that it is about; of any order unless set.
        pub fn with_order(mut self, order: impl Into<Box<str>>) => self.order = Some(order.into());

        /// When that ends, in seconds since 1970: orders that were exported then or later are told of as if it had not been
        /// accepted. It does not end unless set.
        pub fn until(mut self, unix_seconds: u64) => self.until = Some(unix_seconds);
    }
}
