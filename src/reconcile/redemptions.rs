//! What the store says of payments: for which orders they were redeemed, and whether the shop lists those as paid.

use std::io;
use std::sync::Arc;

use crate::intent::payment_intent::PaymentId;
use crate::redeem::RedeemError;
use crate::validator::Validator;

use super::error::ReconcileError;
use super::folder::WorkFolder;
use super::judge::own_id;
use super::merge::{KeyGroups, Merge};
use super::off_thread;
use super::order::{OrderRecord, OrderState};
use super::passes::Passes;
use super::rows::{Gathered, OrderRow, PaymentRow, owner_of};
use super::run_file::{decode, row};
use super::sort::Sorter;
use super::spool::{BY_ORDER, ORDERS};

/// So many payments are read at a time.
const BATCH: usize = 1000;

/// What the store was asked, and why that is not all.
pub(super) struct RedemptionsAsked {
    /// Redemptions whose orders the shop does not list as paid, by payment.
    pub(super) runs: Vec<Box<str>>,
    pub(super) missing: Option<Box<str>>,
}

/// Asks the store about payments, batch by batch.
pub(super) async fn ask<B>(
    validator: &Validator,
    folder: &Arc<WorkFolder>,
    passes: &Passes,
    name: &'static str,
    mut payments: B,
) -> Result<RedemptionsAsked, ReconcileError>
where
    B: FnMut() -> io::Result<Vec<Box<str>>> + Send + 'static,
{
    let mut redeemed = Sorter::new(folder.path(), name, passes.memory / 8, Vec::new());
    let mut missing = None;
    'asking: loop {
        let (batch, next) = off_thread(folder, move |_| Ok((payments()?, payments))).await?;
        payments = next;
        if batch.is_empty() {
            break;
        }
        for id in batch {
            let Ok(payment) = PaymentId::parse(&id) else { continue };
            match validator.redemption(&payment).await {
                Ok(Some(redemption)) => {
                    let receipt = redemption.receipt();
                    let owner = passes.judge.key_of(receipt.tenant(), receipt.order());
                    redeemed.add(&owner, &row(&OrderRow::Redeemed(id, receipt.tenant().into()))?)?;
                }
                Ok(None) => {}
                // Redemptions need a store that every process sees: without one there are none.
                Err(RedeemError::StoreNotShared) => break 'asking,
                Err(error) => {
                    let text = format!("redemptions: the store could not be asked: {}", error.code());
                    missing = Some(text.into());
                    break 'asking;
                }
            }
        }
    }
    let passes = passes.clone();
    let runs = off_thread(folder, move |_| passes.redeemed_without_order(redeemed)).await?;
    Ok(RedemptionsAsked { runs, missing })
}

impl Passes {
    /// Leaves the redemptions whose orders the shop does not list as paid.
    fn redeemed_without_order(&self, redeemed: Sorter) -> io::Result<Vec<Box<str>>> {
        let mut runs = redeemed.finish()?;
        if runs.is_empty() {
            return Ok(runs);
        }
        runs.push(format!("{ORDERS}/{BY_ORDER}").into());
        let mut groups = KeyGroups::of(Merge::open(&self.folder, "redeemed-input", &runs)?);
        let mut unlisted = Sorter::new(&self.folder, "redeemed-without-order", self.memory / 8, Vec::new());
        while groups.advance()? {
            let (mut is_paid, mut found) = (false, Vec::new());
            for value in groups.values() {
                match decode(value)? {
                    // What is cancelled or refunded by now was paid before.
                    OrderRow::Order(fields) => is_paid |= OrderRecord::of_fields(fields).state != OrderState::Open,
                    OrderRow::Redeemed(payment, tenant) => found.push((payment, tenant)),
                    OrderRow::Unusable(_) | OrderRow::WasUnusable | OrderRow::Payment(_) => {}
                }
            }
            let Some((_, order)) = owner_of(groups.key()).filter(|_| !is_paid) else { continue };
            for (payment, tenant) in found {
                unlisted.add(payment.as_bytes(), &row(&PaymentRow::Redeemed(tenant, order.into()))?)?;
            }
        }
        unlisted.finish()
    }

    /// Every payment with which money was moved, batch by batch.
    pub(super) fn with_money(&self) -> io::Result<impl FnMut() -> io::Result<Vec<Box<str>>> + Send + 'static> {
        let mut groups = KeyGroups::of(Merge::open(&self.folder, "money-input", &self.by_payment)?);
        Ok(move || {
            let mut batch = Vec::new();
            while batch.len() < BATCH && groups.advance()? {
                let payment = Gathered::of(groups.key(), groups.values())?.payment;
                let facts = payment.facts.as_ref();
                if facts.is_some_and(|facts| facts.amount_received.is_some_and(|received| received > 0)) {
                    batch.push(own_id(&payment).into());
                }
            }
            Ok(batch)
        })
    }
}
