//! An order with all its payments, read one by one: there may be more than memory should hold.

use std::io;

use super::case::Case;
use super::decided::DecidedCases;
use super::judge::CaseJudge;
use super::merge::Merge;
use super::order::OrderRecord;
use super::rows::{CasePayment, OrderRow, owner_of};
use super::run_file::decode;

/// More payments than these are not one order's: their metadata names the same for all, as `undefined`.
const MOST_PAYMENTS: usize = 1000;

/// What was read of one order.
struct OrderGroup<'j> {
    judge: &'j CaseJudge,
    case: Case,
    is_unusable: bool,
    /// Of too many payments when the latest of them changed; they are not kept.
    crowded: Option<u64>,
}

impl CaseJudge {
    /// Judges the order that is next, with all its payments.
    pub(super) fn judge_next(&self, merge: &mut Merge, decided: &mut DecidedCases) -> io::Result<()> {
        let Some(key) = merge.head().map(|(key, _)| key.to_vec()) else { return Ok(()) };
        let owner = owner_of(&key).map(|(tenant, order)| (tenant.into(), order.into()));
        let case = Case { owner, ..Case::default() };
        let mut group = OrderGroup { judge: self, case, is_unusable: false, crowded: None };
        while let Some((_, value)) = merge.head().filter(|(next, _)| *next == key.as_slice()) {
            group.add(&key, decode(value)?, decided)?;
            merge.advance()?;
        }
        group.finish(decided)
    }
}

impl OrderGroup<'_> {
    /// Takes a row in. Rows come in the order of their variants: what the shop says of the order, and then its payments.
    fn add(&mut self, key: &[u8], row: OrderRow, decided: &mut DecidedCases) -> io::Result<()> {
        match row {
            OrderRow::Order(fields) => {
                let order = OrderRecord::of_fields(fields);
                // Of several lines of one order the latest counts.
                if self.case.order.as_ref().is_none_or(|known| known.latest() <= order.latest()) {
                    self.case.owner = Some((order.tenant.clone(), order.order.clone()));
                    self.case.order = Some(order);
                }
                Ok(())
            }
            OrderRow::Unusable(payment) => {
                self.is_unusable = true;
                decided.add_unusable(self.judge, key, &self.case, payment)
            }
            OrderRow::WasUnusable => {
                self.case.was_unusable = true;
                Ok(())
            }
            OrderRow::Payment(payment) => self.add_payment(*payment, decided),
            OrderRow::Redeemed(..) => Ok(()),
        }
    }

    fn add_payment(&mut self, payment: CasePayment, decided: &mut DecidedCases) -> io::Result<()> {
        if self.case.order.is_none() {
            // Where no more than its line is known to be unusable, the order may be there.
            if self.is_unusable {
                return decided.carry_unjudged(self.judge, &payment);
            }
            let owner = self.case.owner.clone();
            return decided.take(self.judge, &Case { owner, ..Case::of_payment(payment) });
        }
        if let Some(latest) = &mut self.crowded {
            *latest = self.judge.latest_of(&payment).unwrap_or(0).max(*latest);
            return decided.carry(self.judge, &payment);
        }
        self.case.payments.push(payment);
        if self.case.payments.len() > MOST_PAYMENTS {
            let payments = std::mem::take(&mut self.case.payments);
            self.crowded = payments.iter().filter_map(|payment| self.judge.latest_of(payment)).max().or(Some(0));
            for payment in &payments {
                decided.carry(self.judge, payment)?;
            }
        }
        Ok(())
    }

    fn finish(self, decided: &mut DecidedCases) -> io::Result<()> {
        match self.crowded {
            Some(latest) => decided.add(self.judge.crowded(&self.case, latest), &Case::default()),
            None if self.case.order.is_some() => decided.take(self.judge, &self.case),
            None => Ok(()),
        }
    }
}
