//! What a service would use instead of payproof's cache, each as its own documentation shows it.

mod price;
mod redis_peers;

pub use price::{Price, key, keys, price_of};
pub use redis_peers::{Amalgam, Cached, Handwritten};
