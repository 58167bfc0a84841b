//! CSV with a header row.

use std::io::{self, BufRead, Read};

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use crate::trouble::Trouble;

use super::claim::{Claim, FIELDS, REQUIRED, Refusal};
use super::input::{Bytes, LONGEST_LINE, Line, unreadable};
use super::json_lines::too_long;

/// Exports of providers have about 60.
const MOST_COLUMNS: usize = 500;

pub(crate) struct CsvLines<R> {
    records: Records<R>,
    /// For each column the field that it holds.
    columns: Vec<Option<&'static str>>,
}

impl<R: Read> CsvLines<R> {
    /// Reads the header row. Without one there is nothing at all.
    pub(crate) fn open(bytes: Bytes<R>, delimiter: u8, ignore_unknown: bool) -> Result<Self, Trouble> {
        let mut records = Records::new(bytes, delimiter);
        let columns = match records.read().map_err(|error| unreadable(&error))? {
            None => Vec::new(),
            Some(record) => {
                let header =
                    record.fields.map_err(|refusal| Trouble::new(format!("the header row: {}", refusal.rule)))?;
                columns(header, ignore_unknown)?
            }
        };
        Ok(Self { records, columns })
    }

    pub(crate) fn next(&mut self) -> io::Result<Option<Line>> {
        let Some(Record { number, fields }) = self.records.read()? else { return Ok(None) };
        Ok(Some(Line { number, claim: fields.and_then(|fields| claim(&self.columns, fields)) }))
    }

    pub(crate) fn is_drained(&self) -> bool {
        self.records.bytes.buffer().is_empty()
    }
}

/// A comma, unless the header row has none and has another of the usual ones.
pub(super) fn delimiter(start: &[u8]) -> u8 {
    let header = start.trim_ascii_start().split(|byte| *byte == b'\n').next().unwrap_or_default();
    [b',', b';', b'\t'].into_iter().find(|delimiter| header.contains(delimiter)).unwrap_or(b',')
}

fn columns(header: Fields<'_>, ignore_unknown: bool) -> Result<Vec<Option<&'static str>>, Trouble> {
    let mut columns = Vec::new();
    for name in header {
        let name = String::from_utf8_lossy(name).trim().to_ascii_lowercase();
        let known = FIELDS.into_iter().find(|field| *field == name);
        if known.is_none() && !ignore_unknown {
            let name: String = name.chars().filter(|c| !c.is_control()).take(40).collect();
            let known = FIELDS.join(", ");
            return Err(Trouble::new(format!(
                "the CSV column `{name}` is not one of {known}; rename it, or say --ignore-unknown (JSON lines start with \
                 `{{`, or say --input jsonl)"
            )));
        }
        if let Some(name) = known.filter(|_| columns.contains(&known)) {
            return Err(Trouble::new(format!("the CSV column `{name}` is there twice; leave one out")));
        }
        columns.push(known);
    }
    let missing: Vec<&str> = REQUIRED.into_iter().filter(|name| !columns.contains(&Some(*name))).collect();
    if missing.is_empty() {
        return Ok(columns);
    }
    let missing = missing.join(", ");
    Err(Trouble::new(format!("the CSV header row lacks {missing}; the first row must name the columns")))
}

fn claim(columns: &[Option<&'static str>], fields: Fields<'_>) -> Result<Claim, Refusal> {
    let count = fields.clone().count();
    if count != columns.len() {
        return Err(Refusal::line(format!("the line has {count} columns, and the header row has {}", columns.len())));
    }
    let mut claim = Claim::default();
    for (name, value) in columns.iter().zip(fields) {
        let Some(name) = *name else { continue };
        let value = std::str::from_utf8(value).map_err(|_| Refusal::field(name, "must be UTF-8"))?;
        if let Some(place) = claim.field(name) {
            *place = Some(value.to_owned()).filter(|value| !value.is_empty());
        }
    }
    Ok(claim)
}

/// One record, at the number of its first line.
struct Record<'r> {
    number: u64,
    fields: Result<Fields<'r>, Refusal>,
}

/// The fields of a record.
#[derive(Clone)]
struct Fields<'r> {
    text: &'r [u8],
    ends: &'r [usize],
    start: usize,
}

impl<'r> Iterator for Fields<'r> {
    type Item = &'r [u8];

    fn next(&mut self) -> Option<Self::Item> {
        let (end, rest) = self.ends.split_first()?;
        let field = self.text.get(self.start..*end);
        (self.start, self.ends) = (*end, rest);
        field
    }
}

/// Splits bytes into records, and never keeps more than one, up to the longest that makes sense.
struct Records<R> {
    bytes: Bytes<R>,
    parser: Reader,
    number: u64,
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl<R: Read> Records<R> {
    fn new(bytes: Bytes<R>, delimiter: u8) -> Self {
        let parser = ReaderBuilder::new().delimiter(delimiter).build();
        Self { bytes, parser, number: 1, text: vec![0; LONGEST_LINE], ends: vec![0; MOST_COLUMNS] }
    }

    fn read(&mut self) -> io::Result<Option<Record<'_>>> {
        self.pass_line_ends()?;
        let number = self.number;
        let (mut written, mut ended) = (0_usize, 0_usize);
        let (mut is_long, mut is_wide) = (false, false);
        loop {
            let input = self.bytes.fill_buf()?;
            let text = self.text.get_mut(written..).unwrap_or_default();
            let ends = self.ends.get_mut(ended..).unwrap_or_default();
            let (result, taken, out, fields) = self.parser.read_record(input, text, ends);
            let lines = input.iter().take(taken).filter(|byte| **byte == b'\n').count();
            self.number = self.number.saturating_add(u64::try_from(lines).unwrap_or(u64::MAX));
            self.bytes.consume(taken);
            (written, ended) = (written.saturating_add(out), ended.saturating_add(fields));
            match result {
                ReadRecordResult::InputEmpty => {}
                // What follows overwrites what was kept, until the record is over.
                ReadRecordResult::OutputFull => (is_long, written) = (true, 0),
                ReadRecordResult::OutputEndsFull => (is_wide, ended) = (true, 0),
                ReadRecordResult::End => return Ok(None),
                ReadRecordResult::Record => break,
            }
        }
        let fields = if is_long {
            Err(too_long())
        } else if is_wide {
            Err(Refusal::line(format!("the line has more than {MOST_COLUMNS} columns")))
        } else {
            let (text, ends) = (self.text.get(..written), self.ends.get(..ended));
            Ok(Fields { text: text.unwrap_or_default(), ends: ends.unwrap_or_default(), start: 0 })
        };
        Ok(Some(Record { number, fields }))
    }

    /// Passes over what ends the last line, and blank lines, so that a record's number is that of its own first line.
    fn pass_line_ends(&mut self) -> io::Result<()> {
        loop {
            let Some(&first) = self.bytes.fill_buf()?.first() else { return Ok(()) };
            match first {
                b'\n' => self.number = self.number.saturating_add(1),
                b'\r' => {}
                _ => return Ok(()),
            }
            self.bytes.consume(1);
        }
    }
}
