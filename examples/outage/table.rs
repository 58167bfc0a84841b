//! A case as people read it.

use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};

use crate::study::Case;
use crate::study::figures::{Figure, Measured, NEVER};
use crate::study::goals::{Bound, Goal, goals};

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
        Figure::Recovery | Figure::Waiters if mean >= NEVER => "never".to_owned(),
        Figure::After if mean > 999.0 => "> 999 ×".to_owned(),
        Figure::Recovery | Figure::Waiters | Figure::Longest | Figure::First => format!("{mean:.2} s"),
        Figure::After | Figure::Burst => format!("{mean:.1} ×"),
    }
}

pub(crate) fn line(case: &Case, goal: &Goal) -> String {
    let (mark, measured) = (if goal.is_met() { "met   " } else { "MISSED" }, goal.measured);
    let line = match goal.bound {
        Bound::AtLeast(least) => format!("  {mark} {}: {measured:.3}, at least {least:.3}", goal.rule),
        Bound::AtMost(most) => format!("  {mark} {}: {measured:.3}, at most {most:.3}", goal.rule),
    };
    let is_missed = |alone: &Goal| alone.rule == goal.rule && !alone.is_met();
    match case.seeds.iter().flat_map(goals).filter(is_missed).count() {
        0 => line,
        missed => format!("{line}; {missed} of {} seeds alone miss it", case.seeds.len()),
    }
}

/// The goals of all cases by rule: how many cases keep it, how many miss it, and which is the farthest from it.
pub(crate) fn summary(cases: &[Case]) -> String {
    let mut rules: Vec<Rule<'_>> = Vec::new();
    for case in cases {
        for goal in goals(case) {
            let name = goal.rule;
            let Some(rule) = rules.iter_mut().find(|rule| rule.name == name) else {
                rules.push(Rule::new(case, goal));
                continue;
            };
            rule.add(case, goal);
        }
    }
    let mut table = Table::new();
    table.load_style(LINES).set_header(["goal", "met", "missed", "farthest from it"]);
    for Rule { name, met, missed, farthest: (case, goal) } in rules {
        let (scenario, rate, processes) = (&case.scenario.name, case.rate, case.processes);
        let farthest = format!("{scenario}, {rate}/s, {processes}: {:.2} of {:.2}", goal.measured, goal.bound.value());
        table.add_row([name.to_owned(), met.to_string(), missed.to_string(), farthest]);
    }
    table.to_string()
}

struct Rule<'c> {
    name: &'static str,
    met: usize,
    missed: usize,
    farthest: (&'c Case, Goal),
}

impl<'c> Rule<'c> {
    fn new(case: &'c Case, goal: Goal) -> Self {
        let met = usize::from(goal.is_met());
        Self { name: goal.rule, met, missed: 1_usize.saturating_sub(met), farthest: (case, goal) }
    }

    fn add(&mut self, case: &'c Case, goal: Goal) {
        let count = if goal.is_met() { &mut self.met } else { &mut self.missed };
        *count = count.saturating_add(1);
        if goal.margin() < self.farthest.1.margin() {
            self.farthest = (case, goal);
        }
    }
}
