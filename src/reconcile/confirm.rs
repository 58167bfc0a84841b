//! Judges again what was found, by facts that are asked for afresh: list and export are of different moments.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::case::Case;
use super::decided::{DecisionNotes, FoundCases};
use super::discrepancy::Discrepancy;
use super::judge::own_id;
use super::merge::{KeyGroups, Merge};
use super::passes::Passes;
use super::rows::{CasePayment, Gathered};
use super::run_file::{decode, row};
use super::sort::Sorter;
use super::told::ToldRow;

/// What is confirmed: the payments that are looked up, and how many of the discrepancies they are for.
#[derive(Debug, Default)]
pub(super) struct Confirmable {
    pub(super) payments: BTreeSet<Box<str>>,
    first: u64,
}

/// What was asked for afresh.
#[derive(Debug, Default)]
pub(super) struct FreshFacts {
    payments: BTreeMap<Box<str>, CasePayment>,
    /// Redemptions whose orders the shop does not list as paid, by payment.
    redeemed: BTreeMap<Box<str>, (Box<str>, Box<str>)>,
}

impl Passes {
    /// Which payments confirm what was found, from the first discrepancy of the report on, within the limit.
    pub(super) fn find_what_confirms(&self, found: &FoundCases, limit: usize) -> io::Result<Confirmable> {
        let mut confirmable = Confirmable::default();
        self.each_found(found, |_, case| {
            let asked = case.payments.iter().filter(|payment| !payment.is_fresh && !payment.is_taken);
            let asked: Vec<Box<str>> = asked.map(|payment| payment.id.clone()).collect();
            let new = asked.iter().filter(|id| !confirmable.payments.contains(*id)).count();
            if confirmable.payments.len().saturating_add(new) > limit {
                return Ok(false);
            }
            confirmable.payments.extend(asked);
            confirmable.first = confirmable.first.saturating_add(1);
            Ok(true)
        })?;
        Ok(confirmable)
    }

    /// Adds what was redeemed.
    pub(super) fn add_redeemed(&self, runs: &[Box<str>], fresh: &mut FreshFacts) -> io::Result<()> {
        let mut groups = KeyGroups::of(Merge::open(&self.folder, "fresh-input", runs)?);
        while groups.advance()? {
            let CasePayment { id, redeemed, .. } = Gathered::of(groups.key(), groups.values())?.payment;
            fresh.redeemed.extend(redeemed.map(|owner| (id, owner)));
        }
        Ok(())
    }

    /// Reads what was looked up.
    pub(super) fn fresh(&self, runs: &[Box<str>]) -> io::Result<FreshFacts> {
        let mut groups = KeyGroups::of(Merge::open(&self.folder, "fresh-input", runs)?);
        let mut fresh = FreshFacts::default();
        while groups.advance()? {
            let payment = Gathered::of(groups.key(), groups.values())?.payment;
            fresh.payments.insert(payment.id.clone(), payment);
        }
        Ok(fresh)
    }

    /// The payments that the store is asked about, since they would be told to be without an order that is paid.
    pub(super) fn find_what_is_redeemed(
        &self,
        found: &FoundCases,
        confirmable: &Confirmable,
        fresh: &FreshFacts,
    ) -> io::Result<Vec<Box<str>>> {
        let (mut asked, mut index) = (Vec::new(), 0_u64);
        self.each_found(found, |_, mut case| {
            if index >= confirmable.first {
                return Ok(false);
            }
            index = index.saturating_add(1);
            fresh.renew(&mut case);
            let told = self.judge.decide(&case).told;
            asked.extend(
                told.into_iter()
                    .filter(|told| told.class.may_mend_itself())
                    .filter_map(|discrepancy| discrepancy.payment),
            );
            Ok(true)
        })?;
        Ok(asked)
    }

    /// Judges again, and sorts what is left by what it is.
    pub(super) fn confirm(
        &self,
        found: &mut FoundCases,
        confirmable: &Confirmable,
        fresh: &FreshFacts,
    ) -> io::Result<Vec<Box<str>>> {
        let mut noted = DecisionNotes::after(&self.folder, self.memory, found);
        let mut confirmed = Sorter::new(&self.folder, "confirmed", self.memory / 4, Vec::new());
        let mut index = 0_u64;
        self.each_found(found, |discrepancy, mut case| {
            index = index.saturating_add(1);
            if index > confirmable.first || case.is_empty() || !fresh.renew(&mut case) {
                confirmed.add(&discrepancy.identity(), &row(&ToldRow::Found(discrepancy.write()?))?)?;
                return Ok(true);
            }
            let mut decision = self.judge.decide(&case);
            for discrepancy in decision.told.drain(..) {
                let discrepancy = Discrepancy { confirmed: true, ..discrepancy };
                confirmed.add(&discrepancy.identity(), &row(&ToldRow::Found(discrepancy.write()?))?)?;
            }
            noted.note(decision)?;
            Ok(true)
        })?;
        noted.finish(found)?;
        confirmed.finish()
    }

    /// Goes through what was found, by its place in the report, for as long as it is wanted.
    fn each_found(
        &self,
        found: &FoundCases,
        mut visit: impl FnMut(Discrepancy, Case) -> io::Result<bool>,
    ) -> io::Result<()> {
        let mut merge = Merge::open(&self.folder, "found-merged", &found.runs)?;
        while let Some((_, value)) = merge.head() {
            let (discrepancy, case): (&[u8], &[u8]) = decode(value)?;
            if !visit(Discrepancy::read(discrepancy)?, Case::read(case)?)? {
                break;
            }
            merge.advance()?;
        }
        Ok(())
    }
}

impl FreshFacts {
    /// Puts what was asked for afresh into a case. False where a look-up of one of its payments failed.
    fn renew(&self, case: &mut Case) -> bool {
        let mut is_renewed = true;
        for payment in &mut case.payments {
            if let Some(fresh) = self.payments.get(&payment.id) {
                is_renewed &= fresh.facts.is_some();
                if fresh.facts.is_some() {
                    (payment.facts, payment.is_fresh, payment.failure) = (fresh.facts.clone(), true, None);
                }
            }
            if let Some(owner) = self.redeemed.get(own_id(payment)) {
                payment.redeemed = Some(owner.clone());
            }
        }
        is_renewed
    }
}
