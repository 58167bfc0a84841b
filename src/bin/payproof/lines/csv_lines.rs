//! CSV with a header row.

use std::io::{self, Read};

use crate::trouble::Trouble;

use super::Wanted;
use super::line::{Line, LineError, LineSource, LineValues, Lines};
use super::records::{CsvRecord, CsvRecords, Fields, Flaw};
use super::text::{InputText, LONGEST_LINE, is_line_end};

pub(super) struct CsvLines<R> {
    records: CsvRecords<R>,
    wanted: &'static Wanted,
    columns: Vec<Column>,
}

/// What the header row says of a column.
struct Column {
    name: String,
    /// The field that it holds, unless it is passed over.
    field: Option<&'static str>,
}

impl<R: Read> CsvLines<R> {
    pub(super) fn new(text: InputText<R>, delimiter: u8, wanted: &'static Wanted) -> Self {
        Self { records: CsvRecords::new(text, delimiter), wanted, columns: Vec::new() }
    }

    /// Comes before all else. Without a header row there is nothing at all.
    pub(super) fn read_header(&mut self, ignore_unknown: bool) -> io::Result<Result<(), Trouble>> {
        let Some(record) = self.records.next()? else { return Ok(Ok(())) };
        let read = match record.fields {
            Ok(header) => columns(header, self.wanted, ignore_unknown),
            Err(flaw) => {
                let rule = refusal(flaw, record.line, &[]).rule;
                Err(Trouble::new(format!("the header row cannot be used: {rule}")))
            }
        };
        Ok(read.map(|columns| {
            self.records.width = Some(columns.len());
            self.columns = columns;
        }))
    }
}

impl<R: Read> LineSource for CsvLines<R> {
    fn next(&mut self) -> io::Result<Option<Line>> {
        let Some(CsvRecord { line, fields }) = self.records.next()? else { return Ok(None) };
        Ok(Some(match fields {
            Ok(fields) => {
                let mut values = LineValues::new(self.wanted);
                let wrong = take(fields, &self.columns, &mut values).err();
                Line { number: line, values, wrong }
            }
            Err(flaw) => Line::unread(line, self.wanted, refusal(flaw, line, &self.columns)),
        }))
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

fn columns(header: Fields<'_>, wanted: &Wanted, ignore_unknown: bool) -> Result<Vec<Column>, Trouble> {
    let mut columns: Vec<Column> = Vec::new();
    for name in header {
        let name = String::from_utf8_lossy(name).trim().to_ascii_lowercase();
        let field = wanted.fields.iter().copied().find(|field| *field == name);
        let name: String = name.chars().filter(|c| !c.is_control()).take(40).collect();
        if field.is_none() && !ignore_unknown {
            let known = wanted.fields.join(", ");
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
    let missing: Vec<&str> = wanted
        .required
        .iter()
        .copied()
        .filter(|name| columns.iter().all(|column| column.field != Some(*name)))
        .collect();
    if missing.is_empty() {
        return Ok(columns);
    }
    let missing = missing.join(", ");
    Err(Trouble::new(format!("the CSV header row lacks {missing}; the first row must name the columns")))
}

/// Reads all that can be read, and says what first could not.
fn take(fields: Fields<'_>, columns: &[Column], values: &mut LineValues) -> Result<(), LineError> {
    let mut taken = Ok(());
    for (column, value) in columns.iter().zip(fields) {
        let Some(field) = column.field else { continue };
        match std::str::from_utf8(value) {
            Ok(value) => values.set(field, value),
            Err(_) => taken = taken.and_then(|()| Err(LineError::field(field, "must be UTF-8"))),
        }
    }
    taken
}

/// Says what is wrong with the line of this number, and in which column.
fn refusal(flaw: Flaw, own: u64, columns: &[Column]) -> LineError {
    let width = columns.len();
    let (column, rule) = match flaw {
        Flaw::TooLong => return LineError::too_long(),
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
