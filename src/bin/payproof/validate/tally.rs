//! How many of each.

use std::time::Duration;

use payproof::Verdict;

use crate::lines::Lines;
use crate::output::shown;
use crate::status::Status;

use super::row::{Row, RowOutcome};

#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    rows: u64,
    valid: u64,
    invalid: u64,
    pending: u64,
    action_required: u64,
    could_not_tell: u64,
    unusable: u64,
    older: u64,
    repeated: u64,
    /// The first line that names the payment of an earlier one, and that one.
    first_repeated: Option<(u64, u64)>,
}

impl Tally {
    pub(crate) fn count(&mut self, row: &Row) {
        let one = |count: &mut u64| *count = count.saturating_add(1);
        one(&mut self.rows);
        if row.is_older() {
            one(&mut self.older);
        }
        if let Some(lines) = row.place.line.zip(row.place.also_on_line) {
            one(&mut self.repeated);
            self.first_repeated.get_or_insert(lines);
        }
        one(match &row.outcome {
            RowOutcome::Told { validation, .. } => match validation.verdict() {
                Verdict::Valid(_) => &mut self.valid,
                Verdict::Pending(_) => &mut self.pending,
                Verdict::ActionRequired(_) => &mut self.action_required,
                Verdict::Invalid(_) => &mut self.invalid,
            },
            RowOutcome::CouldNotTell(error) if !error.is_invalid_intent() => &mut self.could_not_tell,
            RowOutcome::CouldNotTell(_) | RowOutcome::Refused(_) => &mut self.unusable,
        });
    }

    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// The worst of all.
    pub(crate) fn status(&self) -> Status {
        if self.rows == 0 || self.could_not_tell > 0 || self.unusable > 0 {
            Status::CouldNotTell
        } else if self.valid < self.rows {
            Status::NotFine
        } else {
            Status::Fine
        }
    }

    /// The summary, with how long it took, and what each line was where all of them could be read.
    pub(crate) fn after(&self, time: Duration, lines: Option<&Lines>) -> String {
        let rate = u128::from(self.rows).saturating_mul(1_000_000).checked_div(time.as_micros()).unwrap_or(0);
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
        let account = lines.map(|lines| format!("; {}", lines.account(self.rows, self.unusable)));
        let older = match self.older {
            0 => String::new(),
            older => format!("; {older} NOT ASKED NOW, but answered from before"),
        };
        let repeated = self.first_repeated.map(|(line, first)| {
            format!("; {} NAME THE PAYMENT OF AN EARLIER LINE, such as line {line} that of line {first}", self.repeated)
        });
        let repeated = repeated.unwrap_or_default();
        let (rows, took) = (self.rows, shown(time));
        let what = if rows == 1 { "payment" } else { "payments" };
        format!(
            "{rows} {what} in {took}, {rate} per second: {}{older}{repeated}{}",
            counts.join(", "),
            account.unwrap_or_default()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_missing_or_counted_twice_is_noticed() {
        let tally = Tally { rows: 5, valid: 3, unusable: 2, ..Tally::default() };
        let lines = |read| Lines { read, header: 1, blank: 2, continued: 3, passed: 0 };
        assert!(lines(11).are_accounted_for(5));
        assert!(!lines(10).are_accounted_for(5) && !lines(12).are_accounted_for(5));
        let summary = tally.after(Duration::from_secs(1), Some(&lines(11)));
        assert!(summary.ends_with("11 lines = 1 header + 3 results + 2 unusable + 2 blank + 3 continued"), "{summary}");
        let passed = Lines { passed: 4, ..lines(15) };
        assert!(passed.are_accounted_for(5) && !Lines { passed: 3, ..passed }.are_accounted_for(5));
        let summary = tally.after(Duration::from_secs(1), Some(&passed));
        assert!(summary.ends_with("3 continued + 4 of no payment"), "{summary}");
    }
}
