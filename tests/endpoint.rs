//! Idempotent endpoints, as a client of a service sees them.
#![cfg(feature = "axum")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what does not hold here fails the test"
)]

#[path = "endpoint/answers.rs"]
mod answers;
#[path = "endpoint/bodies.rs"]
mod bodies;
#[path = "endpoint/bypass.rs"]
mod bypass;
#[path = "endpoint/duplicates.rs"]
mod duplicates;
#[path = "endpoint/fates.rs"]
mod fates;
#[path = "endpoint/fuzz.rs"]
mod fuzz;
#[path = "endpoint/identity.rs"]
mod identity;
#[path = "endpoint/keys.rs"]
mod keys;
#[path = "endpoint/resolving.rs"]
mod resolving;
#[path = "endpoint/service.rs"]
mod service;
#[path = "endpoint/settings.rs"]
mod settings;
#[path = "endpoint/store.rs"]
mod store;
mod support;
