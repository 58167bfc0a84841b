//! How many discrepancies there were on each day: a row of bars for each class, and the same numbers as a table.

use std::collections::BTreeMap;
use std::io::{self, Write};

use payproof::reconcile::{DiscrepancyClass, Reconciliation};

use super::times;
use super::words::{heading, tone};

const DAY: u64 = 24 * 60 * 60;

/// The units of a drawing: how wide a day is, how wide its bar, and how high the highest one.
const DAY_WIDTH: u64 = 10;
const BAR_WIDTH: u64 = 8;
const HEIGHT: u64 = 100;

/// What shows of a single one beside thousands.
const LEAST_HEIGHT: u64 = 4;

/// The bars of one class: the number of each day that has one.
type Bars = Vec<(u64, u64)>;

/// The days of the window, and what was told of them.
pub(crate) struct Picture {
    first: u64,
    days: u64,
    most: u64,
    rows: BTreeMap<DiscrepancyClass, Bars>,
}

impl Picture {
    pub(crate) fn of(report: &Reconciliation) -> Self {
        let (since, until) = report.window();
        let first = since / DAY;
        let last = until.saturating_sub(1).max(since) / DAY;
        let mut rows: BTreeMap<DiscrepancyClass, Bars> = BTreeMap::new();
        let (mut most, mut days) = (1, last.saturating_sub(first).saturating_add(1));
        for (day, class, count) in report.days() {
            most = count.max(most);
            days = (day / DAY).saturating_sub(first).saturating_add(1).max(days);
            rows.entry(class).or_default().push((day / DAY, count));
        }
        Self { first, days, most, rows }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// All rows have one scale, so that they can be compared. Words stand beside the drawings, which are stretched: on a phone
    /// they stay as large as the rest of the page.
    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let last = self.first.saturating_add(self.days).saturating_sub(1);
        let [first, last] = [self.first, last].map(|day| times::day(day.saturating_mul(DAY)));
        writeln!(out, "<figure>")?;
        for (class, bars) in &self.rows {
            self.write_row(*class, bars, out)?;
        }
        writeln!(out, "<p class=\"axis\"><span>{first}</span><span>{last}</span></p>")?;
        let most = self.most;
        writeln!(
            out,
            "<figcaption>Days in UTC. Every row has the same scale; its full height is {most}.</figcaption>\n</figure>"
        )
    }

    fn write_row(&self, class: DiscrepancyClass, bars: &Bars, out: &mut dyn Write) -> io::Result<()> {
        let (code, title, tone) = (class.code(), heading(class), tone(class));
        let all = bars.iter().fold(0_u64, |all, (_, count)| all.saturating_add(*count));
        let (day, most) =
            bars.iter().copied().max_by_key(|(day, count)| (*count, u64::MAX.saturating_sub(*day))).unwrap_or_default();
        let day = times::day(day.saturating_mul(DAY));
        let width = self.days.saturating_mul(DAY_WIDTH);
        writeln!(out, "<div class=\"row {tone}\">\n<p><b>{title}</b> <span>{all}</span></p>")?;
        writeln!(
            out,
            "<svg role=\"img\" viewBox=\"0 0 {width} {HEIGHT}\" preserveAspectRatio=\"none\" aria-labelledby=\"{code}-title \
             {code}-desc\">\n<title id=\"{code}-title\">{title}, by day</title>\n<desc id=\"{code}-desc\">{all} in all, on \
             {} of {} days. The most, {most}, on {day}. The numbers stand in the table below.</desc>",
            bars.len(),
            self.days,
        )?;
        for (day, count) in bars {
            let left = day.saturating_sub(self.first).saturating_mul(DAY_WIDTH).saturating_add(1);
            let height =
                count.saturating_mul(HEIGHT).checked_div(self.most).unwrap_or(HEIGHT).clamp(LEAST_HEIGHT, HEIGHT);
            let top = HEIGHT.saturating_sub(height);
            writeln!(out, "<rect x=\"{left}\" y=\"{top}\" width=\"{BAR_WIDTH}\" height=\"{height}\"/>")?;
        }
        writeln!(out, "</svg>\n</div>")
    }

    pub(crate) fn write_table(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "<table>\n<caption>Discrepancies of each day and class</caption>")?;
        writeln!(
            out,
            "<thead><tr><th scope=\"col\">Day</th><th scope=\"col\">Class</th><th scope=\"col\" class=\"number\">Told</th></tr></thead>\n<tbody>"
        )?;
        let mut cells: Vec<(u64, DiscrepancyClass, u64)> = Vec::new();
        for (class, bars) in &self.rows {
            cells.extend(bars.iter().map(|(day, count)| (*day, *class, *count)));
        }
        cells.sort_unstable();
        for (day, class, count) in cells {
            let (day, class) = (times::day(day.saturating_mul(DAY)), heading(class));
            writeln!(
                out,
                "<tr><th scope=\"row\" class=\"day\">{day}</th><td>{class}</td><td class=\"number\">{count}</td></tr>"
            )?;
        }
        writeln!(out, "</tbody>\n</table>")
    }
}
