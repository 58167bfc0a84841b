//! What a redemption leaves behind.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::accessors::getters;
use crate::intent::payment_intent::PaymentId;
use crate::ledger::Versioned;

/// Who a payment belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Owner {
    pub(super) tenant: Box<str>,
    pub(super) order: Box<str>,
    pub(super) part: Option<Box<str>>,
}

impl Versioned<'_> for Owner {}

impl Owner {
    /// The order, and which part of it is paid.
    pub(super) fn order_and_part(&self) -> Box<str> {
        match &self.part {
            Some(part) => format!("{}, part {part}", self.order).into(),
            None => self.order.clone(),
        }
    }
}

/// Says that a payment belongs to an order. The same payment and order always get the same one.
///
/// Keep it with the order: it is what [`Validator::release`](crate::Validator::release) takes. Serializable, and its text
/// form reads back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    pub(super) payment: PaymentId,
    pub(super) owner: Owner,
    pub(super) number: [u8; 16],
}

impl Receipt {
    getters! {
        /// The payment.
        pub fn payment(&self) -> &PaymentId => &self.payment;

        /// The tenant whose order is paid.
        pub fn tenant(&self) -> &str => &self.owner.tenant;

        /// The order that is paid.
        pub fn order(&self) -> &str => &self.owner.order;

        /// The part of the order that is paid, where the caller named one.
        pub fn part(&self) -> Option<&str> => self.owner.part.as_deref();
    }
}

/// As JSON on one line, as `serde_json` writes it: a text to keep with the order.
impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

/// Reads a receipt as it is shown.
impl FromStr for Receipt {
    type Err = InvalidReceipt;

    fn from_str(text: &str) -> Result<Self, InvalidReceipt> {
        serde_json::from_str(text).map_err(|_| InvalidReceipt(()))
    }
}

/// A text that is no [`Receipt`]. It is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a receipt is JSON with the fields payment, owner and number")]
pub struct InvalidReceipt(());

/// A payment that belongs to its order: the receipt, and whether this call bound it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "ship only if this call was the first"]
pub struct Redeemed {
    pub(super) receipt: Receipt,
    pub(super) occasion: Occasion,
}

impl Redeemed {
    getters! {
        /// The receipt, the same for every call for this payment and order.
        pub fn receipt(&self) -> &Receipt => &self.receipt;

        /// Whether this call bound the payment to its order.
        pub fn occasion(&self) -> Occasion => self.occasion;
    }

    /// The receipt alone.
    #[must_use]
    pub fn into_receipt(self) -> Receipt {
        self.receipt
    }
}

/// Whether a call was the one that bound a payment to its order.
///
/// Of all calls for a redemption, in every process that shares the store, at most one is told `First`. It may be none: a
/// call whose reply from the store was lost cannot know whether it bound the payment, and is told `Repeat`, or an error and
/// `Repeat` when it asks again; and a caller may end before it acts on its `First`. [`Within`](super::Redeem::within) a transaction
/// it counts once that is committed. After a [`release`] the payment is redeemed anew, with a `First` of its own. A store that loses a write in a failover may bind the payment twice, and then
/// two calls are told `First`: a UNIQUE column on [`Proof::redemption_key`](crate::Proof::redemption_key) is the last guard.
///
/// [`release`]: crate::Validator::release
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Occasion {
    /// This call bound the payment. No other call was or will be told so.
    First,
    /// The payment was bound before, or it is not known that this call bound it.
    Repeat {
        /// How long ago it was bound, by the store's clock; the whole retention where that clock was set back since, by more
        /// than this.
        age: Duration,
    },
}

/// A redemption, as the store holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redemption {
    pub(super) receipt: Receipt,
    pub(super) age: Duration,
}

impl Redemption {
    getters! {
        /// The receipt that was given out.
        pub fn receipt(&self) -> &Receipt => &self.receipt;

        /// How long ago that was, by the store's clock; the whole retention where that clock was set back since, by
        /// more than this.
        pub fn age(&self) -> Duration => self.age;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::golden::{is_golden, is_golden_json};
    use crate::ledger::{RecordKind, State};

    #[test]
    fn golden_files_hold_what_is_written_of_redemptions_and_receipts() {
        for (part, variant) in [(None, "whole"), (Some("parcel 2"), "part")] {
            let owner = Owner { tenant: "store_42".into(), order: "6735".into(), part: part.map(Into::into) };
            for (state, name) in [(State::Claimed, "claimed"), (State::Settled, "settled")] {
                is_golden(RecordKind::Payment, 1, &format!("{name}_{variant}"), state, false, &owner);
            }
            let payment = PaymentId::parse("pi_3MtwBwLkdIwHu7ix28a3tqPa").unwrap();
            is_golden_json(&format!("receipt_{variant}"), &Receipt { payment, owner, number: [0x11; 16] });
        }
        is_golden(RecordKind::Payment, 1, "void", State::Void, false, &());
    }
}
