//! For tests: a provider that follows a script, one that answers over HTTP like Stripe, a store that fails on script, and
//! signed webhooks.

mod flaky_store;
mod loopback;
pub mod sandbox;
mod scripted;
#[cfg(feature = "webhook")]
pub mod webhook;

pub use flaky_store::{FlakyStore, StoreFault, StoreVerb};
pub use scripted::{ScriptedProvider, Step};
