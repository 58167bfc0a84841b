//! What the bytes in a store mean: claim, then settle, fail or take over. Used by everything that shares memory.
//!
//! Each step is one atomic verb of the store, and every step after the claim compares the whole record, nonce and all, so
//! that no call ends what another one began. A step whose reply was lost is asked for again with the same bytes: the call that
//! finds those very bytes stored knows that the lost step was made.

use std::ops::Deref;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::intent::fingerprint::Fingerprint;
use crate::store::line::{Line, Listener};
use crate::store::{
    AnyStore, Claim, Durability, Extras, Inspection, RestartLoss, StoreError, StoreFinding, Stored, Swap,
};

mod acquire;
mod beside;
mod bind;
mod breaker;
mod canary;
mod claim_clock;
mod claimable;
mod codec;
#[cfg(feature = "cache")]
mod count;
mod error;
mod failure;
#[cfg(test)]
pub(crate) mod golden;
mod held;
mod key;
mod kind;
mod last_word;
mod later;
mod lease;
mod lease_end;
mod loss;
mod many;
pub(crate) mod octets;
mod outcome;
mod pairs;
mod poll;
mod record;
mod seal;
mod store_call;
#[cfg(test)]
#[cfg(all(feature = "tower", feature = "webhook"))]
mod tests;
mod update;
mod versioned;
mod void;
mod watch;

use breaker::StoreBreaker;
use claim_clock::ClaimClock;
use loss::LossWatch;
use store_call::with_one_retry;

pub(crate) use acquire::{Acquired, Look, Turn};
pub(crate) use bind::Bound;
pub(crate) use claimable::{Claimable, Contents, Decision, LateWords, Said};
pub(crate) use codec::Codec;
pub use error::LedgerError;
pub(crate) use failure::SharedFailure;
pub(crate) use held::{Held, Ours};
pub(crate) use key::Key;
pub use kind::RecordKind;
pub(crate) use kind::Release;
pub(crate) use lease::{Lease, Unbacked};
pub(crate) use lease_end::LeaseEnd;
pub(crate) use outcome::{Claimed, Replaced, Swapped};
pub(crate) use pairs::{PairLedger, PairRecord, PairRecords, PairWritten};
use poll::Poll;
pub(crate) use record::{Nonce, Record, State};
pub(crate) use seal::Seal;
pub(crate) use update::Change;
pub(crate) use versioned::{Converted, Versioned};
use watch::Watches;

/// A look at a store asks up to a dozen things, one after the other, of several servers.
const LOOK_IN_TIMEOUTS: u32 = 20;

/// Room for what follows the prefix of a key: the longest kind's name, a digest of 43 characters, and four signs.
const KEY_LEN: usize = 64;

/// How long those who waited for a read can learn that it failed.
pub(crate) const FAILED_FOR: Duration = Duration::from_secs(2);

/// The records of one service in one store. Each claim takes a clone along.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    parts: Arc<LedgerParts>,
    /// Whether its calls are made whatever the breaker says.
    asks_always: bool,
}

/// What the clones of a ledger share.
#[derive(Clone, Debug)]
pub(crate) struct LedgerParts {
    store: Arc<dyn AnyStore>,
    extras: Extras,
    prefix: Arc<str>,
    /// The longest one call to the store may take.
    pub(crate) timeout: Duration,
    pub(crate) codec: Arc<Codec>,
    watches: Arc<Watches>,
    clock: Arc<ClaimClock>,
    losses: Arc<LossWatch>,
    /// What the operator says that a restart of the store loses at most.
    pub(crate) stated_loss: Option<RestartLoss>,
    breaker: Arc<StoreBreaker>,
}

impl Deref for Ledger {
    type Target = LedgerParts;

    fn deref(&self) -> &LedgerParts {
        &self.parts
    }
}

impl Ledger {
    pub(crate) fn new(
        store: Arc<dyn AnyStore>,
        prefix: Box<str>,
        timeout: Duration,
        codec: Codec,
        stated_loss: Option<RestartLoss>,
    ) -> Self {
        let (extras, prefix, codec) = (store.extras(), prefix.into(), Arc::new(codec));
        let (watches, clock, losses, breaker) = (Arc::default(), Arc::default(), Arc::default(), Arc::default());
        let parts = LedgerParts { store, extras, prefix, timeout, codec, watches, clock, losses, stated_loss, breaker };
        Self { parts: Arc::new(parts), asks_always: false }
    }

    /// Another ledger, which shares but what is changed in it.
    fn with(&self, change: impl FnOnce(&mut LedgerParts)) -> Self {
        let mut parts = LedgerParts::clone(self);
        change(&mut parts);
        Self { parts: Arc::new(parts), ..self.clone() }
    }

    /// With jitter from a seed, if there is one.
    pub(crate) fn seeded(self, seed: Option<u64>) -> Self {
        let Some(seed) = seed else { return self };
        self.with(|parts| parts.watches = Arc::new(Watches::seeded(seed)))
    }

    pub(crate) fn durability(&self) -> Durability {
        self.store.durability()
    }

    /// What a restart of the store may lose, if that is more than is accepted of a store on which effects rely.
    pub(crate) async fn refused_loss(&self) -> Result<Option<RestartLoss>, LedgerError> {
        let said = with_one_retry(|| self.in_time(|| self.store.restart_loss())).await?;
        Ok(Some(said).filter(|loss| !loss.is_accepted(self.stated_loss)))
    }

    /// The place of a record.
    pub(crate) fn key(&self, kind: RecordKind, digest: &Fingerprint) -> Key {
        self.key_in(kind, "", digest)
    }

    /// The place of a record within a scope, which people who look into the store see: "", or its name and a colon.
    pub(crate) fn key_in(&self, kind: RecordKind, scope: &str, digest: &Fingerprint) -> Key {
        let mut text = String::with_capacity(self.prefix.len().saturating_add(scope.len()).saturating_add(KEY_LEN));
        text.extend([&*self.prefix, ":", kind.layout().name, ":", scope, "{"]);
        digest.write_text(&mut text);
        text.push('}');
        Key { text: text.into(), kind, version: self.codec.version(kind) }
    }

    /// Has it announced which records of a kind change, where the store offers that.
    pub(crate) fn line(&self, kind: RecordKind, listener: Weak<dyn Listener>) -> Option<Arc<dyn Line>> {
        self.extras.line(&[&*self.prefix, ":", kind.layout().name, ":"].concat(), listener)
    }

    /// Looks at the store itself, and whether it takes a record under the prefix. How its clock was seen to move is a finding too,
    /// and that it lost what it had acknowledged.
    pub(crate) async fn inspect(&self) -> Result<Inspection, LedgerError> {
        // Several round trips, each within the store's own limits.
        let limit = self.timeout.saturating_mul(LOOK_IN_TIMEOUTS);
        // A place of each look's own, so that none finds the record of another.
        let tried = self.key(RecordKind::Canary, &Fingerprint::of("look", [Some(&Nonce::draw()?.into_bytes()[..])]));
        let look = async {
            let mut inspection = self.store.inspect().await?;
            self.extras.try_key(&tried.text, &mut inspection).await?;
            Ok(inspection)
        };
        let looked: Result<Result<_, StoreError>, _> = timeout(limit, look).await;
        let mut inspection = looked.map_err(|_elapsed| LedgerError::TimedOut { limit })??;
        inspection.findings.extend(self.clock.moved().into_iter().chain(self.losses.found()));
        inspection.findings.extend(self.extras.is_empty().then_some(StoreFinding::NoExtras));
        Ok(inspection)
    }

    /// Reads a record.
    pub(crate) async fn get(&self, key: &Key) -> Result<Option<Held>, LedgerError> {
        let asked_at = Instant::now();
        let stored = self.patiently("get", || self.store.get(&key.text)).await?;
        stored.map(|stored| self.held(key, stored, asked_at)).transpose()
    }

    /// Writes a record where none is; else says which one is. One round trip.
    ///
    /// Asked for again after a lost reply it bears another nonce ([`Nonce::again`]): the first may still be made, any time
    /// later, and bytes that stood there once must never stand there again. `on_open` hears of such a first one.
    async fn claim(&self, key: &Key, record: Record, on_open: impl FnOnce(Nonce)) -> Result<Claimed, LedgerError> {
        let claimed = self.claim_once(key, record, on_open).await;
        let found = if let Ok(Claimed::Held(held)) = &claimed { Some(held) } else { None };
        self.watches.tell(key, found);
        claimed
    }

    async fn claim_once(&self, key: &Key, record: Record, on_open: impl FnOnce(Nonce)) -> Result<Claimed, LedgerError> {
        let mut ours = self.encode(key, record)?;
        let asked_at = Instant::now();
        let claim = match self.claim_bytes(key, &ours).await {
            Err(first) if first.is_worth_another_try() => {
                // Boxed, since it is rare.
                Box::pin(self.claim_again(key, &mut ours, first, on_open)).await?
            }
            answer => answer?,
        };
        match claim {
            // The reply to a claim may have been lost, and the record that is found is that very claim.
            Claim::Held(stored) if stored.bytes != ours.bytes => Ok(Claimed::Held(self.held(key, stored, asked_at)?)),
            Claim::Claimed | Claim::Held(_) => {
                self.clock.wrote(&ours, asked_at);
                Ok(Claimed::Ours(ours))
            }
        }
    }

    /// The second try of a claim. Where it is made, it takes the place of the first.
    async fn claim_again(
        &self,
        key: &Key,
        ours: &mut Ours,
        first: LedgerError,
        on_open: impl FnOnce(Nonce),
    ) -> Result<Claim, LedgerError> {
        let record = ours.record.clone();
        let second = self.encode(key, Record { nonce: record.nonce.again(), ..record })?;
        // One that is settled counts by what it says alone, whenever it comes.
        let is_open = first.is_outcome_unknown() && ours.record.state == State::Claimed;
        let claim = self.claim_bytes(key, &second).await.map_err(|error| first.or(error))?;
        let is_made = matches!(&claim, Claim::Held(stored) if stored.bytes == ours.bytes);
        if is_open && !is_made {
            on_open(ours.record.nonce);
        }
        if claim == Claim::Claimed {
            *ours = second;
        }
        Ok(claim)
    }

    async fn claim_bytes(&self, key: &Key, ours: &Ours) -> Result<Claim, LedgerError> {
        self.once("claim", || self.store.claim(&key.text, &ours.bytes, ours.record.ttl())).await
    }

    /// Writes a record with a nonce of its own in the place of one that was read. False when that was no longer there.
    pub(crate) async fn replace(&self, key: &Key, held: &Held, contents: Contents) -> Result<bool, LedgerError> {
        let replaced = self.take_over(key, held, contents.record(Nonce::draw()?, None)).await?;
        Ok(matches!(replaced, Replaced::Ours(_)))
    }

    /// Writes a record in the place of one that was read.
    async fn take_over(&self, key: &Key, held: &Held, record: Record) -> Result<Replaced, LedgerError> {
        let new = self.encode(key, Record { tail: held.record.tail.clone(), ..record })?;
        Ok(Replaced::of(self.swap(key, &held.bytes, &new).await?, new))
    }

    /// Writes what came of a claim of ours, in whichever edition it stands: the reply to a renewal may have been lost.
    async fn settle(&self, key: &Key, ours: &Ours, record: Record) -> Result<Replaced, LedgerError> {
        let mut new = self.encode(key, Record { tail: ours.record.tail.clone(), ..record })?;
        let mut swapped = self.swap(key, &ours.bytes, &new).await?;
        if let Swapped::Lost(Some(held)) = &swapped
            && held.is_edition_of(ours)
        {
            new = self.encode(key, Record { tail: held.record.tail.clone(), ..new.record })?;
            swapped = self.swap(key, &held.bytes, &new).await?;
        }
        Ok(Replaced::of(swapped, new))
    }

    /// Like `settle`, for a claim without renewals that several callers may hold: at most one is told that it settled it now.
    async fn settle_once(&self, key: &Key, ours: &Ours, record: Record) -> Result<Swapped, LedgerError> {
        let new = self.encode(key, Record { tail: ours.record.tail.clone(), ..record })?;
        self.swap(key, &ours.bytes, &new).await
    }

    /// Puts a record in the place of another; else says what is there.
    async fn swap(&self, key: &Key, expected: &[u8], new: &Ours) -> Result<Swapped, LedgerError> {
        let asked_at = Instant::now();
        let replace = || self.store.replace(&key.text, expected, &new.bytes, new.record.ttl());
        match self.patiently("replace", replace).await? {
            Swap::Swapped => {
                self.clock.wrote(new, asked_at);
                Ok(Swapped::Now)
            }
            Swap::Lost(Some(stored)) if stored.bytes == new.bytes => {
                self.clock.wrote(new, asked_at);
                Ok(Swapped::Before(self.held(key, stored, asked_at)?))
            }
            Swap::Lost(stored) => {
                let held = stored.map(|stored| self.held(key, stored, asked_at)).transpose()?;
                Ok(Swapped::Lost(held))
            }
        }
    }

    /// Writes in the place of a claim that was read what its own process did not: that its lease was over, and it is unknown
    /// what came of it. False when it was no longer there.
    async fn mark(&self, key: &Key, held: &Held, contents: Contents) -> Result<bool, LedgerError> {
        let mark = contents.record(Nonce::draw()?, Some(held.sender()));
        Ok(matches!(self.take_over(key, held, mark).await?, Replaced::Ours(_)))
    }

    /// Removes a claim of ours, or what others made of it.
    async fn release(&self, key: &Key, ours: &Ours) -> Result<Said, LedgerError> {
        let asked_at = Instant::now();
        self.clock.ended(ours.record.nonce);
        let Swap::Lost(stored) = self.remove_bytes(key, &ours.bytes).await? else { return Ok(Said::InTime) };
        let Some(found) = stored.map(|stored| self.held(key, stored, asked_at)).transpose()? else {
            return Ok(Said::Lost(None));
        };
        let is_ours = found.is_edition_of(ours) || found.is_mark_of(ours.record.nonce);
        Ok(if is_ours && self.remove(key, &found).await? { Said::Late } else { Said::Lost(Some(found)) })
    }

    /// Removes a record that was read. False when it was no longer there.
    ///
    /// One that is gone after a try of this call whose reply was lost counts as removed by that one. Gone at the first try, it
    /// was removed by another call, or its time was over.
    pub(crate) async fn remove(&self, key: &Key, held: &Held) -> Result<bool, LedgerError> {
        let call = || self.once("remove", || self.store.remove(&key.text, &held.bytes));
        let (swap, is_open) = match call().await {
            Err(first) if first.is_worth_another_try() => {
                let is_open = first.is_outcome_unknown();
                (call().await.map_err(|next| first.or(next))?, is_open)
            }
            answer => (answer?, false),
        };
        Ok(swap == Swap::Swapped || is_open && swap == Swap::Lost(None))
    }

    async fn remove_bytes(&self, key: &Key, expected: &[u8]) -> Result<Swap, LedgerError> {
        self.patiently("remove", || self.store.remove(&key.text, expected)).await
    }

    /// The bytes of a record, in the version that is written at its place.
    fn encode(&self, key: &Key, record: Record) -> Result<Ours, LedgerError> {
        let record = Record { version: key.version, ..record };
        let bytes = self.codec.encode(&record, key)?;
        Ok(Ours { record, bytes })
    }

    fn held(&self, key: &Key, stored: Stored, asked_at: Instant) -> Result<Held, LedgerError> {
        let record = self.codec.decode(&stored.bytes, key)?;
        Ok(self.dated(record, stored, asked_at))
    }

    fn dated(&self, record: Record, stored: Stored, asked_at: Instant) -> Held {
        let (age, is_age_known) = self.clock.age(&record, &stored, asked_at);
        Held { record, age, is_age_known, asked_at, bytes: stored.bytes }
    }
}

/// Whole milliseconds, rounded up, as a store keeps them.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}
