//! A load, and what becomes of its value: settled over the own claim, kept in memory, or only answered with.

use std::sync::{Arc, OnceLock};

use futures_util::future::join;
use tokio::time::Instant;

use crate::intent::fingerprint::Fingerprint;
use crate::ledger::{Lease, Ledger, LedgerError, millis};
use crate::lock::Lock;
use crate::moment::Moment;
use crate::telemetry::{Stopwatch, cache_loaded};

use super::backing::{Backing, Counted};
use super::entry::{Encoded, StoredValue};
use super::error::CacheError;
use super::hit::{Hit, HitSource, StoreUse};
use super::key::CacheKey;
use super::landed::{Began, Landed};
use super::lead::Lead;
use super::load::Nested;
use super::marks::Since;
use super::pack::packed;
use super::record::{EntryEnd, EntryRecord, OlderValue};
use super::stats::Count;
use super::stock::Stock;
use super::value::{CacheValue, Value};

/// A value that was just loaded.
pub(super) struct Fresh<V> {
    pub(super) value: Arc<Value<V>>,
    /// As it is stored; none where it cannot be.
    stored: Option<Encoded>,
    /// Its own tags, beside those of its key.
    tags: Vec<Fingerprint>,
    began: Began,
}

impl<K: CacheKey, V: CacheValue> Lead<K, V> {
    /// Goes through the load, within the space's number of loads at once.
    async fn load(&mut self) -> Result<Fresh<V>, CacheError> {
        let stock = Arc::clone(&self.stock);
        let load = self.load.lock().take().ok_or(CacheError::Interrupted)?;
        let (space, digest) = (stock.space.name, self.place.digest);
        let nested = vec![Nested { space, digest }];
        // Where this is part of a load of the same space, that one has a permit already, and waits for this one.
        let is_free = self.is_batched || self.chain.is_in(space);
        // It is never closed.
        let _permit = if is_free { None } else { stock.loads.acquire().await.ok() };
        let began = Began::now(&stock.core.marks);
        let (watch, loading) = (Stopwatch::start(), self.chain.clone().during(nested, load()));
        let brought = loading.await;
        if !self.is_batched {
            stock.counts.add(Count::Load);
            cache_loaded(space, brought.is_ok(), watch);
        }
        let (body, origin) = brought?;
        Ok(self.fresh(body, origin, began))
    }

    /// A value as of when its load began.
    pub(super) fn fresh(&self, body: V, origin: &str, began: Began) -> Fresh<V> {
        let stock = &self.stock;
        let tags = stock.own_tags(&body);
        let encoded = Encoded::of(&body);
        if encoded.is_err() || tags.is_err() {
            stock.does_not_read_back();
        }
        let (is_absent, bytes) = encoded.as_ref().map_or((false, 0), |encoded| (encoded.is_absent, encoded.body.len()));
        let life = stock.space.life(&self.key, &body, is_absent);
        let lives = if stock.space.is_early { stock.core.shortened(life) } else { life };
        let stored = encoded.ok().filter(|_| tags.is_ok() && bytes <= stock.space.max_value);
        let tags = tags.unwrap_or_default();
        let value = Arc::new(Value {
            body,
            loaded: Moment::at(began.at),
            lives,
            expired: OnceLock::new(),
            origin: origin.into(),
            is_absent,
            subjects: Stock::<K, V>::subjects(&self.place, self.place.tags.iter().chain(&tags).copied()),
            since: Since::here(began.mark),
            bytes,
            rests_until: Lock::default(),
        });
        Fresh { value, stored, tags, began }
    }

    /// Loads under a lease, and says in the store what came of it.
    pub(super) async fn load_under(&mut self, backing: &Arc<Backing>, mut lease: Box<Lease<EntryRecord>>) -> Landed<V> {
        let (stock, tags) = (Arc::clone(&self.stock), self.place.tags.clone());
        // Before the load begins: what ends one of these later, ends the value too.
        let counted = backing.counted(&backing.quick, &tags, stock.space.memory_for, stock.space.longest()).await;
        let loaded = lease.during(self.load()).await;
        let fresh = match loaded {
            Ok(fresh) => fresh,
            Err(error) => {
                backing.heard(lease.conclude(EntryEnd::Failed).await.err().as_ref());
                return self.without_another(error, StoreUse::Kept);
            }
        };
        let settled = self.keep(backing, &backing.quick, &mut lease, counted, &fresh).await;
        backing.heard(settled.as_ref().err());
        let (store, checked, is_kept) = match settled {
            Ok(Settled::Kept(checked)) => (StoreUse::Kept, Some(checked), Some(checked)),
            // Something ended it meanwhile.
            Ok(Settled::Lost) => (StoreUse::NotKept, None, None),
            Ok(Settled::NotKept) => (StoreUse::NotKept, None, Some(fresh.began.at)),
            Err(error) if error.is_down() => (StoreUse::Down, None, Some(fresh.began.at)),
            Err(_) => (StoreUse::Bypassed, None, Some(fresh.began.at)),
        };
        if store != StoreUse::Kept {
            stock.counts.add(Count::NotStored);
        }
        landed(&fresh, store, checked, is_kept)
    }

    /// Stores a value under the lease that it was made under, if it can be stored.
    pub(super) async fn keep(
        &self,
        backing: &Backing,
        ledger: &Ledger,
        lease: &mut Lease<EntryRecord>,
        counted: Result<Counted, LedgerError>,
        fresh: &Fresh<V>,
    ) -> Result<Settled, LedgerError> {
        let counted = match counted {
            Ok(counted) => self.count_own(backing, lease, counted, fresh).await,
            Err(error) => Err(error),
        };
        let settled = match (counted, &fresh.stored) {
            (Ok(Some(counted)), Some(encoded)) if backing.has_room(encoded.body.len(), fresh.value.lives) => {
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

    /// Loads without the store.
    pub(super) async fn alone(&mut self, store: StoreUse) -> Landed<V> {
        match self.load().await {
            Ok(fresh) => {
                let at = fresh.began.at;
                landed(&fresh, store, None, Some(at))
            }
            Err(error) => self.without_another(error, store),
        }
    }

    /// Adds the generations of the value's own tags; none where one may be younger than the load.
    async fn count_own(
        &self,
        backing: &Backing,
        lease: &Lease<EntryRecord>,
        mut counted: Counted,
        fresh: &Fresh<V>,
    ) -> Result<Option<Counted>, LedgerError> {
        let own: Vec<_> =
            fresh.tags.iter().filter(|tag| !counted.iter().any(|(known, _)| known == *tag)).copied().collect();
        if own.is_empty() {
            return Ok(Some(counted));
        }
        let Some(own) = backing.older_than(lease, &own, fresh.began.at, self.stock.space.longest()).await? else {
            return Ok(None);
        };
        counted.extend(own);
        Ok(Some(counted))
    }

    /// Writes the value over the own claim, and looks beside it whether its generations still stand.
    async fn settle(
        &self,
        (backing, ledger): (&Backing, &Ledger),
        lease: &mut Lease<EntryRecord>,
        counted: &Counted,
        value: &Value<V>,
        encoded: &Encoded,
    ) -> Result<Settled, LedgerError> {
        let space = &self.stock.space;
        let (packed_from, body) = packed(&encoded.body);
        let stored = StoredValue {
            age_ms: 0,
            fresh_ms: millis(value.fresh_for()),
            kept_ms: millis(value.fresh_for().saturating_add(space.stale_for(value.is_absent))),
            origin: value.origin.clone(),
            is_absent: value.is_absent,
            generations: counted.iter().map(|(tag, id)| (*tag.as_bytes(), *id)).collect(),
            packed_from,
            body,
        };
        let word = EntryEnd::Loaded(OlderValue { stored, loaded: value.loaded });
        let (settled, still) = join(lease.conclude(word), backing.still(ledger, counted)).await;
        match (settled?, still?) {
            (true, Some(checked)) => Ok(Settled::Kept(checked)),
            _ => Ok(Settled::Lost),
        }
    }
}

/// A value that was loaded as an answer.
fn landed<V>(fresh: &Fresh<V>, store: StoreUse, checked: Option<Instant>, is_kept: Option<Instant>) -> Landed<V> {
    let hit = Hit { value: Arc::clone(&fresh.value), source: HitSource::Load, store, is_stale: false };
    let (loaded, counts_as) = (Some(fresh.began.mark), Count::Miss);
    Landed { result: Ok(hit), checked, loaded, is_kept, counts_as, has_waited: false }
}

/// What became of a value in the store.
pub(super) enum Settled {
    /// It stands there, as was seen when that was asked for.
    Kept(Instant),
    /// It was invalidated or replaced meanwhile.
    Lost,
    /// It was not written.
    NotKept,
}
