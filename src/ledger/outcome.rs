//! What came of a write.

use super::{Held, Ours};

/// What came of a claim.
#[derive(Debug)]
pub(crate) enum Claimed {
    Ours(Ours),
    Held(Held),
}

/// What came of a replacement.
#[derive(Debug)]
pub(crate) enum Replaced {
    Ours(Ours),
    Lost(Option<Held>),
}

impl Replaced {
    pub(super) fn of(swapped: Swapped, new: Ours) -> Self {
        match swapped {
            Swapped::Now | Swapped::Before(_) => Self::Ours(new),
            Swapped::Lost(held) => Self::Lost(held),
        }
    }
}

/// What came of a replacement, and of which try.
#[derive(Debug)]
pub(crate) enum Swapped {
    /// The store said that this very command made it.
    Now,
    /// The new record stands there already, by an earlier try whose reply was lost, or another caller's same bytes.
    Before(Held),
    Lost(Option<Held>),
}
