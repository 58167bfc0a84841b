//! What a redemption leaves behind.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::intent::PaymentId;

/// Who a payment belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Owner {
    pub(super) tenant: Box<str>,
    pub(super) order: Box<str>,
    pub(super) part: Option<Box<str>>,
}

/// Says that a payment belongs to an order. The same payment and order always get the same one.
///
/// Keep it with the order: it is what [`Validator::release`](crate::Validator::release) takes. Serialisable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    pub(super) payment: PaymentId,
    pub(super) owner: Owner,
    pub(super) number: [u8; 16],
}

impl Receipt {
    /// The payment.
    #[must_use]
    pub fn payment(&self) -> &PaymentId {
        &self.payment
    }

    /// The tenant whose order is paid.
    #[must_use]
    pub fn tenant(&self) -> &str {
        &self.owner.tenant
    }

    /// The order that is paid.
    #[must_use]
    pub fn order(&self) -> &str {
        &self.owner.order
    }

    /// The part of the order that is paid, where the caller named one.
    #[must_use]
    pub fn part(&self) -> Option<&str> {
        self.owner.part.as_deref()
    }
}

/// A redemption, as the store holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redemption {
    pub(super) receipt: Receipt,
    pub(super) age: Duration,
}

impl Redemption {
    /// The receipt that was given out.
    #[must_use]
    pub fn receipt(&self) -> &Receipt {
        &self.receipt
    }

    /// How long ago that was, by the store's clock.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.age
    }
}
