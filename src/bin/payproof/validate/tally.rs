//! How many of each.

use std::time::Duration;

use payproof::Verdict;

use crate::output::shown;
use crate::status::Status;

use super::row::{Outcome, Row};

#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    lines: u64,
    valid: u64,
    invalid: u64,
    pending: u64,
    action_required: u64,
    could_not_tell: u64,
    unusable: u64,
}

impl Tally {
    pub(crate) fn count(&mut self, row: &Row) {
        let one = |count: &mut u64| *count = count.saturating_add(1);
        one(&mut self.lines);
        one(match &row.outcome {
            Outcome::Told(validation) => match validation.verdict() {
                Verdict::Valid(_) => &mut self.valid,
                Verdict::Pending(_) => &mut self.pending,
                Verdict::ActionRequired(_) => &mut self.action_required,
                Verdict::Invalid(_) => &mut self.invalid,
            },
            Outcome::CouldNotTell(error) if !error.is_invalid_intent() => &mut self.could_not_tell,
            Outcome::CouldNotTell(_) | Outcome::Refused(_) => &mut self.unusable,
        });
    }

    pub(crate) fn lines(&self) -> u64 {
        self.lines
    }

    /// The worst of all.
    pub(crate) fn status(&self) -> Status {
        if self.lines == 0 || self.could_not_tell > 0 || self.unusable > 0 {
            Status::CouldNotTell
        } else if self.valid < self.lines {
            Status::NotFine
        } else {
            Status::Fine
        }
    }

    /// The summary, with how long it took.
    pub(crate) fn after(&self, time: Duration) -> String {
        let rate = u128::from(self.lines).saturating_mul(1_000_000).checked_div(time.as_micros()).unwrap_or(0);
        let lines = if self.lines == 1 { "line" } else { "lines" };
        let counts = [
            (self.valid, "valid"),
            (self.invalid, "invalid"),
            (self.pending, "pending"),
            (self.action_required, "action required"),
            (self.could_not_tell, "could not tell"),
            (self.unusable, "unusable"),
        ];
        let counts: Vec<String> =
            counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
        let (count, took) = (self.lines, shown(time));
        format!("{count} {lines} in {took}, {rate} per second: {}", counts.join(", "))
    }
}
