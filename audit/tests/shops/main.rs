//! Shops of this project's own: what is found in each, and what is not.
//!
//! `tests/fixtures/RULE/bad/NAME` is a tree in which the rule finds something, as bad as its name says or else as bad as the rule
//! is at worst; `good` is one in which it finds nothing. A bad one has the cure in a comment or in a text; a good one has it one
//! function or one file away.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

mod fixtures;
mod forms;
mod frameworks;
mod hostile;
mod many;
mod said;
mod stores;
mod tree;
mod ways;
