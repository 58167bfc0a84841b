//! What a developer sees: a line for each call, and at the end the numbers.

use std::fmt;
use std::time::Duration;

use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};
use payproof::cache::{CacheStats, Hit, HitSource, SpaceStats, StoreUse};
use tokio::time::Instant;

use crate::Failure;

/// A line under the header and no other.
const LINES: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('═'));

/// What the repository answered, and how long it took.
#[derive(Debug)]
pub(crate) struct Read<V> {
    pub(crate) hit: Hit<V>,
    took: Duration,
}

impl<V> Read<V> {
    pub(crate) fn new(hit: Hit<V>, begun: Instant) -> Self {
        Self { hit, took: begun.elapsed() }
    }
}

/// Prints what happens, and keeps what was expected and is not so.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    reads: u64,
    checks: u64,
    failures: Vec<String>,
    stats: Vec<(&'static str, CacheStats)>,
}

pub(crate) fn chapter(title: &str) {
    println!("\n{title}");
}

impl Journal {
    /// Prints a call's line, and hands its value on.
    pub(crate) fn read<V>(&mut self, what: &str, read: Result<Read<V>, Failure>) -> Result<Hit<V>, Failure> {
        let Read { hit, took } = read?;
        println!("  {} {what:<27} {:>9}  {}", word(&hit), shown(took), place(&hit));
        self.reads = self.reads.saturating_add(1);
        Ok(hit)
    }

    /// A call without a line of its own.
    pub(crate) fn note<V>(&mut self, _read: Read<V>) {
        self.reads = self.reads.saturating_add(1);
    }

    pub(crate) fn expect(&mut self, what: &str, is: u64, should: u64) {
        self.checks = self.checks.saturating_add(1);
        if is != should {
            self.failures.push(format!("{what}: {is}, and not {should}"));
        }
    }

    pub(crate) fn stats(&mut self, stats: impl IntoIterator<Item = (&'static str, CacheStats)>) {
        self.stats = stats.into_iter().collect();
    }

    pub(crate) fn adds_up(&self) -> bool {
        self.failures.is_empty()
    }

    pub(crate) fn summary(&self) -> impl fmt::Display {
        let mut table = Table::new();
        table.load_style(LINES);
        let header =
            ["process", "space", "memory", "store", "joined", "misses", "loads", "stale", "failed", "hit rate"];
        table.set_header(header);
        for (process, stats) in &self.stats {
            for (space, numbers) in &stats.spaces {
                table.add_row(row(process, space, numbers));
            }
        }
        for column in table.column_iter_mut().skip(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let verdict = match self.failures.as_slice() {
            [] => format!("{} calls, {} checks: everything adds up", self.reads, self.checks),
            failures => format!("these do not add up:\n  {}", failures.join("\n  ")),
        };
        format!("\n{table}\n\n{verdict}")
    }
}

fn row(process: &str, space: &str, numbers: &SpaceStats) -> Vec<String> {
    let counts = [
        numbers.memory_hits,
        numbers.store_hits,
        numbers.coalesced,
        numbers.misses,
        numbers.loads,
        numbers.stale,
        numbers.failed,
    ];
    let mut row = vec![process.to_owned(), space.to_owned()];
    row.extend(counts.map(|count| count.to_string()));
    row.push(format!("{:.0} %", numbers.hit_rate() * 100.0));
    row
}

fn word<V>(hit: &Hit<V>) -> &'static str {
    if hit.source() == HitSource::Load { "MISS" } else { "HIT " }
}

fn place<V>(hit: &Hit<V>) -> String {
    let source = match hit.source() {
        HitSource::Memory => "from memory",
        HitSource::Store => "from Redis",
        _ => "from the database",
    };
    let store = if hit.store() == StoreUse::Down { ", Redis is down" } else { "" };
    let stale = if hit.is_stale() { ", past its life" } else { "" };
    format!("{source}{store}{stale}")
}

fn shown(took: Duration) -> String {
    if took < Duration::from_millis(1) {
        format!("{} µs", took.as_micros())
    } else {
        format!("{:.1} ms", took.as_secs_f64() * 1e3)
    }
}
