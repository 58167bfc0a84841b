//! Which payments aliases stand for, remembered from run to run: each is asked about once, and not by every run that has its order.

use std::io;

use crate::payment::alias::AliasState;
use crate::payment::facts::ProviderPayment;

use super::left::NextFile;
use super::rows::{Gathered, PaymentRow};
use super::run_file::row;

impl NextFile {
    /// Remembers what an alias stands for, as long as an order names it. How one stands that ended without a payment is asked again
    /// where the shop says that its order is paid.
    pub(super) fn remember(&mut self, alias: &Gathered) -> io::Result<()> {
        let facts = alias.payment.facts.as_ref().filter(|facts| facts.id != alias.payment.id);
        let Some(own) = facts.map(|facts| facts.id.clone()).or_else(|| alias.stands_for.clone()) else { return Ok(()) };
        let is_paid = alias.named_by.iter().any(|by| by.is_paid);
        if alias.named_by.is_empty() || (own == alias.payment.id && is_paid) {
            return Ok(());
        }
        self.write(alias.payment.id.as_bytes(), &row(&PaymentRow::StandsFor(own))?)
    }
}

/// Whether facts are those of an alias that has ended without a payment. One that has not may still come to one.
pub(super) fn is_without_payment(alias: &str, facts: &ProviderPayment) -> bool {
    let state = facts.alias.as_ref().map_or(AliasState::Open, |alias| alias.state);
    *facts.id == *alias && !matches!(state, AliasState::Open | AliasState::Complete)
}
