//! Spaces: what is kept, under which keys, and for how long.

use std::marker::PhantomData;
use std::time::Duration;

use crate::accessors::partial_debug;
use crate::settings::build_error::BuildError;

use super::key::For;
use super::tag::{Tag, Tags};
use super::value::{Fitness, last_part};

/// The longest name of a space.
const MOST_NAME: usize = 48;

/// Staleness between processes that is seldom noticed, and saves most round trips.
const MEMORY_FOR: Duration = Duration::from_secs(1);

/// No process may keep all memory for one space.
const MEMORY_BYTES: usize = 8 * 1024 * 1024;

/// What is not there may come into being any moment.
const ABSENT_FOR: Duration = Duration::from_secs(10);

/// A loader that takes longer is not worth waiting for.
const LOAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Larger values make a store slow for all that use it.
const MAX_VALUE: usize = 64 * 1024;

/// Records have an end at 256 KiB.
pub(super) const LARGEST_VALUE: usize = 250 * 1024;

/// The database behind a space is to be asked by few at once.
const MAX_LOADS: usize = 64;

/// Stores count in milliseconds.
const SHORTEST_LIFE: Duration = Duration::from_millis(1);

/// Every store can keep a record this long.
pub(super) const LONGEST_LIFE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// How long one value lives, by its key and itself.
pub(super) type Lives<K, V> = fn(&K, &V) -> Duration;

/// The tags of a value.
pub(super) type Tagged<V> = fn(&V, &mut Tags);

/// What a cache keeps: values of one type, under keys of one type, with the rules of their lives.
///
/// Made as a `const`, so that its name is checked by the compiler and all that use it mean the same:
///
/// ```
/// use payproof::cache::{For, Space, ttl};
///
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct Price(u64);
/// const PRICES: Space<For<String>, Option<Price>> =
///     Space::per_tenant("price", ttl::MEDIUM).version(2).stale_if_error(ttl::LONG);
/// # assert_eq!(PRICES.name(), "price");
/// ```
///
/// ```compile_fail,E0080
/// use payproof::cache::{Space, ttl};
///
/// const RATES: Space<String, f64> = Space::global("exchange rates", ttl::DAY); // no blanks in a name
/// # let _ = RATES;
/// ```
///
/// | setting | default | |
/// |---|---|---|
/// | `version` | 1 | a changed type has keys of its own: older processes keep theirs |
/// | `lives` | the space's lifetime | by type, by value, by tier: whatever key and value say |
/// | `memory_for` | 1 s | how long a process answers from memory without asking the store |
/// | `unchecked_for` | 1 s | the same while the store is down. Keep it short for permissions |
/// | `memory` | 8 MiB | zero keeps nothing in memory |
/// | `absent_for` | 10 s | lifetime of `None`, where the value is an `Option` |
/// | `stale_while_revalidate`, `stale_if_error` | none | it must be a decision |
/// | `load_timeout` | 10 s | |
/// | `max_value` | 64 KiB | larger values are served, and not stored |
/// | `max_loads` | 64 | further ones wait |
/// | `refresh_ahead`, jitter | on | the last 10 % of a life: one process loads anew while the value is fresh; lives end up to that much earlier |
pub struct Space<K, V> {
    pub(super) name: &'static str,
    pub(super) version: u32,
    pub(super) also: Option<u32>,
    pub(super) ttl: Duration,
    pub(super) lives: Option<Lives<K, V>>,
    pub(super) tagged: Option<Tagged<V>>,
    pub(super) memory_for: Duration,
    pub(super) unchecked_for: Duration,
    pub(super) memory: usize,
    pub(super) absent_for: Duration,
    pub(super) stale_while_revalidate: Duration,
    pub(super) stale_if_error: Duration,
    pub(super) load_timeout: Duration,
    pub(super) max_value: usize,
    pub(super) max_loads: usize,
    pub(super) is_early: bool,
    types: PhantomData<fn(K) -> V>,
}

impl<K, V> Space<For<K>, V> {
    /// A space whose values belong to tenants, which its keys name. `ttl` is how long a value is fresh, from the beginning of
    /// its load.
    ///
    /// # Panics
    /// When the name is not 1 to 48 of a-z, 0-9, `_` and `-`. In a `const` that is an error of the compiler.
    #[must_use]
    pub const fn per_tenant(name: &'static str, ttl: Duration) -> Self {
        Self::named(name, ttl)
    }
}

impl<K, V> Space<K, V> {
    /// A space whose values are the same for all, such as exchange rates.
    ///
    /// # Panics
    /// When the name is not 1 to 48 of a-z, 0-9, `_` and `-`. In a `const` that is an error of the compiler.
    #[must_use]
    pub const fn global(name: &'static str, ttl: Duration) -> Self {
        Self::named(name, ttl)
    }

    const fn named(name: &'static str, ttl: Duration) -> Self {
        assert!(is_name(name), "a space's name must be 1 to 48 of a-z, 0-9, `_` and `-`");
        Self {
            name,
            version: 1,
            also: None,
            ttl,
            lives: None,
            tagged: None,
            memory_for: MEMORY_FOR,
            unchecked_for: MEMORY_FOR,
            memory: MEMORY_BYTES,
            absent_for: ABSENT_FOR,
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::ZERO,
            load_timeout: LOAD_TIMEOUT,
            max_value: MAX_VALUE,
            max_loads: MAX_LOADS,
            is_early: true,
            types: PhantomData,
        }
    }

    /// Its name, as it stands in keys and metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// How long a value is kept past its life.
    pub(super) fn stale_for(&self, is_absent: bool) -> Duration {
        // What was not there may be there by now.
        if is_absent { Duration::ZERO } else { self.stale_while_revalidate.max(self.stale_if_error) }
    }

    /// How long the longest-lived of its values is kept, where `lives` does not say longer.
    pub(super) fn longest(&self) -> Duration {
        self.ttl.saturating_add(self.stale_for(false))
    }

    /// How long a value is fresh, before jitter.
    pub(super) fn life(&self, key: &K, value: &V, is_absent: bool) -> Duration {
        let life = match self.lives {
            Some(lives) => lives(key, value).clamp(SHORTEST_LIFE, LONGEST_LIFE),
            None => self.ttl,
        };
        if is_absent { life.min(self.absent_for) } else { life }
    }

    /// From which age on a value is loaded anew while it is served.
    pub(super) fn due_after(&self, fresh_for: Duration) -> Duration {
        if self.is_early { fresh_for.saturating_sub(last_part(fresh_for)) } else { fresh_for }
    }

    /// What a value of this age is good for.
    pub(super) fn fitness(&self, age: Duration, fresh_for: Duration, is_absent: bool) -> Fitness {
        let is_past = |time: Duration| age >= fresh_for.saturating_add(time);
        match age < fresh_for {
            true if age >= self.due_after(fresh_for) => Fitness::Due,
            true => Fitness::Fresh,
            false if is_absent => Fitness::Over,
            false if !is_past(self.stale_while_revalidate) => Fitness::Stale,
            false if !is_past(self.stale_if_error) => Fitness::LastResort,
            false => Fitness::Over,
        }
    }

    pub(super) fn check(&self) -> Result<(), BuildError> {
        let is_life = |time: Duration| (SHORTEST_LIFE..=LONGEST_LIFE).contains(&time);
        let rule = "between 1 ms and a year";
        BuildError::check("ttl", self.ttl, is_life(self.ttl), rule)?;
        BuildError::check("absent_for", self.absent_for, is_life(self.absent_for), rule)?;
        BuildError::check("load_timeout", self.load_timeout, is_life(self.load_timeout), rule)?;
        BuildError::check("max_loads", self.max_loads, self.max_loads > 0, "at least 1")?;
        let largest = self.max_value;
        BuildError::check("max_value", largest, largest <= LARGEST_VALUE, "at most 250 KiB, which a record can hold")?;
        let also = self.also;
        BuildError::check("also", also, also != Some(self.version), "another version than the space's own")
    }
}

/// Setters of a `const`: each changes one field of a space and returns the space.
macro_rules! const_setters {
    ($($(#[$attribute:meta])* fn $name:ident($arg:ident: $type:ty) => $field:ident = $set:expr;)*) => {
        impl<K, V> Space<K, V> {
            $(
                $(#[$attribute])*
                #[must_use = "a setter returns the changed value"]
                pub const fn $name(mut self, $arg: $type) -> Self {
                    self.$field = $set;
                    self
                }
            )*
        }
    };
}

const_setters! {
    /// The version of the type. A type that reads otherwise needs another: its entries then stand beside the older ones.
    /// Default: 1.
    fn version(version: u32) => version = version;

    /// Another version whose entries `invalidate` voids as well, while processes of both run. Default: none.
    fn also(version: u32) => also = Some(version);

    /// How long each value is fresh, by its key and itself; a tier or a type is part of either. At least 1 ms, at most a
    /// year; what is said beyond that is cut. Default: the space's lifetime for all.
    fn lives(lives: fn(&K, &V) -> Duration) => lives = Some(lives);

    /// The tags of each value, beside those of its key: all sessions of a user end at once when the user is invalidated.
    /// A value with more tags than 16, or with one that is refused, is an error of the call that brought it. Default: none.
    fn tagged(tagged: fn(&V, &mut Tags)) => tagged = Some(tagged);

    /// How long a value is served from memory after it was checked against the store. Default: 1 s; zero asks each time.
    fn memory_for(time: Duration) => memory_for = time;

    /// How long a value is served from memory past its check while the store is down. Default: 1 s.
    fn unchecked_for(time: Duration) => unchecked_for = time;

    /// The most bytes of the space's values in this process's memory. Default: 8 MiB. Zero keeps none.
    fn memory(bytes: usize) => memory = bytes;

    /// How long `None` is kept, where values are an `Option`. Default: 10 s, and never longer than the space's lifetime.
    fn absent_for(time: Duration) => absent_for = time;

    /// How long past its life a value is served while it is loaded anew behind the call. Default: not at all.
    ///
    /// An invalidated value is never served.
    fn stale_while_revalidate(time: Duration) => stale_while_revalidate = time;

    /// How long past its life a value is served where its loader fails. Default: not at all.
    ///
    /// An invalidated value is never served.
    fn stale_if_error(time: Duration) => stale_if_error = time;

    /// The longest that a load may take. Default: 10 s.
    fn load_timeout(limit: Duration) => load_timeout = limit;

    /// The most bytes of a value that is stored, as JSON. Default: 64 KiB; at most 250 KiB. Larger ones are served all the
    /// same.
    fn max_value(bytes: usize) => max_value = bytes;

    /// The most loads at once in this process; further ones wait. Default: 64.
    fn max_loads(loads: usize) => max_loads = loads;
}

impl<K, V> Space<K, V> {
    /// Lets lives last to their very end: no jitter, and no load ahead of it.
    ///
    /// Default: a life ends up to 10 % earlier, so that what was loaded together is not loaded anew together; and within the
    /// last 10 % one process loads anew, while all serve what is there.
    #[must_use = "a setter returns the changed value"]
    pub const fn exact(mut self) -> Self {
        self.is_early = false;
        self
    }
}

impl Tag {
    /// All entries of a space, in each of its versions.
    #[must_use]
    pub fn space<K, V>(space: Space<K, V>) -> Self {
        Self::space_named(space.name)
    }
}

/// Whether a name can stand in keys and labels as it is.
pub(super) const fn is_name(name: &str) -> bool {
    let mut rest = name.as_bytes();
    if rest.is_empty() || rest.len() > MOST_NAME {
        return false;
    }
    while let [byte, after @ ..] = rest {
        if !matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-') {
            return false;
        }
        rest = after;
    }
    true
}

impl<K, V> Clone for Space<K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for Space<K, V> {}

partial_debug!(Space<K, V>, self => name: self.name, version: self.version, ttl: self.ttl);
