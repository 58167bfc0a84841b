//! For tests: a provider that follows a script, one that answers over HTTP like Stripe, a store that fails on script, and
//! signed webhooks.

mod flaky_store;
mod loopback;
mod object_paths;
pub mod sandbox;
mod scripted;
mod snapshot_event;
#[cfg(feature = "webhook")]
pub mod webhook;

pub use flaky_store::{FlakyStore, StoreFault, StoreVerb};
pub use scripted::{ScriptedProvider, Step};

/// The fault on which `draw`, from 0 up to but not including 1, falls: each happens exactly as often as its chance says.
fn pick<F>(chances: &[(F, f64)], draw: f64) -> Option<&F> {
    let mut edge = 0.0;
    chances.iter().find_map(|(fault, chance)| {
        edge += chance;
        (draw < edge).then_some(fault)
    })
}
