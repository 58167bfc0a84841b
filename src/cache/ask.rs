//! A key that is asked for past memory, and what a record comes to for the call.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::Instant;

use crate::ledger::{FAILED_FOR, Held, LedgerError, State};
use crate::lock::Lock;
use crate::moment::Moment;

use super::backing::Backing;
use super::entry::{StoredValue, time};
use super::error::CacheError;
use super::hit::{Hit, HitSource, StoreUse};
use super::key::CacheKey;
use super::landed::Began;
use super::load::{Chain, Nested};
use super::pack::{IS_PACKED, UNPACKS};
use super::record::{LookedAt, OlderValue, payload_of};
use super::stock::{Place, Stock};
use super::value::{CacheValue, Fitness, Value};

/// A call past memory.
pub(super) struct Ask<K, V> {
    pub(super) stock: Arc<Stock<K, V>>,
    pub(super) key: K,
    pub(super) place: Place,
    pub(super) max_age: Duration,
    pub(super) began: Began,
}

/// What a record comes to.
pub(super) enum Judged<V> {
    Serves(Hit<V>, Instant),
    /// It may have a value that is past its life.
    Not(LookedAt, Option<OlderCopy<V>>),
}

/// A value past its life, and when what it counts under was known to stand.
pub(super) struct OlderCopy<V> {
    pub(super) value: Arc<Value<V>>,
    pub(super) checked: Instant,
}

impl<K: CacheKey, V: CacheValue> Ask<K, V> {
    /// A call for a value, whatever its age.
    pub(super) fn of(stock: &Arc<Stock<K, V>>, key: &K) -> Result<Self, CacheError> {
        let (began, max_age) = (Began::now(&stock.core.marks), Duration::MAX);
        Ok(Self { stock: Arc::clone(stock), key: key.clone(), place: stock.place(key)?, max_age, began })
    }

    /// A call that may load.
    pub(super) fn new(stock: &Arc<Stock<K, V>>, key: &K, max_age: Duration) -> Result<Self, CacheError> {
        let ask = Self { max_age, ..Self::of(stock, key)? };
        if Chain::here().holds(ask.nested()) { Err(CacheError::RecursiveLoad) } else { Ok(ask) }
    }

    pub(super) fn nested(&self) -> Nested {
        Nested { space: self.stock.space.name, digest: self.place.digest }
    }

    /// What a record comes to, with the generations that were asked for with it: its value, if that counts, reads, and is fresh
    /// enough.
    pub(super) async fn judge(
        &self,
        backing: &Backing,
        held: &Held,
        asked_at: Instant,
        is_refresh: bool,
    ) -> Result<Judged<V>, LedgerError> {
        let (stock, place) = (&self.stock, &self.place);
        let (state, nonce) = (held.record.state, held.record.nonce);
        let not = |older, value| Ok(Judged::Not(LookedAt { nonce, state, older }, value));
        let stored = match payload_of(held) {
            Err(error @ LedgerError::Unreadable(_)) => {
                stock.cannot_use(&error);
                None
            }
            payload => payload?.stored,
        };
        let has_tag = |tag: &_| stored.iter().flat_map(StoredValue::tags).any(|(of, _)| of == *tag);
        let Some(stored) = stored.as_ref().filter(|_| place.tags.iter().all(has_tag)) else { return not(None, None) };
        if stored.packed_from.is_some() && !UNPACKS {
            return Err(LedgerError::Unreadable(IS_PACKED));
        }
        let Some(checked) = backing.standing(stored, asked_at, stock.space.memory_for).await? else {
            return not(None, None);
        };
        let age = time(stored.age_ms).saturating_add(held.age_of_contents());
        let loaded = Moment::before(held.asked_at, age);
        let Ok(body) = stored.value() else {
            stock.cannot_use(&"the value does not read as one of its space");
            return not(None, None);
        };
        let value = Arc::new(Value {
            body,
            loaded,
            lives: time(stored.fresh_ms),
            expired: OnceLock::new(),
            origin: stored.origin.clone(),
            is_absent: stored.is_absent,
            subjects: place.subjects(stored.tags().map(|(tag, _)| tag)),
            since: stock.core.marks.since(loaded),
            bytes: stored.len(),
            rests_until: Lock::default(),
        });
        if stock.core.marks.is_marked(&value.since, &value.subjects) {
            return not(None, None);
        }
        let fitness = stock.fitness_of(&value, self.max_age, Instant::now());
        let is_loaded_elsewhere = state == State::Claimed && !held.lease_left().is_zero();
        let has_just_failed = state == State::Failed && held.age < FAILED_FOR;
        let older =
            |value| not(Some(OlderValue { stored: stored.clone(), loaded }), Some(OlderCopy { value, checked }));
        match fitness {
            Fitness::Over => not(None, None),
            Fitness::Due | Fitness::Stale if is_refresh && !is_loaded_elsewhere && !has_just_failed => older(value),
            Fitness::LastResort => older(value),
            Fitness::Fresh | Fitness::Due | Fitness::Stale => {
                let is_stale = fitness == Fitness::Stale;
                Ok(Judged::Serves(Hit { value, source: HitSource::Store, store: StoreUse::Kept, is_stale }, checked))
            }
        }
    }
}

impl<K: Clone, V> Clone for Ask<K, V> {
    fn clone(&self) -> Self {
        let (stock, key, place) = (Arc::clone(&self.stock), self.key.clone(), self.place.clone());
        Self { stock, key, place, ..*self }
    }
}
