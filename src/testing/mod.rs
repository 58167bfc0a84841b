//! For tests: a provider that follows a script, one that answers over HTTP like Stripe, a store that fails on script, and a
//! server that answers like Upstash.

mod flaky_store;
mod loopback;
pub mod sandbox;
mod scripted;
#[cfg(feature = "upstash")]
pub mod upstash;

pub use flaky_store::{FlakyStore, StoreFault, StoreVerb};
pub use scripted::{ScriptedProvider, Step};
