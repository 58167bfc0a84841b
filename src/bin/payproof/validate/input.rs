//! What standard input holds: CSV or JSON lines, with or without a byte order mark.

use std::io::{self, Read};

use clap::ValueEnum;

use crate::trouble::Trouble;

use super::csv_lines::{self, CsvLines};
use super::json_lines::JsonLines;
use super::line::{Line, Lines, unreadable};
use super::text::InputText;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum InputFormat {
    Csv,
    Jsonl,
}

pub(crate) enum Input<R> {
    Csv(Box<CsvLines<R>>),
    Json(JsonLines<R>),
}

impl<R: Read> Input<R> {
    /// Looks at the beginning: at the header row, where there is one.
    pub(crate) fn open(from: R, format: Option<InputFormat>, ignore_unknown: bool) -> Result<Self, Trouble> {
        let mut text = InputText::open(from).map_err(|error| unreadable(&error))?;
        let start = text.look_at_first_line().map_err(|error| unreadable(&error))?;
        let (format, delimiter) = (format.unwrap_or_else(|| detect(start)), csv_lines::delimiter(start));
        Ok(match format {
            InputFormat::Jsonl => Self::Json(JsonLines::new(text, ignore_unknown)),
            InputFormat::Csv => Self::Csv(Box::new(CsvLines::open(text, delimiter, ignore_unknown)?)),
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

    pub(crate) fn lines(&self) -> Lines {
        match self {
            Self::Csv(lines) => lines.lines(),
            Self::Json(lines) => lines.lines(),
        }
    }
}

/// A JSON object starts with a brace, and no header row does.
fn detect(start: &[u8]) -> InputFormat {
    if start.trim_ascii_start().first() == Some(&b'{') { InputFormat::Jsonl } else { InputFormat::Csv }
}
