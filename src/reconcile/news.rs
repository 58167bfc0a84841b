//! Leaves of what a run found what no run before told.

use std::collections::BTreeMap;
use std::io;

use super::class::Unremarkable;
use super::discrepancy::Discrepancy;
use super::finish::Acceptances;
use super::left::{NextFile, TOLD};
use super::merge::Merge;
use super::passes::Passes;
use super::run_file::{decode, row};
use super::sort::Sorter;
use super::told::ToldRow;

/// Where the entries of one discrepancy lead.
#[derive(Debug, Default)]
struct Entry {
    identity: Vec<u8>,
    /// Where the window began in which it was told.
    told: Option<u64>,
    /// Whether it stands, or is told now.
    stands: bool,
}

impl Passes {
    /// Leaves of what was found what no run told whose window began before this one's, in the order of the report. The others are
    /// counted. A run that did not see everything forgets nothing.
    pub(super) fn leave_news(
        &self,
        found: &[Box<str>],
        known: &Acceptances,
        is_whole: bool,
        kinds: &mut BTreeMap<Unremarkable, u64>,
    ) -> io::Result<Merge> {
        let runs: Vec<_> = found.iter().cloned().chain(TOLD.known(&self.folder)).collect();
        let mut merge = Merge::open(&self.folder, "told-input", &runs)?;
        let mut report = Sorter::new(&self.folder, "report-input", self.memory / 4, Vec::new());
        let mut next = TOLD.write_next(&self.folder)?;
        let (mut entry, mut unseen) = (Entry::default(), None);
        while let Some((identity, value)) = merge.head() {
            if *identity != *entry.identity {
                entry.write(is_whole, &mut next)?;
                let is_unseen = unseen.as_ref().is_some_and(|payment: &Vec<u8>| identity.starts_with(payment));
                entry = Entry { identity: identity.to_vec(), stands: is_unseen, told: None };
            }
            match decode(value)? {
                ToldRow::Told(since) => entry.told = Some(entry.told.map_or(since, |first| first.min(since))),
                ToldRow::Standing => entry.stands = true,
                ToldRow::Unseen => unseen = Some(identity.to_vec()),
                ToldRow::Found(bytes) => {
                    let mut told = Discrepancy::read(&bytes)?;
                    told.known = known.reason(&told);
                    entry.stands = true;
                    if told.known.is_none() && entry.told.is_some_and(|since| since < self.judge.since) {
                        let count = kinds.entry(Unremarkable::ToldBefore).or_default();
                        *count = count.saturating_add(1);
                    } else {
                        report.add(&told.place(), &told.write()?)?;
                        if told.known.is_none() && !is_nameless(&told) {
                            entry.told.get_or_insert(self.judge.since);
                        }
                    }
                }
            }
            merge.advance()?;
        }
        entry.write(is_whole, &mut next)?;
        next.finish()?;
        report.sorted()
    }
}

impl Entry {
    fn write(&self, is_whole: bool, next: &mut NextFile) -> io::Result<()> {
        match self.told {
            Some(since) if self.stands || !is_whole => next.write(&self.identity, &row(&ToldRow::Told(since))?),
            _ => Ok(()),
        }
    }
}

/// Whether it cannot be told from others of its class.
fn is_nameless(told: &Discrepancy) -> bool {
    told.payment.is_none() && told.owner.is_none()
}
