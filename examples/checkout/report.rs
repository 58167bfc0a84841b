//! What came of it: who was believed, what it cost, how long it took, and what to look at.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};
use payproof::Provenance;
use payproof::telemetry::Stats;

use crate::Args;
use crate::crowd::{Answer, Said};
use crate::scenario::{Kind, Truth};

/// Why one setting is not the default, so that a reader does not copy it without need.
const CHANGED: &str = "\
Settings: the defaults, but for a retry budget that earns 1 retry per success
instead of 0.1. The default lets retries add a tenth to the load, which protects
a provider that is down. Here more than a third of the answers go wrong all the
time, and under the default about a fifth of the clicks would get no answer.
";

/// A line under the header and no other: narrow enough for a terminal of 80 columns.
const LINES: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('═'));

/// Everything the run has to say; `Display` is the output.
#[derive(Debug)]
pub(crate) struct Report {
    title: String,
    rows: BTreeMap<Kind, Row>,
    all: Row,
    forged: Row,
    times: BTreeMap<Source, Vec<Duration>>,
    came_back: u64,
    stats: Stats,
    /// Provider calls as the provider counted them.
    received: u64,
    stormy: bool,
}

/// What the clicks of one kind of checkout got.
#[derive(Debug, Default)]
struct Row {
    clicks: u64,
    valid: u64,
    pending: u64,
    action_required: u64,
    invalid: u64,
    could_not_tell: u64,
    wrong: u64,
}

/// Where an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Memory,
    Asked,
    Joined,
    CouldNotTell,
}

impl Report {
    pub(crate) fn new(args: &Args, answers: &[Answer], took: Duration, stats: Stats, received: u64) -> Self {
        let weather = if args.healthy { "healthy" } else { "stormy" };
        let (checkouts, seed) = (grouped(args.checkouts.into()), args.seed);
        let mut report = Self {
            title: format!("{checkouts} checkouts at a {weather} provider, seed {seed}, in {}", shown(took)),
            rows: BTreeMap::new(),
            all: Row::default(),
            forged: Row::default(),
            times: BTreeMap::new(),
            came_back: answers.iter().map(|answer| answer.came_back).sum(),
            stats,
            received,
            stormy: !args.healthy,
        };
        for answer in answers {
            report.add(answer);
        }
        for times in report.times.values_mut() {
            times.sort_unstable();
        }
        report
    }

    fn add(&mut self, answer: &Answer) {
        self.rows.entry(answer.kind).or_default().add(answer);
        self.all.add(answer);
        if let Truth::Forged(_) = answer.kind.truth() {
            self.forged.add(answer);
        }
        self.times.entry(source(answer.said)).or_default().push(answer.took);
    }

    /// Whether every verdict was the true one.
    pub(crate) fn all_right(&self) -> bool {
        self.all.wrong == 0
    }

    fn verdicts(&self) -> Table {
        let mut table = table([
            "checkout",
            "clicks",
            "valid",
            "pending",
            "action\nrequired",
            "invalid",
            "could\nnot tell",
            "wrong",
        ]);
        for (kind, row) in &self.rows {
            table.add_row(row.cells(kind.label()));
        }
        table.add_row(self.all.cells("all"));
        table
    }

    fn latencies(&self) -> Table {
        let mut table = table(["answer", "clicks", "p50", "p95", "p99", "longest"]);
        for (source, times) in &self.times {
            let at = |percent| shown(percentile(times, percent));
            let count = grouped(u64::try_from(times.len()).unwrap_or(u64::MAX));
            table.add_row([source.label().to_owned(), count, at(50), at(95), at(99), at(100)]);
        }
        table
    }

    fn costs(&self) -> Table {
        let stats = &self.stats;
        let mut table = table(["what it cost", ""]);
        table.add_row(["provider calls, as the provider counted them", &grouped(self.received)]);
        table.add_row(["provider calls, as stats() counted them", &grouped(stats.attempts)]);
        table.add_row(["of these, retries", &grouped(stats.retries)]);
        table.add_row(["hits: answered from memory", &grouped(stats.hits)]);
        table.add_row(["coalesced: joined a call under way", &grouped(stats.coalesced)]);
        table.add_row(["hit rate", &format!("{:.1} %", stats.hit_rate() * 100.0)]);
        for (code, count) in &stats.errors {
            table.add_row([&format!("errors with the code {code}"), &grouped(*count)]);
        }
        table.add_row(["clicks repeated, as an error asked for", &grouped(self.came_back)]);
        table
    }

    fn caught(&self) -> String {
        let Row { clicks, valid, invalid, could_not_tell, .. } = &self.forged;
        format!(
            "Forgeries: {}; caught {}, believed {}, could not tell {}.\n\
             `could not tell` is an error and never a pass: the shop ships nothing, and asks later.",
            grouped(*clicks),
            grouped(*invalid),
            grouped(*valid),
            grouped(*could_not_tell),
        )
    }

    /// One line for the reader who reads only one.
    fn look_at(&self) -> String {
        let wrong = match self.all.wrong {
            0 => "no verdict was wrong".to_owned(),
            wrong => format!("{} VERDICTS WERE WRONG", grouped(wrong)),
        };
        let (unknown, clicks) = (grouped(self.all.could_not_tell), grouped(self.all.clicks));
        let received = grouped(self.received);
        format!(
            "Look at: the column `wrong`, {wrong}; the column `could not tell`, {unknown} of {clicks} clicks; \
             all of them cost {received} provider calls."
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n\n{}\n{}\n", self.title, self.verdicts(), self.caught())?;
        writeln!(f, "{}\n\n{}\n", self.latencies(), self.costs())?;
        if self.stormy {
            writeln!(f, "{CHANGED}")?;
        }
        writeln!(f, "{}", self.look_at())
    }
}

impl Row {
    fn add(&mut self, answer: &Answer) {
        let count = match answer.said {
            Said::Valid(_) => &mut self.valid,
            Said::Pending(_) => &mut self.pending,
            Said::ActionRequired(_) => &mut self.action_required,
            Said::Invalid(_) => &mut self.invalid,
            Said::CouldNotTell => &mut self.could_not_tell,
        };
        *count = count.saturating_add(1);
        self.clicks = self.clicks.saturating_add(1);
        self.wrong = self.wrong.saturating_add(answer.wrong.into());
    }

    fn cells(&self, label: &str) -> Vec<String> {
        let Self { clicks, valid, pending, action_required, invalid, could_not_tell, wrong } = *self;
        let counts = [clicks, valid, pending, action_required, invalid, could_not_tell, wrong];
        // What is not zero stands out from dots.
        let shown = |count| if count == 0 { "·".to_owned() } else { grouped(count) };
        std::iter::once(label.to_owned()).chain(counts.map(shown)).collect()
    }
}

impl Source {
    const fn label(self) -> &'static str {
        match self {
            Self::Memory => "from memory",
            Self::Asked => "asked the provider",
            Self::Joined => "joined a call under way",
            Self::CouldNotTell => "could not tell",
        }
    }
}

fn source(said: Said) -> Source {
    match said {
        Said::CouldNotTell => Source::CouldNotTell,
        Said::Valid(provenance)
        | Said::Pending(provenance)
        | Said::ActionRequired(provenance)
        | Said::Invalid(provenance) => match provenance {
            Provenance::Replayed => Source::Memory,
            Provenance::Coalesced => Source::Joined,
            _ => Source::Asked,
        },
    }
}

/// A table whose first column is text, and whose others are numbers.
fn table<const COLUMNS: usize>(header: [&str; COLUMNS]) -> Table {
    let mut table = Table::new();
    table.load_style(LINES).set_header(header);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// The time that this many of a hundred did not exceed; `times` is sorted.
fn percentile(times: &[Duration], percent: usize) -> Duration {
    let at = times.len().saturating_mul(percent).div_ceil(100).saturating_sub(1);
    times.get(at).copied().unwrap_or_default()
}

/// Three digits are enough to compare.
fn shown(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds if seconds >= 1.0 => format!("{seconds:.1} s"),
        seconds if seconds >= 0.001 => format!("{:.1} ms", seconds * 1e3),
        seconds => format!("{:.1} µs", seconds * 1e6),
    }
}

/// `12345` as `12,345`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && digits.len().saturating_sub(at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
