//! What standard input holds: CSV or JSON lines, with or without a byte order mark.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use clap::ValueEnum;

use crate::trouble::Trouble;

use super::claim::{Claim, Refusal};
use super::csv_lines::CsvLines;
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
        let mut mark = Vec::new();
        let mut first = |limit: u64| from.by_ref().take(limit).read_to_end(&mut mark);
        first(BYTE_ORDER_MARK.len() as u64).map_err(|error| unreadable(&error))?;
        if mark == BYTE_ORDER_MARK {
            mark.clear();
        }
        let mut bytes = BufReader::with_capacity(LONGEST_LINE, Cursor::new(mark).chain(from));
        let format = match format {
            Some(format) => format,
            None => detect(&mut bytes).map_err(|error| unreadable(&error))?,
        };
        Ok(match format {
            InputFormat::Jsonl => Self::Json(JsonLines::new(bytes, ignore_unknown)),
            InputFormat::Csv => Self::Csv(Box::new(CsvLines::open(bytes, ignore_unknown)?)),
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

/// A JSON object starts with a brace, and no header row does.
fn detect(bytes: &mut impl BufRead) -> io::Result<InputFormat> {
    let first = bytes.fill_buf()?.iter().find(|byte| !byte.is_ascii_whitespace());
    Ok(if first == Some(&b'{') { InputFormat::Jsonl } else { InputFormat::Csv })
}
