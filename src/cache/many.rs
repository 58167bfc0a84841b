//! Many keys at once: one look into memory, one batch read of the store, one call of a loader of many.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use super::ask::{Ask, Joining};
use super::cached::{Cached, Loads};
use super::error::CacheError;
use super::gather::Gather;
use super::hit::{Hit, HitSource, StoreUse};
use super::key::CacheKey;
use super::landed::Began;
use super::lead::Why;
use super::load::{FirstLoader, Nested};
use super::stock::{Stock, Wishes};
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
            if keys.peek().is_some() && Stock::<K, V>::runtime().is_ok() {
                sleep(self.0.core.shortened(LONGEST_PAUSE)).await;
            }
        }
        warmed
    }

    async fn batch(&self, keys: &[K]) -> Vec<Result<Hit<V>, CacheError>> {
        let (stock, now) = (&self.0, Instant::now());
        let (mut answers, mut asks) = (HashMap::new(), Vec::new());
        for key in keys {
            if answers.contains_key(key) {
                continue;
            }
            let answer = match stock.recall(key, Wishes::NONE.max_age, now) {
                Some((hit, is_due)) => {
                    stock.recalled(&hit);
                    if is_due && let Ok(ask) = Ask::new(stock, key, Wishes::NONE, self.loaders.load(key)) {
                        ask.refresh(&hit);
                    }
                    Some(Ok(hit))
                }
                None => match Ask::new(stock, key, Wishes::NONE, self.loaders.load(key)) {
                    Ok(ask) => {
                        asks.push(ask);
                        None
                    }
                    Err(error) => Some(Err(error)),
                },
            };
            answers.insert(key, answer);
        }
        let turns = self.board(&mut asks);
        let asked =
            asks.into_iter().zip(turns).map(async |(ask, turn)| (ask.key.clone(), ask.answer_after(turn).await));
        for (key, answer) in join_all(asked).await {
            if let Some(place) = answers.get_mut(&key) {
                *place = Some(answer);
            }
        }
        let answer_of = |key| answers.get(key).cloned().flatten().unwrap_or(Err(CacheError::Interrupted));
        keys.iter().map(answer_of).collect()
    }

    /// Joins the flights of all keys, and has those that are led here go together.
    fn board(&self, asks: &mut [Ask<K, V>]) -> Vec<Option<Result<Joining<V>, CacheError>>> {
        let Ok(runtime) = Stock::<K, V>::runtime() else { return asks.iter().map(|_| None).collect() };
        let (mut turns, mut led) = (Vec::new(), Vec::new());
        for ask in asks.iter_mut() {
            turns.push(Some(match ask.turn() {
                Ok(Joining::Leads(leader, waiter)) => {
                    led.push((ask.lead(Why::Asked), leader));
                    Ok(Joining::Led(waiter))
                }
                turn => turn,
            }));
        }
        if matches!(self.loaders.first, FirstLoader::Many(_)) {
            let gather = Gather::new(&self.0, &self.loaders, led.len());
            for (lead, _) in &mut led {
                let (seat, nested) = (gather.seat(), Nested { space: self.0.space.name, digest: lead.place.digest });
                *lead.load.lock() = Some(seat.load(&lead.key, nested));
                lead.is_batched = true;
                lead.waits = Some(Box::new(move || seat.leave()));
            }
        }
        let stock = Arc::clone(&self.0);
        runtime.spawn(async move {
            let mut readings = Vec::new();
            if let Some(backing) = stock.core.backing.as_ref().filter(|backing| backing.asks(&stock.core.all)) {
                let places: Vec<_> = led.iter().map(|(lead, _)| &lead.place).collect();
                readings = backing.read(&places, stock.space.memory_for).await;
            }
            let mut readings = readings.into_iter();
            let flights = led.into_iter().map(|(mut lead, leader)| {
                let reading = readings.next();
                async move {
                    let landed = lead.run(reading).await;
                    lead.complete(leader, landed);
                }
            });
            join_all(flights).await;
        });
        turns
    }
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
        let (stock, place) = (&self.0, self.0.place(key)?);
        let Some(backing) = &stock.core.backing else {
            let now = Instant::now();
            let copy = stock.memory.get(key);
            let kept = copy.map(|copy| (stock.fitness_of(&copy.value, Duration::MAX, now), copy.value));
            return Ok(kept.filter(|(fitness, _)| *fitness != Fitness::Over).map(|(fitness, value)| {
                let is_stale = !matches!(fitness, Fitness::Fresh | Fitness::Due);
                Hit { value, source: HitSource::Memory, store: StoreUse::Unused, is_stale }
            }));
        };
        let reading = backing.read(&[&place], stock.space.memory_for).await.pop();
        let began = Began::now(&stock.core.marks);
        let mut ask =
            Ask { stock: Arc::clone(stock), key: key.clone(), place, wishes: Wishes::NONE, began, load: None };
        ask.lead(Why::Asked).peeked(backing, reading).await
    }
}
