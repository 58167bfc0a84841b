//! A store in this process.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::accessors::{getters, partial_debug, setters};
use crate::lock::Lock;

use super::extras::{BatchAnswer, CountLeft, Offer, sum};
use super::{
    Claim, Durability, Extras, Inspection, RestartLoss, Store, StoreAnswer, StoreError, StoreFinding, Stored, Swap,
    ttl_millis,
};

/// About 60 MB of records of 300 bytes.
const MAX_RECORDS: usize = 100_000;

/// How many records whose time is over are dropped on each write: more than one, so that they never pile up.
const SWEPT_PER_WRITE: usize = 4;

/// A store in this process: not shared, and gone with it. Clones share everything.
///
/// For tests, and for a service that is one process and may forget: what it held is unknown after a restart.
///
/// It never evicts: at its limit it refuses new records. Those whose time is over make room; each claim drops a few of
/// them, the oldest first. Every verb answers at once, so none is ever left half done.
#[derive(Clone)]
pub struct MemoryStore {
    /// The clock is read under this lock: one read before would find more time left on a record than it was written with.
    records: Arc<Lock<Records>>,
    max_records: usize,
}

#[derive(Default)]
struct Records {
    by_key: HashMap<Arc<str>, Record>,
    /// In the order of their ends.
    ends: BTreeSet<(Instant, Arc<str>)>,
}

struct Record {
    bytes: Vec<u8>,
    end: Instant,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self { records: Arc::default(), max_records: MAX_RECORDS }
    }

    setters! {
        /// The most records held at once, by all clones; further ones are refused. Default: 100,000.
        ///
        /// Set it before the store is cloned.
        pub fn max_records(mut self, records: usize) => self.max_records = records;
    }

    getters! {
        /// Records held, those whose time is over included until they are swept.
        pub fn len(&self) -> usize => self.records.lock().by_key.len();

        /// Whether nothing is held.
        pub fn is_empty(&self) -> bool => self.len() == 0;
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

// Shows how much is held, and not what.
partial_debug!(MemoryStore, self => len: self.len());

impl Records {
    /// The record under a key, unless its time is over.
    fn live(&self, key: &str, now: Instant) -> Option<Stored> {
        let record = self.by_key.get(key).filter(|record| record.end > now)?;
        Some(Stored { bytes: record.bytes.clone(), ttl_left: record.end.saturating_duration_since(now) })
    }

    fn put(&mut self, key: &str, value: &[u8], end: Instant) {
        let key = self.drop_record(key).unwrap_or_else(|| key.into());
        self.ends.insert((end, Arc::clone(&key)));
        self.by_key.insert(key, Record { bytes: value.to_vec(), end });
    }

    fn drop_record(&mut self, key: &str) -> Option<Arc<str>> {
        let (key, record) = self.by_key.remove_entry(key)?;
        let end = (record.end, key);
        self.ends.remove(&end);
        Some(end.1)
    }

    /// Refuses a new record where as many as there may be are held.
    fn make_room(&mut self, key: &str, now: Instant, limit: usize) -> Result<(), StoreError> {
        self.sweep(now);
        if self.by_key.len() >= limit && !self.by_key.contains_key(key) {
            return Err(StoreError::refused(format!("{limit} records are held already; raise `max_records`")));
        }
        Ok(())
    }

    fn sweep(&mut self, now: Instant) {
        for _ in 0..SWEPT_PER_WRITE {
            if self.ends.first().is_none_or(|(end, _)| *end > now) {
                return;
            }
            if let Some((_, key)) = self.ends.pop_first() {
                self.by_key.remove(&key);
            }
        }
    }
}

fn end_of(ttl: Duration, now: Instant) -> Result<Instant, StoreError> {
    let millis = ttl_millis(ttl)?;
    now.checked_add(Duration::from_millis(millis))
        .ok_or_else(|| StoreError::refused("the clock cannot name that moment"))
}

impl Store for MemoryStore {
    async fn get(&self, key: &str) -> Result<Option<Stored>, StoreError> {
        let records = self.records.lock();
        Ok(records.live(key, Instant::now()))
    }

    async fn claim(&self, key: &str, value: &[u8], ttl: Duration) -> Result<Claim, StoreError> {
        let mut records = self.records.lock();
        let now = Instant::now();
        let end = end_of(ttl, now)?;
        if let Some(held) = records.live(key, now) {
            return Ok(Claim::Held(held));
        }
        records.make_room(key, now, self.max_records)?;
        records.put(key, value, end);
        Ok(Claim::Claimed)
    }

    async fn replace(&self, key: &str, expected: &[u8], value: &[u8], ttl: Duration) -> Result<Swap, StoreError> {
        let mut records = self.records.lock();
        let now = Instant::now();
        let end = end_of(ttl, now)?;
        match records.live(key, now) {
            Some(stored) if stored.bytes == expected => {
                records.put(key, value, end);
                Ok(Swap::Swapped)
            }
            other => Ok(Swap::Lost(other)),
        }
    }

    async fn remove(&self, key: &str, expected: &[u8]) -> Result<Swap, StoreError> {
        let mut records = self.records.lock();
        match records.live(key, Instant::now()) {
            Some(stored) if stored.bytes == expected => {
                records.drop_record(key);
                Ok(Swap::Swapped)
            }
            other => Ok(Swap::Lost(other)),
        }
    }

    fn durability(&self) -> Durability {
        Durability { shared: false, best_effort: false }
    }

    async fn restart_loss(&self) -> Result<RestartLoss, StoreError> {
        Ok(RestartLoss::All)
    }

    async fn inspect(&self) -> Result<Inspection, StoreError> {
        let mut inspection = Inspection::new("memory", Duration::ZERO);
        inspection.compare = Some("in process".into());
        inspection.restart_loss = RestartLoss::All;
        inspection.findings = vec![StoreFinding::NotShared, StoreFinding::Volatile];
        Ok(inspection)
    }

    fn extras(&self) -> Extras {
        Extras::of(self.clone())
    }
}

impl Offer for MemoryStore {
    fn get_many<'s>(&'s self, keys: &'s [&'s str]) -> BatchAnswer<'s> {
        Box::pin(async {
            let records = self.records.lock();
            let now = Instant::now();
            keys.iter().map(|key| Ok(records.live(key, now))).collect()
        })
    }

    fn add<'s>(&'s self, key: &'s str, by: i64, ttl: Duration) -> StoreAnswer<'s, CountLeft> {
        Box::pin(async move {
            let mut records = self.records.lock();
            let now = Instant::now();
            let first_end = end_of(ttl, now)?;
            let (sum, end) = if let Some(held) = records.live(key, now) {
                (sum(&held.bytes, by)?, now.checked_add(held.ttl_left).unwrap_or(first_end))
            } else {
                records.make_room(key, now, self.max_records)?;
                (by, first_end)
            };
            records.put(key, sum.to_string().as_bytes(), end);
            Ok((sum, end.saturating_duration_since(now)))
        })
    }
}
