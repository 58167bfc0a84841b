//! What a guarded call brought.

use crate::accessors::{getters, partial_debug};
use crate::payment::verdict::{Degradation, Provenance};
use crate::provider::attempt_log::Attempt;

/// The result of an operation that was executed, now or before.
#[derive(Clone)]
pub struct Executed<T> {
    pub(super) value: T,
    pub(super) provenance: Provenance,
    pub(super) attempts: Vec<Attempt>,
    pub(super) degraded: Option<Degradation>,
}

impl<T> Executed<T> {
    /// What the call returned, by value.
    #[must_use]
    pub fn into_value(self) -> T {
        self.value
    }

    getters! {
        /// What the call returned.
        pub fn value(&self) -> &T => &self.value;

        /// Whether it was executed for this run (`Fresh`), before (`Replayed`), or by another run that this one waited
        /// for (`Coalesced`).
        pub fn provenance(&self) -> Provenance => self.provenance;

        /// Every provider call of this run; empty when it made none.
        pub fn attempts(&self) -> &[Attempt] => &self.attempts;

        /// Why the result is not recorded, if it is not.
        ///
        /// `StoreDown`: the operation was executed without the store, protected by the provider's key alone.
        /// `NotRecorded`: executed, and the store failed then, or the lease was over and another process had taken
        /// over. Recording is tried again for a minute in either case, unless another process has taken over.
        pub fn degraded(&self) -> Option<Degradation> => self.degraded;

        /// Whether a later run will find the result.
        pub fn is_recorded(&self) -> bool => self.degraded.is_none();
    }
}

// Shows where the result comes from, and not what it is.
partial_debug!(Executed<T>, self => provenance: self.provenance, degraded: self.degraded, attempts: self.attempts);
