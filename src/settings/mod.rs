//! What a builder refuses, and switches in the environment.

pub(crate) mod build_error;
pub(crate) mod switch;
