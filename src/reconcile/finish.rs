//! The end of a run: its report, what the next one has to look at again, and an empty folder but for these.

use std::collections::HashMap;
use std::fs;
use std::io;

use super::Reconciler;
use super::class::DiscrepancyClass;
use super::decided::FoundCases;
use super::discrepancy::Discrepancy;
use super::folder::WorkFolder;
use super::judge::CaseJudge;
use super::left::CARRIED;
use super::merge::{KeyGroups, Merge};
use super::report::REPORT;
use super::run_file::RunWriter;
use super::spool::ORDERS;
use super::summary::{ReportTally, Summary};

/// What an acceptance is about.
type Accepted = (DiscrepancyClass, Option<Box<str>>, Option<Box<str>>);

/// Which tenant's it has to be, if one tenant's alone, and why it was accepted.
type OfTenant = (Option<Box<str>>, Box<str>);

/// What a person has accepted, and still does.
#[derive(Debug)]
pub(super) struct Acceptances(HashMap<Accepted, Vec<OfTenant>>);

impl Acceptances {
    pub(super) fn of(reconciler: &Reconciler, orders_as_of: u64) -> Self {
        let known = reconciler.settings.known.iter();
        let holds = known.filter(|known| known.until.is_none_or(|until| orders_as_of < until));
        let mut all: HashMap<Accepted, Vec<_>> = HashMap::new();
        for known in holds.filter(|known| known.payment.is_some() || known.order.is_some()) {
            let about = (known.class, known.payment.clone(), known.order.clone());
            all.entry(about).or_default().push((known.tenant.clone(), known.reason.clone()));
        }
        Self(all)
    }

    /// Why a person has accepted it, if one has.
    pub(super) fn reason(&self, told: &Discrepancy) -> Option<Box<str>> {
        if self.0.is_empty() {
            return None;
        }
        let (class, payment, order) = (told.class, told.payment.clone(), told.order().map(Into::into));
        let about = [(class, payment.clone(), order.clone()), (class, payment, None), (class, None, order)];
        let mut accepted = about.iter().filter_map(|about| self.0.get(about)).flatten();
        let is_of_tenant = |(tenant, _): &&OfTenant| tenant.is_none() || tenant.as_deref() == told.tenant();
        accepted.find(is_of_tenant).map(|(_, reason)| reason.clone())
    }
}

/// Writes the report, and counts it.
pub(super) fn write_report(
    folder: &WorkFolder,
    mut news: Merge,
    summary: &mut Summary,
    judge: &CaseJudge,
) -> io::Result<()> {
    let mut writer = RunWriter::create(&folder.file(REPORT))?;
    let mut tally = ReportTally::new(&judge.lookups.rules.units);
    while let Some((place, value)) = news.head() {
        tally.add(&Discrepancy::read(value)?);
        writer.write(place, value)?;
        news.advance()?;
    }
    writer.finish()?;
    tally.sum_up(summary);
    Ok(())
}

/// Keeps what the next run has to look at again, each payment once.
pub(super) fn write_carried(folder: &WorkFolder, found: &FoundCases) -> io::Result<()> {
    let mut groups = KeyGroups::of(Merge::open(folder.path(), "carried-input", &found.carried)?);
    let mut next = CARRIED.write_next(folder.path())?;
    while groups.advance()? {
        // The greatest counts.
        next.write(groups.key(), groups.values().last().unwrap_or_default())?;
    }
    next.finish()
}

/// Leaves of a finished run its report, and what the next one needs.
pub(super) fn clear_finished(folder: &WorkFolder) -> io::Result<()> {
    clear(folder, Some(REPORT))?;
    fs::remove_dir_all(folder.file(ORDERS))
}

/// Removes the runs of a folder, but for one that is kept.
pub(super) fn clear(folder: &WorkFolder, kept: Option<&str>) -> io::Result<()> {
    for entry in fs::read_dir(folder.path())? {
        let path = entry?.path();
        let is_run = path.extension().is_some_and(|extension| extension == "run");
        if is_run && path.file_name().is_none_or(|name| kept.is_none_or(|kept| name != kept)) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}
