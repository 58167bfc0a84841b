//! The report for people who read it in a terminal.

use std::io::{self, Write};

use payproof::reconcile::{Discrepancy, DiscrepancyClass, ReconcileStatus, Reconciliation, Unremarkable};

use crate::output::{plain, table};

use super::times;

/// Discrepancies of each class that are shown one by one.
const MOST_SHOWN: u64 = 5;

pub(crate) fn write(report: &Reconciliation, out: &mut dyn Write) -> io::Result<()> {
    let classes = classes(report);
    if !classes.is_empty() {
        let mut of_classes = table(["class", "told", "recent", "unconfirmed", "known", "money"]);
        for class in &classes {
            let counts = report.counts().of(*class);
            let numbers = [counts.told, counts.recent, counts.unconfirmed, counts.known].map(|count| count.to_string());
            let [told, recent, unconfirmed, known] = numbers;
            of_classes.add_row([class.code().to_owned(), told, recent, unconfirmed, known, sums(report, *class)]);
        }
        writeln!(out, "{of_classes}\n")?;
    }
    shown(report, out)?;
    writeln!(out, "Only counted: {}", only_counted(report))?;
    writeln!(out, "{}", verdict(report))
}

/// The classes of which there is something.
pub(crate) fn classes(report: &Reconciliation) -> Vec<DiscrepancyClass> {
    let is_there = |class: &DiscrepancyClass| {
        let counts = report.counts().of(*class);
        counts.told > 0 || counts.known > 0
    };
    DiscrepancyClass::ALL.into_iter().filter(is_there).collect()
}

/// What the discrepancies of a class come to: `19.99 USD, 5 EUR`.
pub(crate) fn sums(report: &Reconciliation, class: DiscrepancyClass) -> String {
    let sums = report.sums().filter(|(of, _)| *of == class).map(|(_, sum)| sum.to_string());
    sums.collect::<Vec<_>>().join(", ")
}

/// What there is nothing to tell of: `168 matched, 3 too recent`.
pub(crate) fn only_counted(report: &Reconciliation) -> String {
    let kinds = Unremarkable::ALL.map(|kind| (report.counts().unremarkable(kind), kind.code().replace('_', " ")));
    let kinds = kinds.iter().filter(|(count, _)| *count > 0).map(|(count, kind)| format!("{count} {kind}"));
    Some(kinds.collect::<Vec<_>>().join(", ")).filter(|kinds| !kinds.is_empty()).unwrap_or_else(|| "nothing".to_owned())
}

/// What the report comes to, in a sentence.
pub(crate) fn verdict(report: &Reconciliation) -> String {
    let told = match report.counts().told() {
        0 => "nothing to tell".to_owned(),
        1 => "1 discrepancy".to_owned(),
        told => format!("{told} discrepancies"),
    };
    match report.status() {
        ReconcileStatus::Incomplete => format!("Incomplete: {told}, and there may be more"),
        ReconcileStatus::Found if !report.is_complete() => {
            format!("{told}, and a part that cannot be found out any more")
        }
        _ => format!("Complete: {told}"),
    }
}

fn shown(report: &Reconciliation, out: &mut dyn Write) -> io::Result<()> {
    if report.counts().told() == 0 {
        return Ok(());
    }
    let mut each = table(["class", "at", "payment", "tenant", "order", "money", "findings"]);
    for told in first_of_each(report, MOST_SHOWN) {
        each.add_row(cells(&told?));
    }
    writeln!(out, "{each}\n")?;
    match beyond_first(report, MOST_SHOWN) {
        0 => Ok(()),
        left => writeln!(out, "{left} more: see them with --format csv or --format jsonl\n"),
    }
}

fn cells(told: &Discrepancy) -> [String; 7] {
    let text = |text: Option<&str>| plain(text.unwrap_or("-"));
    let money = told.money().map_or_else(|| "-".to_owned(), |money| money.to_string());
    let (class, at, findings) = (told.class().code().to_owned(), times::shown(told.at()), told.findings().join("; "));
    [class, at, text(told.payment()), text(told.tenant()), text(told.order()), money, plain(&findings)]
}

/// The first of each class, of those that no person has accepted, or why they cannot be read.
pub(crate) fn first_of_each(
    report: &Reconciliation,
    most: u64,
) -> impl Iterator<Item = io::Result<Discrepancy>> + use<> {
    let (mut class, mut of_class) = (None, 0_u64);
    report.discrepancies().filter(move |told| {
        let Ok(told) = told else { return true };
        if told.known().is_some() {
            return false;
        }
        if class.replace(told.class()) != Some(told.class()) {
            of_class = 0;
        }
        of_class = of_class.saturating_add(1);
        of_class <= most
    })
}

/// How many of those are no more among the first of their class.
pub(crate) fn beyond_first(report: &Reconciliation, most: u64) -> u64 {
    let beyond = DiscrepancyClass::ALL.map(|class| report.counts().of(class).told.saturating_sub(most));
    beyond.into_iter().fold(0, u64::saturating_add)
}
