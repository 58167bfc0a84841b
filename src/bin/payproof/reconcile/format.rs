//! How discrepancies are written to standard output: as a table, as JSON lines, or as CSV.

use std::io::{self, BufWriter, Write};

use clap::ValueEnum;
use payproof::reconcile::{Discrepancy, Reconciliation};

use crate::output::is_read;
use crate::trouble::Trouble;

use super::{table, times};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// For people: how many of each class, with sums, and the first discrepancies
    Table,
    /// One JSON object per discrepancy
    Jsonl,
    /// With a header row; a cell that a spreadsheet would take for a formula has an apostrophe before it
    Csv,
}

const COLUMNS: [&str; 11] =
    ["class", "at", "payment", "tenant", "order", "amount", "currency", "findings", "confirmed", "recent", "known"];

impl ReportFormat {
    /// Writes the report to standard output. False where it was not read to its end.
    pub(crate) fn print(self, report: &Reconciliation) -> Result<bool, Trouble> {
        let mut out = BufWriter::new(io::stdout().lock());
        let written = match self {
            Self::Table => table::write(report, &mut out),
            Self::Jsonl => json_lines(report, &mut out),
            Self::Csv => csv(report, &mut out),
        };
        is_read(written.and_then(|()| out.flush()))
    }
}

fn json_lines(report: &Reconciliation, out: &mut dyn Write) -> io::Result<()> {
    for told in report.discrepancies() {
        serde_json::to_writer(&mut *out, &told?)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

fn csv(report: &Reconciliation, out: &mut dyn Write) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(COLUMNS).map_err(io::Error::from)?;
    for told in report.discrepancies() {
        writer.write_record(cells(&told?).map(harmless)).map_err(io::Error::from)?;
    }
    writer.flush()
}

/// In the order of the columns.
fn cells(told: &Discrepancy) -> [String; 11] {
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let money = told.money();
    [
        told.class().code().to_owned(),
        times::shown(told.at()),
        text(told.payment()),
        text(told.tenant()),
        text(told.order()),
        money.map(|money| money.amount()).unwrap_or_default(),
        money.map(|money| money.currency().to_string()).unwrap_or_default(),
        told.findings().join("; "),
        told.is_confirmed().to_string(),
        told.is_recent().to_string(),
        text(told.known()),
    ]
}

/// A cell that no spreadsheet takes for a formula: an order's number is a text of the shopper's where a shop lets it be.
fn harmless(mut cell: String) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        cell.insert(0, '\'');
    }
    cell
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_that_begins_like_a_formula_gets_an_apostrophe() {
        for cell in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"] {
            assert_eq!(harmless(cell.to_owned()), format!("'{cell}"));
        }
        for cell in ["", "6735", "19.99", "'=1", "a=1"] {
            assert_eq!(harmless(cell.to_owned()), cell);
        }
    }
}
