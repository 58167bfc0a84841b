//! CSV with a header row.

use std::io::{self, Read};

use crate::trouble::Trouble;

use super::line::{Line, LineError, LineSource, LineValues, Lines, short};
use super::names::{Names, Need};
use super::records::{CsvRecord, CsvRecords, Fields, Flaw};
use super::text::{InputText, LONGEST_LINE, is_blank, is_line_end};

/// What may stand between columns.
const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];

const NOT_UTF_8: &str = "must be UTF-8; if the whole file is in another encoding, say which: --encoding windows-1252";

pub(super) struct CsvLines<R> {
    records: CsvRecords<R>,
    names: Names,
    columns: Vec<Column>,
    /// Lines before the first payment that say what the others hold.
    header: u64,
}

/// What the header row says of a column.
struct Column {
    name: String,
    /// The field that it holds, unless it is passed over.
    field: Option<&'static str>,
}

impl<R: Read> CsvLines<R> {
    /// Reads the header row. Without one there is nothing at all.
    pub(super) fn open(mut text: InputText<R>, names: Names) -> io::Result<Result<Self, Trouble>> {
        let told = text.take_separator()?;
        let delimiter = match told {
            Some(told) => told,
            None => delimiter(text.look_at_first_line()?, &names),
        };
        let header = u64::from(told.is_some());
        let mut records = CsvRecords::new(text, delimiter, header.saturating_add(1));
        let Some(record) = records.next()? else {
            return Ok(Ok(Self { records, names, columns: Vec::new(), header }));
        };
        let columns = match record.fields {
            Ok(fields) => columns(fields, &names),
            Err(flaw) => {
                let rule = refusal(flaw, record.line, &[]).rule;
                Err(Trouble::new(format!("the header row cannot be used: {rule}")))
            }
        };
        Ok(columns.map(|columns| {
            records.width = Some(columns.len());
            Self { records, names, columns, header: header.saturating_add(1) }
        }))
    }
}

impl<R: Read> LineSource for CsvLines<R> {
    fn next(&mut self) -> io::Result<Option<Line>> {
        let Some(CsvRecord { line, fields }) = self.records.next()? else { return Ok(None) };
        Ok(Some(match fields {
            Ok(fields) => {
                let mut values = LineValues::new(&self.names.fields);
                let wrong = take(fields, &self.columns, &mut values).err();
                Line { number: line, values, wrong }
            }
            Err(flaw) => Line::unread(line, &self.names.fields, refusal(flaw, line, &self.columns)),
        }))
    }

    fn is_drained(&self) -> bool {
        self.records.is_drained()
    }

    fn lines(&self) -> Lines {
        let [read, blank, continued] = self.records.lines();
        Lines { read, header: self.header, blank, continued, passed: 0 }
    }
}

/// The one that, outside of quotes, gives all the columns that are needed; else the one that gives most of those that are known.
fn delimiter(start: &[u8], names: &Names) -> u8 {
    let begin = start.iter().position(|byte| !is_blank(*byte)).unwrap_or_default();
    let header = start.get(begin..).unwrap_or_default().split(|byte| is_line_end(*byte)).next().unwrap_or_default();
    let worth = |delimiter: &u8| {
        let fields: Vec<&str> =
            split(header, *delimiter).iter().filter_map(|name| names.field_of_column(name)).collect();
        let is_there = header.contains(delimiter);
        (names.is_whole(|field| fields.contains(&field)), fields.len(), is_there)
    };
    // Of several that are worth the same, the last would be taken.
    DELIMITERS.into_iter().rev().max_by_key(worth).unwrap_or(b',')
}

/// The columns of a header row by this delimiter; none where they cannot be told.
fn split(header: &[u8], delimiter: u8) -> Vec<String> {
    let Ok(text) = InputText::open(header) else { return Vec::new() };
    let mut records = CsvRecords::new(text, delimiter, 1);
    match records.next() {
        Ok(Some(CsvRecord { fields: Ok(fields), .. })) => {
            fields.map(|name| String::from_utf8_lossy(name).into()).collect()
        }
        _ => Vec::new(),
    }
}

fn columns(header: Fields<'_>, names: &Names) -> Result<Vec<Column>, Trouble> {
    let mut header: Vec<String> = header.map(|name| String::from_utf8_lossy(name).trim().to_owned()).collect();
    // A spreadsheet writes empty ones behind the last where a cell further on was once used.
    while header.last().is_some_and(String::is_empty) {
        header.pop();
    }
    let mut columns: Vec<Column> = Vec::new();
    for name in header {
        let field = names.field_of_column(&name);
        if field.is_some() && columns.iter().any(|column| column.field == field) {
            return Err(Trouble::new(format!("the CSV column `{}` is there twice; leave one out", short(&name))));
        }
        columns.push(Column { name, field });
    }
    let found = |field: &str| columns.iter().any(|column| column.field == Some(field));
    names.refuse_missing(Need::Mapped, found)?;
    let mut unknown = columns.iter().filter(|column| column.field.is_none());
    if let Some(refusal) = unknown.find_map(|column| names.refusal("CSV column", &column.name)) {
        return Err(Trouble::new(format!(
            "{refusal}; rename it, say --map FIELD=COLUMN for the field that it holds, or say --ignore-unknown (JSON lines \
             start with `{{`, or say --input jsonl)"
        )));
    }
    names.refuse_missing(Need::Required, found)?;
    Ok(columns)
}

/// Reads all that can be read, and says what first could not.
fn take(fields: Fields<'_>, columns: &[Column], values: &mut LineValues) -> Result<(), LineError> {
    let mut taken = Ok(());
    for (column, value) in columns.iter().zip(fields) {
        let Some(field) = column.field else { continue };
        match std::str::from_utf8(value) {
            Ok(value) => values.set(field, value),
            Err(_) => taken = taken.and_then(|()| Err(LineError::field(field, NOT_UTF_8))),
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
    let name = named.map(|column| format!(" `{}`", short(&column.name))).unwrap_or_default();
    let rule = format!("the quote that opens column {}{name} {rule}", column.saturating_add(1));
    match named.and_then(|column| column.field) {
        Some(field) => LineError::field(field, rule),
        None => LineError::line(rule),
    }
}
