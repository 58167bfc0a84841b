//! The store behind a cache: its records, what is known of its tags, and whether it answers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::intent::fingerprint::Fingerprint;
use crate::ledger::{Held, Key, Lease, Ledger, LedgerError, Nonce, State};
use crate::telemetry::cache_store_down;

use super::breaker::{Asks, StoreBreaker};
use super::entry::{Generation, StoredValue};
use super::generation::{Generations, Seen};
use super::record::{EntryRecord, payload_of};
use super::share::Share;

/// The store behind a cache.
#[derive(Debug)]
pub(super) struct Backing {
    /// For calls that can go on without the store.
    pub(super) quick: Ledger,
    /// For calls that are about the store itself.
    pub(super) sure: Ledger,
    pub(super) generations: Generations,
    pub(super) lease: Duration,
    /// Tells this cache from those of other processes.
    pub(super) id: Nonce,
    breaker: StoreBreaker,
    /// Where the store is one that redemptions rely on.
    pub(super) share: Option<Share>,
}

/// Where a value stands.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) key: Option<Key>,
    /// The key in every version of its space, for marks and flights.
    pub(super) digest: Fingerprint,
    /// All, the space, and the tags of the key.
    pub(super) tags: Vec<Fingerprint>,
}

/// What was read at a place, and which generations were read with it.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub(super) entry: Result<Option<Arc<Held>>, LedgerError>,
    pub(super) with: Arc<SeenWith>,
}

/// The generations under which a value counts, by tag.
pub(super) type Counted = Vec<(Fingerprint, Nonce)>;

/// What was seen of tags in one batch; or why not.
pub(super) type SeenWith = HashMap<Fingerprint, Result<Seen, LedgerError>>;

/// Whether what a value was tagged with still stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It does, as what was asked for then shows.
    Stands(Instant),
    Outdated,
}

impl Backing {
    pub(super) fn new(
        quick: Ledger,
        sure: Ledger,
        namespace: Fingerprint,
        lease: Duration,
        share: Option<Share>,
    ) -> Result<Self, LedgerError> {
        let (generations, breaker) = (Generations::new(namespace), StoreBreaker::default());
        Ok(Self { quick, sure, generations, lease, id: Nonce::draw()?, breaker, share })
    }

    /// Whether an entry may be stored.
    pub(super) fn has_room(&self, bytes: usize, lives: Duration) -> bool {
        self.share.as_ref().is_none_or(|share| share.takes(bytes, lives))
    }

    /// Whether a call that can go on without the store asks it. Where it did not answer for a while, it is probed beside the call.
    pub(super) fn asks(self: &Arc<Self>, probe: &Fingerprint) -> bool {
        match self.breaker.asks(Instant::now()) {
            Asks::Yes => true,
            Asks::No => false,
            Asks::Probes => {
                if let Ok(runtime) = Handle::try_current() {
                    let (backing, key) = (Arc::clone(self), self.generations.key(&self.quick, probe));
                    runtime.spawn(async move { backing.heard(backing.quick.get(&key).await.as_ref().err()) });
                }
                false
            }
        }
    }

    pub(super) fn is_down(&self) -> bool {
        self.breaker.is_open()
    }

    /// Notes whether the store answered.
    pub(super) fn heard(&self, error: Option<&LedgerError>) {
        match error {
            Some(error @ (LedgerError::Store(_) | LedgerError::TimedOut { .. })) => {
                if self.breaker.failed(Instant::now()) {
                    cache_store_down(error);
                }
            }
            Some(LedgerError::NoRuntime | LedgerError::NoRandomness | LedgerError::Contended) => {}
            _ => self.breaker.answered(),
        }
    }

    /// Reads what stands at places, and with it the generations of their tags that were not seen within this time.
    pub(super) async fn read(&self, places: &[&Place], within: Duration) -> Vec<Reading> {
        let mut tags: Vec<&Fingerprint> = Vec::new();
        for tag in places.iter().flat_map(|place| &place.tags) {
            if !tags.contains(&tag) && self.generations.seen(tag, within).is_none() {
                tags.push(tag);
            }
        }
        let entries = places.iter().filter_map(|place| place.key.clone());
        let mut keys: Vec<Key> = entries.collect();
        let entries = keys.len();
        keys.extend(tags.iter().map(|tag| self.generations.key(&self.quick, tag)));
        let asked_at = Instant::now();
        let mut read = self.get_many(&self.quick, &keys).await;
        let of_tags = read.split_off(entries.min(read.len()));
        let seen = |(tag, read): (&&Fingerprint, _)| (**tag, self.generations.read(tag, read, asked_at));
        let with: Arc<SeenWith> = Arc::new(tags.iter().zip(of_tags).map(seen).collect());
        let reading = |entry: Result<Option<Held>, _>| Reading {
            entry: entry.map(|held| held.map(Arc::new)),
            with: Arc::clone(&with),
        };
        read.into_iter().map(reading).collect()
    }

    async fn get_many(&self, ledger: &Ledger, keys: &[Key]) -> Vec<Result<Option<Held>, LedgerError>> {
        let read = ledger.get_many(keys).await;
        // One that cannot be read is an answer too.
        let failed = |read: &Result<Option<Held>, LedgerError>| read.as_ref().is_err_and(LedgerError::is_down);
        let first = read.first().filter(|_| read.iter().all(failed));
        self.heard(first.and_then(|read| read.as_ref().err()));
        read
    }

    /// What stands of these tags now.
    async fn look_at(&self, ledger: &Ledger, tags: &[Fingerprint]) -> Result<Vec<Seen>, LedgerError> {
        let keys: Vec<Key> = tags.iter().map(|tag| self.generations.key(&self.quick, tag)).collect();
        let asked_at = Instant::now();
        let read = self.get_many(ledger, &keys).await;
        tags.iter().zip(read).map(|(tag, read)| self.generations.read(tag, read, asked_at)).collect()
    }

    /// Whether what a value was tagged with still stands, by what was read with it, by what is remembered for this time, or by
    /// what is asked now. What is only remembered decides nothing against it.
    pub(super) async fn standing(
        &self,
        place: &Place,
        stored: &StoredValue,
        asked_at: Instant,
        with: &SeenWith,
        within: Duration,
    ) -> Result<Standing, LedgerError> {
        let is_tagged = |tag: &Fingerprint| stored.generations.iter().any(|(of, _)| of == tag.as_bytes());
        if !place.tags.iter().all(is_tagged) {
            return Ok(Standing::Outdated);
        }
        let (mut oldest, mut open) = (asked_at, Vec::new());
        for (tag, id) in stored.tags() {
            let seen = match with.get(&tag) {
                Some(seen) => Some((seen.clone()?, true)),
                None => self.generations.seen(&tag, within).map(|seen| (seen, false)),
            };
            match seen {
                Some((seen, _)) if seen.id == Some(id) => oldest = oldest.min(seen.asked_at),
                Some((_, true)) => return Ok(Standing::Outdated),
                _ => open.push((tag, id)),
            }
        }
        match self.still(&self.quick, &open).await? {
            Some(asked_at) => Ok(Standing::Stands(oldest.min(asked_at))),
            None => Ok(Standing::Outdated),
        }
    }

    /// Asks whether these generations stand, and says when it asked; none where one does not.
    pub(super) async fn still(
        &self,
        ledger: &Ledger,
        counted: &[(Fingerprint, Nonce)],
    ) -> Result<Option<Instant>, LedgerError> {
        let asked_at = Instant::now();
        if counted.is_empty() {
            return Ok(Some(asked_at));
        }
        let tags: Vec<Fingerprint> = counted.iter().map(|(tag, _)| *tag).collect();
        let seen = self.look_at(ledger, &tags).await?;
        let stand = seen.iter().zip(counted).all(|(seen, (_, id))| seen.id == Some(*id));
        Ok(stand.then_some(asked_at))
    }

    /// The generations under which a load that is about to begin counts. Those that are missing begin now.
    pub(super) async fn counted(
        &self,
        ledger: &Ledger,
        tags: &[Fingerprint],
        within: Duration,
        lives: Duration,
    ) -> Result<Counted, LedgerError> {
        let unseen: Vec<Fingerprint> =
            tags.iter().filter(|tag| self.generations.seen(tag, within).is_none()).copied().collect();
        let looked: HashMap<Fingerprint, Seen> = match &*unseen {
            [] => HashMap::new(),
            unseen => unseen.iter().copied().zip(self.look_at(ledger, unseen).await?).collect(),
        };
        let id_of = async |tag: &Fingerprint| {
            let seen = looked.get(tag).copied().or_else(|| self.generations.seen(tag, within));
            if seen.is_some_and(|seen| seen.ends_soon) {
                self.generations.renew(ledger, tag, lives).await?;
            }
            match seen.and_then(|seen| seen.id) {
                Some(id) => Ok((*tag, id)),
                None => Ok((*tag, self.generations.begin(ledger, tag, lives).await?)),
            }
        };
        try_join_all(tags.iter().map(id_of)).await
    }

    /// The generations of tags that only the value names, if each is older than the load: seen before it began, or older by the
    /// store's clock than the claim under which it was loaded. Those that are missing begin now, for the next load.
    pub(super) async fn older_than(
        &self,
        lease: &Lease<EntryRecord>,
        tags: &[Fingerprint],
        began: Instant,
        lives: Duration,
    ) -> Result<Option<Counted>, LedgerError> {
        let ledger = &self.quick;
        let (mut counted, mut open) = (Vec::new(), Vec::new());
        for tag in tags {
            match self.generations.seen(tag, Duration::MAX) {
                Some(Seen { id: Some(id), asked_at, .. }) if asked_at < began => counted.push((*tag, id)),
                _ => open.push(*tag),
            }
        }
        if open.is_empty() {
            return Ok(Some(counted));
        }
        let first = self.look_at(ledger, &open).await?;
        let mut keys = vec![lease.what().key.clone()];
        keys.extend(open.iter().map(|tag| self.generations.key(ledger, tag)));
        let mut second = self.get_many(ledger, &keys).await.into_iter();
        let claim = second.next().transpose()?.flatten();
        let Some(claimed_for) =
            claim.filter(|held| held.record.nonce == lease.nonce()).and_then(|held| unrenewed_for(&held))
        else {
            return Ok(None);
        };
        let mut are_older = true;
        for ((tag, first), second) in open.iter().zip(first).zip(second) {
            let Some(held) = second? else {
                self.generations.begin(ledger, tag, lives).await?;
                are_older = false;
                continue;
            };
            // Read twice, and the second time with its age: a record that was replaced while it was read looks older than it is.
            let id = Generation::id_of(&held)?;
            are_older &= first.id == Some(id) && Generation::age_of(&held)? > claimed_for;
            counted.push((*tag, id));
        }
        Ok(are_older.then_some(counted))
    }
}

/// How long ago a claim was made, if its record is the first one of it.
fn unrenewed_for(held: &Held) -> Option<Duration> {
    let payload = payload_of(held).ok()?;
    (held.record.state == State::Claimed && payload.claimed_ms == 0).then_some(held.age)
}
