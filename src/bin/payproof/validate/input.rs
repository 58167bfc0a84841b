//! What standard input holds: CSV or JSON lines, with or without a byte order mark.

use std::io::Read;

use clap::ValueEnum;

use crate::trouble::Trouble;

use super::csv_lines::{self, CsvLines};
use super::json_lines::JsonLines;
use super::line::{InputLines, unreadable};
use super::text::InputText;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum InputFormat {
    Csv,
    Jsonl,
}

/// Looks at the beginning: at the header row, where there is one.
pub(crate) fn open(
    from: impl Read + 'static,
    format: Option<InputFormat>,
    ignore_unknown: bool,
) -> Result<Box<dyn InputLines>, Trouble> {
    let mut text = InputText::open(from).map_err(|error| unreadable(&error))?;
    let start = text.look_at_first_line().map_err(|error| unreadable(&error))?;
    let (format, delimiter) = (format.unwrap_or_else(|| detect(start)), csv_lines::delimiter(start));
    Ok(match format {
        InputFormat::Jsonl => Box::new(JsonLines::new(text, ignore_unknown)),
        InputFormat::Csv => Box::new(CsvLines::open(text, delimiter, ignore_unknown)?),
    })
}

/// A JSON object starts with a brace, and no header row does.
fn detect(start: &[u8]) -> InputFormat {
    if start.trim_ascii_start().first() == Some(&b'{') { InputFormat::Jsonl } else { InputFormat::Csv }
}
