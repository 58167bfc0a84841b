//! What the sources and the README look like.

mod circles;
mod layering;
mod pages;
mod readme;
