//! Records that say one thing for good: the first one to be written stands.

use std::time::Duration;

use super::{Claimed, Contents, Held, Key, Ledger, LedgerError, Nonce, State};

/// What a record is bound to.
#[derive(Debug)]
pub(crate) enum Bound {
    Anew,
    /// To the same, and for less than the whole time to live.
    Before,
    /// To something else, as this record says.
    ToOthers(Held),
}

impl Ledger {
    /// Binds a record to what it says, unless it says something already. One round trip.
    pub(crate) async fn bind(&self, key: &Key, payload: &[u8], ttl: Duration) -> Result<Bound, LedgerError> {
        let contents = Contents { state: State::Settled, ttl, lease: Duration::ZERO, payload: payload.to_vec() };
        Ok(match self.claim(key, contents.record(Nonce::draw()?, None), |_| {}).await? {
            Claimed::Ours(_) => Bound::Anew,
            Claimed::Held(held) if held.record.payload == payload => Bound::Before,
            Claimed::Held(held) => Bound::ToOthers(held),
        })
    }
}
