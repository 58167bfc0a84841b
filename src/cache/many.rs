//! Many keys at once: one look into memory, one batch read of the store, one call of a loader of many.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

use super::ask::{Ask, Judged, OlderCopy};
use super::cached::{Cached, Loads};
use super::error::CacheError;
use super::fly::launch;
use super::hit::{Hit, HitSource, StoreUse};
use super::join::{Joining, recall};
use super::key::CacheKey;
use super::value::{CacheValue, Fitness};

/// The keys that are worked on at once; more are taken in turn.
const MOST_AT_ONCE: usize = 1_000;

/// The keys that are warmed at once.
const WARMED_AT_ONCE: usize = 100;

/// The longest pause between them, so that warming leaves room for calls.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// What came of warming.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Warmed {
    /// Keys whose values the cache has now.
    pub values: usize,
    /// Keys whose values could not be loaded.
    pub failed: usize,
}

impl<K: CacheKey, V: CacheValue> Loads<K, V> {
    /// The values of many keys, in their order: one batch read of the store for what memory has not, and one call of a
    /// [loader of many](Cached::loads_many) for what neither has.
    ///
    /// Any number of keys; more than 1,000 are taken in turn. A key that fails, fails alone.
    ///
    /// # Cancel safety
    /// As for [`get`](Self::get).
    pub async fn get_many(&self, keys: &[K]) -> Vec<Result<Hit<V>, CacheError>> {
        let mut answers = Vec::with_capacity(keys.len());
        for keys in keys.chunks(MOST_AT_ONCE) {
            answers.extend(self.batch(keys).await);
        }
        answers
    }

    /// Loads what the cache has not, by the hundred and with pauses, so that calls find it there.
    ///
    /// # Cancel safety
    /// Dropped, it stops: what was warmed stays.
    pub async fn warm(&self, keys: impl IntoIterator<Item = K>) -> Warmed {
        let (mut warmed, mut keys) = (Warmed::default(), keys.into_iter().peekable());
        while keys.peek().is_some() {
            let batch: Vec<K> = keys.by_ref().take(WARMED_AT_ONCE).collect();
            for answer in self.batch(&batch).await {
                match answer {
                    Ok(_) => warmed.values = warmed.values.saturating_add(1),
                    Err(_) => warmed.failed = warmed.failed.saturating_add(1),
                }
            }
            if keys.peek().is_some() && Handle::try_current().is_ok() {
                sleep(self.0.core.shortened(LONGEST_PAUSE)).await;
            }
        }
        warmed
    }

    async fn batch(&self, keys: &[K]) -> Vec<Result<Hit<V>, CacheError>> {
        let (stock, runtime, mut leads) = (&self.0, Handle::try_current(), Vec::new());
        let asked: Vec<_> = keys
            .iter()
            .map(|key| {
                if let Some(hit) = recall(stock, key, Duration::MAX, || Arc::clone(&self.loaders)) {
                    return Asked::Known(Ok(hit));
                }
                match Ask::new(stock, key, Duration::MAX) {
                    Ok(_) if runtime.is_err() => Asked::Known(Err(CacheError::NoRuntime)),
                    Ok(ask) => {
                        let turn = ask.turn(&self.loaders, |lead| leads.push(lead));
                        Asked::Waits(ask, turn)
                    }
                    Err(error) => Asked::Known(Err(error)),
                }
            })
            .collect();
        if let Ok(runtime) = &runtime {
            launch(runtime, leads);
        }
        let mut answers = Vec::with_capacity(keys.len());
        // From the last one on: those before it have mostly landed by then, and do not wake this call one by one.
        for asked in asked.into_iter().rev() {
            answers.push(match asked {
                Asked::Known(answer) => answer,
                Asked::Waits(ask, turn) => ask.answer(Some(turn), &self.loaders, None).await,
            });
        }
        answers.reverse();
        answers
    }
}

/// One key of a batch.
enum Asked<K, V> {
    Known(Result<Hit<V>, CacheError>),
    /// Its flight is under way, with the others.
    Waits(Ask<K, V>, Result<Joining<V>, CacheError>),
}

impl<K: CacheKey, V: CacheValue> Cached<K, V> {
    /// What the cache has for a key, without loading: the value, its [age](Hit::age), and how long it is
    /// [still fresh](Hit::fresh_for). The store is asked, where there is one.
    ///
    /// # Errors
    /// When the store does not answer.
    ///
    /// # Cancel safety
    /// It changes nothing, and may be dropped at any point.
    pub async fn peek(&self, key: &K) -> Result<Option<Hit<V>>, CacheError> {
        let (stock, ask) = (&self.0, Ask::of(&self.0, key)?);
        let Some(backing) = &stock.core.backing else {
            let value = stock.memory.get(key).map(|copy| copy.value);
            return Ok(value.and_then(|value| {
                let fitness = stock.fitness_of(&value, Duration::MAX, Instant::now());
                let is_stale = !matches!(fitness, Fitness::Fresh | Fitness::Due);
                let hit = Hit { value, source: HitSource::Memory, store: StoreUse::Unused, is_stale };
                (fitness != Fitness::Over).then_some(hit)
            }));
        };
        let keys = vec![stock.entry_key(backing, &ask.place)];
        let (mut entries, asked_at) = backing.read(keys, &ask.place.tags, stock.space.memory_for).await;
        let Some(held) = entries.pop().transpose()?.flatten() else { return Ok(None) };
        Ok(match ask.judge(backing, &held, asked_at, false).await? {
            Judged::Serves(hit, _) => Some(hit),
            Judged::Not(_, older) => older.map(|OlderCopy { value, .. }| Hit {
                value,
                source: HitSource::Store,
                store: StoreUse::Kept,
                is_stale: true,
            }),
        })
    }
}
