//! All that was found of one payment, and whether it can still become valid.

use std::fmt;

use crate::accessors::getters;
use crate::payment::facts::PaymentStatus;

use super::finding::Finding;

/// Every mismatch that was found; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Findings {
    /// Of its first size: making it fit costs more than all else that is done with it.
    list: Vec<Finding>,
    is_final: bool,
}

impl Findings {
    /// What was found of a payment of this status.
    pub(crate) fn of(list: Vec<Finding>, status: &PaymentStatus) -> Self {
        let is_over = matches!(status, PaymentStatus::Paid | PaymentStatus::Canceled);
        let is_final = list.iter().any(|finding| finding.is_final(is_over));
        Self { list, is_final }
    }

    /// Goes through the findings.
    pub fn iter(&self) -> std::slice::Iter<'_, Finding> {
        self.list.iter()
    }

    getters! {
        /// How many there are.
        pub fn len(&self) -> usize => self.list.len();

        /// Whether there is none, which no verdict of `Invalid` has.
        pub fn is_empty(&self) -> bool => self.list.is_empty();

        /// Whether this payment can never become valid for this claim. Only then cancel the order for it.
        ///
        /// A payment whose card was declined can be paid with another one, metadata can be corrected, a dispute won, a
        /// review approved, a capture follow, a refund fail, and a payment that was made just now be found: none of these is
        /// final. Canceled, of the wrong mode, too old, or paid with another amount or currency is; so is refunded where the
        /// provider states that no refund is pending or failed.
        pub fn is_final(&self) -> bool => self.is_final;
    }

    /// Whether a finding has this code.
    #[must_use]
    pub fn has(&self, code: &str) -> bool {
        self.iter().any(|finding| finding.code() == code)
    }

    /// Their codes, for the client of an API. What the provider states may be about another shopper: it is for the log.
    pub(crate) fn public_details(&self) -> serde_json::Value {
        serde_json::json!({ "findings": self.iter().map(Finding::code).collect::<Vec<_>>() })
    }
}

impl AsRef<[Finding]> for Findings {
    fn as_ref(&self) -> &[Finding] {
        &self.list
    }
}

impl<'f> IntoIterator for &'f Findings {
    type Item = &'f Finding;
    type IntoIter = std::slice::Iter<'f, Finding>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, finding) in self.iter().enumerate() {
            let comma = if at == 0 { "" } else { "; " };
            write!(f, "{comma}{finding}")?;
        }
        Ok(())
    }
}
