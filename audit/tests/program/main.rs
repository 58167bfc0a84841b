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
mod axum_routes;
mod baselines;
mod formats;
#[cfg(unix)]
mod hostile;
mod page;
mod sarif;
mod tree;
