//! Counters: numbers in plain digits, which the store adds to in one step. Nothing is claimed, sealed, or written twice.

use std::time::Duration;

use crate::store::Swap;
use crate::store::extras::{CountLeft, is_of_counter, number_of};

use super::{Key, Ledger, LedgerError};

impl Ledger {
    /// Adds to a counter, and says what it came to and how long it lives. Sent once: a second try could count twice.
    pub(crate) async fn add(&self, key: &Key, by: i64, ttl: Duration) -> Result<CountLeft, LedgerError> {
        let added = self.once("add", async || match self.extras.count(&*self.store, &key.text, by, ttl).await {
            // An answer, by which no store counts as failing.
            Err(error) if is_of_counter(&error) => Ok(Err(error)),
            added => added.map(Ok),
        });
        Ok(added.await??)
    }

    /// What a counter says, without adding to it.
    pub(crate) async fn counted(&self, key: &Key) -> Result<Option<CountLeft>, LedgerError> {
        let Some(stored) = self.patiently("get", || self.store.get(&key.text)).await? else { return Ok(None) };
        let count = number_of(&stored.bytes).ok_or(LedgerError::Unreadable("is no counter"))?;
        Ok(Some((count, stored.ttl_left)))
    }

    /// Ends a counter, whatever it says.
    pub(crate) async fn reset(&self, key: &Key) -> Result<(), LedgerError> {
        /// Each round another caller must have counted in between.
        const MOST_ROUNDS: usize = 32;
        let mut found = self.patiently("get", || self.store.get(&key.text)).await?;
        for _ in 0..MOST_ROUNDS {
            let Some(stored) = found else { return Ok(()) };
            found = match self.remove_bytes(key, &stored.bytes).await? {
                Swap::Swapped => return Ok(()),
                Swap::Lost(other) => other,
            };
        }
        Err(LedgerError::Contended)
    }
}
