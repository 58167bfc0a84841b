//! What earlier runs told: what stands as they told it is not told again.
//!
//! An entry says which discrepancy it is, by class, payment, order and findings, and where the window began in which it was told.
//! It is kept for as long as each run sees that the discrepancy stands, or lists its order and does not ask how the payment stands:
//! what was mended, and is wrong again, is news.

use serde::{Deserialize, Serialize};

use super::discrepancy::Discrepancy;

/// What there is to say of one discrepancy, in the order in which it is read.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ToldRow {
    /// A run told it whose window began then.
    Told(u64),
    /// It stands, and its last change is not of this run to tell.
    Standing,
    /// This run found it.
    Found(Vec<u8>),
    /// Under the payment alone: this run does not know how it stands.
    Unseen,
}

/// What the identities of a payment's discrepancies begin with.
pub(super) fn of_payment(payment: &str) -> Vec<u8> {
    [payment.as_bytes(), b"\0"].concat()
}

impl Discrepancy {
    /// What makes it the same as one of another run.
    pub(super) fn identity(&self) -> Vec<u8> {
        let mut identity = of_payment(self.payment.as_deref().unwrap_or_default());
        let (tenant, order) = self.owner.as_ref().map_or(("", ""), |(tenant, order)| (tenant, order));
        let findings = self.findings.iter().map(|code| &**code);
        for text in [tenant, order, self.class.code()].into_iter().chain(findings) {
            identity.extend_from_slice(text.as_bytes());
            identity.push(0);
        }
        identity
    }
}
