//! What the sources and the README look like.

mod layering;
mod readme;
