//! What the sources and the pages look like.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a page or a source that is not as it should be fails the test")]

#[path = "../support/generated.rs"]
mod generated;

mod audit;
mod circles;
mod codes;
mod documents;
mod layering;
mod names;
mod package;
mod pages;
mod readme;
mod scripts;
mod stripe_page;
