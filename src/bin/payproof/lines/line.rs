//! One line of the input, and how many there were.

use std::borrow::Cow;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::decimal::{self, DecimalSign};
use super::text::LONGEST_LINE;

/// One line of the input.
pub(crate) struct Line {
    pub(crate) number: u64,
    /// What could be read of it.
    pub(crate) values: LineValues,
    /// Why it cannot be used, if it cannot.
    pub(crate) wrong: Option<LineError>,
}

impl Line {
    /// One of which nothing could be read.
    pub(super) fn unread(number: u64, fields: &Arc<[&'static str]>, wrong: LineError) -> Self {
        Self { number, values: LineValues::new(fields), wrong: Some(wrong) }
    }

    /// Writes the amount without grouping and with a point, where it can be read.
    pub(super) fn make_plain(&mut self, sign: Option<DecimalSign>) {
        let Some(amount) = self.values.get("amount") else { return };
        match decimal::plain(amount, sign) {
            Ok(Cow::Borrowed(_)) => {}
            Ok(Cow::Owned(plain)) => self.values.set("amount", &plain),
            Err(rule) => drop(self.wrong.get_or_insert_with(|| LineError::field("amount", rule))),
        }
    }
}

/// The values of a line by the names of their fields, without what is blank around them. An empty one counts as absent.
pub(crate) struct LineValues {
    fields: Arc<[&'static str]>,
    text: String,
    /// Where in the text each field's value stands.
    places: Box<[Range<usize>]>,
}

impl LineValues {
    pub(crate) fn new(fields: &Arc<[&'static str]>) -> Self {
        Self { fields: Arc::clone(fields), text: String::new(), places: fields.iter().map(|_| 0..0).collect() }
    }

    pub(crate) fn get(&self, field: &str) -> Option<&str> {
        let place = self.fields.iter().zip(&self.places).find_map(|(name, place)| (*name == field).then_some(place));
        self.text.get(place?.clone()).filter(|value| !value.is_empty())
    }

    /// The value of a field that every line must have.
    ///
    /// # Errors
    /// Names the field where it is absent.
    pub(crate) fn needed(&self, field: &'static str) -> Result<&str, LineError> {
        self.get(field).ok_or_else(|| LineError::field(field, "is missing"))
    }

    /// A field of another name is none of the line's.
    pub(crate) fn set(&mut self, field: &str, value: &str) {
        let place =
            self.fields.iter().zip(&mut self.places).find_map(|(name, place)| (*name == field).then_some(place));
        if let Some(place) = place {
            let start = self.text.len();
            self.text.push_str(value.trim());
            *place = start..self.text.len();
        }
    }
}

/// Why a line cannot be used. No value is repeated: it may be a secret in the wrong place.
#[derive(Clone, Debug)]
pub(crate) struct LineError {
    pub(crate) field: Option<&'static str>,
    pub(crate) rule: String,
}

impl LineError {
    pub(crate) fn line(rule: impl Into<String>) -> Self {
        Self { field: None, rule: rule.into() }
    }

    pub(crate) fn field(field: &'static str, rule: impl Into<String>) -> Self {
        Self { field: Some(field), rule: rule.into() }
    }

    pub(super) fn too_long() -> Self {
        Self::line(format!("the line is longer than {LONGEST_LINE} bytes"))
    }
}

/// The lines of an input in one of its formats.
pub(super) trait LineSource {
    /// The next line that is not blank.
    fn next(&mut self) -> io::Result<Option<Line>>;

    /// Whether the next line has still to come from outside, as far as can be told.
    fn is_drained(&self) -> bool;

    fn lines(&self) -> Lines;
}

/// How many lines there were, and which of them brought no result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lines {
    /// Counted as they arrived.
    pub(crate) read: u64,
    pub(crate) header: u64,
    pub(crate) blank: u64,
    /// Those that belong to one before: a quoted text goes on, or a row has its own order's or payment's row before it.
    pub(crate) continued: u64,
    /// Those of an export's rows that are no payment, such as fees and payouts.
    pub(crate) passed: u64,
}
