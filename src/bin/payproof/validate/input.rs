//! What standard input holds: CSV or JSON lines, with or without a byte order mark.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use clap::ValueEnum;

use crate::trouble::Trouble;

use super::claim::{Claim, Refusal};
use super::csv_lines::{self, CsvLines};
use super::json_lines::JsonLines;

/// The longest line that makes sense: every field has at most 255 bytes. What is longer is passed over, and not kept.
pub(crate) const LONGEST_LINE: usize = 64 * 1024;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum InputFormat {
    Csv,
    Jsonl,
}

/// One line of the input.
pub(crate) struct Line {
    pub(crate) number: u64,
    pub(crate) claim: Result<Claim, Refusal>,
}

/// Standard input, or whatever stands for it, behind its byte order mark.
pub(crate) type Bytes<R> = BufReader<io::Chain<Cursor<Vec<u8>>, R>>;

pub(crate) enum Input<R> {
    Csv(Box<CsvLines<R>>),
    Json(JsonLines<R>),
}

impl<R: Read> Input<R> {
    /// Looks at the beginning: at the header row, where there is one.
    pub(crate) fn open(mut from: R, format: Option<InputFormat>, ignore_unknown: bool) -> Result<Self, Trouble> {
        let start = beginning(&mut from).map_err(|error| unreadable(&error))?;
        let format = format.unwrap_or_else(|| detect(&start));
        let delimiter = csv_lines::delimiter(&start);
        let bytes = BufReader::with_capacity(LONGEST_LINE, Cursor::new(start).chain(from));
        Ok(match format {
            InputFormat::Jsonl => Self::Json(JsonLines::new(bytes, ignore_unknown)),
            InputFormat::Csv => Self::Csv(Box::new(CsvLines::open(bytes, delimiter, ignore_unknown)?)),
        })
    }

    /// The next line that is not blank.
    pub(crate) fn next(&mut self) -> io::Result<Option<Line>> {
        match self {
            Self::Csv(lines) => lines.next(),
            Self::Json(lines) => lines.next(),
        }
    }

    /// Whether the next line has still to come from outside, as far as can be told.
    pub(crate) fn is_drained(&self) -> bool {
        match self {
            Self::Csv(lines) => lines.is_drained(),
            Self::Json(lines) => lines.is_drained(),
        }
    }
}

pub(crate) fn unreadable(error: &io::Error) -> Trouble {
    Trouble::because("standard input cannot be read; look at where it comes from", error)
}

/// The first line that is not blank, with what came along with it and without the byte order mark.
fn beginning(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    let mut from = BufReader::new(from);
    while start.trim_ascii_start().iter().all(|byte| *byte != b'\n') && start.len() < LONGEST_LINE {
        let arrived = from.fill_buf()?;
        if arrived.is_empty() {
            break;
        }
        start.extend_from_slice(arrived);
        let taken = arrived.len();
        from.consume(taken);
        if let Some(behind) = start.strip_prefix(BYTE_ORDER_MARK) {
            start = behind.to_vec();
        }
    }
    Ok(start)
}

/// A JSON object starts with a brace, and no header row does.
fn detect(start: &[u8]) -> InputFormat {
    if start.trim_ascii_start().first() == Some(&b'{') { InputFormat::Jsonl } else { InputFormat::Csv }
}
