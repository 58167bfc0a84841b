//! Changing a record that several processes change, without a lease.

use std::time::Duration;

use tokio::time::Instant;

use crate::call::deadline::Deadline;

use super::{Claimed, Contents, Held, Key, Ledger, LedgerError, Nonce};

/// The longest that a change waits for its turn, when many processes change one record at a moment.
const LIMIT: Duration = Duration::from_secs(10);

/// What becomes of a record.
pub(crate) enum Change {
    Write(Contents),
    #[cfg(any(feature = "cache", feature = "tower"))]
    Remove,
    Keep,
}

impl Ledger {
    /// Writes a record in the place of one that was read, or where none was. False where something else stands there by now.
    pub(crate) async fn put(&self, key: &Key, found: Option<&Held>, contents: Contents) -> Result<bool, LedgerError> {
        if let Some(found) = found {
            return self.replace(key, found, contents).await;
        }
        let record = contents.record(Nonce::draw()?, None);
        Ok(matches!(self.claim(key, record, |_| {}).await?, Claimed::Ours(_)))
    }

    /// Reads a record and changes it as `change` says, which is asked again where another process was faster. What it says
    /// beside the change is the answer.
    ///
    /// # Errors
    /// [`LedgerError::Contended`] when others were faster for ten seconds.
    pub(crate) async fn update<T>(
        &self,
        key: &Key,
        change: impl FnMut(Option<&Held>) -> Result<(Change, T), LedgerError>,
    ) -> Result<T, LedgerError> {
        self.update_from(key, self.get(key).await?, change).await
    }

    /// The same, where the record was read already.
    pub(crate) async fn update_from<T>(
        &self,
        key: &Key,
        mut found: Option<Held>,
        mut change: impl FnMut(Option<&Held>) -> Result<(Change, T), LedgerError>,
    ) -> Result<T, LedgerError> {
        let (mut poll, deadline) = (self.poll(), Deadline::after(Instant::now(), LIMIT));
        loop {
            let (change, answer) = change(found.as_ref())?;
            let is_made = match (change, &found) {
                (Change::Keep, _) => true,
                #[cfg(any(feature = "cache", feature = "tower"))]
                (Change::Remove, None) => true,
                #[cfg(any(feature = "cache", feature = "tower"))]
                (Change::Remove, Some(found)) => self.remove(key, found).await?,
                (Change::Write(contents), found) => self.put(key, found.as_ref(), contents).await?,
            };
            if is_made {
                return Ok(answer);
            }
            // Each lets the others go first for another while.
            if !poll.wait(LIMIT, deadline).await {
                return Err(LedgerError::Contended);
            }
            found = self.get(key).await?;
        }
    }
}
