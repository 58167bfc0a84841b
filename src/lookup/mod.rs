//! One validation past the handle: facts in memory, flights, facts that are shared, keys.

pub(crate) mod aliases;
pub(crate) mod error;
pub(crate) mod facts_cache;
pub(crate) mod facts_flight;
pub(crate) mod key_register;
pub(crate) mod lookups;
pub(crate) mod shared_facts;
pub(crate) mod validation;
