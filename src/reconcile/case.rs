//! What is judged together: an order with its payments, a payment without an order, or a payment of several orders.

use std::io;

use serde::{Deserialize, Serialize};

use super::class::Unremarkable;
use super::discrepancy::Discrepancy;
use super::order::OrderRecord;
use super::report::decode;
use super::rows::{CarriedRow, CasePayment, NamedBy, OrderFields, OrderRow};

/// What is judged together.
#[derive(Debug, Default)]
pub(super) struct Case {
    /// The tenant and the order, where an order is there or a payment names one.
    pub(super) owner: Option<(Box<str>, Box<str>)>,
    pub(super) order: Option<OrderRecord>,
    pub(super) payments: Vec<CasePayment>,
    /// Where it is about a payment of several orders that the shop says are paid: those.
    pub(super) users: Vec<NamedBy>,
}

/// A case, as files hold it.
#[derive(Serialize, Deserialize)]
struct CaseFields {
    owner: Option<(Box<str>, Box<str>)>,
    order: Option<OrderFields>,
    payments: Vec<CasePayment>,
    users: Vec<NamedBy>,
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
        let order = self.order.as_ref().map(|order| match OrderRow::from(order) {
            OrderRow::Order(fields) => Some(fields),
            _ => None,
        });
        let fields = CaseFields {
            owner: self.owner.clone(),
            order: order.flatten(),
            payments: self.payments.clone(),
            users: self.users.clone(),
        };
        postcard::to_allocvec(&fields).map_err(io::Error::other)
    }

    pub(super) fn read(bytes: &[u8]) -> io::Result<Self> {
        let CaseFields { owner, order, payments, users } = decode(bytes)?;
        Ok(Self { owner, order: order.map(OrderRecord::of_fields), payments, users })
    }
}

/// What came of a case.
#[derive(Debug, Default)]
pub(super) struct CaseDecision {
    pub(super) told: Vec<Discrepancy>,
    pub(super) counted: Vec<Unremarkable>,
    /// Payments that the next run has to look at again.
    pub(super) carried: Vec<(Box<str>, CarriedRow)>,
}
