//! What is judged together: an order with its payments, a payment without an order, or a payment of several orders.

use std::io;

use super::class::Unremarkable;
use super::discrepancy::Discrepancy;
use super::order::OrderRecord;
use super::rows::{CarriedRow, CasePayment, NamedBy, OrderFields};
use super::run_file::{decode, row};

/// What is judged together.
#[derive(Debug, Default)]
pub(super) struct Case {
    /// The tenant and the order, where an order is there or a payment names one.
    pub(super) owner: Option<(Box<str>, Box<str>)>,
    pub(super) order: Option<OrderRecord>,
    pub(super) payments: Vec<CasePayment>,
    /// Where it is about a payment of several orders that the shop says are paid: those.
    pub(super) users: Vec<NamedBy>,
    /// Whether the order's line could not be used in an earlier run, so that it is judged only now.
    pub(super) was_unusable: bool,
}

impl Case {
    /// A payment without an order.
    pub(super) fn of_payment(payment: CasePayment) -> Self {
        Self { payments: vec![payment], ..Self::default() }
    }

    /// Whether there is nothing to judge, as of a line that cannot be used.
    pub(super) fn is_empty(&self) -> bool {
        self.order.is_none() && self.payments.is_empty()
    }

    /// Puts it into bytes, by which it can be judged again.
    pub(super) fn write(&self) -> io::Result<Vec<u8>> {
        let order = self.order.as_ref().map(OrderRecord::to_fields);
        row(&(&self.owner, order, &self.payments, &self.users, self.was_unusable))
    }

    pub(super) fn read(bytes: &[u8]) -> io::Result<Self> {
        let (owner, order, payments, users, was_unusable) = decode::<(_, Option<OrderFields>, _, _, _)>(bytes)?;
        Ok(Self { owner, order: order.map(OrderRecord::of_fields), payments, users, was_unusable })
    }
}

/// What came of a case.
#[derive(Debug, Default)]
pub(super) struct CaseDecision {
    pub(super) told: Vec<Discrepancy>,
    /// What stands, and is not of this run to tell.
    pub(super) standing: Vec<Discrepancy>,
    /// Payments of which this run does not know how they stand.
    pub(super) unseen: Vec<Box<str>>,
    pub(super) counted: Vec<Unremarkable>,
    /// Payments that the next run has to look at again.
    pub(super) carried: Vec<(Box<str>, CarriedRow)>,
}
