//! What the two records of a redemption hold: which order a payment pays, and which payment pays an order.

use serde::{Deserialize, Serialize};

use crate::ledger::{Held, LedgerError, Nonce, Versioned};

use super::receipt::Owner;

/// What the order's record holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Payer {
    /// Where the payment's record stands: it may be another provider's.
    pub(super) record: [u8; 32],
    pub(super) payment: Box<str>,
    pub(super) claim: Nonce,
}

impl Versioned<'_> for Payer {}

pub(super) fn owner_in(held: &Held) -> Result<Owner, LedgerError> {
    held.payload("holds no redemption")
}

pub(super) fn payer_in(held: &Held) -> Result<Payer, LedgerError> {
    held.payload("holds no redemption")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::golden::is_golden;
    use crate::ledger::{RecordKind, State};

    #[test]
    fn golden_files_hold_what_is_written_of_orders() {
        let payer = Payer { record: [0x66; 32], payment: "pi_1".into(), claim: Nonce::of([0x77; 16]) };
        is_golden(RecordKind::Order, 1, "paid", State::Settled, false, &payer);
    }
}
