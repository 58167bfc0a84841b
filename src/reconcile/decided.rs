//! Where decisions go: to files, and into counts.

use std::collections::BTreeMap;
use std::io;
use std::mem::take;
use std::path::Path;

use super::case::{Case, CaseDecision};
use super::class::Unremarkable;
use super::judge::CaseJudge;
use super::left::{NextFile, TOLD, UNUSABLE};
use super::rows::{CarriedRow, CasePayment, OrderRow, PaymentRow};
use super::run_file::row;
use super::sort::Sorter;
use super::told::{ToldRow, of_payment};

/// What the merges found, on the disk, and what they only counted.
#[derive(Debug, Default)]
pub(super) struct FoundCases {
    /// Discrepancies and their cases, by the place in the report.
    pub(super) runs: Vec<Box<str>>,
    pub(super) listed: u64,
    pub(super) kinds: BTreeMap<Unremarkable, u64>,
    /// Payments that the next run looks at again.
    pub(super) carried: Vec<Box<str>>,
    /// Discrepancies that stand, and are not of this run to tell.
    pub(super) standing: Vec<Box<str>>,
}

/// Where decisions go.
pub(super) struct DecidedCases {
    found: Sorter,
    /// Orders whose lines cannot be used, which come in order.
    unusable: NextFile,
    notes: DecisionNotes,
}

/// What decisions have beside what they tell.
pub(super) struct DecisionNotes {
    carried: Sorter,
    /// Where no run before told anything, none needs to know what stands.
    standing: Option<Sorter>,
    kinds: BTreeMap<Unremarkable, u64>,
}

impl DecidedCases {
    /// Sorts into files of a folder, in so much memory.
    pub(super) fn new(folder: &Path, memory: usize) -> io::Result<Self> {
        Ok(Self {
            found: Sorter::new(folder, "found", memory / 4, Vec::new()),
            unusable: UNUSABLE.write_next(folder)?,
            notes: DecisionNotes::after(folder, memory, &mut FoundCases::default()),
        })
    }

    /// Judges a case, and writes down what came of it.
    pub(super) fn take(&mut self, judge: &CaseJudge, case: &Case) -> io::Result<()> {
        self.add(judge.decide(case), case)
    }

    /// Writes down what came of a case, and the case by which it can be judged again.
    pub(super) fn add(&mut self, decision: CaseDecision, case: &Case) -> io::Result<()> {
        for discrepancy in &decision.told {
            let value = row(&(discrepancy.write()?, case.write()?))?;
            self.found.add(&discrepancy.place(), &value)?;
        }
        self.notes.note(decision)
    }

    /// Leaves a payment to the next run if that has to look at it, with nothing to say of it now.
    pub(super) fn carry(&mut self, judge: &CaseJudge, payment: &CasePayment) -> io::Result<()> {
        judge.carried(payment).map_or(Ok(()), |left| self.notes.leave(left))
    }

    /// The same where an order may be there that cannot be read.
    pub(super) fn carry_unjudged(&mut self, judge: &CaseJudge, payment: &CasePayment) -> io::Result<()> {
        judge.carried_unjudged(payment).map_or(Ok(()), |left| self.notes.leave(left))
    }

    /// Tells of a line that cannot be used, and leaves its order, where it names one, to the next run to judge.
    pub(super) fn add_unusable(
        &mut self,
        judge: &CaseJudge,
        key: &[u8],
        case: &Case,
        payment: Option<Box<str>>,
    ) -> io::Result<()> {
        if case.owner.is_some() {
            self.unusable.write(key, &row(&OrderRow::WasUnusable)?)?;
        }
        let told = vec![judge.unusable(case, payment)];
        self.add(CaseDecision { told, ..CaseDecision::default() }, &Case::default())
    }

    /// Everything is written, with so many payments listed.
    pub(super) fn finish(self, listed: u64) -> io::Result<FoundCases> {
        self.unusable.finish()?;
        let mut found = FoundCases { runs: self.found.finish()?, listed, ..FoundCases::default() };
        self.notes.finish(&mut found)?;
        Ok(found)
    }
}

impl DecisionNotes {
    /// Goes on with the notes of an earlier pass.
    pub(super) fn after(folder: &Path, memory: usize, found: &mut FoundCases) -> Self {
        let (carried, standing, kinds) = (take(&mut found.carried), take(&mut found.standing), take(&mut found.kinds));
        let sorter = |name, runs| Sorter::new(folder, name, memory / 8, runs);
        Self {
            carried: sorter("carried-next", carried),
            standing: TOLD.known(folder).map(|_| sorter("standing", standing)),
            kinds,
        }
    }

    /// Writes down what a decision has beside what it tells.
    pub(super) fn note(&mut self, decision: CaseDecision) -> io::Result<()> {
        let CaseDecision { told: _, standing, unseen, counted, carried } = decision;
        for kind in counted {
            let count = self.kinds.entry(kind).or_default();
            *count = count.saturating_add(1);
        }
        if let Some(sorter) = &mut self.standing {
            for discrepancy in &standing {
                sorter.add(&discrepancy.identity(), &row(&ToldRow::Standing)?)?;
            }
            for payment in &unseen {
                sorter.add(&of_payment(payment), &row(&ToldRow::Unseen)?)?;
            }
        }
        carried.into_iter().try_for_each(|left| self.leave(left))
    }

    /// Leaves a payment to the next run.
    fn leave(&mut self, (payment, left): (Box<str>, CarriedRow)) -> io::Result<()> {
        self.carried.add(payment.as_bytes(), &row(&PaymentRow::Carried(left))?)
    }

    /// Everything is written.
    pub(super) fn finish(self, found: &mut FoundCases) -> io::Result<()> {
        found.kinds = self.kinds;
        found.carried = self.carried.finish()?;
        found.standing = self.standing.map_or(Ok(Vec::new()), Sorter::finish)?;
        Ok(())
    }
}
