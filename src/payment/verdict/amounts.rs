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

/// What was given back of a payment. What was never captured of it is no part of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GivenBack {
    /// What was given back.
    pub back: Money,
    /// What was captured, before that; `None` where the provider does not state it.
    pub captured: Option<Money>,
    /// What the merchant has left of it.
    pub kept: Money,
}

impl fmt::Display for GivenBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.captured {
            Some(captured) => write!(f, "{} of {captured}", self.back),
            None => write!(f, "{}", self.back),
        }
    }
}
