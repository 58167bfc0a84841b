//! Voids a record: nothing that was or is about to be written at its place is believed.

use std::time::Duration;

use crate::store::{Claim, Stored, Swap};

use super::{Contents, Key, Ledger, LedgerError, Nonce, Ours, State};

impl Ledger {
    /// Makes sure that nothing which was or is about to be written here is believed: what is stored goes, whatever it is,
    /// and the call that is under way cannot settle any more.
    ///
    /// It begins with a claim and not with a reading, since a replica may answer readings.
    pub(crate) async fn void(&self, key: &Key, for_at_least: Duration) -> Result<(), LedgerError> {
        /// Each round another process must have written in between.
        const MOST_ROUNDS: usize = 16;
        let Some(mut stored) = self.claim_void(key, for_at_least).await? else { return Ok(()) };
        for _ in 0..MOST_ROUNDS {
            let void = self.new_void(key, for_at_least)?;
            let replace = || self.store.replace(&key.text, &stored.bytes, &void.bytes, void.record.ttl());
            stored = match self.patiently("replace", replace).await? {
                Swap::Swapped => return Ok(()),
                Swap::Lost(Some(other)) => other,
                Swap::Lost(None) => match self.claim_void(key, for_at_least).await? {
                    Some(other) => other,
                    None => return Ok(()),
                },
            };
            // This call or another has done the same since it began, and all that was there before is gone.
            if self.codec.decode(&stored.bytes, key).is_ok_and(|found| found.state == State::Void) {
                return Ok(());
            }
        }
        Err(LedgerError::Contended)
    }

    /// Claims a place as void; else says what stands there. The second try has other bytes: the first may be made later.
    async fn claim_void(&self, key: &Key, ttl: Duration) -> Result<Option<Stored>, LedgerError> {
        let (first, second) = (self.new_void(key, ttl)?, self.new_void(key, ttl)?);
        let claimed = match self.claim_bytes(key, &first).await {
            Err(error) if error.is_worth_another_try() => {
                self.claim_bytes(key, &second).await.map_err(|next| error.or(next))
            }
            claimed => claimed,
        };
        Ok(match claimed? {
            Claim::Held(stored) if stored.bytes != first.bytes => Some(stored),
            Claim::Held(_) | Claim::Claimed => None,
        })
    }

    fn new_void(&self, key: &Key, ttl: Duration) -> Result<Ours, LedgerError> {
        let (nonce, payload) = (Nonce::draw()?, Vec::new());
        let contents = Contents { state: State::Void, ttl, lease: Duration::ZERO, payload };
        self.encode(key, contents.record(nonce, None))
    }
}
