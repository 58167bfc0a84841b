//! The canary: one record for each prefix, which says nothing. The store check writes it and reads it, to find out whether
//! the store keeps what it acknowledges, and whether the processes that share the prefix can read each other's records.

use std::time::Duration;

use crate::intent::fingerprint::Fingerprint;
use crate::store::{Claim, StoreFinding, Stored, Swap};

use super::{Contents, Key, Ledger, LedgerError, Nonce, Ours, RecordKind, State};

/// Longer than a working day lies between two processes that look at the store when they start.
pub(super) const TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// After the first step another process must have written its canary in between, or it must have been lost.
const MOST_STEPS: usize = 5;

impl Ledger {
    /// Writes the canary and reads it, and says what is wrong with it, and with the one that another process left there.
    pub(crate) async fn canary(&self) -> Vec<StoreFinding> {
        let (mut findings, key) = (Vec::new(), self.key(RecordKind::Canary, &Fingerprint::of("canary", [])));
        if let Err(error) = self.always().write_and_read(&key, &mut findings).await {
            findings.push(StoreFinding::CanaryRefused { reason: error.to_string().into() });
        }
        findings
    }

    async fn write_and_read(&self, key: &Key, findings: &mut Vec<StoreFinding>) -> Result<(), LedgerError> {
        let contents = Contents { state: State::Settled, ttl: TTL, lease: Duration::ZERO, payload: Vec::new() };
        let ours = self.encode(key, contents.record(Nonce::draw()?, None))?;
        let mut before = None;
        let put = self.put_canary(key, &ours.bytes, None, |found| before = found.cloned()).await;
        let left = before.as_ref().and_then(|left| self.codec.decode(&left.bytes, key).err());
        findings.extend(left.map(|error| StoreFinding::CanaryUnreadable { reason: error.to_string().into() }));
        // Where others keep writing theirs, one of those is read.
        if put != Err(LedgerError::Contended) {
            put?;
        }
        let read = self.patiently("get", || self.store.get(&key.text)).await?;
        let mut found = self.of_canary(key, &ours, before.as_ref(), read.as_ref());
        if found == Some(StoreFinding::CanaryLost) {
            // A replica may have answered, which is behind by a moment. A claim is answered by who writes.
            let claimed = self.store.claim(&key.text, &ours.bytes, TTL);
            found = match self.once("claim", || claimed).await? {
                Claim::Claimed => found,
                Claim::Held(stands) => self.of_canary(key, &ours, before.as_ref(), Some(&stands)),
            };
        }
        findings.extend(found);
        Ok(())
    }

    /// Puts a canary in the place of the one that is thought to stand there, and tells of what is found instead: nothing, or
    /// another one, which is then replaced.
    pub(super) async fn put_canary(
        &self,
        key: &Key,
        canary: &[u8],
        mut stands: Option<Vec<u8>>,
        mut hear: impl FnMut(Option<&Stored>),
    ) -> Result<(), LedgerError> {
        for _ in 0..MOST_STEPS {
            let found = match &stands {
                Some(stands) => {
                    let replace = || self.store.replace(&key.text, stands, canary, TTL);
                    match self.patiently("replace", replace).await? {
                        Swap::Swapped => return Ok(()),
                        Swap::Lost(found) => found,
                    }
                }
                None => match self.patiently("claim", || self.store.claim(&key.text, canary, TTL)).await? {
                    Claim::Claimed => return Ok(()),
                    Claim::Held(found) => Some(found),
                },
            };
            // Its own bytes are there by a try whose reply was lost.
            if found.as_ref().is_some_and(|found| found.bytes == canary) {
                return Ok(());
            }
            hear(found.as_ref());
            stands = found.map(|found| found.bytes);
        }
        Err(LedgerError::Contended)
    }

    /// What is wrong where this is read after the canary was written. One that another process wrote since then is well.
    fn of_canary(
        &self,
        key: &Key,
        ours: &Ours,
        before: Option<&Stored>,
        read: Option<&Stored>,
    ) -> Option<StoreFinding> {
        match read {
            None => Some(StoreFinding::CanaryLost),
            Some(read) if read.bytes == ours.bytes => None,
            Some(read) if before.is_some_and(|before| before.bytes == read.bytes) => Some(StoreFinding::CanaryLost),
            Some(read) => {
                let damage = self.codec.decode(&read.bytes, key).err()?;
                Some(StoreFinding::CanaryAltered { reason: damage.to_string().into() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::golden::is_golden;

    #[test]
    fn golden_files_hold_what_is_written_of_canaries() {
        is_golden(RecordKind::Canary, 1, "written", State::Settled, false, &());
    }
}
