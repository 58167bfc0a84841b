//! CSV with a header row.

use std::io::{self, Read};

use crate::trouble::Trouble;

use super::claim::{FIELDS, LineClaim, LineError, REQUIRED};
use super::line::{InputLines, Line, Lines, too_long, unreadable};
use super::records::{CsvRecord, CsvRecords, Fields, Flaw};
use super::text::{InputText, LONGEST_LINE, is_line_end};

pub(crate) struct CsvLines<R> {
    records: CsvRecords<R>,
    columns: Vec<Column>,
}

/// What the header row says of a column.
struct Column {
    name: String,
    /// The field that it holds, unless it is passed over.
    field: Option<&'static str>,
}

impl<R: Read> CsvLines<R> {
    /// Reads the header row. Without one there is nothing at all.
    pub(crate) fn open(text: InputText<R>, delimiter: u8, ignore_unknown: bool) -> Result<Self, Trouble> {
        let mut records = CsvRecords::new(text, delimiter);
        let columns = match records.next().map_err(|error| unreadable(&error))? {
            None => Vec::new(),
            Some(record) => {
                let header = record.fields.map_err(|flaw| {
                    let rule = refusal(flaw, record.line, &[]).rule;
                    Trouble::new(format!("the header row cannot be used: {rule}"))
                })?;
                columns(header, ignore_unknown)?
            }
        };
        records.width = Some(columns.len());
        Ok(Self { records, columns })
    }
}

impl<R: Read> InputLines for CsvLines<R> {
    fn next(&mut self) -> io::Result<Option<Line>> {
        let Some(CsvRecord { line, fields }) = self.records.next()? else { return Ok(None) };
        let claim = match fields {
            Ok(fields) => claim(&self.columns, fields),
            Err(flaw) => Err(refusal(flaw, line, &self.columns)),
        };
        Ok(Some(Line { number: line, claim }))
    }

    fn is_drained(&self) -> bool {
        self.records.is_drained()
    }

    fn lines(&self) -> Lines {
        let [read, blank, continued] = self.records.lines();
        Lines { read, header: u64::from(!self.columns.is_empty()), blank, continued }
    }
}

/// A comma, unless the header row has none and has another of the usual ones.
pub(super) fn delimiter(start: &[u8]) -> u8 {
    let header = start.trim_ascii_start().split(|byte| is_line_end(*byte)).next().unwrap_or_default();
    [b',', b';', b'\t'].into_iter().find(|delimiter| header.contains(delimiter)).unwrap_or(b',')
}

fn columns(header: Fields<'_>, ignore_unknown: bool) -> Result<Vec<Column>, Trouble> {
    let mut columns: Vec<Column> = Vec::new();
    for name in header {
        let name = String::from_utf8_lossy(name).trim().to_ascii_lowercase();
        let field = FIELDS.into_iter().find(|field| *field == name);
        let name: String = name.chars().filter(|c| !c.is_control()).take(40).collect();
        if field.is_none() && !ignore_unknown {
            let known = FIELDS.join(", ");
            return Err(Trouble::new(format!(
                "the CSV column `{name}` is not one of {known}; rename it, or say --ignore-unknown (JSON lines start with \
                 `{{`, or say --input jsonl)"
            )));
        }
        if let Some(name) = field.filter(|_| columns.iter().any(|column| column.field == field)) {
            return Err(Trouble::new(format!("the CSV column `{name}` is there twice; leave one out")));
        }
        columns.push(Column { name, field });
    }
    let missing: Vec<&str> =
        REQUIRED.into_iter().filter(|name| columns.iter().all(|column| column.field != Some(*name))).collect();
    if missing.is_empty() {
        return Ok(columns);
    }
    let missing = missing.join(", ");
    Err(Trouble::new(format!("the CSV header row lacks {missing}; the first row must name the columns")))
}

fn claim(columns: &[Column], fields: Fields<'_>) -> Result<LineClaim, LineError> {
    let mut claim = LineClaim::default();
    for (column, value) in columns.iter().zip(fields) {
        let Some(name) = column.field else { continue };
        let value = std::str::from_utf8(value).map_err(|_| LineError::field(name, "must be UTF-8"))?;
        if let Some(place) = claim.field(name) {
            *place = Some(value.to_owned()).filter(|value| !value.is_empty());
        }
    }
    Ok(claim)
}

/// Says what is wrong with the line of this number, and in which column.
fn refusal(flaw: Flaw, own: u64, columns: &[Column]) -> LineError {
    let width = columns.len();
    let (column, rule) = match flaw {
        Flaw::TooLong => return too_long(),
        Flaw::Columns { found, quoted: None } => {
            return LineError::line(format!("the line has {found} columns, and the header row has {width}"));
        }
        Flaw::Columns { found, quoted: Some(column) } => (
            column,
            format!("runs over the end of its line, and makes {found} columns where the header row has {width}"),
        ),
        Flaw::Unclosed { column } if width == 0 => (column, "is not closed on its line".to_owned()),
        Flaw::Unclosed { column } => {
            (column, format!("is not closed by the end of the input, nor within {LONGEST_LINE} bytes"))
        }
        Flaw::TextAfterQuote { column, line } if line == own => (column, "is closed, and text follows".to_owned()),
        Flaw::TextAfterQuote { column, line } => (column, format!("is closed on line {line} only, and text follows")),
        Flaw::RunsOver { column, line } => {
            (column, format!("runs over the end of its line, and line {line} could be one of its own"))
        }
    };
    let named = columns.get(column);
    let name = named.map(|column| format!(" `{}`", column.name)).unwrap_or_default();
    let rule = format!("the quote that opens column {}{name} {rule}", column.saturating_add(1));
    match named.and_then(|column| column.field) {
        Some(field) => LineError::field(field, rule),
        None => LineError::line(rule),
    }
}
