//! The cache kit: a service's own data, loaded once per key in a whole fleet, on the store that is there.
#![allow(dead_code, reason = "what uses it comes next")]

mod entry;
mod error;
mod key;
mod marks;
mod memory;
mod space;
mod stats;
mod tag;
mod tenant;
pub mod ttl;
mod value;

pub use error::CacheError;
pub use key::{CacheKey, For, KeyParts};
pub use space::Space;
pub use stats::{CacheStats, SpaceStats};
pub use tag::{Tag, Tags};
pub use tenant::Tenant;
