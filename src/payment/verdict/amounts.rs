//! Numbers that a finding about amounts names.

use std::fmt;

use crate::intent::money::Money;

/// What was claimed, and what the provider states of an amount that includes more than the price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetAmount {
    /// What was claimed.
    pub expected: Money,
    /// What was asked for.
    pub amount: Money,
    /// What of it is a tip that the policy takes off.
    pub tip: Money,
    /// What of it is a surcharge that the policy takes off.
    pub surcharge: Money,
}

impl fmt::Display for NetAmount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}, actual {}", self.expected, self.amount)?;
        let parts = [("tip", self.tip), ("surcharge", self.surcharge)];
        for (name, part) in parts.into_iter().filter(|(_, part)| !part.is_zero()) {
            write!(f, " less a {name} of {part}")?;
        }
        Ok(())
    }
}

/// What was refunded of a payment. The part of it that was never captured does not count as refunded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefundedAmounts {
    /// What was given back, pending refunds included.
    pub refunded: Money,
    /// What was captured, before that; `None` where the provider does not state it.
    pub captured: Option<Money>,
    /// What the merchant has left of it.
    pub kept: Money,
    /// What of what was given back may still fail and come back; `None` where the provider does not state it.
    pub pending: Option<Money>,
    /// What was to be given back and failed; `None` where the provider does not state it.
    pub failed: Option<Money>,
    /// Whether a part was captured, so that what is stated may be the rest that was not.
    pub(crate) is_of_a_part: bool,
}

impl RefundedAmounts {
    /// Whether it is known to stay with the shopper, so that the payment is never whole again.
    pub(super) fn is_final(&self) -> bool {
        let is_none = |part: Option<Money>| part.is_some_and(|money| money.is_zero());
        !self.is_of_a_part && is_none(self.pending) && is_none(self.failed)
    }
}

impl fmt::Display for RefundedAmounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.refunded)?;
        if let Some(captured) = self.captured {
            write!(f, " of {captured}")?;
        }
        if let Some(pending) = self.pending.filter(|part| !part.is_zero()) {
            write!(f, ", {pending} of it pending")?;
        }
        if let Some(failed) = self.failed.filter(|part| !part.is_zero()) {
            write!(f, "; refunds of {failed} failed")?;
        }
        Ok(())
    }
}
