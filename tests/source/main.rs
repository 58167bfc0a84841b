//! What the sources and the README look like.

mod circles;
mod layering;
mod names;
mod pages;
mod readme;
