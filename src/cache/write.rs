//! What is said to the store itself: invalidated, put, expired. Such a call always asks the store, and fails with it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::call::deadline::Deadline;
use crate::ledger::{Acquired, Change, Contents, Decision, Held, Key, LedgerError, Nonce, State, millis};
use crate::moment::Moment;

use super::ask::Ask;
use super::backing::Backing;
use super::cached::Cached;
use super::core::Core;
use super::entry::{EntryPayload, StoredValue, time};
use super::error::CacheError;
use super::hit::{Hit, HitSource, StoreUse};
use super::key::CacheKey;
use super::landed::Began;
use super::memory::MemoryCopy;
use super::overdue::{Overdue, UNCONFIRMED};
use super::record::{Carried, EntryRecord, payload_of};
use super::settle::Settled;
use super::space::Space;
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
    /// When the store did not confirm. It holds for this process all the same, and is tried again behind the call. Until that is
    /// done, one kind of older value may be served here too: one that another process was writing to the store at that moment,
    /// since the time which a write is under way is not part of the age that it tells.
    ///
    /// # Cancel safety
    /// Dropped, it may be done or not; here it holds from the first poll on.
    pub async fn invalidate(&self, key: &K) -> Result<(), CacheError> {
        let (stock, Space { name, version, also, .. }) = (&self.0, self.0.space);
        let digest = stock.place(key)?.digest;
        let versions = std::iter::once(version).chain(also);
        let what = Overdue::Entry { digest, name, versions: versions.collect(), tombstone: stock.tombstone() };
        invalidate(&stock.core, what, stock.settles_in()).await
    }

    /// Keeps a value that the caller made, and ends loads of it that are under way.
    ///
    /// Only where the cache is the value's one home, such as a session. Where there is a database, change that and
    /// [`invalidate`](Self::invalidate): two writers of one row put their values in any order.
    ///
    /// # Errors
    /// When the store did not confirm, or has no room; or the value is larger than the space's `max_value`, or does not read back
    /// as it was written.
    ///
    /// # Cancel safety
    /// Dropped, it may be done or not.
    pub async fn put(&self, key: &K, value: V) -> Result<Hit<V>, CacheError> {
        let (stock, ask) = (&self.0, Ask::of(&self.0, key)?);
        // No call from here on joins a load that is under way.
        stock.flights.forget(&ask.place.digest, || {});
        let Some(backing) = &stock.core.backing else {
            let value = ask.fresh(ask.written(value)?, PUT, ask.began).value;
            // Nor does a flight that began meanwhile take the place of what is put.
            stock.flights.forget(&ask.place.digest, || stock.remember(key, &value, ask.began.at));
            return Ok(Hit { value, source: HitSource::Memory, store: StoreUse::Unused, is_stale: false });
        };
        let put = put(&ask, backing, value).await;
        // No flight that began meanwhile lands past this, and takes the place of what was put.
        stock.flights.forget(&ask.place.digest, || match &put {
            Ok((hit, Some(checked))) => stock.remember(key, &hit.value, *checked),
            // Whatever came of it, what was here before is not to be served: the store says what holds.
            _ => stock.memory.remove(key),
        });
        put.map(|(hit, _)| hit)
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
        if let Some(backing) = &stock.core.backing {
            let key = stock.entry_key(backing, &place);
            backing.sure.update(&key, |held| expired(&key, held)).await?;
        }
        stock.flights.between_outcomes(|| {
            if let Some(MemoryCopy { value, checked, .. }) = stock.memory.get(key) {
                value.expire();
                stock.remember(key, &value, checked);
            }
        });
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

/// Claims the record in the place of whatever stands there, and settles with the value. Says as of when it stands there.
async fn put<K: CacheKey, V: CacheValue>(
    ask: &Ask<K, V>,
    backing: &Arc<Backing>,
    value: V,
) -> Result<(Hit<V>, Option<Instant>), CacheError> {
    let (stock, ledger, limit) = (&ask.stock, &backing.sure, backing.sure.timeout.saturating_mul(6));
    // What can be known to fail fails before the claim, which takes the place of what stands there.
    let written = ask.written(value)?;
    let Some(bytes) = written.stored.as_ref().map(|encoded| encoded.body.len()) else {
        return Err(CacheError::InvalidValue);
    };
    if backing.is_full() {
        return Err(CacheError::NoRoom);
    }
    // Its own tags are known before it counts as begun, so that one which was never seen can begin now.
    let mut tags = ask.place.tags.clone();
    tags.extend(written.tags.iter().filter(|tag| !ask.place.tags.contains(tag)));
    // Asked for now: under a remembered one that has ended since, what is put would count for nothing.
    let counted = Ok(backing.counted(ledger, &tags, Duration::ZERO, stock.space.longest()).await?);
    // Looked at once its tags have taken their room. It takes its own when it is written.
    if backing.share.as_ref().is_some_and(|share| !share.has_room(bytes)) {
        return Err(CacheError::NoRoom);
    }
    let key = stock.entry_key(backing, &ask.place);
    let record = EntryRecord { key, lease: backing.lease.max(limit), by: backing.id };
    let decide = |_: &Held, _: Option<Nonce>| Ok(Decision::TakeOver(Carried::default()));
    let anew = || Ok::<_, Infallible>(Carried::default());
    let mut lease = match ledger.acquire(&record, anew, Deadline::after(Instant::now(), limit), decide).await? {
        Acquired::Lease(lease) => lease,
        Acquired::Answer(never) => match never {},
        Acquired::Busy { .. } => return Err(LedgerError::Contended.into()),
    };
    let fresh = ask.fresh(written, PUT, Began::now(&stock.core.marks));
    let (store, checked) = match ask.keep(backing, ledger, &mut lease, &counted, &fresh).await? {
        Settled::Kept(checked) => (StoreUse::Kept, Some(checked)),
        // It was put, and something ended it at once.
        Settled::Lost => (StoreUse::NotKept, None),
        Settled::NotKept => return Err(CacheError::NoRoom),
    };
    Ok((Hit { value: fresh.value, source: HitSource::Load, store, is_stale: false }, checked))
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
