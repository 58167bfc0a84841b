//! What the sources and the pages look like.

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
