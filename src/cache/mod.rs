//! The cache kit: a service's own data, loaded once per key in a whole fleet, on the store that is there.
//!
//! ```
//! use payproof::cache::{Cache, For, Space, Tag, Tenant, ttl};
//!
//! /// What a price is kept as: fresh for five minutes, and served for half an hour more where the database is down.
//! const PRICES: Space<For<String>, Option<u64>> = Space::per_tenant("price", ttl::MEDIUM).stale_if_error(ttl::LONG);
//!
//! # struct Database;
//! # impl Database {
//! #     async fn price(&self, tenant: &str, sku: &str) -> Result<Option<u64>, std::io::Error> { Ok((sku == "sku_1").then_some(1999)) }
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let store = payproof::store::MemoryStore::new();
//! # let db = std::sync::Arc::new(Database);
//! let cache = Cache::builder(store).namespace("shop").build()?;
//! let prices = cache.space(PRICES)?.loads(move |key: For<String>| {
//!     let db = db.clone();
//!     async move { db.price(key.tenant().as_str(), key.key()).await }
//! });
//!
//! let (store_42, sku) = (Tenant::new("store_42"), "sku_1".to_owned());
//! let key = For::new(&store_42, sku); // a bare text would not compile: the tenant cannot be forgotten
//! let price = prices.get(&key).await?;
//! assert_eq!((*price, price.source().as_str()), (Some(1999), "load"));
//! assert_eq!(prices.get(&key).await?.source().as_str(), "memory");
//!
//! // After the commit of what changed: of one key, or of all that have a tag.
//! prices.invalidate(&key).await?;
//! cache.invalidate(&Tag::tenant(&store_42)).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What is promised
//! **After `invalidate` returned `Ok`, no call that begins later in this process, or more than `memory_for` (while the store is
//! down: `unchecked_for`) later in another, returns a value whose load began before `invalidate` was called**, whatever was slow,
//! stopped or cut off. After an error it holds in this process alone, until the store has heard of it.
//!
//! - An invalidated value is never served stale; one past its life is, within the bounds of its space.
//! - A store that is down, slow, full or wiped is no error of a `get`: the loader is asked. After two failures in a row the store
//!   is left alone, and probed beside the calls.
//! - A store that evicts nothing is left alone, but for reading, from 80 % of its memory on: what must not be refused needs the rest.
//!   Invalidations, counters, and the claims of loads that were under way are written all the same: they are small, and end.
//! - One process of the fleet loads a key, and the others wait for it. Where it fails, the next one that waits asks its own
//!   loader; waiters fail once two processes have.
//! - A failover that loses writes, or a restart from an older snapshot, may lose an invalidation. Then the entry's lifetime is
//!   the bound, as it is where a process ends between its commit and `invalidate`.
//! - A machine that was suspended serves what it had for `memory_for` after it wakes.
//!
//! Never charge a cached price: read what money depends on from where it is kept.
//!
//! # Common cases
//! A value made by the call that first needs it, without a loader of the space:
//!
//! ```
//! # use payproof::cache::{Cache, Space, ttl};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! const RATES: Space<(String, String), f64> = Space::global("rate", ttl::HOUR);
//! let rates = Cache::in_memory().build()?.space(RATES)?;
//! let pair = ("EUR".to_owned(), "USD".to_owned());
//! let rate = rates.get_or_load(&pair, || async { Ok::<_, std::io::Error>(1.08) }).await?;
//! assert_eq!(*rate, 1.08);
//! # Ok(())
//! # }
//! ```
//!
//! Many keys at once, and another source where the first one fails:
//!
//! ```
//! # use payproof::cache::{Cache, Space, ttl};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! const NAMES: Space<u32, String> = Space::global("name", ttl::DAY);
//! let names = Cache::in_memory().build()?.space(NAMES)?;
//! let names = names
//!     .loads_many(|_ids: Vec<u32>| async { Err(std::io::Error::other("the database is away")) })
//!     .or_loads("archive", |id: u32| async move { Ok::<_, std::io::Error>(format!("name {id}")) });
//! for hit in names.get_many(&[1, 2, 3]).await {
//!     assert_eq!(hit?.origin(), "archive");
//! }
//! let warmed = names.warm(1..=500).await; // by the hundred, with pauses
//! assert_eq!((warmed.values, warmed.failed), (500, 0));
//! # Ok(())
//! # }
//! ```
//!
//! A value whose one home is the cache, such as a session; all sessions of a user end at once:
//!
//! ```
//! # use payproof::cache::{Cache, Space, Tag, Tags, ttl};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! #[derive(serde::Serialize, serde::Deserialize)]
//! struct Session {
//!     user: u64,
//! }
//!
//! fn by_user(session: &Session, tags: &mut Tags) {
//!     tags.add("user", session.user);
//! }
//!
//! const SESSIONS: Space<String, Session> = Space::global("session", ttl::LONG).tagged(by_user);
//! let cache = Cache::in_memory().build()?;
//! let sessions = cache.space(SESSIONS)?;
//! let id = "s_1".to_owned();
//! sessions.put(&id, Session { user: 7 }).await?;
//! assert_eq!(sessions.peek(&id).await?.map(|session| session.user), Some(7));
//! cache.invalidate(&Tag::new("user", 7)).await?;
//! assert!(sessions.peek(&id).await?.is_none());
//! # Ok(())
//! # }
//! ```
//!
//! How often something happened, in all processes together, within a window: [`Cache::count`] with a [`Counter`].
//!
//! # Tests
//! All time is tokio's: `#[tokio::test(start_paused = true)]` and `tokio::time::advance` are the clock of a service's own tests.
//! With a [`MemoryStore`](crate::store::MemoryStore) two `Cache` objects are two processes of a fleet.

use std::sync::Arc;

/// The page's examples are tests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/caching.md")]
struct CachingPage;

mod ask;
mod backing;
mod builder;
mod cached;
mod core;
mod counter;
mod entry;
mod error;
mod fly;
mod full;
mod generation;
mod hit;
mod join;
mod key;
mod landed;
mod lead;
mod load;
mod many;
mod marks;
mod memory;
mod overdue;
mod pack;
mod record;
mod settle;
mod share;
mod space;
mod stats;
mod stock;
mod tag;
mod tenant;
pub mod ttl;
mod value;
mod write;

use core::Core;
use overdue::Overdue;
use stock::Stock;
use write::invalidate;

pub use builder::CacheBuilder;
pub use cached::{Cached, Get, Loads};
pub use counter::{Counter, CounterReading};
pub use error::CacheError;
pub use hit::{Hit, HitSource, StoreUse};
pub use key::{CacheKey, For, KeyParts};
pub use many::Warmed;
pub use space::Space;
pub use stats::{CacheStats, SpaceStats};
pub use tag::{Tag, Tags};
pub use tenant::Tenant;
pub use value::CacheValue;

use crate::settings::build_error::BuildError;

/// A cache: spaces of a service's own data. Clones share everything and cost one counter.
#[derive(Clone, Debug)]
pub struct Cache(Arc<Core>);

impl Cache {
    /// Opens a space. All that open it share its memory and its flights.
    ///
    /// # Errors
    /// When a setting of the space is outside what makes sense, or the space was opened with another version or other types.
    pub fn space<K: CacheKey, V: CacheValue>(&self, space: Space<K, V>) -> Result<Cached<K, V>, BuildError> {
        space.check()?;
        let refused =
            |_| BuildError::out_of_range("space", format!("{:?}", space.name()), "of a name that can be a tag");
        let tag = Tag::space(space).digest().map_err(refused)?;
        let stock = self.0.open(space.name, space.version, || Stock::new(&self.0, space, tag))?;
        Ok(Cached(stock))
    }

    /// Forgets every entry with a tag, in all processes, however many there are; for two round trips or three.
    ///
    /// # Errors
    /// When the store did not confirm. It holds for this process all the same, and is tried again behind the call.
    ///
    /// # Cancel safety
    /// Dropped, it may be done or not; here it holds from the first poll on.
    pub async fn invalidate(&self, tag: &Tag) -> Result<(), CacheError> {
        let (tag, lives) = (tag.digest()?, self.0.longest());
        invalidate(&self.0, Overdue::Tag { tag, lives }, self.0.settles_in()).await
    }

    /// What the spaces did since the cache was built.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        self.0.stats()
    }

    /// Sets the gauges of the cache, and adds the calls that memory answered to its counters. Call it before each scrape, or
    /// every 15 s where the exporter pushes.
    #[cfg(feature = "metrics")]
    #[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
    pub fn publish_metrics(&self) {
        self.0.publish();
    }
}
