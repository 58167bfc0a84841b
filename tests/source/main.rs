//! What the sources and the README look like.

mod circles;
mod codes;
mod layering;
mod names;
mod pages;
mod readme;
mod scripts;
mod stripe_page;
