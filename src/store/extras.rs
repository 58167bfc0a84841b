//! What a store offers beside its verbs.

use crate::accessors::getters;

/// What a store offers beside its four verbs. Opaque; empty, unless a store of this crate made it.
///
/// Batch reads, records that are bound in pairs and word of what other processes changed are handed over in here, so that
/// [`Store`](super::Store) need not change for them. Everything works without.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extras(Option<&'static str>);

impl Extras {
    /// Those of one kind of store.
    pub(super) const fn of(kind: &'static str) -> Self {
        Self(Some(kind))
    }

    getters! {
        /// Whether the store offers its verbs alone.
        pub fn is_empty(&self) -> bool => self.0.is_none();
    }
}
