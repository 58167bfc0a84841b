//! A record as it stands in the store: another call's, or this one's.

use std::time::Duration;

use tokio::time::Instant;

use crate::accessors::getters;

use super::versioned::{Converted, Versioned};
use super::{LedgerError, Nonce, Record, State};

/// A record as it stands in the store.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) record: Record,
    /// How long ago it was written, by the store's clock; for a running claim that this process has met before, by this
    /// process's clock where that says less. The least that it can be when it is not known.
    pub(crate) age: Duration,
    /// Whether that is known: not after the store's clock was set back.
    pub(super) is_age_known: bool,
    /// When it was asked for, so that ages counted from here are never too young.
    pub(crate) asked_at: Instant,
    pub(super) bytes: Vec<u8>,
}

impl Held {
    getters! {
        /// How much of the lease is left; zero once another call may take over.
        pub(crate) fn lease_left(&self) -> Duration => self.record.lease().saturating_sub(self.age);

        /// How long ago what the record says was written; endlessly long when that is not known, so that it counts as too old.
        pub(crate) fn age_of_contents(&self) -> Duration => if self.is_age_known { self.age } else { Duration::MAX };

        /// How long ago it was written, as people are told: never younger than it is, and the longest it can be if not known.
        pub(crate) fn told_age(&self) -> Duration => if self.is_age_known { self.age } else { self.record.ttl() };

        /// The claim under which was sent what the record is about: the one that it marks, or itself.
        pub(crate) fn sender(&self) -> Nonce => self.record.marks.unwrap_or(self.record.nonce);

        pub(crate) fn ttl_left(&self) -> Duration => self.record.ttl().saturating_sub(self.age);
    }

    /// The claim, for who waits for it.
    pub(super) fn under_way(&self) -> UnderWay {
        let lease_left = self.lease_left().saturating_sub(self.asked_at.elapsed());
        UnderWay { nonce: self.record.nonce, lease_left, asked_at: self.asked_at }
    }

    /// Takes another call's claim for this call's own, to help it to its end: the next step compares it like any other.
    pub(super) fn assume(self) -> Ours {
        Ours { record: self.record, bytes: self.bytes }
    }

    /// Whether it says of that very claim what its own process did not. The other try of the claim is another one: whatever
    /// was written in between, it does not stand for.
    pub(crate) fn is_mark_of(&self, nonce: Nonce) -> bool {
        self.record.marks == Some(nonce)
    }

    /// Whether it is the last word on that very claim, as an earlier try wrote it.
    pub(super) fn is_word_on(&self, nonce: Nonce) -> bool {
        self.record.state != State::Claimed && self.record.nonce == nonce
    }

    /// Whether it is a claim of ours, written anew.
    pub(super) fn is_edition_of(&self, ours: &Ours) -> bool {
        self.record.state == State::Claimed && self.record.nonce == ours.record.nonce && self.bytes != ours.bytes
    }

    /// Reads what the record has to say, in whichever version it was written. `not_so` is what an error says of a record
    /// that says something else.
    ///
    /// # Errors
    /// When it says something else, or its version says too little for this release.
    pub(crate) fn payload<'h, T: Versioned<'h>>(&'h self, not_so: &'static str) -> Result<T, LedgerError> {
        let Record { version, payload, .. } = &self.record;
        match T::read(*version, payload) {
            Converted::Whole(payload) => Ok(payload),
            Converted::NotEnough => Err(LedgerError::NotEnough { version: *version }),
            Converted::Damaged => Err(LedgerError::Unreadable(not_so)),
        }
    }
}

/// A record of ours that stands in the store, to be replaced by what comes of it.
#[derive(Clone, Debug)]
pub(crate) struct Ours {
    pub(crate) record: Record,
    pub(super) bytes: Vec<u8>,
}

/// A claim that is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct UnderWay {
    pub(super) nonce: Nonce,
    pub(super) lease_left: Duration,
    /// When it was asked for.
    pub(super) asked_at: Instant,
}
