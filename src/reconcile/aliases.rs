//! Which payments aliases stand for, remembered from run to run: each is asked about once, and not by every run that has its order.

use std::io;
use std::path::Path;

use crate::payment::alias::AliasState;
use crate::payment::facts::ProviderPayment;

use super::left::NextFile;
use super::merge::{KeyGroups, Merge};
use super::rows::{Gathered, PaymentRow};
use super::run_file::{decode, row};
use super::sort::Sorter;

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

/// Writes what happened to payments under the aliases by which orders name them, too, since they are judged under those. Of runs of
/// changes and of look-ups, which say what an alias stands for.
pub(super) fn changes_by_alias(folder: &Path, runs: &[Box<str>], memory: usize) -> io::Result<Vec<Box<str>>> {
    let mut groups = KeyGroups::of(Merge::open(folder, "alias-changes-input", runs)?);
    let mut changes = Sorter::new(folder, "alias-changes", memory, Vec::new());
    while groups.advance()? {
        let rows = groups.values().map(decode).collect::<io::Result<Vec<PaymentRow>>>()?;
        let aliases = rows.iter().filter_map(|row| match row {
            PaymentRow::HasAlias(alias) => Some(alias),
            _ => None,
        });
        for alias in aliases {
            for change in rows.iter().filter(|row| matches!(row, PaymentRow::Changed(_))) {
                changes.add(alias.as_bytes(), &row(change)?)?;
            }
        }
    }
    changes.finish()
}
