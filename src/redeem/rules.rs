//! Who may have a payment, and what is answered. Decided here alone, whichever way the records are written.
//!
//! An order's record counts only while the payment's record that it names is claimed or settled for this order.

use std::time::Duration;

use crate::intent::payment_intent::PaymentId;
use crate::ledger::{Held, LedgerError, Nonce, State};

use super::error::RedeemError;
use super::receipt::{Occasion, Owner, Receipt, Redeemed};
use super::records::owner_in;

/// How far a payment's record stands in the way of another binding.
pub(super) enum Hold {
    /// The payment is used.
    Settled,
    /// A call is about to settle it, and is protected for so long.
    UnderWay(Duration),
    /// A call was about to settle it, and its lease is over. It may still do so as long as the record is there.
    Lapsed,
    /// It counts as absent.
    Void,
}

impl Hold {
    /// For the payment itself.
    pub(super) fn of(found: &Held) -> Self {
        match found.record.state {
            State::Settled => Self::Settled,
            State::Claimed if found.lease_left().is_zero() => Self::Lapsed,
            State::Claimed => Self::UnderWay(found.lease_left()),
            State::Failed | State::Void => Self::Void,
        }
    }

    /// For the order of `owner`, whose record names this payment's.
    pub(super) fn of_payer(found: &Held, owner: &Owner) -> Result<Self, LedgerError> {
        Ok(match Self::of(found) {
            Self::Void => Self::Void,
            _ if owner_in(found)? != *owner => Self::Void,
            hold => hold,
        })
    }
}

/// The answer of a record by which the payment is used.
pub(super) fn used(payment: &PaymentId, owner: &Owner, found: &Held) -> Result<Redeemed, RedeemError> {
    let holder = owner_in(found)?;
    if holder != *owner {
        return Err(already_redeemed(&holder, owner));
    }
    Ok(redeemed(payment, owner, found.record.nonce, Occasion::Repeat { age: found.told_age() }))
}

pub(super) fn redeemed(payment: &PaymentId, owner: &Owner, claim: Nonce, occasion: Occasion) -> Redeemed {
    let receipt = Receipt { payment: payment.clone(), owner: owner.clone(), number: claim.into_bytes() };
    Redeemed { receipt, occasion }
}

pub(super) fn already_redeemed(holder: &Owner, owner: &Owner) -> RedeemError {
    let by = (holder.tenant == owner.tenant).then(|| holder.order_and_part());
    RedeemError::AlreadyRedeemed { by }
}
