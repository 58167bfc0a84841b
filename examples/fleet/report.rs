//! What came of it: who asked the provider, who did not have to, and whether the numbers add up.

use std::fmt;
use std::time::Duration;

use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};
use payproof::testing::sandbox::Sandbox;

use crate::Click;
use crate::process::Gone;
use crate::service::Reply;

/// A line under the header and no other.
const LINES: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('═'));

/// Everything the run has to say; `Display` is the output.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
    own_redis: bool,
    victim: Option<usize>,
    /// Which orders got the payment, and what the others were told.
    winners: Vec<usize>,
    losers: Vec<String>,
    troubles: Vec<String>,
    /// Look-ups as the provider counted them, those before the redemptions apart.
    look_ups: u64,
    of_the_wanted: u64,
    took: Duration,
}

/// What the clicks at one process got.
#[derive(Clone, Debug, Default)]
struct Row {
    clicks: u64,
    asked: u64,
    replayed: u64,
    coalesced: u64,
    taken_over: u64,
    degraded: u64,
    errors: u64,
    calls: u64,
}

impl Report {
    pub(crate) fn new(processes: usize, own_redis: bool) -> Self {
        Self { rows: vec![Row::default(); processes], own_redis, ..Self::default() }
    }

    pub(crate) fn add_clicks(&mut self, clicks: Vec<Click>) {
        for (place, payment, answer) in clicks {
            let Some(row) = self.rows.get_mut(place) else { continue };
            row.clicks = row.clicks.saturating_add(1);
            let count = match &answer {
                Ok(Reply::Valid { without_store: true, .. }) => &mut row.degraded,
                Ok(Reply::Valid { provenance, .. }) => match provenance.as_str() {
                    "fresh" => &mut row.asked,
                    "coalesced" => &mut row.coalesced,
                    _ => &mut row.replayed,
                },
                other => {
                    self.troubles.push(format!("{payment} at process {place}: {other:?}"));
                    &mut row.errors
                }
            };
            *count = count.saturating_add(1);
            if let Ok(Reply::Valid { calls, provenance, .. }) = &answer
                // Who joined a call shows it too.
                && provenance != "coalesced"
            {
                row.calls = row.calls.saturating_add(u64::try_from(*calls).unwrap_or(u64::MAX));
            }
        }
    }

    /// Of the payments a process asked about, those that another one had been asking about when it died.
    pub(crate) fn taken_over(&mut self, place: usize, payments: u64) {
        if let Some(row) = self.rows.get_mut(place) {
            row.taken_over = payments;
        }
    }

    pub(crate) fn killed(&mut self, place: usize) {
        self.victim = Some(place);
    }

    pub(crate) fn add_redemptions(&mut self, ends: Vec<(usize, Result<Reply, Gone>)>) {
        for (place, end) in ends {
            match end {
                Ok(Reply::Redeemed) => self.winners.push(place),
                Ok(Reply::Used(why)) => self.losers.push(format!("order {place}: {why}")),
                other => self.troubles.push(format!("order {place}: {other:?}")),
            }
        }
    }

    /// Takes the provider's own count.
    pub(crate) fn finish(&mut self, sandbox: &Sandbox, took: Duration) {
        self.of_the_wanted = sandbox.requests_for(crate::WANTED);
        self.look_ups = sandbox.requests().saturating_sub(self.of_the_wanted);
        self.took = took;
    }

    fn all(&self) -> Row {
        let mut all = Row::default();
        for row in &self.rows {
            all.clicks = all.clicks.saturating_add(row.clicks);
            all.asked = all.asked.saturating_add(row.asked);
            all.replayed = all.replayed.saturating_add(row.replayed);
            all.coalesced = all.coalesced.saturating_add(row.coalesced);
            all.taken_over = all.taken_over.saturating_add(row.taken_over);
            all.degraded = all.degraded.saturating_add(row.degraded);
            all.errors = all.errors.saturating_add(row.errors);
            all.calls = all.calls.saturating_add(row.calls);
        }
        all
    }

    /// Whether every click was answered, the provider's count is ours and the call that was cut, one process took over, and
    /// one order got the payment.
    pub(crate) fn adds_up(&self) -> bool {
        let all = self.all();
        self.troubles.is_empty()
            && self.look_ups == all.calls.saturating_add(1)
            && all.taken_over == 1
            && (self.winners.len(), self.losers.len()) == (1, self.rows.len().saturating_sub(2))
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        let header = ["process", "clicks", "asked", "taken\nover", "replayed", "coalesced", "degraded", "errors"];
        table.load_style(LINES).set_header(header);
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        for (place, row) in self.rows.iter().enumerate() {
            let label = if self.victim == Some(place) { format!("{place}, killed") } else { place.to_string() };
            table.add_row(row.cells(label));
        }
        table.add_row(self.all().cells("all".into()));
        table
    }
}

impl Row {
    fn cells(&self, label: String) -> Vec<String> {
        let Self { clicks, asked, replayed, coalesced, taken_over, degraded, errors, .. } = *self;
        let counts = [clicks, asked, taken_over, replayed, coalesced, degraded, errors];
        // What is not zero stands out from dots.
        let shown = |count: u64| if count == 0 { "·".to_owned() } else { count.to_string() };
        std::iter::once(label).chain(counts.map(shown)).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (all, seconds) = (self.all(), self.took.as_secs_f64());
        let whose = if self.own_redis { "a Redis of their own" } else { "the Redis of REDIS_URL" };
        writeln!(f, "{} processes on {whose}, in {seconds:.1} s\n\n{}\n", self.rows.len(), self.table())?;
        let saved = all.clicks.saturating_sub(self.look_ups);
        writeln!(
            f,
            "Look-ups, as the provider counted them: {}. One was cut when its process was killed.",
            self.look_ups
        )?;
        writeln!(f, "{} validations, so {saved} calls were saved.\n", all.clicks)?;
        for winner in &self.winners {
            writeln!(f, "order {winner}: got the payment")?;
        }
        for loser in &self.losers {
            writeln!(f, "{loser}")?;
        }
        for trouble in self.troubles.iter().take(10) {
            writeln!(f, "trouble: {trouble}")?;
        }
        if self.adds_up() {
            write!(f, "\nThe numbers add up.")
        } else {
            let (calls, winners) = (all.calls, self.winners.len());
            write!(
                f,
                "\nTHE NUMBERS DO NOT ADD UP: {calls} calls and the one that was cut, {} taken over, {winners} winners, \
                 {} troubles.",
                all.taken_over,
                self.troubles.len()
            )
        }
    }
}
