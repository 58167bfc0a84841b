//! Reconciling: what is told of payments and orders, what is not, and how a run goes on that broke off.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test fails where it cannot go on")]
#![allow(clippy::arithmetic_side_effects, reason = "times of one year, and counts of a few thousand")]

mod carried;
mod everyday;
mod faults;
mod folder;
mod hidden;
mod invariance;
mod judged;
mod lists;
mod nights;
mod resumed;
#[path = "../support/folder.rs"]
mod scratch;
mod settings;
mod shop;
mod stripe;
mod unknown;
