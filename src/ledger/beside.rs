//! Ledgers beside another: the same records over other connections, for calls that are always made, or in another store.

use std::sync::Arc;
#[cfg(feature = "cache")]
use std::time::Duration;

use crate::store::AnyStore;

use super::Ledger;
#[cfg(feature = "cache")]
use super::breaker::StoreBreaker;

impl Ledger {
    /// The same records over a connection of their own, where the store has connections: replies to large batches then do not
    /// stand before a redemption. `timeout` is the longest that one call to the store may take. The breaker is a cache's own.
    #[cfg(feature = "cache")]
    pub(crate) fn apart(&self, timeout: Duration) -> Self {
        let store = self.extras.apart(timeout).unwrap_or_else(|| Arc::clone(&self.store));
        self.with(|parts| {
            (parts.extras, parts.store, parts.timeout) = (store.extras(), store, timeout);
            parts.breaker = Arc::new(StoreBreaker::of_cache());
        })
    }

    /// The same records for calls that are about the store itself, and so are always made. What comes of them is told to the
    /// breaker of `other`.
    #[cfg(feature = "cache")]
    pub(crate) fn surely_beside(&self, other: &Self) -> Self {
        self.always().with(|parts| parts.breaker = Arc::clone(&other.breaker))
    }

    /// Records written alike in another store.
    pub(crate) fn elsewhere(&self, store: Arc<dyn AnyStore>) -> Self {
        self.with(|parts| {
            (parts.extras, parts.store) = (store.extras(), store);
            (parts.watches, parts.clock, parts.losses) = (Arc::default(), Arc::default(), Arc::default());
        })
    }
}
