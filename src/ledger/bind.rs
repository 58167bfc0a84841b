//! Records that say one thing for good: the first one to be written stands.

use std::time::Duration;

use super::{Claimed, Contents, Held, Key, Ledger, LedgerError, Nonce, State, Versioned};

/// What a record is bound to.
#[derive(Debug)]
#[cfg_attr(not(feature = "cache"), allow(dead_code, reason = "the cache alone asks under which nonce"))]
pub(crate) enum Bound {
    /// By this call, under this nonce.
    Anew(Nonce),
    /// To the same, and for less than the whole time to live.
    Before(Held),
    /// To something else, as this record says.
    ToOthers(Held),
}

impl Ledger {
    /// Binds a record to what it says, unless it says something already. One round trip.
    pub(crate) async fn bind<P>(&self, key: &Key, what: &P, ttl: Duration) -> Result<Bound, LedgerError>
    where
        P: for<'h> Versioned<'h> + PartialEq,
    {
        let contents = Contents { state: State::Settled, ttl, lease: Duration::ZERO, payload: key.payload_of(what)? };
        Ok(match self.claim(key, contents.record(Nonce::draw()?, None), |_| {}).await? {
            Claimed::Ours(ours) => Bound::Anew(ours.record.nonce),
            Claimed::Held(held) if held.payload::<P>("holds something else")? == *what => Bound::Before(held),
            Claimed::Held(held) => Bound::ToOthers(held),
        })
    }
}

impl Versioned<'_> for [u8; 32] {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::RecordKind;
    use crate::ledger::golden::is_golden;

    #[test]
    fn golden_files_hold_what_is_written_of_keys() {
        is_golden(RecordKind::Key, 1, "bound", State::Settled, false, &[0x33; 32]);
    }
}
