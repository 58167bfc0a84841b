//! What the leader of a flight does: look into the store, wait for another process, or load under a lease.
//!
//! | what is found | what happens |
//! |---|---|
//! | a value that counts, fresh enough | it is the answer: one round trip |
//! | one past its life that may be served | it is the answer, and is loaded anew behind the call |
//! | nothing, or what no longer counts | claimed, loaded, settled over the own claim |
//! | another process's claim | its older value, where it may be served; else waited for |
//! | no answer, or a newer release's record | loaded without the store, and said so |

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::Instant;

use crate::call::deadline::Deadline;
use crate::ledger::{Acquired, Decision, FAILED_FOR, Held, LedgerError, Look, Nonce, State};
use crate::lock::Lock;
use crate::moment::Moment;
use crate::telemetry::cache_unreadable;

use super::backing::{Backing, Place, Reading, SeenWith, Standing};
use super::entry::time;
use super::error::CacheError;
use super::hit::{Hit, HitSource, StoreUse};
use super::key::CacheKey;
use super::landed::Landed;
use super::load::{Chain, Load};
use super::pack::{IS_PACKED, UNPACKS};
use super::record::{Carried, EntryRecord, LookedAt, OlderValue, SeenEntry, decide, payload_of};
use super::stats::Count;
use super::stock::Stock;
use super::value::{CacheValue, Fitness, Value};

/// A record that was looked at is seldom another one at the next look.
const MOST_LOOKS: usize = 16;

/// Why a flight is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// A call waits for it.
    Asked,
    /// The value is served, and is to be another one soon.
    Refresh,
}

/// A flight's work.
pub(super) struct Lead<K, V> {
    pub(super) stock: Arc<Stock<K, V>>,
    pub(super) key: K,
    pub(super) place: Place,
    pub(super) max_age: Duration,
    pub(super) why: Why,
    pub(super) chain: Chain,
    /// Taken when it is made.
    pub(super) load: Lock<Option<Load<V>>>,
    /// Whether the load is one with those of other flights, which has its own permit and is counted once.
    pub(super) is_batched: bool,
    /// A value past its life, for want of a loader that brings another.
    pub(super) older: Option<Arc<Value<V>>>,
    /// Told when the flight waits for another process.
    pub(super) waits: Option<Box<dyn Fn() + Send + Sync>>,
}

/// What a record comes to for this flight.
enum Judged<V> {
    Serves(Box<Landed<V>>),
    Not(LookedAt),
}

impl<K: CacheKey, V: CacheValue> Lead<K, V> {
    pub(super) async fn run(&mut self, reading: Option<Reading>) -> Landed<V> {
        let Some(backing) = self.stock.core.backing.clone() else { return self.alone(StoreUse::Unused).await };
        if reading.is_none() && !backing.asks(&self.stock.core.all) {
            return self.alone(StoreUse::Down).await;
        }
        match self.with_store(&backing, reading).await {
            Ok(landed) => landed,
            Err(error) => {
                let store = if error.is_down() { StoreUse::Down } else { StoreUse::Bypassed };
                if store == StoreUse::Bypassed {
                    cache_unreadable(self.stock.space.name, &error);
                }
                self.alone(store).await
            }
        }
    }

    /// What the store has, without loading.
    pub(super) async fn peeked(
        &mut self,
        backing: &Backing,
        reading: Option<Reading>,
    ) -> Result<Option<Hit<V>>, CacheError> {
        let Some(Reading { entry, with }) = reading else { return Ok(None) };
        let Some(held) = entry? else { return Ok(None) };
        match self.judge(backing, &held, &with, false).await? {
            Judged::Serves(landed) => landed.result.map(Some),
            Judged::Not(_) => {
                let store = StoreUse::Kept;
                Ok(self.older.take().map(|value| Hit { value, source: HitSource::Store, store, is_stale: true }))
            }
        }
    }

    async fn with_store(&mut self, backing: &Arc<Backing>, reading: Option<Reading>) -> Result<Landed<V>, LedgerError> {
        let reading = match reading {
            Some(reading) => reading,
            None => {
                backing.read(&[&self.place], self.stock.space.memory_for).await.pop().ok_or(LedgerError::Contended)?
            }
        };
        let found = match reading.entry {
            Err(error @ LedgerError::Unreadable(_)) => {
                cache_unreadable(self.stock.space.name, &error);
                let key = self.place.key.clone().ok_or(LedgerError::Contended)?;
                backing.quick.void(&key, backing.lease).await?;
                None
            }
            entry => entry?,
        };
        let Some(held) = found else {
            // What the store does not have, memory is not to have for long.
            self.stock.memory.remove(&self.key);
            return self.acquire(backing, Look::default(), None).await;
        };
        match self.judge(backing, &held, &reading.with, false).await? {
            Judged::Serves(landed) => Ok(*landed),
            Judged::Not(known) => {
                let look = Look { overheard: Some(held), waited_for: None };
                self.acquire(backing, look, Some(known)).await
            }
        }
    }

    /// Claims the record in the place of what was found, or waits for the process that has it.
    async fn acquire(
        &mut self,
        backing: &Arc<Backing>,
        mut look: Look,
        mut known: Option<LookedAt>,
    ) -> Result<Landed<V>, LedgerError> {
        let space = self.stock.space;
        // A process that loads for as long as it may, and then one that takes over.
        let patience = space.load_timeout.saturating_add(backing.lease.saturating_mul(2));
        let deadline = Deadline::after(Instant::now(), patience);
        let key = self.place.key.clone().ok_or(LedgerError::Contended)?;
        let record = EntryRecord { key, lease: backing.lease, by: backing.id };
        for _ in 0..MOST_LOOKS {
            let waits = self.waits.take();
            let decide = |held: &Held, waited_for: Option<Nonce>| {
                let decision = decide(held, waited_for, known.as_ref());
                if let (Ok(Decision::Wait), Some(waits)) = (&decision, &waits) {
                    waits();
                }
                decision
            };
            let acquired = backing.quick.acquire_from(look, &record, || Ok(Carried::default()), deadline, decide).await;
            backing.heard(acquired.as_ref().err());
            let (held, waited_for) = match acquired? {
                Acquired::Lease(lease) => return Ok(self.load_under(backing, lease).await),
                Acquired::Answer(SeenEntry::FailedElsewhere) => {
                    return Ok(self.without_another(CacheError::FailedElsewhere, StoreUse::Kept));
                }
                Acquired::Answer(SeenEntry::Value { held, waited_for }) => (held, waited_for),
                Acquired::Busy { .. } => return Ok(self.alone(StoreUse::NotKept).await),
            };
            self.waits = waits;
            match self.judge(backing, &held, &SeenWith::new(), waited_for.is_some()).await? {
                Judged::Serves(landed) => return Ok(*landed),
                Judged::Not(looked_at) => known = Some(looked_at),
            }
            look = Look { overheard: Some(Arc::new(*held)), waited_for };
        }
        Err(LedgerError::Contended)
    }

    /// What a record comes to: its value, if that counts, reads, and is fresh enough.
    async fn judge(
        &mut self,
        backing: &Backing,
        held: &Held,
        with: &SeenWith,
        has_waited: bool,
    ) -> Result<Judged<V>, LedgerError> {
        let stock = Arc::clone(&self.stock);
        let (state, nonce) = (held.record.state, held.record.nonce);
        let not = |older| Ok(Judged::Not(LookedAt { nonce, state, older }));
        let stored = match payload_of(held) {
            Err(error @ LedgerError::Unreadable(_)) => {
                cache_unreadable(stock.space.name, &error);
                None
            }
            payload => payload?.stored,
        };
        let Some(stored) = stored else { return not(None) };
        if stored.packed_from.is_some() && !UNPACKS {
            return Err(LedgerError::Unreadable(IS_PACKED));
        }
        let standing = backing.standing(&self.place, &stored, held.asked_at, with, stock.space.memory_for).await?;
        let Standing::Stands(checked) = standing else { return not(None) };
        let age = time(stored.age_ms).saturating_add(held.age_of_contents());
        let loaded = Moment::before(held.asked_at, age);
        let Ok(body) = stored.value() else {
            cache_unreadable(stock.space.name, &"the value does not read as one of its space");
            return not(None);
        };
        let value = Arc::new(Value {
            body,
            loaded,
            lives: time(stored.fresh_ms),
            expired: OnceLock::new(),
            origin: stored.origin.clone(),
            is_absent: stored.is_absent,
            subjects: Stock::<K, V>::subjects(&self.place, stored.tags().map(|(tag, _)| tag)),
            since: stock.core.marks.since(loaded),
            bytes: stored.len(),
            rests_until: Lock::default(),
        });
        if stock.core.marks.is_marked(&value.since, &value.subjects) {
            return not(None);
        }
        let fitness = stock.fitness_of(&value, self.max_age, Instant::now());
        let is_loaded_elsewhere = state == State::Claimed && !held.lease_left().is_zero();
        let has_just_failed = state == State::Failed && held.age < FAILED_FOR;
        let serves = match (fitness, self.why) {
            (Fitness::Fresh, _) | (Fitness::Due | Fitness::Stale, Why::Asked) => true,
            (Fitness::Due | Fitness::Stale, Why::Refresh) => is_loaded_elsewhere || has_just_failed,
            (Fitness::LastResort | Fitness::Over, _) => false,
        };
        if serves {
            return Ok(Judged::Serves(Box::new(found(value, checked, fitness, has_waited))));
        }
        if fitness == Fitness::Over {
            return not(None);
        }
        self.older = Some(value);
        not(Some(OlderValue { stored, loaded }))
    }

    /// What there is where no loader brought another value.
    pub(super) fn without_another(&self, error: CacheError, store: StoreUse) -> Landed<V> {
        let now = Instant::now();
        let older = self.older.clone().filter(|older| self.stock.is_last_resort(older, self.max_age, now));
        let Some(value) = older.or_else(|| self.stock.last_resort(&self.key, self.max_age)) else {
            return Landed::failed(error);
        };
        let is_stale = value.fresh_for() <= value.loaded.age_at(now);
        let hit = Hit { value, source: HitSource::Store, store, is_stale };
        Landed { result: Ok(hit), ..Landed::failed(error) }
    }
}

/// A value of the store as an answer.
fn found<V>(value: Arc<Value<V>>, checked: Instant, fitness: Fitness, has_waited: bool) -> Landed<V> {
    let hit = Hit { value, source: HitSource::Store, store: StoreUse::Kept, is_stale: fitness == Fitness::Stale };
    let counts_as = Count::StoreHit;
    Landed { result: Ok(hit), checked: Some(checked), loaded: None, is_kept: Some(checked), counts_as, has_waited }
}
