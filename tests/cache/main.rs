//! The cache kit: what it promises, through its public API.

mod keys;
