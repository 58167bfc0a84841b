//! Lists that people have: CSV or JSON lines, one record per line, read strictly, whichever fields a command wants of them.

mod csv_lines;
mod json_lines;
mod line;
mod records;
mod text;

use std::io::Read;

use clap::ValueEnum;

use crate::trouble::Trouble;

use csv_lines::CsvLines;
use json_lines::JsonLines;
use line::LineSource;
use text::InputText;

pub(crate) use line::{Line, LineError, LineValues, Lines};

/// The fields that a command reads, by the names that columns have by default.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) fields: &'static [&'static str],
    /// Those of them without which a header row is refused. That each line has them is for the command to see to.
    pub(crate) required: &'static [&'static str],
}

/// How the input is read.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "The input")]
pub(crate) struct LinesArgs {
    /// What the input holds [default: JSON lines if it starts with `{`, else CSV]
    #[arg(long, value_enum)]
    input: Option<InputFormat>,
    /// Pass over columns and fields of other names, instead of refusing them
    #[arg(long)]
    ignore_unknown: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum InputFormat {
    Csv,
    Jsonl,
}

/// The lines of an input, whatever its format.
pub(crate) struct InputLines {
    /// As messages call it: `standard input`.
    name: String,
    source: Box<dyn LineSource>,
}

impl InputLines {
    /// Looks at the beginning: at the header row, where there is one.
    pub(crate) fn open(
        name: &str,
        from: impl Read + 'static,
        wanted: &'static Wanted,
        args: &LinesArgs,
    ) -> Result<Self, Trouble> {
        let mut text = InputText::open(from).map_err(|error| unreadable(name, &error))?;
        let start = text.look_at_first_line().map_err(|error| unreadable(name, &error))?;
        let (format, delimiter) = (args.input.unwrap_or_else(|| detect(start)), csv_lines::delimiter(start));
        let source: Box<dyn LineSource> = match format {
            InputFormat::Jsonl => Box::new(JsonLines::new(text, wanted, args.ignore_unknown)),
            InputFormat::Csv => {
                let mut lines = CsvLines::new(text, delimiter, wanted);
                lines.read_header(args.ignore_unknown).map_err(|error| unreadable(name, &error))??;
                Box::new(lines)
            }
        };
        Ok(Self { name: name.to_owned(), source })
    }

    /// The next line that is not blank.
    pub(crate) fn next(&mut self) -> Result<Option<Line>, Trouble> {
        self.source.next().map_err(|error| unreadable(&self.name, &error))
    }

    /// Whether the next line has still to come from outside, as far as can be told.
    pub(crate) fn is_drained(&self) -> bool {
        self.source.is_drained()
    }

    /// How many lines there were so far.
    pub(crate) fn lines(&self) -> Lines {
        self.source.lines()
    }
}

fn unreadable(name: &str, error: &std::io::Error) -> Trouble {
    Trouble::because(&format!("{name} cannot be read; look at where it comes from"), error)
}

/// A JSON object starts with a brace, and no header row does.
fn detect(start: &[u8]) -> InputFormat {
    if start.trim_ascii_start().first() == Some(&b'{') { InputFormat::Jsonl } else { InputFormat::Csv }
}
