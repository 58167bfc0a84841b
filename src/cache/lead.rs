//! What a flight finds in the store, and how it comes to its load.
//!
//! | what is found | what happens |
//! |---|---|
//! | a value that counts, fresh enough | it is the answer: one round trip |
//! | one past its life that may be served | it is the answer, and is loaded anew behind the call |
//! | nothing, or what no longer counts | claimed, loaded, settled over the own claim |
//! | another process's claim | its older value, where it may be served; else waited for |
//! | no answer, or a newer release's record | loaded without the store, and said so |

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::call::deadline::Deadline;
use crate::ledger::{Acquired, Held, Lease, LedgerError, Look, Nonce};

use super::ask::{Ask, Judged, OlderCopy};
use super::backing::{Backing, EntryRead};
use super::error::CacheError;
use super::hit::{Hit, HitSource, StoreUse};
use super::key::CacheKey;
use super::landed::{Began, CacheLeader, Landed};
use super::load::{Chain, Loaders};
use super::record::{Carried, EntryRecord, LookedAt, SeenEntry, decide};
use super::stats::Count;
use super::value::CacheValue;

/// A record that was looked at is seldom another one at the next look.
const MOST_LOOKS: usize = 16;

/// A flight's work.
pub(super) struct Lead<K: CacheKey, V: CacheValue> {
    pub(super) ask: Ask<K, V>,
    pub(super) loaders: Arc<Loaders<K, V>>,
    pub(super) chain: Chain,
    pub(super) leader: CacheLeader<V>,
    /// Whether the value is served, and is to be another one soon.
    pub(super) is_refresh: bool,
    /// A value past its life, for want of a loader that brings another.
    older: Option<OlderCopy<V>>,
    pub(super) has_waited: bool,
}

/// How a flight goes on from what it finds.
pub(super) enum Course<V> {
    Lands(Landed<V>),
    Loads(Under),
    /// Another process has the lease.
    Busy,
}

/// A lease; or, without one, what the store has to do with the value.
pub(super) type Under = Result<Box<Lease<EntryRecord>>, StoreUse>;

impl<K: CacheKey, V: CacheValue> Lead<K, V> {
    pub(super) fn new(ask: &Ask<K, V>, loaders: &Arc<Loaders<K, V>>, leader: CacheLeader<V>, is_refresh: bool) -> Self {
        let (ask, loaders, chain) = (ask.clone(), Arc::clone(loaders), Chain::here());
        Self { ask, loaders, chain, leader, is_refresh, older: None, has_waited: false }
    }

    /// Goes on from what was read of the entry, and waits for other processes if it may.
    pub(super) async fn find(
        &mut self,
        backing: &Arc<Backing>,
        (entry, asked_at): (EntryRead, Instant),
        may_wait: bool,
    ) -> Course<V> {
        match self.found(backing, entry, asked_at, may_wait).await {
            Ok(found) => found,
            Err(error) if error.is_down() => Course::Loads(Err(StoreUse::Down)),
            Err(error) => {
                self.ask.stock.cannot_use(&error);
                Course::Loads(Err(StoreUse::Bypassed))
            }
        }
    }

    /// What a hit does not need is boxed: a batch has a hundred of these at once.
    async fn found(
        &mut self,
        backing: &Arc<Backing>,
        entry: EntryRead,
        asked_at: Instant,
        may_wait: bool,
    ) -> Result<Course<V>, LedgerError> {
        let found = match entry {
            Err(error @ LedgerError::Unreadable(_)) => {
                self.ask.stock.cannot_use(&error);
                let key = self.ask.stock.entry_key(backing, &self.ask.place);
                Box::pin(backing.quick.void(&key, backing.lease)).await?;
                None
            }
            entry => entry?,
        };
        let Some(held) = found else {
            // What the store does not have, memory is not to have for long.
            self.ask.stock.memory.remove(&self.ask.key);
            return Box::pin(self.acquire(backing, Look::default(), None, may_wait)).await;
        };
        match self.ask.judge(backing, &held, asked_at, self.is_refresh).await? {
            Judged::Serves(hit, checked) => Ok(Course::Lands(self.found_there(hit, checked))),
            Judged::Not(known, older) => {
                self.older = older;
                let look = Look { overheard: Some(held), waited_for: None };
                Box::pin(self.acquire(backing, look, Some(known), may_wait)).await
            }
        }
    }

    /// Claims the record in the place of what was found, or waits for the process that has it.
    async fn acquire(
        &mut self,
        backing: &Arc<Backing>,
        mut look: Look,
        mut known: Option<LookedAt>,
        may_wait: bool,
    ) -> Result<Course<V>, LedgerError> {
        if backing.is_full() {
            // A claim would have other processes wait for what is not stored.
            return Ok(Course::Loads(Err(StoreUse::NotKept)));
        }
        let load_timeout = self.ask.stock.space.load_timeout;
        // A process that loads for as long as it may, and then one that takes over.
        let patience = load_timeout.saturating_add(backing.lease.saturating_mul(2));
        let deadline = Deadline::after(Instant::now(), if may_wait { patience } else { Duration::ZERO });
        let record = EntryRecord {
            key: self.ask.stock.entry_key(backing, &self.ask.place),
            lease: backing.lease,
            by: backing.id,
        };
        for _ in 0..MOST_LOOKS {
            let decide = |held: &Held, waited_for: Option<Nonce>| decide(held, waited_for, known.as_ref());
            let acquired = backing.quick.acquire_from(look, &record, || Ok(Carried::default()), deadline, decide).await;
            let (held, waited_for) = match acquired? {
                Acquired::Lease(lease) => return Ok(Course::Loads(Ok(lease))),
                Acquired::Answer(SeenEntry::FailedElsewhere) => {
                    return Ok(Course::Lands(self.without_another(CacheError::FailedElsewhere, StoreUse::Kept)));
                }
                Acquired::Busy { .. } if may_wait => return Ok(Course::Loads(Err(StoreUse::NotKept))),
                Acquired::Busy { .. } => return Ok(Course::Busy),
                Acquired::Answer(SeenEntry::Value { held, waited_for }) => (Arc::new(*held), waited_for),
            };
            self.has_waited = waited_for.is_some();
            match self.ask.judge(backing, &held, held.asked_at, self.is_refresh).await? {
                Judged::Serves(hit, checked) => return Ok(Course::Lands(self.found_there(hit, checked))),
                Judged::Not(looked_at, older) => {
                    self.older = older.or_else(|| self.older.take());
                    known = Some(looked_at);
                }
            }
            look = Look { overheard: Some(held), waited_for };
        }
        Err(LedgerError::Contended)
    }

    /// A value of the store.
    fn found_there(&self, hit: Hit<V>, checked: Instant) -> Landed<V> {
        let as_of = Began { at: checked, ..self.began() };
        Landed { result: Ok(hit), as_of, is_kept: true, count: Count::StoreHit, has_waited: self.has_waited }
    }

    /// What there is where no loader brought another value.
    pub(super) fn without_another(&self, error: CacheError, store: StoreUse) -> Landed<V> {
        let (stock, max_age, now) = (&self.ask.stock, self.ask.max_age, Instant::now());
        let (mut as_of, older) = (self.began(), self.older.as_ref());
        let older = older.filter(|older| stock.is_last_resort(&older.value, max_age, now)).map(|older| {
            // It may have been invalidated since then, and those that join late hear of that.
            as_of.at = as_of.at.min(older.checked);
            Arc::clone(&older.value)
        });
        let result = match older.or_else(|| stock.last_resort(&self.ask.key, max_age)) {
            Some(value) => {
                let is_stale = value.fresh_for() <= value.loaded.age_at(now);
                Ok(Hit { value, source: HitSource::Store, store, is_stale })
            }
            None => Err(error),
        };
        Landed { result, as_of, is_kept: false, count: Count::Miss, has_waited: self.has_waited }
    }

    fn began(&self) -> Began {
        self.leader.flight().notes().began
    }
}
