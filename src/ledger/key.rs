//! Where a record stands.

use std::sync::Arc;

use super::kind::RecordKind;
use super::{LedgerError, Versioned};

/// Where a record stands, and in which version it is written there.
///
/// The text holds a hash, never what was hashed. A clone costs one counter. Its braces keep whatever belongs to one record in one slot of a Cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(super) text: Arc<str>,
    pub(super) kind: RecordKind,
    pub(super) version: u8,
}

impl Key {
    /// The key in the store.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// What a record here says, as the bytes of its payload.
    pub(crate) fn payload_of<'p>(&self, value: &impl Versioned<'p>) -> Result<Vec<u8>, LedgerError> {
        value.write(self.version).ok_or(LedgerError::Unreadable("cannot be written"))
    }
}
