//! One line of the input, and how many there were.

use std::io;

use crate::trouble::Trouble;

use super::claim::{LineClaim, LineError};
use super::text::LONGEST_LINE;

/// One line of the input.
pub(crate) struct Line {
    pub(crate) number: u64,
    pub(crate) claim: Result<LineClaim, LineError>,
}

/// The lines of an input in one of its formats.
pub(crate) trait InputLines {
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
    /// Those on which a record went on that had begun before.
    pub(crate) continued: u64,
}

pub(crate) fn unreadable(error: &io::Error) -> Trouble {
    Trouble::because("standard input cannot be read; look at where it comes from", error)
}

pub(crate) fn too_long() -> LineError {
    LineError::line(format!("the line is longer than {LONGEST_LINE} bytes"))
}
