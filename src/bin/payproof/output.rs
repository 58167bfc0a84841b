//! What people see: lines on either stream, tables, times.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::ColorChoice;
use comfy_table::{LineStyle, Table, TableStyle};
use payproof::redeem::Receipt;

use crate::trouble::Trouble;

/// A line under the header and no other: narrow enough for most terminals.
const LINES: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('═'));

/// Says what is wrong, on standard error.
pub(crate) fn complain(trouble: &dyn fmt::Display) {
    note(&format_args!("error: {trouble}"));
}

/// Writes a line to standard error. Who closed it does not want to know.
pub(crate) fn note(line: &dyn fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// The lines of a list that were complained about: the first are told at once, and all of them stand in the result.
#[derive(Debug, Default)]
pub(crate) struct LineComplaints(u64);

impl LineComplaints {
    /// More would hide what else is said.
    const MOST: u64 = 10;

    /// Whether no more is said, whatever comes.
    pub(crate) fn are_over(&self) -> bool {
        self.0 > Self::MOST
    }

    /// Says what is wrong, or, where enough was said, once that there is `more`.
    pub(crate) fn say(&mut self, complaint: &dyn fmt::Display, more: &str) {
        match self.0 {
            ..Self::MOST => complain(complaint),
            Self::MOST => note(&more),
            _ => {}
        }
        self.0 = self.0.saturating_add(1);
    }
}

/// Writes a result to standard output. A reader who closed the pipe has seen enough.
pub(crate) fn print(text: &str) -> Result<(), Trouble> {
    let mut out = io::stdout().lock();
    is_read(out.write_all(text.as_bytes()).and_then(|()| out.flush())).map(drop)
}

/// Whether what was written is read. A reader who has seen enough is no reason to complain.
pub(crate) fn is_read(written: io::Result<()>) -> Result<bool, Trouble> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Trouble::because("the result cannot be written; look at where standard output goes", &error)),
    }
}

/// Whose order a redemption pays.
pub(crate) fn owner(receipt: &Receipt) -> String {
    let part = receipt.part().map(|part| format!(", part {part}")).unwrap_or_default();
    format!("order {}{part} of tenant {}", receipt.order(), receipt.tenant())
}

/// A table with this header.
pub(crate) fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(LINES).set_header(header);
    table
}

/// A time as people say it.
pub(crate) fn shown(time: Duration) -> String {
    let secs = time.as_secs();
    match secs {
        0 if time.as_millis() == 0 => format!("{} µs", time.as_micros()),
        0 => format!("{} ms", time.as_millis()),
        1..120 => format!("{:.1} s", time.as_secs_f64()),
        120..7_200 => format!("{} min", secs / 60),
        7_200..172_800 => format!("{} h", secs / 3_600),
        _ => format!("{} d", secs / 86_400),
    }
}

/// The time since 1970 by the system's clock; zero where that is set before.
pub(crate) fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Foreign text for a terminal: on one line, and nothing in it moves the cursor.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// What terminals take for the colors.
pub(crate) const RED: u8 = 31;
pub(crate) const GREEN: u8 = 32;
pub(crate) const YELLOW: u8 = 33;

/// Colors, or none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint(bool);

impl Paint {
    /// On a terminal by default, unless NO_COLOR is set.
    pub(crate) fn new(color: ColorChoice) -> Self {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self(match color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => io::stdout().is_terminal() && !set("NO_COLOR") && !dumb,
        })
    }

    pub(crate) fn with(self, color: u8, text: &str) -> String {
        if self.0 { format!("\u{1b}[{color}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}
