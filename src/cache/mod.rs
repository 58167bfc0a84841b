//! The cache kit: a service's own data, loaded once per key in a whole fleet, on the store that is there.

use std::sync::Arc;

mod ask;
mod backing;
mod breaker;
mod builder;
mod cached;
mod core;
mod entry;
mod error;
mod gather;
mod generation;
mod hit;
mod key;
mod landed;
mod lead;
mod load;
mod many;
mod marks;
mod memory;
mod overdue;
mod record;
mod settle;
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

    /// Forgets every entry with a tag, in all processes, however many there are; for one round trip or two.
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
