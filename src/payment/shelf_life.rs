//! How long facts stand for themselves.

use std::time::Duration;

/// How long facts may be served without asking again, and how long they are worth keeping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ShelfLife {
    pub(crate) fresh_for: Duration,
    /// Lasting facts stay until the retention ends, for times when the provider is down.
    pub(crate) lasting: bool,
}
