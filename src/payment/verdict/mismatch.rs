//! Two values that should be the same and are not, shown so that a person sees the difference.

use std::fmt;

use crate::intent::currency::Currency;
use crate::intent::money::Money;
use crate::payment::facts::Mode;
use crate::redaction::{NONE, legible, side_by_side};

/// What was expected, and what the provider states.
///
/// Its Display is fit to be shown: a text in which something cannot be seen, such as a blank at its end, stands in quotation
/// marks there, with control and format characters as escapes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mismatch<T> {
    /// What was claimed, or is accepted.
    pub expected: T,
    /// What the provider states. A text is as the provider has it, control characters and all; but credentials are taken out,
    /// and after 255 characters it is cut.
    pub actual: T,
}

impl<T> Mismatch<T> {
    pub(crate) fn new(expected: T, actual: T) -> Self {
        Self { expected, actual }
    }
}

/// Values of a fixed form.
macro_rules! display_mismatch {
    ($($of:ty),+) => {$(
        impl fmt::Display for Mismatch<$of> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "expected {}, actual {}", self.expected, self.actual)
            }
        }
    )+};
}

display_mismatch!(Money, Currency, Mode);

/// What cannot be seen in either text is escaped; where there is none, that is said.
impl fmt::Display for Mismatch<Option<Box<str>>> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [expected, actual] = match (&self.expected, &self.actual) {
            (Some(expected), Some(actual)) => side_by_side(expected, actual),
            (expected, actual) => [expected, actual].map(|text| text.as_deref().map_or(NONE.into(), legible)),
        };
        write!(f, "expected {expected}, actual {actual}")
    }
}
