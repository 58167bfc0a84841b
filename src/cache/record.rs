//! The record of an entry: how it is claimed, carried on while it is loaded anew, and settled.

use std::time::Duration;

use tokio::time::Instant;

use crate::ledger::{
    Claimable, Contents, Decision, FAILED_FOR, Held, Key, LateWords, LedgerError, Nonce, State, millis,
};
use crate::moment::Moment;

use super::entry::{EntryPayload, StoredValue, time};

/// A claim carries the value that it loads anew, so that others serve that meanwhile; up to this size, since each renewal
/// writes it again.
const MOST_CARRIED: usize = 16 * 1024;

/// Past its lease a claim stays this many leases, so that the process that takes over knows that another one was there.
const CLAIM_TTL_IN_LEASES: u32 = 2;

/// So many processes have to fail before those that wait fail with them.
const FAILED_PROCESSES: usize = 2;

/// The record of an entry.
#[derive(Clone, Debug)]
pub(super) struct EntryRecord {
    pub(super) key: Key,
    pub(super) lease: Duration,
    /// The cache that writes it.
    pub(super) by: Nonce,
}

/// What a claim carries on.
#[derive(Clone, Debug, Default)]
pub(super) struct Carried {
    pub(super) older: Option<OlderValue>,
    pub(super) failed_by: Vec<Nonce>,
}

/// A value that is loaded anew, with the moment when its own load began.
#[derive(Clone, Debug)]
pub(super) struct OlderValue {
    pub(super) stored: StoredValue,
    pub(super) loaded: Moment,
}

impl OlderValue {
    /// As it is to be written now.
    fn written(&self) -> StoredValue {
        StoredValue { age_ms: millis(self.loaded.age()), ..self.stored.clone() }
    }

    fn left(&self) -> Duration {
        time(self.stored.kept_ms).saturating_sub(self.loaded.age())
    }
}

/// How a load ends.
pub(super) enum EntryEnd {
    Loaded(OlderValue),
    /// Its loader failed.
    Failed,
    /// The lease was given up, whatever the loader did. What was there stays there.
    GivenUp,
}

/// Reads what a record says. One without a payload says nothing.
pub(super) fn payload_of(held: &Held) -> Result<EntryPayload, LedgerError> {
    if held.record.payload.is_empty() {
        return Ok(EntryPayload::default());
    }
    held.payload("is no entry of the cache")
}

/// How long ago a claim was made, if its record is the first one of it.
pub(super) fn unrenewed_for(held: &Held) -> Option<Duration> {
    let payload = payload_of(held).ok()?;
    (held.record.state == State::Claimed && payload.claimed_ms == 0).then_some(held.age)
}

impl EntryRecord {
    fn write(
        &self,
        stored: Option<StoredValue>,
        failed_by: Vec<Nonce>,
        claimed: Duration,
    ) -> Result<Vec<u8>, LedgerError> {
        self.key.payload_of(&EntryPayload { stored, failed_by, claimed_ms: millis(claimed) })
    }
}

impl Claimable for EntryRecord {
    type Carried = Carried;
    type Word = EntryEnd;

    fn key(&self) -> &Key {
        &self.key
    }

    /// A value that comes late may have been invalidated, and can be loaded again.
    fn late_words(&self, _word: Option<&EntryEnd>) -> LateWords {
        LateWords::None
    }

    /// Over the own claim alone: whatever else stands there may say that it was invalidated.
    fn may_follow(&self, _: &Carried, _: &EntryEnd, _: &Held, _: Nonce) -> Result<bool, LedgerError> {
        Ok(false)
    }

    fn claim(&self, carried: &Carried, since: Instant) -> Result<Contents, LedgerError> {
        let left = carried.older.as_ref().map_or(Duration::ZERO, OlderValue::left);
        let ttl = self.lease.saturating_mul(CLAIM_TTL_IN_LEASES).max(left);
        let older = carried.older.as_ref().map(OlderValue::written);
        let payload = self.write(older, carried.failed_by.clone(), since.elapsed())?;
        Ok(Contents { state: State::Claimed, ttl, lease: self.lease, payload })
    }

    fn last(&self, carried: &Carried, word: &EntryEnd) -> Result<Option<Contents>, LedgerError> {
        let (state, ttl, payload) = match word {
            EntryEnd::Loaded(value) => {
                let payload = self.write(Some(value.written()), Vec::new(), Duration::ZERO)?;
                (State::Settled, value.left(), payload)
            }
            EntryEnd::Failed | EntryEnd::GivenUp => {
                let left = carried.older.as_ref().map_or(Duration::ZERO, OlderValue::left);
                let mut failed_by = carried.failed_by.clone();
                if matches!(word, EntryEnd::Failed) {
                    failed_by.retain(|other| *other != self.by);
                    failed_by.push(self.by);
                }
                let older = carried.older.as_ref().map(OlderValue::written);
                (State::Failed, left.max(FAILED_FOR), self.write(older, failed_by, Duration::ZERO)?)
            }
        };
        // What has no time left is not worth a record.
        Ok((ttl >= Duration::from_millis(1)).then_some(Contents { state, ttl, lease: Duration::ZERO, payload }))
    }

    fn renewed(&self) -> Option<Duration> {
        Some(self.lease)
    }

    /// Another process may load at once. That the store was too slow to take the value says nothing against the loader.
    fn if_dropped(&self) -> Option<EntryEnd> {
        Some(EntryEnd::GivenUp)
    }
}

/// What a record says to a call that wants to load.
pub(super) enum SeenEntry {
    /// It holds a value, which has to be looked at.
    Value { held: Box<Held>, waited_for: Option<Nonce> },
    /// The processes that were waited for could not load it either.
    FailedElsewhere,
}

/// A record that was looked at, and cannot be served as it is.
#[derive(Clone, Debug)]
pub(super) struct LookedAt {
    pub(super) nonce: Nonce,
    pub(super) state: State,
    /// Its value, if that still counts and only its time is over.
    pub(super) older: Option<OlderValue>,
}

/// Decides by the record that was found.
pub(super) fn decide(
    held: &Held,
    waited_for: Option<Nonce>,
    looked_at: Option<&LookedAt>,
) -> Result<Decision<EntryRecord, SeenEntry>, LedgerError> {
    let payload = match payload_of(held) {
        // It is taken over, as what cannot be read.
        Err(LedgerError::Unreadable(_)) => EntryPayload::default(),
        payload => payload?,
    };
    let (state, nonce) = (held.record.state, held.record.nonce);
    let has_just_failed = state == State::Failed && held.age < FAILED_FOR;
    if has_just_failed && waited_for == Some(nonce) && payload.failed_by.len() >= FAILED_PROCESSES {
        return Ok(Decision::Answer(SeenEntry::FailedElsewhere));
    }
    let known = looked_at.filter(|known| known.nonce == nonce && known.state == state);
    if payload.stored.is_some() && known.is_none() {
        return Ok(Decision::Answer(SeenEntry::Value { held: Box::new(held.clone()), waited_for }));
    }
    if state == State::Claimed && !held.lease_left().is_zero() {
        return Ok(Decision::Wait);
    }
    let older = known.and_then(|known| known.older.clone()).filter(|older| older.stored.body.len() <= MOST_CARRIED);
    let failed_by = if has_just_failed || state == State::Claimed { payload.failed_by } else { Vec::new() };
    Ok(Decision::TakeOver(Carried { older, failed_by }))
}
