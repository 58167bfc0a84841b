//! Exports in which an order or a payment has several rows.

use std::collections::HashMap;
use std::mem;
use std::vec;

use crate::trouble::Trouble;

use super::line::{Line, LineError};

/// A column of the balance report that no command asks for, and that says what a row is.
pub(super) const CATEGORY: &str = "reporting_category";

/// More payments than a month of most shops has; about 480 MB when full. Their sums are known at the end only.
const MOST_SUMMED: usize = 1_000_000;

/// Rows of the balance report that say what a payment brought.
const CHARGE: &str = "charge";

/// Rows that take back what was authorized and not captured.
const REVERSAL: &str = "partial_capture_reversal";

const UNKNOWN: &str = "is unknown: the report has no customer_facing_amount on each row of this payment, and `gross` may be in \
                       another currency; look the payment up in Stripe's dashboard";

const UNCHARGED: &str = "is unknown: the charge of this payment is not in the report, and only what was taken back of it; \
                         download one that begins earlier";

/// Decimals that sums are kept with, as many as an amount may have.
const SCALE: usize = 18;

/// How rows belong together.
pub(super) enum Rows {
    /// Each by itself.
    Single,
    /// Shopify's orders: behind the row of an order stand rows of its items, with its name at most, and without a total.
    Followed { order: Option<String>, continued: u64 },
    /// Stripe's balance report: a payment has a row for whatever moved its money.
    Summed(Box<Sums>),
}

/// The rows that brought no line, by why.
#[derive(Clone, Copy, Default)]
pub(super) struct Merged {
    /// They belong to a row before.
    pub(super) continued: u64,
    /// They are no payment.
    pub(super) passed: u64,
}

impl Rows {
    pub(super) fn followed() -> Self {
        Self::Followed { order: None, continued: 0 }
    }

    pub(super) fn summed() -> Self {
        Self::Summed(Box::default())
    }

    /// The next line that is one of its own.
    pub(super) fn next(
        &mut self,
        mut read: impl FnMut() -> Result<Option<Line>, Trouble>,
    ) -> Result<Option<Line>, Trouble> {
        match self {
            Self::Single => read(),
            Self::Followed { order, continued } => loop {
                let line = read()?;
                let Some(Line { values, wrong, .. }) = &line else { return Ok(None) };
                let named = values.get("order");
                let is_bare = wrong.is_none() && values.get("amount").is_none() && values.get("payment").is_none();
                let belongs = order.is_some() && (named.is_none() || named == order.as_deref());
                if !(is_bare && belongs) {
                    *order = named.map(str::to_owned);
                    return Ok(line);
                }
                *continued = continued.saturating_add(1);
            },
            Self::Summed(sums) => sums.next(read),
        }
    }

    pub(super) fn merged(&self) -> Merged {
        match self {
            Self::Single => Merged::default(),
            Self::Followed { continued, .. } => Merged { continued: *continued, passed: 0 },
            Self::Summed(sums) => sums.merged,
        }
    }
}

/// The sums of all payments.
#[derive(Default)]
pub(super) struct Sums {
    lines: Vec<Summed>,
    /// Where in the lines each payment stands.
    payments: HashMap<Box<str>, usize>,
    merged: Merged,
    ready: Option<vec::IntoIter<Summed>>,
}

/// The first row of a payment, and the sum so far; or a line that cannot be used.
struct Summed {
    line: Line,
    sum: Option<i128>,
}

impl Sums {
    fn next(&mut self, mut read: impl FnMut() -> Result<Option<Line>, Trouble>) -> Result<Option<Line>, Trouble> {
        if self.ready.is_none() {
            while let Some(line) = read()? {
                self.add(line)?;
            }
            self.payments = HashMap::new();
            self.ready = Some(mem::take(&mut self.lines).into_iter());
        }
        Ok(self.ready.as_mut().and_then(Iterator::next).map(Summed::finished))
    }

    fn add(&mut self, line: Line) -> Result<(), Trouble> {
        let is_usable = line.wrong.is_none();
        let category = line.values.get(CATEGORY).unwrap_or_default();
        if is_usable && ![CHARGE, REVERSAL].contains(&category) {
            self.merged.passed = self.merged.passed.saturating_add(1);
            return Ok(());
        }
        let amount = line.values.get("amount").and_then(scaled);
        // Whichever sign the report gives it.
        let amount =
            if category == REVERSAL { amount.and_then(|amount| amount.checked_abs()?.checked_neg()) } else { amount };
        let payment = line.values.get("payment").filter(|_| is_usable);
        let before = payment.and_then(|payment| self.payments.get(payment));
        if let Some(before) = before.and_then(|at| self.lines.get_mut(*at)) {
            self.merged.continued = self.merged.continued.saturating_add(1);
            before.sum = before.sum.zip(amount).and_then(|(sum, amount)| sum.checked_add(amount));
            let currencies = before.line.values.get("currency").zip(line.values.get("currency"));
            if currencies.is_some_and(|(one, other)| one != other) {
                before.line.wrong = Some(LineError::field("currency", "differs between the rows of this payment"));
            }
            return Ok(());
        }
        if self.lines.len() >= MOST_SUMMED {
            return Err(Trouble::new(format!(
                "the report has more than {MOST_SUMMED} payments, whose rows cannot be summed at once; \
                 download it for shorter times, such as month by month"
            )));
        }
        if let Some(payment) = payment {
            self.payments.insert(payment.into(), self.lines.len());
        }
        self.lines.push(Summed { line, sum: amount });
        Ok(())
    }
}

impl Summed {
    fn finished(self) -> Line {
        let Self { mut line, sum } = self;
        let wrong = match sum {
            Some(sum) if sum >= 0 => {
                line.values.set("amount", &written(sum));
                None
            }
            Some(_) => Some(UNCHARGED),
            None => Some(UNKNOWN),
        };
        if let Some(wrong) = wrong.filter(|_| line.wrong.is_none()) {
            line.wrong = Some(LineError::field("amount", wrong));
        }
        line
    }
}

/// A plain decimal as a whole number of its smallest parts.
fn scaled(amount: &str) -> Option<i128> {
    let (minus, digits) = match amount.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, amount),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_decimal = !whole.is_empty() && whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit());
    let is_fine = is_decimal && fraction.len() <= SCALE;
    let digits = is_fine.then(|| format!("{whole}{fraction:0<SCALE$}"))?;
    digits.parse::<i128>().ok()?.checked_mul(minus)
}

fn written(sum: i128) -> String {
    let digits = format!("{:0>width$}", sum.unsigned_abs(), width = SCALE.saturating_add(1));
    let (whole, fraction) = digits.split_at(digits.len().saturating_sub(SCALE));
    let minus = if sum < 0 { "-" } else { "" };
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { format!("{minus}{whole}") } else { format!("{minus}{whole}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_exact() {
        for amount in ["0", "19.99", "-0.01", "1560", "-1560.5", "0.000000000000000001", "99999999999999999999"] {
            assert_eq!(scaled(amount).map(written).as_deref(), Some(amount));
        }
        assert_eq!(scaled("19.990").map(written).as_deref(), Some("19.99"));
        for amount in ["", "-", ".5", "1e3", "1,5", "0.0000000000000000001", "--1", "+1"] {
            assert_eq!(scaled(amount), None, "{amount}");
        }
    }
}
