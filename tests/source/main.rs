//! What the sources and the pages look like.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a page or a source that is not as it should be fails the test")]

use std::path::Path;

#[path = "../support/generated.rs"]
mod generated;

mod audit;
mod circles;
mod codes;
mod documents;
mod layering;
mod markdown;
mod names;
mod package;
mod pages;
mod readme;
mod scripts;
mod shape;
mod stripe_page;

/// The folder of the repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
