//! One validation, from the claim to the verdict.

#[path = "../support/forward.rs"]
mod forward;
#[path = "../support/mod.rs"]
mod support;

mod builder;
mod cancellation;
mod conditions;
mod envelope;
mod facts;
mod flights;
mod health;
mod intent;
mod judge;
mod kept;
mod keys;
mod many;
mod resilience;
mod retry;
