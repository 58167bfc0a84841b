//! One line of the input, and how many there were.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use payproof::{Field, InvalidIntent};

use super::decimal::{self, DecimalSign};
use super::text::LONGEST_LINE;

/// What the values of most lines take together, in bytes.
const USUAL_TEXT: usize = 96;

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
    pub(super) fn unread(number: u64, fields: &Arc<LineFields>, wrong: LineError) -> Self {
        Self { number, values: LineValues::new(fields), wrong: Some(wrong) }
    }

    /// What it says.
    ///
    /// # Errors
    /// Why it cannot be used, if it cannot.
    pub(crate) fn usable(&self) -> Result<&LineValues, LineError> {
        match &self.wrong {
            Some(wrong) => Err(wrong.clone()),
            None => Ok(&self.values),
        }
    }

    /// Writes the amount without grouping and with a point, where it can be read.
    pub(super) fn make_plain(&mut self, sign: Option<DecimalSign>) {
        let Some(amount) = self.values.get("amount") else { return };
        match decimal::plain(amount, self.values.get("currency"), sign) {
            Ok(Cow::Borrowed(_)) => {}
            Ok(Cow::Owned(plain)) => self.values.set("amount", &plain),
            Err(rule) => drop(self.wrong.get_or_insert_with(|| LineError::field("amount", rule))),
        }
    }
}

/// The fields that lines hold.
pub(crate) struct LineFields(Box<[LineField]>);

struct LineField {
    name: &'static str,
    /// What the input calls it, where that is something else.
    column: Option<Box<str>>,
}

impl LineFields {
    /// Fields, and what the input calls each.
    pub(crate) fn new<'c>(fields: impl IntoIterator<Item = (&'static str, &'c str)>) -> Arc<Self> {
        let field =
            |(name, column): (&'static str, &str)| LineField { name, column: (column != name).then(|| column.into()) };
        Arc::new(Self(fields.into_iter().map(field).collect()))
    }
}

/// The values of a line by the names of their fields, without what is blank around them. An empty one counts as absent.
pub(crate) struct LineValues {
    fields: Arc<LineFields>,
    text: String,
    /// Where in the text each field's value stands.
    places: Box<[Range<usize>]>,
}

impl LineValues {
    pub(crate) fn new(fields: &Arc<LineFields>) -> Self {
        let (text, places) = (String::with_capacity(USUAL_TEXT), fields.0.iter().map(|_| 0..0).collect());
        Self { fields: Arc::clone(fields), text, places }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut places = self.fields.0.iter().zip(&self.places);
        let place = places.find_map(|(field, place)| (field.name == name).then_some(place))?;
        self.text.get(place.clone()).filter(|value| !value.is_empty())
    }

    /// The value of a field that every line must have.
    ///
    /// # Errors
    /// Names the field where it is absent.
    pub(crate) fn needed(&self, name: &'static str) -> Result<&str, LineError> {
        self.get(name).ok_or_else(|| {
            let column =
                self.fields.0.iter().find(|field| field.name == name).and_then(|field| field.column.as_deref());
            let place = column.map(|column| format!(" in `{}`", short(column))).unwrap_or_default();
            LineError::field(name, format!("is missing{place}"))
        })
    }

    /// Whose the line is: the tenant that it names, or else that of all.
    ///
    /// # Errors
    /// Names the field where neither is said.
    pub(crate) fn tenant<'v>(&'v self, of_all: Option<&'v str>) -> Result<&'v str, LineError> {
        let unnamed = || LineError::field("tenant", "is missing; name it on the line, or for all with --tenant");
        self.get("tenant").or(of_all).ok_or_else(unnamed)
    }

    /// A field of another name is none of the line's.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        let mut places = self.fields.0.iter().zip(&mut self.places);
        if let Some(place) = places.find_map(|(field, place)| (field.name == name).then_some(place)) {
            let start = self.text.len();
            self.text.push_str(value.trim());
            *place = start..self.text.len();
        }
    }
}

/// A foreign name in a message.
pub(super) fn short(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(40).collect()
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

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field {
            Some(field) => write!(f, "{field} {}", self.rule),
            None => f.write_str(&self.rule),
        }
    }
}

impl From<&InvalidIntent> for LineError {
    fn from(invalid: &InvalidIntent) -> Self {
        let field = match invalid.field() {
            Field::PaymentId => "payment",
            field => field.as_str(),
        };
        Self::field(field, invalid.rule())
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

impl Lines {
    /// Whether each line that was read is one of those that brought a result, or one of those that need not.
    pub(crate) fn are_accounted_for(self, results: u64) -> bool {
        let Self { read, header, blank, continued, passed } = self;
        [header, results, blank, continued, passed].into_iter().fold(0, u64::saturating_add) == read
    }

    /// What each line was, where so many brought a result, the unusable among them.
    pub(crate) fn account(self, results: u64, unusable: u64) -> String {
        let Self { read, header, blank, continued, passed } = self;
        let passed = if passed == 0 { String::new() } else { format!(" + {passed} of no payment") };
        let results = results.saturating_sub(unusable);
        format!(
            "{read} lines = {header} header + {results} results + {unusable} unusable + {blank} blank + {continued} \
             continued{passed}"
        )
    }
}
