//! A case as people read it.

use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};

use crate::study::Case;
use crate::study::figures::{Figure, Measured};
use crate::study::goals::{Bound, Goal};
use crate::study::run::DEADLINE;

/// A line under the header and no other.
const LINES: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('═'));

pub(crate) fn of(case: &Case) -> String {
    let mut table = Table::new();
    let head = ["", "valid", "3 s", "calls", "recovery", "after", "burst", "waiters", "longest", "first"];
    table.load_style(LINES).set_header(head);
    for (peer, measured) in &case.peers {
        let cells = Figure::ALL.map(|figure| cell(figure, measured));
        table.add_row(std::iter::once(peer.name().to_owned()).chain(cells));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let (name, rate) = (&case.scenario.name, case.rate);
    let who = if case.processes == 1 { "one process".to_owned() } else { format!("{} processes", case.processes) };
    format!("{name}: {rate} callers a second, {who}\n{table}")
}

fn cell(figure: Figure, measured: &Measured) -> String {
    let mean = measured.mean(figure);
    match figure {
        Figure::Valid | Figure::Prompt => format!("{mean:.3}"),
        Figure::Calls => format!("{mean:.2}"),
        Figure::Waiters if mean >= DEADLINE.as_secs_f64() => "never".to_owned(),
        Figure::After if mean > 999.0 => "> 999 ×".to_owned(),
        Figure::Recovery | Figure::Waiters | Figure::Longest | Figure::First => format!("{mean:.2} s"),
        Figure::After | Figure::Burst => format!("{mean:.1} ×"),
    }
}

pub(crate) fn line(goal: &Goal) -> String {
    let (mark, measured) = (if goal.is_met() { "met   " } else { "MISSED" }, goal.measured);
    match goal.bound {
        Bound::AtLeast(least) => format!("  {mark} {}: {measured:.3}, at least {least:.3}", goal.rule),
        Bound::AtMost(most) => format!("  {mark} {}: {measured:.3}, at most {most:.3}", goal.rule),
    }
}
