//! What is said to the store itself: invalidated, put, expired. Such a call always asks the store, and fails with it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::call::deadline::Deadline;
use crate::ledger::{Acquired, Change, Contents, Decision, Held, Key, LedgerError, Nonce, State, millis};
use crate::moment::Moment;

use super::ask::Ask;
use super::backing::{Backing, Place};
use super::cached::Cached;
use super::core::Core;
use super::entry::{EntryPayload, StoredValue, time};
use super::error::CacheError;
use super::hit::{Hit, HitSource, StoreUse};
use super::key::CacheKey;
use super::landed::Began;
use super::lead::{Lead, Why};
use super::memory::MemoryCopy;
use super::overdue::{Overdue, UNCONFIRMED};
use super::record::{Carried, EntryRecord, payload_of};
use super::settle::Settled;
use super::stock::Wishes;
use super::value::CacheValue;

/// Which loader brought a value that the caller made.
const PUT: &str = "put";

impl<K: CacheKey, V: CacheValue> Cached<K, V> {
    /// Forgets a value, in all processes: no call that begins after this returned, here, or `memory_for` after it, elsewhere,
    /// gets a value whose load began before this was called.
    ///
    /// Call it after the commit of what changed. A process that ends between the two leaves the entry's lifetime as the bound.
    ///
    /// # Errors
    /// When the store did not confirm. It holds for this process all the same, and is tried again behind the call.
    ///
    /// # Cancel safety
    /// Dropped, it may be done or not; here it holds from the first poll on.
    pub async fn invalidate(&self, key: &K) -> Result<(), CacheError> {
        let stock = &self.0;
        let versions = std::iter::once(stock.space.version).chain(stock.space.also);
        let places: Vec<Place> = versions.map(|version| stock.place_in(version, key)).collect::<Result<_, _>>()?;
        let Some(place) = places.first() else { return Ok(()) };
        let keys: Vec<Key> = places.iter().filter_map(|place| place.key.clone()).collect();
        let what = Overdue::Entry { digest: place.digest, keys, tombstone: stock.tombstone() };
        invalidate(&stock.core, what, stock.settles_in()).await
    }

    /// Keeps a value that the caller made, and ends loads of it that are under way.
    ///
    /// Only where the cache is the value's one home, such as a session. Where there is a database, change that and
    /// [`invalidate`](Self::invalidate): two writers of one row put their values in any order.
    ///
    /// # Errors
    /// When the store did not confirm; or it is larger than the space's `max_value`, or does not read back as it was written.
    ///
    /// # Cancel safety
    /// Dropped, it may be done or not.
    pub async fn put(&self, key: &K, value: V) -> Result<Hit<V>, CacheError> {
        let (stock, place) = (&self.0, self.0.place(key)?);
        let began = Began::now(&stock.core.marks);
        // No call from here on joins a load that is under way.
        stock.flights.forget(&place.digest, || {});
        let mut ask =
            Ask { stock: Arc::clone(stock), key: key.clone(), place, wishes: Wishes::NONE, began, load: None };
        let lead = ask.lead(Why::Asked);
        let Some(backing) = &stock.core.backing else {
            let value = lead.fresh(value, PUT, began).value;
            let hit = Hit { value, source: HitSource::Memory, store: StoreUse::Unused, is_stale: false };
            stock.memory.insert(key, MemoryCopy { value: Arc::clone(&hit.value), checked: began.at });
            return Ok(hit);
        };
        let hit = put(&lead, backing, value).await;
        stock.flights.forget(&lead.place.digest, || {
            // Whatever came of it, what was here before is not to be served: the store says what holds.
            if !matches!(&hit, Ok(Hit { store: StoreUse::Kept, .. })) {
                stock.memory.remove(key);
            }
        });
        hit
    }

    /// Ends a value's fresh life: it is served for as long as the space allows stale values, and loaded anew.
    ///
    /// # Errors
    /// When the store did not confirm.
    ///
    /// # Cancel safety
    /// Dropped, it may be done or not.
    pub async fn expire(&self, key: &K) -> Result<(), CacheError> {
        let (stock, place) = (&self.0, self.0.place(key)?);
        if let (Some(backing), Some(key)) = (&stock.core.backing, &place.key) {
            backing.sure.update(key, |held| expired(key, held)).await?;
        }
        if let Some(MemoryCopy { value, .. }) = stock.memory.get(key) {
            value.expire();
        }
        Ok(())
    }
}

/// A record whose value is past its life from now on.
fn expired(key: &Key, held: Option<&Held>) -> Result<(Change, ()), LedgerError> {
    // What is being loaded is fresh soon.
    let Some(held) = held.filter(|held| matches!(held.record.state, State::Settled | State::Failed)) else {
        return Ok((Change::Keep, ()));
    };
    let EntryPayload { stored: Some(stored), failed_by, claimed_ms } = payload_of(held)? else {
        return Ok((Change::Keep, ()));
    };
    // The reply that told of it was under way as well.
    let age = Moment::before(held.asked_at, time(stored.age_ms).saturating_add(held.age_of_contents())).age();
    let ttl = time(stored.kept_ms).saturating_sub(age);
    if ttl < Duration::from_millis(1) {
        return Ok((Change::Keep, ()));
    }
    let age_ms = millis(age);
    let stored = Some(StoredValue { age_ms, fresh_ms: stored.fresh_ms.min(age_ms), ..stored });
    let payload = key.payload_of(&EntryPayload { stored, failed_by, claimed_ms })?;
    Ok((Change::Write(Contents { state: State::Settled, ttl, lease: Duration::ZERO, payload }), ()))
}

/// Claims the record in the place of whatever stands there, and settles with the value.
async fn put<K: CacheKey, V: CacheValue>(
    lead: &Lead<K, V>,
    backing: &Arc<Backing>,
    value: V,
) -> Result<Hit<V>, CacheError> {
    let (stock, ledger) = (&lead.stock, &backing.sure);
    let key = lead.place.key.clone().ok_or(LedgerError::Contended)?;
    let record = EntryRecord { key, lease: backing.lease.max(ledger.timeout.saturating_mul(6)), by: backing.id };
    let deadline = Deadline::after(Instant::now(), ledger.timeout.saturating_mul(6));
    let decide = |_: &Held, _: Option<Nonce>| Ok(Decision::TakeOver(Carried::default()));
    let anew = || Ok::<_, Infallible>(Carried::default());
    let mut lease = match ledger.acquire(&record, anew, deadline, decide).await? {
        Acquired::Lease(lease) => lease,
        Acquired::Answer(never) => match never {},
        Acquired::Busy { .. } => return Err(LedgerError::Contended.into()),
    };
    // Its own tags are known before it counts as begun, so that one which was never seen can begin now.
    let mut tags = lead.place.tags.clone();
    tags.extend(stock.own_tags(&value).unwrap_or_default().iter().filter(|tag| !lead.place.tags.contains(tag)));
    // Asked for now: under a remembered one that has ended since, what is put would count for nothing.
    let counted = backing.counted(ledger, &tags, Duration::ZERO, stock.space.longest()).await;
    let began = Began::now(&stock.core.marks);
    let fresh = lead.fresh(value, PUT, began);
    let settled = lead.keep(backing, ledger, &mut lease, counted, &fresh).await?;
    let store = match settled {
        Settled::Kept(checked) => {
            // Checked later than whatever a call has read meanwhile, so that this stays.
            stock.memory.insert(&lead.key, MemoryCopy { value: Arc::clone(&fresh.value), checked });
            StoreUse::Kept
        }
        // It was put, and something ended it at once.
        Settled::Lost => StoreUse::NotKept,
        Settled::NotKept => return Err(CacheError::InvalidValue),
    };
    Ok(Hit { value: fresh.value, source: HitSource::Load, store, is_stale: false })
}

/// Marks what is invalidated before and after the store's step. What the store did not confirm is tried again behind the call.
pub(super) async fn invalidate(core: &Arc<Core>, what: Overdue, settles_in: Duration) -> Result<(), CacheError> {
    let subjects = [what.subject()];
    let first = core.marks.mark(&subjects, UNCONFIRMED);
    let Some(backing) = &core.backing else {
        core.marks.confirm(first, &subjects, settles_in);
        return Ok(());
    };
    match what.done(backing).await {
        Ok(()) => {
            core.marks.confirm(first, &subjects, settles_in);
            Ok(())
        }
        Err(error) => {
            let mark = core.marks.mark(&subjects, UNCONFIRMED);
            core.overdue.add((backing, &core.marks), what, mark, settles_in, core.all);
            Err(error.into())
        }
    }
}
