//! What a kind of record says, in every version that it was ever written in.

use serde::{Deserialize, Serialize};

/// Room for most payloads, so that their bytes are allocated once.
const ORDINARY: usize = 256;

/// The payload of a kind of record in this release. A kind with a second version converts here, in both directions.
pub(crate) trait Versioned<'p>: Serialize + Deserialize<'p> {
    /// Writes it as a version that some release writes. `None` when it cannot be written.
    fn write(&self, _version: u8) -> Option<Vec<u8>> {
        postcard::to_extend(self, Vec::with_capacity(ORDINARY)).ok()
    }

    /// Reads what a version that is read wrote.
    fn read(_version: u8, bytes: &'p [u8]) -> Converted<Self> {
        Converted::of(bytes)
    }
}

/// What a payload came to in this release's terms.
#[derive(Debug)]
pub(crate) enum Converted<T> {
    Whole(T),
    /// The version says too little for this release.
    NotEnough,
    /// The bytes are not those of the version.
    Damaged,
}

impl<'p, T: Deserialize<'p>> Converted<T> {
    /// Reads a payload that is written as it is, and that nothing follows.
    pub(crate) fn of(bytes: &'p [u8]) -> Self {
        match postcard::take_from_bytes(bytes) {
            Ok((payload, [])) => Self::Whole(payload),
            _ => Self::Damaged,
        }
    }
}
