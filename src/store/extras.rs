//! What a store offers beside its verbs: many records in one round trip.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};

use super::{AnyStore, Store, StoreError, Stored};
use crate::accessors::getters;

/// The most keys of one batch: what a server answers in well under a millisecond, so that others hardly wait for it.
pub(crate) const MOST_KEYS: usize = 100;

/// How many records of a batch are read side by side where each is read by itself.
const SIDE_BY_SIDE: usize = 16;

/// What a store offers beside its four verbs. Opaque; empty, unless a store of this crate made it.
///
/// Batch reads are in here, so that [`Store`] need not change for them. Everything works without: records are
/// then read one by one. A store that wraps another hands on the other's, as long as it leaves keys and bytes as they are: what
/// is read through these goes past it.
#[derive(Clone, Debug, Default)]
pub struct Extras(Option<Arc<dyn Offer>>);

/// What became of each read of a batch, in the order of the keys.
pub(crate) type BatchReads = Vec<Result<Option<Stored>, StoreError>>;

/// The same, still to come.
pub(crate) type BatchAnswer<'s> = Pin<Box<dyn Future<Output = BatchReads> + Send + 's>>;

/// What the stores of this crate do in one round trip.
pub(crate) trait Offer: fmt::Debug + Send + Sync + 'static {
    /// Reads at most [`MOST_KEYS`] records, each as by `get`; together they are no snapshot. A record that is replaced while
    /// it is read may seem to have less time left than it has, or more than it was written with; its bytes are whole.
    fn get_many<'s>(&'s self, keys: &'s [&'s str]) -> BatchAnswer<'s>;

    /// The same records over connections of their own, on which a call waits at most this long for its answer. None where
    /// calls do not stand in one another's way.
    fn apart(&self, command_timeout: Duration) -> Option<Arc<dyn AnyStore>> {
        let _ = command_timeout;
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

    /// The same records over connections of their own, if the store has connections on which calls stand in one another's way.
    pub(crate) fn apart(&self, command_timeout: Duration) -> Option<Arc<dyn AnyStore>> {
        self.0.as_ref()?.apart(command_timeout)
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
