//! CSV, read strictly: every line ends up in a record or is named as unusable, and no line takes others with it.
//!
//! A quote in the wrong place turns all that follows into one field, up to the next quote. So a record that cannot be right
//! costs the line that it begins on, and reading goes on at the line after that: where a quote is not closed by the end of
//! the input or within the longest length, where text follows a closing quote, where the number of columns is not the header
//! row's, and where a line inside a quoted field could as well be a record of its own.
//!
//! Spreadsheets write empty columns behind the last, and rows of separators alone. The former do not count, and the latter
//! are blank lines.

use std::io::{self, Read};

use super::text::{InputText, LONGEST_LINE, is_line_end};

/// One record, at the number of its first line.
pub(crate) struct CsvRecord<'r> {
    pub(crate) line: u64,
    pub(crate) fields: Result<Fields<'r>, Flaw>,
}

/// What is wrong with a line. Columns are counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    TooLong,
    /// It has so many columns. `quoted` is the one whose quote runs over the end of the line, if one does.
    Columns {
        found: usize,
        quoted: Option<usize>,
    },
    /// The quote of this column is not closed.
    Unclosed {
        column: usize,
    },
    /// The quote of this column is closed on that line, and text follows.
    TextAfterQuote {
        column: usize,
        line: u64,
    },
    /// The quote of this column runs over the end of its line, and over that line, which could be a record of its own.
    RunsOver {
        column: usize,
        line: u64,
    },
}

/// The fields of a record.
#[derive(Clone)]
pub(crate) struct Fields<'r> {
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

/// Splits text into records, and keeps one of them.
pub(crate) struct CsvRecords<R> {
    text: InputText<R>,
    delimiter: u8,
    /// How many columns the header row has, once it is read. It is on one line. Every record has as many.
    pub(crate) width: Option<usize>,
    /// The number of the next line.
    number: u64,
    fields: Vec<u8>,
    ends: Vec<usize>,
    blank: u64,
    continued: u64,
}

/// A record that was read and not yet taken away.
struct Scanned {
    /// In bytes.
    length: usize,
    lines: u64,
    /// Nothing stands in any column.
    is_blank: bool,
}

/// Where in a field a byte stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Plain,
    Quoted,
    /// After a quote in a quoted field: the closing one, unless another follows.
    Closed,
}

impl State {
    /// `None` where text follows a closing quote.
    fn after(self, byte: u8, delimiter: u8) -> Option<Self> {
        match (self, byte) {
            (Self::Quoted, b'"') => Some(Self::Closed),
            (Self::Start | Self::Closed, b'"') | (Self::Quoted, _) => Some(Self::Quoted),
            (_, byte) if byte == delimiter => Some(Self::Start),
            (Self::Closed, _) => None,
            (Self::Start | Self::Plain, _) => Some(Self::Plain),
        }
    }
}

impl<R: Read> CsvRecords<R> {
    /// `number` is that of the first line of the text.
    pub(crate) fn new(text: InputText<R>, delimiter: u8, number: u64) -> Self {
        let (fields, ends) = (Vec::new(), Vec::new());
        Self { text, delimiter, width: None, number, fields, ends, blank: 0, continued: 0 }
    }

    pub(crate) fn next(&mut self) -> io::Result<Option<CsvRecord<'_>>> {
        while let Some(first) = self.text.first()? {
            let line = self.number;
            if is_line_end(first) {
                self.text.take(0);
                self.number = line.saturating_add(1);
                self.blank = self.blank.saturating_add(1);
                continue;
            }
            let fields = match self.scan()? {
                Ok(Scanned { length, lines, is_blank }) => {
                    self.text.take(length);
                    self.number = line.saturating_add(lines);
                    self.continued = self.continued.saturating_add(lines).saturating_sub(1);
                    if is_blank {
                        self.blank = self.blank.saturating_add(1);
                        continue;
                    }
                    Ok(Fields { text: &self.fields, ends: &self.ends, start: 0 })
                }
                Err(flaw) => {
                    self.text.pass_line()?;
                    self.number = line.saturating_add(1);
                    Err(flaw)
                }
            };
            return Ok(Some(CsvRecord { line, fields }));
        }
        Ok(None)
    }

    /// Lines that have arrived, those of them that were blank, and those on which a record went on.
    pub(crate) fn lines(&self) -> [u64; 3] {
        [self.text.lines(), self.blank, self.continued]
    }

    pub(crate) fn is_drained(&self) -> bool {
        self.text.is_drained()
    }

    /// Reads a record without taking it away.
    fn scan(&mut self) -> io::Result<Result<Scanned, Flaw>> {
        self.fields.clear();
        self.ends.clear();
        let (mut at, mut state, mut before) = (0_usize, State::Start, b'\0');
        let mut filled = 0;
        // The last line so far: how many have ended before it, where it begins, and the column whose quote reaches into it.
        let (mut ended, mut begun, mut quoted) = (0_u64, 0_usize, None);
        loop {
            let byte = self.text.get(at)?;
            let is_open = state == State::Quoted;
            if at > LONGEST_LINE || (byte.is_none() && is_open) {
                return Ok(Err(if is_open { Flaw::Unclosed { column: self.ends.len() } } else { Flaw::TooLong }));
            }
            let byte = byte.filter(|byte| is_open || !is_line_end(*byte));
            let is_end_of_line = byte.is_none_or(|byte| is_line_end(byte) && (before, byte) != (b'\r', b'\n'));
            if is_end_of_line {
                // A line inside a quoted field is one of its own if it has all columns by itself, and so is the last line of
                // a record if it opens a quote behind its first column that runs on. One that opens it in its first column
                // is none: `"` by itself ends many a longer text.
                let line = self.number.saturating_add(ended);
                let could_be_one = || self.could_be_one(self.text.held().get(begun..at).unwrap_or_default(), is_open);
                if let Some(column) = quoted.filter(|_| could_be_one()) {
                    return Ok(Err(Flaw::RunsOver { column, line }));
                }
                ended = ended.saturating_add(1);
            }
            let Some(byte) = byte else {
                self.ends.push(self.fields.len());
                let found = self.ends.len();
                if filled > 0 && !self.fits(found, filled) {
                    return Ok(Err(Flaw::Columns { found, quoted }));
                }
                self.ends.truncate(self.width.unwrap_or(found));
                return Ok(Ok(Scanned { length: at, lines: ended, is_blank: filled == 0 }));
            };
            at = at.saturating_add(1);
            before = byte;
            if is_open && is_line_end(byte) {
                (begun, quoted) = (at, Some(self.ends.len()));
                if self.width.is_none() {
                    return Ok(Err(Flaw::Unclosed { column: self.ends.len() }));
                }
            }
            let Some(next) = state.after(byte, self.delimiter) else {
                let line = self.number.saturating_add(ended);
                return Ok(Err(Flaw::TextAfterQuote { column: self.ends.len(), line }));
            };
            match (state, next) {
                (_, State::Start) => self.ends.push(self.fields.len()),
                (State::Start, State::Quoted) | (_, State::Closed) => {}
                _ => {
                    self.fields.push(byte);
                    if !byte.is_ascii_whitespace() {
                        filled = self.ends.len().saturating_add(1);
                    }
                }
            }
            state = next;
        }
    }

    /// Whether a record may have so many columns, of which that is the last that is not blank.
    fn fits(&self, columns: usize, filled: usize) -> bool {
        self.width.is_none_or(|width| columns == width || (columns > width && filled <= width))
    }

    /// Whether this line, read by itself, could be a record: it has all columns, or it is the last line of one, and opens a
    /// quote in a column behind the first that runs on.
    fn could_be_one(&self, line: &[u8], is_open: bool) -> bool {
        let (mut state, mut columns, mut filled) = (State::Start, 1_usize, 0);
        for byte in line {
            let next = state.after(*byte, self.delimiter).unwrap_or(State::Plain);
            match (state, next) {
                (_, State::Start) => columns = columns.saturating_add(1),
                (State::Start, State::Quoted) | (_, State::Closed) => {}
                _ if byte.is_ascii_whitespace() => {}
                _ => filled = columns,
            }
            state = next;
        }
        let is_cut = state == State::Quoted;
        (filled > 0 && self.fits(columns, filled)) || (!is_open && is_cut && columns > 1)
    }
}
