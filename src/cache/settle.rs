//! A value that was loaded, and what becomes of it: settled over the own claim, kept in memory, or only answered with.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::join;
use tokio::time::Instant;

use crate::call::deadline::after;
use crate::intent::fingerprint::Fingerprint;
use crate::ledger::{Lease, Ledger, LedgerError, millis};
use crate::lock::Lock;
use crate::moment::Moment;

use super::ask::Ask;
use super::backing::Backing;
use super::entry::{DoesNotReadBack, Encoded, StoredValue};
use super::error::CacheError;
use super::generation::Counted;
use super::hit::{Hit, HitSource, StoreUse};
use super::key::CacheKey;
use super::landed::{Began, Landed};
use super::lead::{Lead, Under};
use super::load::LoadResult;
use super::marks::Since;
use super::pack::packed;
use super::record::{EntryEnd, EntryRecord, OlderValue};
use super::stats::Count;
use super::value::{CacheValue, Value};

/// A value as it is to be kept, whenever that is.
pub(super) struct Written<V> {
    body: V,
    is_absent: bool,
    lives: Duration,
    bytes: usize,
    /// As it is stored; none where it cannot be.
    pub(super) stored: Option<Encoded>,
    /// Its own tags, beside those of its key.
    pub(super) tags: Vec<Fingerprint>,
}

/// A value that was just loaded.
pub(super) struct Fresh<V> {
    pub(super) value: Arc<Value<V>>,
    stored: Option<Encoded>,
    tags: Vec<Fingerprint>,
    began: Instant,
}

/// What became of a value in the store.
pub(super) enum Settled {
    /// It stands there, and what it counts under was seen to stand then.
    Kept(Instant),
    /// It was invalidated or replaced meanwhile.
    Lost,
    /// It was not written.
    NotKept,
}

impl<K: CacheKey, V: CacheValue> Lead<K, V> {
    /// What comes of a load, in the store too.
    pub(super) async fn landed(
        &self,
        mut under: Under,
        brought: LoadResult<V>,
        began: Began,
        backing: Option<&Arc<Backing>>,
        counted: &Result<Vec<Counted>, LedgerError>,
    ) -> Landed<V> {
        let written = brought.and_then(|(body, origin)| Ok((self.ask.written(body)?, origin)));
        let (written, origin) = match written {
            Ok(written) => written,
            Err(error) => {
                if let Ok(lease) = &mut under {
                    // Unsaid, it costs the others the rest of the lease.
                    let _ = lease.conclude(EntryEnd::Failed).await;
                }
                return self.without_another(error, under.err().unwrap_or(StoreUse::Kept));
            }
        };
        let fresh = self.ask.fresh(written, origin, began);
        let settled = match (&mut under, backing) {
            (Ok(lease), Some(backing)) => self.ask.keep(backing, &backing.quick, lease, counted, &fresh).await,
            _ => Ok(Settled::NotKept),
        };
        let (store, at, is_kept) = match settled {
            Ok(Settled::Kept(checked)) => (StoreUse::Kept, checked, true),
            Ok(Settled::Lost) => (StoreUse::NotKept, began.at, false),
            Ok(Settled::NotKept) => (under.err().unwrap_or(StoreUse::NotKept), began.at, true),
            Err(error) if error.is_down() => (StoreUse::Down, began.at, true),
            Err(_) => (StoreUse::Bypassed, began.at, true),
        };
        if !matches!(store, StoreUse::Kept | StoreUse::Unused) {
            self.ask.stock.counts.add(Count::NotStored);
        }
        let hit = Hit { value: fresh.value, source: HitSource::Load, store, is_stale: false };
        let (as_of, count) = (Began { at, ..began }, Count::Miss);
        Landed { result: Ok(hit), as_of, is_kept, count, has_waited: self.has_waited }
    }
}

impl<K: CacheKey, V: CacheValue> Ask<K, V> {
    /// Writes a value.
    ///
    /// # Errors
    /// When its own tags are refused: without them, invalidating them would not reach it.
    pub(super) fn written(&self, body: V) -> Result<Written<V>, CacheError> {
        let stock = &self.stock;
        let (tags, encoded) = (stock.own_tags(&body)?, Encoded::of(&body));
        if encoded.is_err() {
            stock.does_not_read_back();
        }
        let (is_absent, bytes) = match &encoded {
            Ok(encoded) => (encoded.is_absent, encoded.body.len()),
            Err(DoesNotReadBack { bytes }) => (false, *bytes),
        };
        let life = stock.space.life(&self.key, &body, is_absent);
        let lives = if stock.space.is_early { stock.core.shortened(life) } else { life };
        let stored = encoded.ok().filter(|_| bytes <= stock.space.max_value);
        Ok(Written { body, is_absent, lives, bytes, stored, tags })
    }

    /// A value as of when its load began.
    pub(super) fn fresh(&self, written: Written<V>, origin: &str, began: Began) -> Fresh<V> {
        let Written { body, is_absent, lives, bytes, stored, tags } = written;
        let value = Arc::new(Value {
            body,
            loaded: Moment::at(began.at),
            lives,
            expired: OnceLock::new(),
            origin: origin.into(),
            is_absent,
            subjects: self.place.subjects(self.place.tags.iter().chain(&tags).copied()),
            since: Since::here(began.mark),
            bytes,
            rests_until: Lock::default(),
        });
        Fresh { value, stored, tags, began: began.at }
    }

    /// Stores a value under the lease that it was made under, if it can be stored.
    pub(super) async fn keep(
        &self,
        backing: &Backing,
        ledger: &Ledger,
        lease: &mut Lease<EntryRecord>,
        counted: &Result<Vec<Counted>, LedgerError>,
        fresh: &Fresh<V>,
    ) -> Result<Settled, LedgerError> {
        let settled = match (self.count_own(backing, lease, counted, fresh).await, &fresh.stored) {
            (Ok(Some(counted)), Some(encoded)) => {
                self.settle((backing, ledger), lease, &counted, &fresh.value, encoded).await
            }
            (Err(error), _) => Err(error),
            _ => Ok(Settled::NotKept),
        };
        if !matches!(settled, Ok(Settled::Kept(_) | Settled::Lost) | Err(LedgerError::TimedOut { .. })) {
            // So that other processes need not wait for the end of the lease. A store that hangs would hang again.
            let _ = lease.release().await;
        }
        settled
    }

    /// The generations of the key's tags and of the value's own; none where one of those may have ended since the load began.
    async fn count_own(
        &self,
        backing: &Backing,
        lease: &Lease<EntryRecord>,
        counted: &Result<Vec<Counted>, LedgerError>,
        fresh: &Fresh<V>,
    ) -> Result<Option<Vec<Counted>>, LedgerError> {
        let known = counted.as_ref().map_err(Clone::clone)?;
        let (mut counted, mut open) = (Vec::new(), Vec::new());
        for tag in self.place.tags.iter().chain(fresh.tags.iter().filter(|tag| !self.place.tags.contains(tag))) {
            match known.iter().find(|known| known.tag == *tag) {
                Some(known) => counted.push(*known),
                None => open.push(*tag),
            }
        }
        let space = &self.stock.space;
        let own = backing.unended(lease, &open, (fresh.began, known), (space.memory_for, space.longest())).await?;
        Ok(own.map(|own| counted.into_iter().chain(own).collect()))
    }

    /// Writes the value over the own claim. Where it is a while since its generations were seen, looks beside it whether they
    /// still stand.
    async fn settle(
        &self,
        (backing, ledger): (&Backing, &Ledger),
        lease: &mut Lease<EntryRecord>,
        counted: &[Counted],
        value: &Value<V>,
        encoded: &Encoded,
    ) -> Result<Settled, LedgerError> {
        let space = &self.stock.space;
        let kept = value.fresh_for().saturating_add(space.stale_for(value.is_absent));
        let (bytes, end) = (encoded.body.len(), after(Instant::now(), kept));
        if !backing.has_room(bytes, end) {
            return Ok(Settled::NotKept);
        }
        let (packed_from, body) = packed(&encoded.body);
        let stored = StoredValue {
            age_ms: 0,
            fresh_ms: millis(value.fresh_for()),
            kept_ms: millis(kept),
            origin: value.origin.clone(),
            is_absent: value.is_absent,
            generations: counted.iter().map(|counted| (*counted.tag.as_bytes(), counted.id)).collect(),
            packed_from,
            body,
        };
        let word = EntryEnd::Loaded(OlderValue { stored, loaded: value.loaded });
        let seen = counted.iter().map(|counted| counted.asked_at).min();
        let seen = seen.filter(|at| at.elapsed().saturating_mul(2) < space.memory_for);
        // No later than the write: what is read beside it says nothing of what ended the entry in between.
        let asked_at = Instant::now();
        let still = async {
            match seen {
                Some(seen_at) => Ok(Some(seen_at)),
                None => backing.still(ledger, counted).await,
            }
        };
        let (concluded, still) = join(lease.conclude(word), still).await;
        // After an error it may stand there.
        if let (Ok(false), Some(share)) = (&concluded, &backing.share) {
            share.gives_back(bytes, end);
        }
        match (concluded, still) {
            (Ok(true), Ok(Some(checked))) => Ok(Settled::Kept(checked.min(asked_at))),
            (Err(error), _) | (_, Err(error)) => Err(error),
            _ => Ok(Settled::Lost),
        }
    }
}
