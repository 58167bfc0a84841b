//! What the crate says of itself: spans, events, numbers, and what none of them may show.
#![cfg(feature = "test-util")]

#[cfg(all(feature = "axum", feature = "cache", feature = "metrics", feature = "webhook"))]
#[path = "../support/folder.rs"]
mod folder;
#[cfg(all(feature = "axum", feature = "cache", feature = "metrics", feature = "webhook"))]
#[path = "../support/promtool.rs"]
mod promtool;
#[path = "../support/subscribers.rs"]
mod subscribers;
#[path = "../support/mod.rs"]
mod support;

mod debits;
mod logs;
mod metrics;
mod secrets;
mod spans;
