//! What a kind of record says of itself, so that the protocol of its leases is written once, in [`Ledger::acquire`] and
//! [`Lease`].
//!
//! [`Ledger::acquire`]: super::Ledger::acquire
//! [`Lease`]: super::Lease

use std::future::{Future, ready};
use std::time::Duration;

use tokio::time::Instant;

use crate::call::audience::Audience;

use super::{Held, Key, LedgerError, Nonce, Record, State, millis};

/// A kind of record that is claimed, worked for under a lease, and concluded with a last word.
///
/// Every record is asked for at the moment when it is written, so that no age in it stands still while the work goes on.
pub(crate) trait Claimable: Clone + Send + Sync + 'static {
    /// What a lease carries on from the record that it took over.
    type Carried: Clone + Send + Sync + 'static;
    /// What the holder of a lease says last.
    type Word: Send + Sync + 'static;

    fn key(&self) -> &Key;

    /// The callers that another call's lease is waited for with: without any left, the wait ends.
    fn audience(&self) -> Option<&Audience> {
        None
    }

    /// What becomes of a last word that the store did not confirm.
    fn late_words(&self, word: Option<&Self::Word>) -> LateWords;

    /// The record of a claim, or of its renewal, where the lease has been held since then.
    fn claim(&self, carried: &Self::Carried, since: Instant) -> Result<Contents, LedgerError>;

    /// The record that holds a last word. `None` where it leaves nothing: the record is removed.
    fn last(&self, carried: &Self::Carried, word: &Self::Word) -> Result<Option<Contents>, LedgerError>;

    /// The claim of another process of which the record says something, where it does: that of a claim, or of a last word.
    fn marks(&self, _carried: &Self::Carried, _word: Option<&Self::Word>) -> Option<Nonce> {
        None
    }

    /// Whether a last word may be written over a record that is not the own claim. By default only over one that says of
    /// that very claim what its own process did not.
    fn may_follow(
        &self,
        _carried: &Self::Carried,
        _word: &Self::Word,
        found: &Held,
        own: Nonce,
    ) -> Result<bool, LedgerError> {
        Ok(found.is_mark_of(own))
    }

    /// What is said in the place of a word that is too large for a record.
    fn smaller(&self, _word: &Self::Word) -> Option<Self::Word> {
        None
    }

    /// What has to follow from a last word elsewhere. Where it fails, the word is said again late, and it is tried again.
    fn follow(
        &self,
        _carried: &Self::Carried,
        _word: &Self::Word,
        _said: &Said,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send {
        ready(Ok(()))
    }

    /// How long a lease is, where it is renewed as long as the work goes on.
    fn renewed(&self) -> Option<Duration> {
        None
    }

    /// The last word of a lease that is dropped, as by a panic. By default there is none: the claim stands until its lease
    /// is over, since what it protects may have been done.
    fn if_dropped(&self) -> Option<Self::Word> {
        None
    }

    /// The last word about an unconfirmed claim under which nothing was done, in case it was made. By default it is removed.
    fn if_orphaned(&self, _carried: &Self::Carried) -> Option<Self::Word> {
        None
    }
}

/// What becomes of a last word that the store did not confirm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LateWords {
    /// It is not said again, and an unconfirmed claim is left to its end: the work can be done again.
    None,
    /// It is tried again for a minute, in the place of the own claim, or of a mark of it.
    OverOwnClaim,
    /// The same, and where no record is.
    AlsoWhereNoRecordIs,
}

/// What came of a last word.
#[derive(Debug)]
pub(crate) enum Said {
    /// It stands in the place of the own claim.
    InTime,
    /// It stands, and others may have found the lease over before.
    Late,
    /// This record stands there; none where it is gone.
    Lost(Option<Held>),
}

impl Said {
    /// Whether what stands is this word.
    pub(crate) fn stands(&self) -> bool {
        !matches!(self, Self::Lost(_))
    }
}

/// What a record says when it is written.
#[derive(Clone, Debug)]
pub(crate) struct Contents {
    pub(crate) state: State,
    pub(crate) ttl: Duration,
    pub(crate) lease: Duration,
    pub(crate) payload: Vec<u8>,
}

impl Contents {
    /// The record of it, without a tail. Its version is that of its place, once it is written there.
    pub(super) fn record(self, nonce: Nonce, marks: Option<Nonce>) -> Record {
        let Self { state, ttl, lease, payload } = self;
        let (ttl_ms, lease_ms, tail) = (millis(ttl), millis(lease), Vec::new());
        Record { version: 0, state, nonce, marks, ttl_ms, lease_ms, payload, tail }
    }
}

/// What follows for a call from the record that it found.
pub(crate) enum Decision<C: Claimable, A> {
    /// The record holds what the call wants to know.
    Answer(A),
    /// Another call holds the lease, and is waited for.
    Wait,
    /// The record is claimed in the place of what was found.
    TakeOver(C::Carried),
    /// Another call claimed the record for the same end, and this call works under that claim too.
    Assume(C::Carried),
    /// The holder of the lease is gone, and its work may not be done again: the record says so, and the call that writes it.
    Mark(Contents, A),
}

/// Decides by the record that was found. The nonce is that of the claim which the call has waited for.
pub(crate) trait Decide<C: Claimable, A>:
    Fn(&Held, Option<Nonce>) -> Result<Decision<C, A>, LedgerError>
{
}

impl<C: Claimable, A, F: Fn(&Held, Option<Nonce>) -> Result<Decision<C, A>, LedgerError>> Decide<C, A> for F {}
