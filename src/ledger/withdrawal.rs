//! Removes orphaned claims: ones whose request may reach the store after the caller gave up.

use super::{Held, Holds, Key, Ledger, LedgerError, Nonce, State, later};

impl Ledger {
    /// Removes a claim of which it is unknown whether it was made.
    ///
    /// # Errors
    /// [`LedgerError::Contended`] while it may still come: it, or the other try of it, is on its way until something stands
    /// there for good.
    pub(crate) async fn withdraw(&self, key: &Key, is_it: impl Fn(&Held) -> bool) -> Result<(), LedgerError> {
        match self.get(key).await? {
            Some(held) if is_it(&held) => {
                self.remove(key, &held).await?;
            }
            Some(held) if held.record.state == State::Settled => return Ok(()),
            _ => {}
        }
        Err(LedgerError::Contended)
    }

    /// The first of two tries of a claim may still be made once the key is free, and no call would be at it.
    pub(super) fn withdraw_later(&self, key: &Key, first: Nonce) {
        let (ledger, key) = (self.clone(), key.clone());
        // Or what others made of it. The second try is another claim, and stands.
        let is_first = move |held: &Held| match held.record.marks {
            Some(marked) => marked == first,
            None => held.record.state == State::Claimed && held.record.nonce == first,
        };
        tokio::spawn(async move { later(Holds::Claim, || ledger.withdraw(&key, is_first)).await });
    }
}
