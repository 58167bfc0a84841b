//! The store behind a cache: its records, and what is known of its tags.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::time::Instant;

use crate::intent::fingerprint::Fingerprint;
use crate::ledger::{Held, Key, Lease, Ledger, LedgerError, Nonce, RecordKind};

use super::entry::{Generation, StoredValue};
use super::full::Fullness;
use super::generation::{Counted, Generations, SHORTEST_LIFE, Seen};
use super::record::{EntryRecord, unrenewed_for};
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
    full: Arc<Fullness>,
    /// Where the store is one that redemptions rely on.
    pub(super) share: Option<Share>,
}

/// What was read of an entry.
pub(super) type EntryRead = Result<Option<Arc<Held>>, LedgerError>;

impl Backing {
    pub(super) fn new(
        quick: Ledger,
        sure: Ledger,
        namespace: Fingerprint,
        lease: Duration,
        share: Option<Share>,
    ) -> Result<Self, LedgerError> {
        Ok(Self {
            quick,
            sure,
            generations: Generations::new(namespace),
            lease,
            id: Nonce::draw()?,
            full: Arc::default(),
            share,
        })
    }

    /// Where the entry of a key stands, which its digest tells apart within a version of its space.
    pub(super) fn entry_key(&self, space: &str, version: u32, digest: &Fingerprint) -> Key {
        let at = self.generations.of_this_cache("cache entry", digest);
        self.quick.key_in(RecordKind::Cache, &format!("{space}:v{version}:"), &at)
    }

    /// Whether an entry may be stored that lives until then.
    pub(super) fn has_room(&self, value: usize, end: Instant) -> bool {
        !self.is_full() && self.share.as_ref().is_none_or(|share| share.takes(value, end))
    }

    /// Begins a tag's generation, which takes room as well, or learns which one there is.
    async fn begin(&self, ledger: &Ledger, tag: &Fingerprint, lives: Duration) -> Result<Counted, LedgerError> {
        let begun = self.generations.begin(ledger, tag, lives).await;
        if let Some(share) = self.share.as_ref().filter(|_| !matches!(begun, Ok((_, false)))) {
            share.counts_tag(lives.max(SHORTEST_LIFE));
        }
        begun.map(|(counted, _)| counted)
    }

    /// Whether nothing is to be stored, since the store is nearly full.
    pub(super) fn is_full(&self) -> bool {
        self.full.is_full(&self.sure)
    }

    /// Whether the store fails, and calls that can go on without it do.
    pub(super) fn is_down(&self) -> bool {
        self.quick.is_left_alone()
    }

    /// Reads entries, and with them the generations of tags that were not seen within this time; says when it asked.
    pub(super) async fn read(
        &self,
        mut keys: Vec<Key>,
        tags: &[Fingerprint],
        within: Duration,
    ) -> (Vec<EntryRead>, Instant) {
        let (entries, asked_at) = (keys.len(), Instant::now());
        let is_seen = |tag: &Fingerprint| self.generations.seen(tag, |seen| seen.is_within(within, asked_at)).is_some();
        let tags: Vec<&Fingerprint> = tags.iter().filter(|tag| !is_seen(tag)).collect();
        keys.extend(tags.iter().map(|tag| self.generations.key(&self.quick, tag)));
        let mut read = self.quick.get_many(&keys).await;
        for (tag, read) in tags.into_iter().zip(read.split_off(entries.min(read.len()))) {
            // What cannot be used is asked for again by whatever needs it, and fails that.
            let _ = self.generations.read(tag, read, asked_at);
        }
        (read.into_iter().map(|entry| entry.map(|held| held.map(Arc::new))).collect(), asked_at)
    }

    /// What stood of these tags: as is remembered, where that is recent enough, or as the store says now.
    async fn look(
        &self,
        ledger: &Ledger,
        tags: &[Fingerprint],
        is_enough: impl Fn(&Seen) -> bool,
    ) -> Result<Vec<Seen>, LedgerError> {
        let mut seen: Vec<_> = tags.iter().map(|tag| self.generations.seen(tag, &is_enough)).collect();
        let open: Vec<_> = tags.iter().zip(&mut seen).filter(|(_, seen)| seen.is_none()).collect();
        if !open.is_empty() {
            let keys: Vec<Key> = open.iter().map(|(tag, _)| self.generations.key(ledger, tag)).collect();
            let asked_at = Instant::now();
            for ((tag, seen), read) in open.into_iter().zip(ledger.get_many(&keys).await) {
                *seen = Some(self.generations.read(tag, read, asked_at)?);
            }
        }
        Ok(seen.into_iter().flatten().collect())
    }

    /// Whether what a value was tagged with still stands, and when that was asked for: beside the value, within this time before
    /// that, or now. What was seen before decides nothing against it, since it may be the older of the two.
    pub(super) async fn standing(
        &self,
        stored: &StoredValue,
        asked_at: Instant,
        within: Duration,
    ) -> Result<Option<Instant>, LedgerError> {
        let counted = stored.tags().map(|(tag, id)| Counted { tag, id, asked_at });
        let is_enough = |seen: &Seen| seen.asked_at >= asked_at || seen.is_within(within, asked_at);
        let seen = |of: &Counted| self.generations.seen(&of.tag, is_enough);
        let (mut oldest, mut open) = (asked_at, Vec::new());
        for of in counted {
            match seen(&of).filter(|seen| seen.id == Some(of.id)) {
                Some(seen) => oldest = oldest.min(seen.asked_at),
                None => open.push(of),
            }
        }
        if open.is_empty() {
            return Ok(Some(oldest));
        }
        // Apart, since most that ask this need it not: a batch has a hundred of them at once.
        let now = Box::pin(self.still(&self.quick, &open)).await?;
        Ok(now.map(|now| oldest.min(now)))
    }

    /// Asks whether these generations stand, and says when it asked; none where one does not.
    pub(super) async fn still(&self, ledger: &Ledger, counted: &[Counted]) -> Result<Option<Instant>, LedgerError> {
        let tags: Vec<_> = counted.iter().map(|counted| counted.tag).collect();
        let asked_at = Instant::now();
        let seen = self.look(ledger, &tags, |_| false).await?;
        let stand = seen.iter().zip(counted).all(|(seen, counted)| seen.id == Some(counted.id));
        Ok(stand.then_some(asked_at))
    }

    /// The generations under which loads that are about to begin count. Those that are missing begin now.
    pub(super) async fn counted(
        &self,
        ledger: &Ledger,
        tags: &[Fingerprint],
        within: Duration,
        lives: Duration,
    ) -> Result<Vec<Counted>, LedgerError> {
        let now = Instant::now();
        let seen = self.look(ledger, tags, |seen| seen.is_within(within, now)).await?;
        let count = async |(tag, seen): (&Fingerprint, Seen)| {
            if seen.ends_soon {
                self.generations.renew(ledger, tag, lives).await?;
            }
            match seen.id {
                Some(id) => Ok(Counted { tag: *tag, id, asked_at: seen.asked_at }),
                None => self.begin(ledger, tag, lives).await,
            }
        };
        try_join_all(tags.iter().zip(seen).map(count)).await
    }

    /// The generations of tags that only the value names, if none of them ended since its load began; `known` was counted before that.
    /// Those that are missing begin now.
    pub(super) async fn unended(
        &self,
        lease: &Lease<EntryRecord>,
        tags: &[Fingerprint],
        (began, known): (Instant, &[Counted]),
        (within, lives): (Duration, Duration),
    ) -> Result<Option<Vec<Counted>>, LedgerError> {
        let now = Instant::now();
        let before: Vec<_> = tags.iter().map(|tag| self.generations.seen(tag, |seen| seen.told_at < began)).collect();
        let counted = try_join_all(tags.iter().zip(&before).map(async |(tag, seen)| match *seen {
            Some(seen @ Seen { id: Some(id), asked_at, .. }) if seen.is_within(within, now) => {
                Ok(Counted { tag: *tag, id, asked_at })
            }
            _ => self.begin(&self.quick, tag, lives).await,
        }))
        .await?;
        let is_open = |(counted, seen): &(&Counted, &Option<Seen>)| seen.is_none_or(|seen| seen.id != Some(counted.id));
        let open: Vec<&Counted> = counted.iter().zip(&before).filter(is_open).map(|(counted, _)| counted).collect();
        let are_unended = open.is_empty() || self.are_unended(lease, &open, known).await?;
        Ok(are_unended.then_some(counted))
    }

    /// Whether the witness is the one that was known before the load, or each of these generations is older by the store's clock than
    /// the claim under which it was loaded is by either clock.
    async fn are_unended(
        &self,
        lease: &Lease<EntryRecord>,
        open: &[&Counted],
        known: &[Counted],
    ) -> Result<bool, LedgerError> {
        let (ledger, witness) = (&self.quick, self.generations.witness);
        let mut keys = vec![lease.what().key.clone(), self.generations.key(ledger, &witness)];
        keys.extend(open.iter().map(|open| self.generations.key(ledger, &open.tag)));
        let asked_at = Instant::now();
        let mut read = ledger.get_many(&keys).await.into_iter();
        let mut next = || read.next().transpose().map(Option::flatten);
        let (claim, now) = (next()?, self.generations.read(&witness, next(), asked_at)?);
        if known.iter().any(|known| known.tag == witness && Some(known.id) == now.id) {
            return Ok(true);
        }
        let claim = claim.filter(|held| held.record.nonce == lease.nonce());
        let Some(claimed_for) = claim.and_then(|held| unrenewed_for(&held)) else { return Ok(false) };
        // The tags may have been read later than the claim, and look older for it, or the store's clock may have been set back:
        // by this process's clock no less time has passed. Ages are told in whole milliseconds.
        let claimed_for = claimed_for.max(lease.asked_at().elapsed().saturating_add(Duration::from_millis(1)));
        for open in open {
            let Some(held) = next()? else { return Ok(false) };
            // Read twice, and the second time with its age: a record that was replaced while it was read looks older than it is.
            if Generation::id_of(&held)? != open.id || Generation::age_of(&held)? <= claimed_for {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
