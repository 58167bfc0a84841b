//! The bytes of a record: who claimed it, since when, and what came of it.
//!
//! | bytes | hold |
//! |---|---|
//! | 1 | the version of this layout |
//! | 1 | 1 if a seal ends the record, else 0 |
//! | as many as it takes | [`Record`] as postcard: the version of its kind first, the payload last |
//! | what is left | the tail: fields that a later release added to the kind's version |
//! | 4, without a seal | CRC-32 of everything before, the lowest byte first |
//! | 32, with a seal | HMAC-SHA-256 over the store key and everything before |
//!
//! # Changing the bytes
//!
//! Records outlive releases: a redemption stands for years, and during a deploy two releases write to one store. So a change
//! of what a record holds is one of three things.
//!
//! **A field in the tail** needs no new version. It is allowed only where its absence reads as *not known*, since older
//! releases write records without it. Whatever can make a payment invalid, an operation resendable or a receipt another
//! order's is a new version, and so is a new variant of an enum. A release that does not know the field keeps it: every record
//! that is written over one that was read (a take-over, a mark, a renewal, a last word, a person's word, the list) ends with
//! the tail of that one. So a field that speaks of one claim or one reading also holds that record's nonce, and counts as not
//! known beside another. Fields are added at the end and never removed. Removing a record removes its tail, and
//! [`void`](super::Ledger::void) removes.
//!
//! **A new version of a kind** takes a row of the table in [`kind`](super::kind) and a conversion:
//!
//! 1. Raise `writes` and the end of `reads`. Neither `reads` nor a column of a release ever loses a version.
//! 2. Keep the payload type of the old version and convert in [`Versioned`](super::Versioned): `read` from it, and `write` to
//!    it for as long as a release in the table writes it. A version that says too little for this release is
//!    [`NotEnough`](super::versioned::Converted::NotEnough): a miss for facts, an error for everything that has an effect.
//! 3. Write the golden files of the new version (`tests/golden/README.md`). Those of older versions stay as they are, and say
//!    what the conversion has to come to.
//! 4. Deploys are two: first everywhere the new release with `write_records_of` naming the old one, then without it. A process
//!    of the old release that meets a record of the new version asks alone where it reads, and refuses where there is an effect.
//!    `tests/fleet` runs the first of the two, beside processes of the commit that `scripts/earlier-build` names.
//!
//! **A change of the layout**, of what stands above, is a new version of the layout, for all kinds at once: raise `FORMAT` in
//! [`codec`](super::codec) and keep reading the old one there.

use std::time::Duration;

use rand::rand_core::TryRng as _;
use serde::{Deserialize, Serialize};

use super::error::LedgerError;

/// Tells one claim from every other, so that no call can end what another one began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Nonce([u8; 16]);

impl Nonce {
    /// Drawn from the operating system: a seed for tests must never make two processes draw the same.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub(crate) fn draw() -> Result<Self, LedgerError> {
        let mut bytes = [0; 16];
        rand::rngs::SysRng.try_fill_bytes(&mut bytes).map_err(|_| LedgerError::NoRandomness)?;
        Ok(Self(bytes))
    }

    /// The other nonce of a claim that is asked for a second time.
    pub(crate) fn again(self) -> Self {
        Self(self.0.map(|byte| !byte))
    }

    pub(crate) const fn of(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    pub(crate) fn into_bytes(self) -> [u8; 16] {
        self.0
    }
}

/// How far what was claimed has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum State {
    /// Under way, protected by its lease.
    Claimed,
    /// Done; the payload says what came of it.
    Settled,
    /// It failed; for a short time others fail with it instead of queueing.
    Failed,
    /// Nothing is known, and the call that was under way must not settle. Counts as absent.
    Void,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The version of its kind's payload.
    pub(super) version: u8,
    pub(crate) state: State,
    pub(crate) nonce: Nonce,
    /// The claim of which the record says what its own process did not: its lease is over, and what came of it is unknown.
    pub(crate) marks: Option<Nonce>,
    /// The time to live it was written with; less what is left of it, that is its age by the store's clock.
    pub(crate) ttl_ms: u64,
    /// How long the claim is protected.
    pub(crate) lease_ms: u64,
    /// Kind-specific data, in the kind's version.
    #[serde(with = "super::octets")]
    pub(crate) payload: Vec<u8>,
    /// Fields that a later release added to the version. What this release rewrites keeps them as they are.
    #[serde(skip)]
    pub(super) tail: Vec<u8>,
}

impl Record {
    pub(crate) fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_ms)
    }

    pub(crate) fn ttl(&self) -> Duration {
        Duration::from_millis(self.ttl_ms)
    }
}
