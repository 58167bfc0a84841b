//! Claims of which it is unknown whether they were made.

use tokio::runtime::Handle;

use super::{Holds, Key, Ledger, LedgerError, Nonce, later};

/// A claim that is being asked for. Dropped before its outcome is known, it is taken back: else it would look like
/// something that was begun and broke off.
#[must_use = "dropped, it takes the claim back"]
pub(crate) struct Unconfirmed(Option<(Ledger, Key, Nonce)>);

impl Unconfirmed {
    pub(crate) fn new(ledger: &Ledger, key: &Key, nonce: Nonce) -> Self {
        Self(Some((ledger.clone(), key.clone(), nonce)))
    }

    /// Ends the watch once the outcome is known. After an error that leaves it open, the claim is taken back.
    pub(crate) fn confirm<T>(mut self, outcome: &Result<T, LedgerError>) {
        if !matches!(outcome, Err(error) if error.is_outcome_unknown()) {
            self.0 = None;
        }
    }
}

impl Drop for Unconfirmed {
    fn drop(&mut self) {
        // Without a runtime nothing was asked for.
        let (Some((ledger, key, nonce)), Ok(runtime)) = (self.0.take(), Handle::try_current()) else { return };
        // Or what others made of it when they found its lease over: they could not know that nothing was begun.
        runtime.spawn(async move { later(Holds::Claim, || ledger.withdraw(&key, |held| held.is_of(nonce))).await });
    }
}
