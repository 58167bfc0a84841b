//! Lists that people have: CSV or JSON lines, one record per line, read strictly, whichever fields a command wants of them.
//!
//! Bytes become UTF-8 (`decoding`) and lines (`text`); CSV becomes records (`records`); both formats become values by the names
//! of the command's fields (`names`); amounts become plain (`decimal`); and rows of an export that belong together become one
//! (`rows`, as `preset` says).

mod csv_lines;
mod decimal;
mod decoding;
mod json_lines;
mod line;
mod names;
mod preset;
mod records;
mod rows;
mod text;

use std::io::{self, Read};

use clap::ValueEnum;
use encoding_rs::Encoding;

use crate::trouble::Trouble;

use csv_lines::CsvLines;
use decimal::DecimalSign;
use json_lines::JsonLines;
use line::LineSource;
use names::{Mapping, Names};
use preset::Preset;
use rows::Rows;
use text::InputText;

pub(crate) use line::{Line, LineError, LineFields, LineValues, Lines};

/// The fields that a command reads, by the names that columns have by default.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) fields: &'static [&'static str],
    /// Those of them without which a header row is refused. That each line has them is for the command to see to.
    pub(crate) required: &'static [&'static str],
}

/// How the input is read.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "The input")]
pub(crate) struct LinesArgs {
    /// What the input holds [default: JSON lines if it starts with `{`, else CSV]
    #[arg(long, value_enum)]
    input: Option<InputFormat>,
    /// An export that is known: which of its columns are read, and which rows belong together
    #[arg(long, value_enum)]
    preset: Option<Preset>,
    /// The column that holds a field: --map payment="PaymentIntent ID"; may be said for each field
    #[arg(long, value_name = "FIELD=COLUMN", value_parser = names::mapping)]
    map: Vec<Mapping>,
    /// Pass over columns and fields of other names, instead of refusing them; a preset does
    #[arg(long)]
    ignore_unknown: bool,
    /// The sign before an amount's decimals; the other one, a space or an apostrophe may then group thousands [default: a point, and
    /// nothing groups]
    #[arg(long, value_enum, value_name = "SIGN")]
    decimal: Option<DecimalSign>,
    /// The input's encoding, such as windows-1252 [default: UTF-8, or UTF-16 by its byte order mark]
    #[arg(long, value_name = "NAME", value_parser = decoding::encoding)]
    encoding: Option<&'static Encoding>,
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
    decimal: Option<DecimalSign>,
    preset: Option<Preset>,
    rows: Rows,
}

impl InputLines {
    /// Looks at the beginning: at the header row, where there is one.
    pub(crate) fn open(
        name: &str,
        from: impl Read + 'static,
        wanted: &Wanted,
        args: &LinesArgs,
    ) -> Result<Self, Trouble> {
        let names = Names::new(wanted, args.preset, &args.map, args.ignore_unknown)?;
        let source = source(from, names, args).map_err(|error| unreadable(name, &error))??;
        let rows = args.preset.map_or(Rows::Single, Preset::rows);
        Ok(Self { name: name.to_owned(), source, decimal: args.decimal, preset: args.preset, rows })
    }

    /// The next line that is one of its own.
    pub(crate) fn next(&mut self) -> Result<Option<Line>, Trouble> {
        let Self { name, source, decimal, preset, rows } = self;
        rows.next(|| {
            let mut line = source.next().map_err(|error| unreadable(name, &error))?;
            if let Some(line) = &mut line {
                line.make_plain(*decimal);
                if let Some(preset) = preset {
                    preset.translate(&mut line.values);
                }
            }
            Ok(line)
        })
    }

    /// Whether the next line has still to come from outside, as far as can be told.
    pub(crate) fn is_drained(&self) -> bool {
        self.source.is_drained()
    }

    /// How many lines there were so far.
    pub(crate) fn lines(&self) -> Lines {
        let (lines, merged) = (self.source.lines(), self.rows.merged());
        Lines { continued: lines.continued.saturating_add(merged.continued), passed: merged.passed, ..lines }
    }
}

fn source(
    from: impl Read + 'static,
    names: Names,
    args: &LinesArgs,
) -> io::Result<Result<Box<dyn LineSource>, Trouble>> {
    let mut text = InputText::open(decoding::decoded(from, args.encoding)?)?;
    let start = text.look_at_first_line()?;
    if let Some(encoding) = utf_16_without_mark(start) {
        return Ok(Err(Trouble::new(format!("the input looks like UTF-16; say --encoding {encoding}"))));
    }
    Ok(match args.input.unwrap_or_else(|| detect(start)) {
        InputFormat::Jsonl => Ok(Box::new(JsonLines::new(text, names))),
        InputFormat::Csv => CsvLines::open(text, names)?.map(|lines| Box::new(lines) as Box<dyn LineSource>),
    })
}

fn unreadable(name: &str, error: &io::Error) -> Trouble {
    Trouble::because(&format!("{name} cannot be read; look at where it comes from"), error)
}

/// A JSON object starts with a brace, and no header row does.
fn detect(start: &[u8]) -> InputFormat {
    if start.trim_ascii_start().first() == Some(&b'{') { InputFormat::Jsonl } else { InputFormat::Csv }
}

/// The first character of a list is in ASCII, of which UTF-16 makes a byte and a zero.
fn utf_16_without_mark(start: &[u8]) -> Option<&'static str> {
    match start {
        [0, second, ..] if *second != 0 => Some("utf-16be"),
        [first, 0, ..] if *first != 0 => Some("utf-16le"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    #[derive(Parser)]
    struct Reading {
        #[command(flatten)]
        lines: LinesArgs,
    }

    const ORDERS: Wanted = Wanted {
        fields: &["order", "payment", "amount", "currency", "state", "created", "paid_by"],
        required: &["payment", "amount"],
    };

    fn open(options: &[&str], input: &[u8]) -> Result<InputLines, Trouble> {
        let reading = Reading::parse_from([&["payproof"], options].concat());
        InputLines::open("the test", io::Cursor::new(input.to_vec()), &ORDERS, &reading.lines)
    }

    /// What a line says of its fields, and of which one it is wrong.
    fn told(line: &Line) -> Vec<Option<&str>> {
        let wrong = line.wrong.as_ref().map(|wrong| wrong.field.unwrap_or("the line"));
        ORDERS.fields.iter().map(|field| line.values.get(field)).chain([wrong]).collect()
    }

    #[test]
    fn a_preset_says_states_and_times_in_our_words() {
        for (preset, header, row, expected) in [
            (
                "stripe-payments",
                "id,PaymentIntent ID,Amount,Currency,Status,Created date (UTC),order_id (metadata)",
                "ch_1,pi_1,19.99,usd,Failed,2026-07-01 05:00:12,6735",
                [
                    Some("6735"),
                    Some("pi_1"),
                    Some("19.99"),
                    Some("usd"),
                    Some("open"),
                    Some("2026-07-01 05:00:12Z"),
                    None,
                ],
            ),
            (
                "shopify",
                "Name,Financial Status,Currency,Total,Created at,Payment Method,Payment Reference",
                "#1001,partially_refunded,USD,19.99,2026-07-01 05:00:12 +0200,Stripe,pi_1",
                [
                    Some("#1001"),
                    Some("pi_1"),
                    Some("19.99"),
                    Some("USD"),
                    Some("paid"),
                    Some("2026-07-01 05:00:12 +0200"),
                    Some("Stripe"),
                ],
            ),
            (
                "stripe-balance",
                "created_utc,currency,gross,reporting_category,customer_facing_amount,customer_facing_currency,payment_intent_id",
                "2026-07-01 05:00:12,eur,17.11,charge,19.99,usd,pi_1",
                [None, Some("pi_1"), Some("19.99"), Some("usd"), None, Some("2026-07-01 05:00:12Z"), None],
            ),
        ] {
            let mut lines = open(&["--preset", preset], format!("{header}\n{row}\n").as_bytes()).unwrap();
            let line = lines.next().unwrap().unwrap();
            assert_eq!(told(&line), expected.into_iter().chain([None]).collect::<Vec<_>>(), "{preset}");
        }
    }

    const HEADERS: [&str; 5] = [
        "order,payment,amount",
        "\"order\";payment;amount;;",
        "sep=;\norder;\"payment\";amount",
        "Name,Payment Reference,Total",
        "payment_intent_id,customer_facing_amount,customer_facing_currency,reporting_category",
    ];

    const WORDS: [&str; 19] = [
        "pi_1",
        "pi_2",
        "19.99",
        "1,5",
        "\"1,560.00\"",
        "-5",
        "charge",
        "partial_capture_reversal",
        "payout",
        "#1",
        "#2",
        "\"",
        "\"\"",
        " ",
        "é",
        "\"a\nb\"",
        "\"x\"y",
        "{}",
        "",
    ];

    /// A list with what goes wrong in lists, and how it is to be read.
    fn drawn(draw: &mut StdRng) -> (Vec<&'static str>, Vec<u8>) {
        let mut of = |count: usize| draw.random_range(0..count);
        let header = HEADERS[of(HEADERS.len())];
        let delimiter = if header.contains(';') { ";" } else { "," };
        let mut text = [["", "\u{feff}"][of(2)], ["", "\n", ",,\n"][of(3)], header].concat();
        for _ in 0..of(12) {
            text += ["\n", "\r\n", "\r"][of(3)];
            let columns: Vec<&str> = (0..of(6)).map(|_| WORDS[of(WORDS.len())]).collect();
            text += &columns.join(delimiter);
        }
        let mut options = match header {
            "Name,Payment Reference,Total" => vec!["--preset", "shopify"],
            header if header.starts_with("payment_intent_id") => vec!["--preset", "stripe-balance"],
            _ => vec![],
        };
        options.extend([&[][..], &["--decimal", ","], &["--decimal", "."]][of(3)]);
        match of(4) {
            0 => {
                options.extend(["--encoding", "utf-16le"]);
                (options, text.encode_utf16().flat_map(u16::to_le_bytes).collect())
            }
            1 => {
                options.extend(["--encoding", "windows-1252"]);
                (options, text.into_bytes())
            }
            _ => (options, text.into_bytes()),
        }
    }

    #[test]
    fn each_line_of_whatever_list_is_accounted_for() {
        let (mut opened, mut merged) = (0, 0);
        for seed in 0..8_000 {
            let (options, input) = drawn(&mut StdRng::seed_from_u64(seed));
            let Ok(mut lines) = open(&options, &input) else { continue };
            let (mut told, mut last) = (0, 0);
            while let Some(line) = lines.next().unwrap() {
                assert!(line.number > last, "seed {seed}");
                (told, last) = (told + 1, line.number);
            }
            let Lines { read, header, blank, continued, passed } = lines.lines();
            assert_eq!(read, header + told + blank + continued + passed, "seed {seed}: {options:?}");
            opened += 1;
            merged += u64::from(passed + continued > 0);
        }
        assert!(opened > 4_000 && merged > 800, "{opened} were opened, and rows of {merged} merged");
    }
}
