//! What a call gets: the value, how old it is, and where it came from.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use crate::accessors::{getters, named, partial_debug};

use super::value::Value;

named! {
    /// Where a value came from.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum HitSource {
        /// This process's memory.
        Memory = "memory",
        /// The store.
        Store = "store",
        /// The loader, asked for this call or for one that it joined.
        Load = "load",
    } as_str(self: Self)
}

named! {
    /// What the store had to do with a value.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum StoreUse {
        /// It has the value: it was found there, or was written there.
        Kept = "kept",
        /// It was asked, and the value is not in it: too large, not readable as it was written, or invalidated meanwhile.
        NotKept = "not_kept",
        /// What stands there is a newer release's, or sealed by a key that this process has not; it is left alone.
        Bypassed = "bypassed",
        /// It did not answer, or was not asked since it did not answer before.
        Down = "down",
        /// There is none: the cache is in memory alone.
        Unused = "unused",
    } as_str(self: Self)
}

/// A value, and what is known of it. Derefs to the value; clones share it.
pub struct Hit<V> {
    pub(super) value: Arc<Value<V>>,
    pub(super) source: HitSource,
    pub(super) store: StoreUse,
    pub(super) is_stale: bool,
}

impl<V> Hit<V> {
    getters! {
        /// How long ago the load began that brought the value. What was true before that, it may say; what came after, it may not
        /// know.
        pub fn age(&self) -> Duration => self.value.loaded.age();

        /// How long the value is still fresh; zero once it is not.
        pub fn fresh_for(&self) -> Duration => self.value.fresh_for().saturating_sub(self.age());

        /// Where it came from.
        pub fn source(&self) -> HitSource => self.source;

        /// Which loader brought it: `primary`, the name of another one, or `put`.
        pub fn origin(&self) -> &str => &self.value.origin;

        /// Whether it is served past its life, as the space allows.
        pub fn is_stale(&self) -> bool => self.is_stale;

        /// What the store had to do with it.
        pub fn store(&self) -> StoreUse => self.store;
    }
}

impl<V: Clone> Hit<V> {
    /// The value itself.
    #[must_use]
    pub fn into_value(self) -> V {
        Arc::try_unwrap(self.value).map_or_else(|shared| shared.body.clone(), |value| value.body)
    }
}

impl<V> Deref for Hit<V> {
    type Target = V;

    fn deref(&self) -> &V {
        &self.value.body
    }
}

impl<V> Clone for Hit<V> {
    fn clone(&self) -> Self {
        Self { value: Arc::clone(&self.value), ..*self }
    }
}

// The value may be a secret of its owner's.
partial_debug!(Hit<V>, self =>
    age: self.age(), source: self.source, store: self.store, is_stale: self.is_stale);
