//! The cache kit: what it promises, through its public API.

#[path = "../support/chaos_store.rs"]
mod chaos_store;

mod calls;
mod counters;
mod keys;
mod promise;
mod settings;
mod support;
mod trouble;
