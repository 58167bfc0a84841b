//! The way of flights that are led here, of one call or of a batch: one batch read, a claim for each miss, the generations once,
//! one call of a loader of many, and each value settled by itself.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{Either, OptionFuture, join, join_all, select, select_all};
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};
use tracing::Instrument as _;

use crate::intent::fingerprint::Fingerprint;
use crate::ledger::LedgerError;
use crate::telemetry::{Stopwatch, cache_load_span, cache_loaded};

use super::backing::Backing;
use super::error::CacheError;
use super::generation::Counted;
use super::hit::StoreUse;
use super::key::CacheKey;
use super::landed::Began;
use super::lead::{Course, Lead, Under};
use super::load::{Chain, Loaders, Nested};
use super::stats::Count;
use super::stock::Stock;
use super::value::CacheValue;

/// A load that is about to begin.
type Takeoff<K, V> = (Lead<K, V>, Under);

/// What a loader of many brought for one key, and when it was asked.
type Brought<V> = (Began, Result<V, CacheError>);

/// A key whose value a loader of many is asked for: its load, who waits for it, and where the value goes.
type Awaited<K, V> = (K, Nested, Arc<Notify>, oneshot::Sender<Brought<V>>);

/// Goes through flights of one space in a task of their own: the call that leads them may be dropped, or be polled no more. What
/// it emits belongs to the span of that call.
pub(super) fn launch<K: CacheKey, V: CacheValue>(runtime: &Handle, leads: Vec<Lead<K, V>>) {
    runtime.spawn(fly(runtime.clone(), leads).in_current_span());
}

async fn fly<K: CacheKey, V: CacheValue>(runtime: Handle, leads: Vec<Lead<K, V>>) {
    let Some(stock) = leads.first().map(|lead| Arc::clone(&lead.ask.stock)) else { return };
    let Some(backing) = &stock.core.backing else {
        let takeoffs = leads.into_iter().map(|lead| (lead, Err(StoreUse::Unused))).collect();
        return load(&stock, None, takeoffs, &[]).await;
    };
    // Values with tags of their own need the witness, should they be loaded.
    let witness = stock.space.tagged.map(|_| &backing.generations.witness);
    let mut tags: Vec<Fingerprint> =
        leads.iter().flat_map(|lead| &lead.ask.place.tags).chain(witness).copied().collect();
    tags.sort_unstable_by(|one, other| one.as_bytes().cmp(other.as_bytes()));
    tags.dedup();
    let keys = leads.iter().map(|lead| stock.entry_key(backing, &lead.ask.place)).collect();
    let (entries, asked_at) = backing.read(keys, &tags, stock.space.memory_for).await;
    // What waits for another process goes on by itself, so that the others need not wait for it.
    let may_wait = leads.len() == 1;
    let found = leads.into_iter().zip(entries).map(async |(mut lead, entry)| {
        match lead.find(backing, (entry, asked_at), may_wait).await {
            Course::Lands(landed) => lead.complete(landed),
            Course::Busy => launch(&runtime, vec![lead]),
            Course::Loads(under) => return Some((lead, under)),
        }
        None
    });
    let takeoffs = join_all(found).await.into_iter().flatten().collect();
    load(&stock, Some(backing), takeoffs, &tags).await;
}

/// Loads what was not found, each by itself or all by one call of a loader of many.
async fn load<K: CacheKey, V: CacheValue>(
    stock: &Stock<K, V>,
    backing: Option<&Arc<Backing>>,
    takeoffs: Vec<Takeoff<K, V>>,
    tags: &[Fingerprint],
) {
    let space = &stock.space;
    // Before the loads begin: what ends one of these later, ends the values too.
    let counted = match backing.filter(|_| takeoffs.iter().any(|(_, under)| under.is_ok())) {
        Some(backing) => backing.counted(&backing.quick, tags, space.memory_for, space.longest()).await,
        None => Ok(Vec::new()),
    };
    let (mut together, mut brought) = (None, Vec::new());
    if let [(lead, _), _, ..] = &*takeoffs
        && lead.loaders.are_of_many()
    {
        let asked = takeoffs.iter().map(|(lead, _)| {
            let (to, from) = oneshot::channel();
            brought.push(from);
            (lead.ask.key.clone(), lead.ask.nested(), lead.is_waited_for(), to)
        });
        together = Some(load_together(stock, Arc::clone(&lead.loaders), lead.chain.clone(), asked.collect()));
    }
    let mut brought = brought.into_iter();
    let loads = takeoffs.into_iter().map(|(lead, under)| lead.load(under, brought.next(), backing, &counted));
    join(OptionFuture::from(together), join_all(loads)).await;
}

/// One call of a loader of many. Each key hears of its own value.
async fn load_together<K: CacheKey, V: CacheValue>(
    stock: &Stock<K, V>,
    loaders: Arc<Loaders<K, V>>,
    chain: Chain,
    asked: Vec<Awaited<K, V>>,
) {
    let keys = asked.iter().map(|(key, ..)| key.clone()).collect();
    let loads = asked.iter().map(|(_, nested, is_waited_for, _)| (*nested, Arc::clone(is_waited_for))).collect();
    let (began, values) = within_limits(stock, chain, loads, loaders.load_many(keys)).await;
    let each: Vec<Result<V, CacheError>> = match values {
        Ok(values) => values.into_iter().map(Ok).collect(),
        Err(error) => asked.iter().map(|_| Err(error.clone())).collect(),
    };
    for ((.., to), value) in asked.into_iter().zip(each) {
        // A flight that is gone needs no value.
        let _ = to.send((began, value));
    }
}

/// Goes through a load, within the space's number of loads at once, and says when it began.
async fn within_limits<K: CacheKey, V: CacheValue, T>(
    stock: &Stock<K, V>,
    chain: Chain,
    loads: Vec<(Nested, Arc<Notify>)>,
    load: impl Future<Output = Result<T, CacheError>>,
) -> (Began, Result<T, CacheError>) {
    let space = stock.space.name;
    let (nested, waited_for): (_, Vec<_>) = loads.into_iter().unzip();
    // Where this is part of a load of the same space, that one has a permit already, and waits for this one. The permits are
    // never closed.
    let _permit = if chain.is_in(space) {
        None
    } else {
        let any_waits = select_all(waited_for.iter().map(|waits| Box::pin(waits.notified())));
        match select(pin!(stock.loads.acquire()), any_waits).await {
            Either::Left((permit, _)) => permit.ok(),
            Either::Right(_) => None,
        }
    };
    let (began, watch) = (Began::now(&stock.core.marks), Stopwatch::start());
    let span = cache_load_span(space);
    let brought = chain.during(nested, load).instrument(span.clone()).await;
    stock.counts.add(Count::Load);
    cache_loaded(&span, space, brought.is_ok(), watch);
    (began, brought)
}

impl<K: CacheKey, V: CacheValue> Lead<K, V> {
    fn is_waited_for(&self) -> Arc<Notify> {
        Arc::clone(&self.leader.flight().notes().is_waited_for)
    }

    /// Loads, and hands out what becomes of the value. `together` is the load of a batch.
    async fn load(
        self,
        mut under: Under,
        together: Option<oneshot::Receiver<Brought<V>>>,
        backing: Option<&Arc<Backing>>,
        counted: &Result<Vec<Counted>, LedgerError>,
    ) {
        let (stock, key, chain, nested) =
            (&self.ask.stock, self.ask.key.clone(), self.chain.clone(), self.ask.nested());
        let loading = async {
            let Some(together) = together else {
                let loads = vec![(nested, self.is_waited_for())];
                return within_limits(stock, chain, loads, self.loaders.load(key)).await;
            };
            let (began, first) = match together.await {
                Ok(brought) => brought,
                Err(_) => (Began::now(&stock.core.marks), Err(CacheError::Interrupted)),
            };
            (began, chain.during(vec![nested], self.loaders.or_others(key, first)).await)
        };
        let (began, brought) = match &mut under {
            Ok(lease) => lease.during(loading).await,
            Err(_) => loading.await,
        };
        let landed = self.landed(under, brought, began, backing, counted).await;
        self.complete(landed);
    }
}
