//! For tests: a provider that follows a script, one that answers over HTTP like Stripe, a store that fails on script, a
//! server that answers like Upstash, and signed webhooks.

mod flaky_store;
mod loopback;
pub mod sandbox;
mod scripted;
#[cfg(feature = "upstash")]
pub mod upstash;
#[cfg(feature = "webhook")]
pub mod webhook;

pub use flaky_store::{FlakyStore, StoreFault, StoreVerb};
pub use scripted::{ScriptedProvider, Step};
