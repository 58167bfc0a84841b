//! One call of a loader of many for the misses of a batch.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tokio::sync::oneshot;

use crate::lock::Lock;
use crate::telemetry::{Stopwatch, cache_loaded};

use super::error::CacheError;
use super::key::CacheKey;
use super::load::{Chain, Load, Loaders, Nested};
use super::stats::Count;
use super::stock::Stock;
use super::value::CacheValue;

/// The misses of a batch, until all that will be are known.
pub(super) struct Gather<K, V> {
    stock: Arc<Stock<K, V>>,
    loaders: Arc<Loaders<K, V>>,
    chain: Chain,
    misses: Lock<Misses<K, V>>,
}

struct Misses<K, V> {
    /// Flights of the batch that have not said yet whether they load.
    open: usize,
    found: Vec<Miss<K, V>>,
}

struct Miss<K, V> {
    key: K,
    nested: Nested,
    to: oneshot::Sender<Result<V, CacheError>>,
}

/// A flight's place in a batch. Given up, the others need not wait for it.
pub(super) struct Seat<K: CacheKey, V: CacheValue> {
    gather: Arc<Gather<K, V>>,
    is_left: AtomicBool,
}

impl<K: CacheKey, V: CacheValue> Gather<K, V> {
    pub(super) fn new(stock: &Arc<Stock<K, V>>, loaders: &Arc<Loaders<K, V>>, flights: usize) -> Arc<Self> {
        let misses = Lock::new(Misses { open: flights, found: Vec::new() });
        Arc::new(Self { stock: Arc::clone(stock), loaders: Arc::clone(loaders), chain: Chain::here(), misses })
    }

    pub(super) fn seat(self: &Arc<Self>) -> Arc<Seat<K, V>> {
        Arc::new(Seat { gather: Arc::clone(self), is_left: AtomicBool::new(false) })
    }

    /// One flight fewer is open; the last one has the misses loaded.
    fn closes(self: &Arc<Self>, miss: Option<Miss<K, V>>) {
        let mut misses = self.misses.lock();
        misses.open = misses.open.saturating_sub(1);
        misses.found.extend(miss);
        if misses.open > 0 || misses.found.is_empty() {
            return;
        }
        let found = std::mem::take(&mut misses.found);
        drop(misses);
        if let Ok(runtime) = Stock::<K, V>::runtime() {
            let gather = Arc::clone(self);
            runtime.spawn(async move { gather.load(found).await });
        }
    }

    async fn load(&self, found: Vec<Miss<K, V>>) {
        let space = self.stock.space.name;
        let _permit = if self.chain.is_in(space) { None } else { self.stock.loads.acquire().await.ok() };
        self.stock.counts.add(Count::Load);
        let (keys, nested): (Vec<K>, Vec<Nested>) = found.iter().map(|miss| (miss.key.clone(), miss.nested)).unzip();
        let watch = Stopwatch::start();
        let loaded = self.chain.clone().during(nested, self.loaders.all_of(keys)).await;
        cache_loaded(space, loaded.is_ok(), watch);
        match loaded {
            Ok(values) => {
                for (miss, value) in found.into_iter().zip(values) {
                    // A flight that is gone needs no value.
                    let _ = miss.to.send(Ok(value));
                }
            }
            Err(error) => {
                for miss in found {
                    let _ = miss.to.send(Err(error.clone()));
                }
            }
        }
    }
}

impl<K: CacheKey, V: CacheValue> Seat<K, V> {
    /// What the flight loads with: together with the batch, or by itself where it has left that.
    pub(super) fn load(self: &Arc<Self>, key: &K, nested: Nested) -> Load<V> {
        let (seat, key) = (Arc::clone(self), key.clone());
        Box::new(move || {
            Box::pin(async move {
                let loaders = Arc::clone(&seat.gather.loaders);
                if seat.is_left.swap(true, Relaxed) {
                    return loaders.load(&key)().await;
                }
                let (to, from) = oneshot::channel();
                seat.gather.closes(Some(Miss { key: key.clone(), nested, to }));
                let first = from.await.unwrap_or(Err(CacheError::Interrupted));
                loaders.or_others(key, first).await
            })
        })
    }

    /// The others go on without this flight: it waits for another process, or needs no load.
    pub(super) fn leave(&self) {
        if !self.is_left.swap(true, Relaxed) {
            self.gather.closes(None);
        }
    }
}

impl<K: CacheKey, V: CacheValue> Drop for Seat<K, V> {
    fn drop(&mut self) {
        self.leave();
    }
}
