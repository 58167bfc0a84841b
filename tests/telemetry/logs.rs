//! What a person reads in the log: every event in words, under a public target, and an outage in a few lines.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what does not hold here fails the test"
)]

mod events;
mod outages;
mod subscribers_of_others;
