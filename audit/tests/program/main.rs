//! The program, end to end: the built binary against trees that the tests lay out.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what does not go as expected fails the test"
)]

mod arguments;
mod axum_payments;
mod axum_routes;
mod axum_shops;
mod axum_stores;
mod baselines;
mod formats;
#[allow(dead_code, reason = "the rest of the generator is for measurements")]
#[path = "../../examples/generate.rs"]
mod generate;
#[cfg(unix)]
mod hostile;
mod page;
mod sarif;
mod shops;
mod tree;
