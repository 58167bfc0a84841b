//! What a store offers beside its verbs: many records in one round trip, counters, and word of what changes.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use tokio::time::Instant;

use super::line::{Line, Listener};
use super::sql::SqlHome;
use super::{AnyStore, Claim, Inspection, Store, StoreAnswer, StoreError, Stored, Swap, ttl_millis};
use crate::accessors::getters;

/// The most keys of one batch: what a server answers in well under a millisecond, so that others hardly wait for it.
pub(crate) const MOST_KEYS: usize = 100;

/// How many records of a batch are read side by side where each is read by itself.
const SIDE_BY_SIDE: usize = 16;

/// What a store offers beside its four verbs. Opaque; empty, unless a store of this crate made it.
///
/// Batch reads, counters and the invalidation line are in here, so that [`Store`] need not change for them. Everything works
/// without: records are then read one by one, and counted by swaps, and what is in memory is asked about again every few
/// seconds. A store that wraps another hands on the other's, as long as it leaves keys and bytes as they are: what is read
/// through these goes past it.
#[derive(Clone, Debug, Default)]
pub struct Extras(Option<Arc<dyn Offer>>);

/// What became of each read of a batch, in the order of the keys.
pub(crate) type BatchReads = Vec<BatchRead>;

pub(crate) type BatchRead = Result<Option<Stored>, StoreError>;

/// The same, still to come.
pub(crate) type BatchAnswer<'s> = Pin<Box<dyn Future<Output = BatchReads> + Send + 's>>;

/// What a counter came to, and how long it has to live.
pub(crate) type CountLeft = (i64, Duration);

/// What the stores of this crate do in one round trip.
pub(crate) trait Offer: fmt::Debug + Send + Sync + 'static {
    /// Reads at most [`MOST_KEYS`] records, each as by `get`; together they are no snapshot. A record that is replaced while
    /// it is read may seem to have less time left than it has, or more than it was written with; its bytes are whole.
    fn get_many<'s>(&'s self, keys: &'s [&'s str]) -> BatchAnswer<'s>;

    /// Adds to a counter, as [`Extras::add`] says.
    fn add<'s>(&'s self, key: &'s str, by: i64, ttl: Duration) -> StoreAnswer<'s, CountLeft>;

    /// Claims a record under this key and removes it, and adds to a look at the store what keeps it from that. Nothing by default,
    /// where a store takes records from all whose calls it answers.
    fn try_key<'s>(&'s self, key: &'s str, look: &'s mut Inspection) -> StoreAnswer<'s, ()> {
        let _ = (key, look);
        Box::pin(async { Ok(()) })
    }

    /// The same records over connections of their own, on which a call waits at most this long for its answer. None where
    /// calls do not stand in one another's way.
    #[cfg_attr(not(feature = "cache"), allow(dead_code, reason = "the cache alone asks for it"))]
    fn apart(&self, command_timeout: Duration) -> Option<Arc<dyn AnyStore>> {
        let _ = command_timeout;
        None
    }

    /// A line that announces which records change whose keys begin with a prefix. None where the store announces nothing.
    fn line(&self, prefix: &str, listener: Weak<dyn Listener>) -> Option<Arc<dyn Line>> {
        let _ = (prefix, listener);
        None
    }

    /// Where two records can be changed at once. None where they are changed one at a time.
    fn binder(&self) -> Option<Arc<dyn SqlHome>> {
        None
    }
}

impl Extras {
    /// Those of a store of this crate.
    pub(crate) fn of(offer: impl Offer) -> Self {
        Self(Some(Arc::new(offer)))
    }

    getters! {
        /// Whether the store offers its verbs alone.
        pub fn is_empty(&self) -> bool => self.0.is_none();
    }

    /// Reads records of `store`, which these are of, each as [`get`](Store::get) does, and answers in the order of the keys.
    ///
    /// Together they are no snapshot. A hundred keys cost one round trip; in Redis, one to each server that has some of them.
    /// Where a record is replaced while it is read, its bytes are whole, and the time left may be that of the one before.
    ///
    /// ```
    /// use payproof::store::{MemoryStore, Store};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), payproof::store::StoreError> {
    /// let store = MemoryStore::new();
    /// store.claim("there", b"bytes", std::time::Duration::from_secs(60)).await?;
    /// let reads = store.extras().get_many(&store, &["absent", "there"]).await;
    /// assert_eq!(reads[0], Ok(None));
    /// assert!(reads[1].as_ref().is_ok_and(Option::is_some));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// For each key its own: one record that cannot be read, or one server that does not answer, fails no other key.
    ///
    /// # Cancel safety
    /// Dropped, nothing is lost but the answers.
    pub async fn get_many<S: Store>(&self, store: &S, keys: &[&str]) -> Vec<Result<Option<Stored>, StoreError>> {
        let mut reads = Vec::with_capacity(keys.len());
        for batch in keys.chunks(MOST_KEYS) {
            reads.extend(self.batch(store, batch).await);
        }
        reads
    }

    /// Tries a key, as [`Offer::try_key`] says.
    pub(crate) async fn try_key(&self, key: &str, look: &mut Inspection) -> Result<(), StoreError> {
        match &self.0 {
            Some(offer) => offer.try_key(key, look).await,
            None => Ok(()),
        }
    }

    /// The same records over connections of their own, if the store has connections on which calls stand in one another's way.
    #[cfg_attr(not(feature = "cache"), allow(dead_code, reason = "the cache alone asks for it"))]
    pub(crate) fn apart(&self, command_timeout: Duration) -> Option<Arc<dyn AnyStore>> {
        self.0.as_ref()?.apart(command_timeout)
    }

    /// A line that announces which records change whose keys begin with a prefix, if the store offers one.
    pub(crate) fn line(&self, prefix: &str, listener: Weak<dyn Listener>) -> Option<Arc<dyn Line>> {
        self.0.as_ref()?.line(prefix, listener)
    }

    /// Where two records can be changed at once, if they can.
    pub(crate) fn binder(&self) -> Option<Arc<dyn SqlHome>> {
        self.0.as_ref()?.binder()
    }

    /// Adds to a counter of `store`, which these are of, and says what it came to and how long it has to live.
    ///
    /// The first addition makes the counter, and sets its time to live; no other changes that. A counter is a record like any
    /// other: its bytes are the number in decimal digits, which [`get`](Store::get) reads, [`claim`](Store::claim) finds held, and
    /// [`replace`](Store::replace) and [`remove`](Store::remove) compare. Where the store offers its verbs alone, the addition is
    /// a swap, made again up to 32 times, and each may end the counter earlier by as long as it took.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use payproof::store::{MemoryStore, Store};
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), payproof::store::StoreError> {
    /// let (store, minute) = (MemoryStore::new(), Duration::from_secs(60));
    /// assert_eq!(store.extras().add(&store, "logins", 1, minute).await?, (1, minute));
    /// tokio::time::advance(Duration::from_secs(20)).await;
    /// assert_eq!(store.extras().add(&store, "logins", 2, minute).await?, (3, Duration::from_secs(40)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`StoreError::refused`] where the bytes are no number, or the sum is none of 64 bits; nothing is changed then. It is
    /// sent once: [`StoreError::outcome_unknown`] says that it may have been counted.
    ///
    /// # Cancel safety
    /// Dropped, it may or may not have been counted.
    pub async fn add<S: Store>(
        &self,
        store: &S,
        key: &str,
        by: i64,
        ttl: Duration,
    ) -> Result<(i64, Duration), StoreError> {
        self.count(store, key, by, ttl).await
    }

    /// The same, for a store whose type is not known.
    pub(crate) async fn count(
        &self,
        store: &dyn AnyStore,
        key: &str,
        by: i64,
        ttl: Duration,
    ) -> Result<CountLeft, StoreError> {
        match &self.0 {
            Some(offer) => offer.add(key, by, ttl).await,
            None => add_by_swaps(store, key, by, ttl).await,
        }
    }

    /// Reads at most [`MOST_KEYS`] records.
    pub(crate) async fn batch(&self, store: &dyn AnyStore, keys: &[&str]) -> BatchReads {
        match &self.0 {
            Some(offer) => offer.get_many(keys).await,
            None => fill_gaps(vec![None; keys.len()], keys, |key| store.get(key)).await,
        }
    }
}

/// What was found under each key, with the gaps filled by single reads, a few side by side.
pub(crate) async fn fill_gaps<'k, K, T, F>(found: Vec<Option<T>>, keys: &'k [K], read: impl Fn(&'k K) -> F) -> Vec<T>
where
    F: Future<Output = T>,
{
    let gaps: Vec<F> = found.iter().zip(keys).filter(|(found, _)| found.is_none()).map(|(_, key)| read(key)).collect();
    let late: Vec<T> = stream::iter(gaps).buffered(SIDE_BY_SIDE).collect().await;
    let mut late = late.into_iter();
    found.into_iter().filter_map(|found| found.or_else(|| late.next())).collect()
}

/// Adds to a counter with the verbs alone.
pub(crate) async fn add_by_swaps(
    store: &dyn AnyStore,
    key: &str,
    by: i64,
    ttl: Duration,
) -> Result<CountLeft, StoreError> {
    /// In each round another caller was faster.
    const MOST_ROUNDS: usize = 32;
    let first = by.to_string();
    for _ in 0..MOST_ROUNDS {
        let asked_at = Instant::now();
        let Claim::Held(held) = store.claim(key, first.as_bytes(), ttl).await? else {
            return Ok((by, Duration::from_millis(ttl_millis(ttl)?)));
        };
        let sum = sum(&held.bytes, by)?;
        let left = held.ttl_left.saturating_sub(asked_at.elapsed()).max(Duration::from_millis(1));
        if store.replace(key, &held.bytes, sum.to_string().as_bytes(), left).await? == Swap::Swapped {
            return Ok((sum, left));
        }
    }
    Err(contended())
}

/// Whether this is what the counter itself comes to, from a store that works.
#[cfg(feature = "cache")]
pub(crate) fn is_of_counter(error: &StoreError) -> bool {
    [no_counter(), overflow(), contended()].contains(error)
}

/// What a counter with these bytes comes to.
pub(super) fn sum(held: &[u8], by: i64) -> Result<i64, StoreError> {
    number_of(held).ok_or_else(no_counter)?.checked_add(by).ok_or_else(overflow)
}

/// The number that these bytes are, as it is written here, and no other text that can be read as one.
pub(crate) fn number_of(bytes: &[u8]) -> Option<i64> {
    let number = str::from_utf8(bytes).ok()?.parse::<i64>().ok()?;
    (number.to_string().as_bytes() == bytes).then_some(number)
}

fn contended() -> StoreError {
    StoreError::not_sent("the counter keeps changing under many hands; ask again")
}

pub(super) fn no_counter() -> StoreError {
    StoreError::refused("what is stored under the key is no counter; nothing was added")
}

pub(super) fn overflow() -> StoreError {
    StoreError::refused("the sum is no number of 64 bits; nothing was added")
}
