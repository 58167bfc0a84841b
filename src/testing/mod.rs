//! For tests: a provider that follows a script, one that answers over HTTP like Stripe, and a store that fails on script.

mod flaky_store;
pub mod sandbox;
mod scripted;

pub use flaky_store::{FlakyStore, StoreFault, StoreVerb};
pub use scripted::{ScriptedProvider, Step};
