//! Providers for tests: one that follows a script in this process, and one that answers over HTTP like Stripe.

pub mod sandbox;
mod scripted;

pub use scripted::{ScriptedProvider, Step};
