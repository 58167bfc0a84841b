//! The cache kit: what it promises, through its public API.

#[path = "../support/chaos_store.rs"]
mod chaos_store;

mod calls;
mod keys;
mod promise;
mod support;
mod trouble;
