//! Counters: how often something happened to a key, in all processes together, within a window of time.

use std::marker::PhantomData;
use std::time::Duration;

use crate::accessors::{getters, partial_debug};
use crate::intent::fingerprint::Fingerprint;
use crate::ledger::{Key, RecordKind};

use super::Cache;
use super::error::CacheError;
use super::key::{CacheKey, For, KeyParts};
use super::space::{LONGEST_LIFE, is_name};
use super::tag::Tags;

/// What is counted, and within which window. Made as a `const`, so that its name is checked by the compiler.
///
/// The first addition begins a key's window; whatever is added later, it ends at its time, and the next addition begins another.
///
/// ```
/// use payproof::cache::{Cache, Counter, For, Tenant, ttl};
///
/// const LOGINS: Counter<For<String>> = Counter::per_tenant("login", ttl::SHORT);
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (cache, store) = (Cache::in_memory().build()?, Tenant::new("store_42"));
/// let key = For::new(&store, "198.51.100.7".to_owned());
/// let logins = cache.count(&LOGINS, &key, 1).await?;
/// assert_eq!(logins.count(), 1);
/// assert!(logins.left() <= ttl::SHORT);
/// # Ok(())
/// # }
/// ```
///
/// A counter is no space: `get`, `peek` and `put` do not take one, and a space of the same name has keys of its own.
///
/// ```compile_fail,E0308
/// # use payproof::cache::{Cache, Counter, ttl};
/// # fn not_so(cache: &Cache) {
/// const LOGINS: Counter<String> = Counter::global("login", ttl::SHORT);
/// cache.space(LOGINS); // a counter holds a number, and nothing loads it
/// # }
/// ```
///
/// In the store it is a number in decimal digits, which the store itself adds to; so a record key does not authenticate it, and
/// who can write to the store can set it. Where a store offers its four verbs alone, each addition is a swap that is tried up to
/// 32 times.
pub struct Counter<K> {
    name: &'static str,
    window: Duration,
    key: PhantomData<fn(K)>,
}

/// What a counter came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CounterReading {
    count: i64,
    left: Duration,
}

impl CounterReading {
    getters! {
        /// The sum of what was added within the window.
        pub fn count(&self) -> i64 => self.count;

        /// How long the window still lasts, as of the store's answer.
        pub fn left(&self) -> Duration => self.left;
    }
}

impl<K> Counter<For<K>> {
    /// A counter for each key of each tenant.
    ///
    /// # Panics
    /// When the name is not 1 to 48 of a-z, 0-9, `_` and `-`, or the window is not between 1 ms and a year. In a `const` that is
    /// an error of the compiler.
    #[must_use]
    pub const fn per_tenant(name: &'static str, window: Duration) -> Self {
        Self::named(name, window)
    }
}

impl<K> Counter<K> {
    /// A counter for each key, of whichever tenant.
    ///
    /// # Panics
    /// When the name is not 1 to 48 of a-z, 0-9, `_` and `-`, or the window is not between 1 ms and a year. In a `const` that is
    /// an error of the compiler.
    #[must_use]
    pub const fn global(name: &'static str, window: Duration) -> Self {
        Self::named(name, window)
    }

    const fn named(name: &'static str, window: Duration) -> Self {
        assert!(is_name(name), "a counter's name must be 1 to 48 of a-z, 0-9, `_` and `-`");
        let is_kept = window.as_millis() >= 1 && window.as_millis() <= LONGEST_LIFE.as_millis();
        assert!(is_kept, "a counter's window must be between 1 ms and a year");
        Self { name, window, key: PhantomData }
    }
}

impl<K> Clone for Counter<K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for Counter<K> {}

partial_debug!(Counter<K>, self => name: self.name, window: self.window);

impl Cache {
    /// Adds to the counter of a key, and says what it came to and how long its window lasts: in one step of the store, for all
    /// processes. A negative number takes away; zero begins a window.
    ///
    /// It asks the store, however that did before, and counts in one that is nearly full, or whose `share_store` is used up; a cache in memory counts in this process alone. Caches that share no entries,
    /// such as those of a test and a live validator, share no counters.
    ///
    /// # Errors
    /// When the store did not confirm, or refuses: the sum is no number of 64 bits, or something else stands in the counter's
    /// place. Nothing was added then. It is sent once: after a time-out or a broken connection it may have been added, and asking
    /// again may count twice.
    ///
    /// # Cancel safety
    /// Dropped, it may have been added or not.
    pub async fn count<K: CacheKey>(
        &self,
        counter: &Counter<K>,
        key: &K,
        by: i64,
    ) -> Result<CounterReading, CacheError> {
        let place = self.place_of(counter, key)?;
        let (count, left) = self.0.counters.add(&place, by, counter.window).await?;
        Ok(CounterReading { count, left })
    }

    /// What the counter of a key says, without counting; none where its window is over, or nothing was counted.
    ///
    /// # Errors
    /// When the store does not answer, or something else stands in the counter's place.
    ///
    /// # Cancel safety
    /// It changes nothing, and may be dropped at any point.
    pub async fn counted<K: CacheKey>(
        &self,
        counter: &Counter<K>,
        key: &K,
    ) -> Result<Option<CounterReading>, CacheError> {
        let found = self.0.counters.counted(&self.place_of(counter, key)?).await?;
        Ok(found.map(|(count, left)| CounterReading { count, left }))
    }

    /// Ends the window of a key's counter: the next addition begins at nothing.
    ///
    /// # Errors
    /// When the store did not confirm.
    ///
    /// # Cancel safety
    /// Dropped, it may be done or not.
    pub async fn reset<K: CacheKey>(&self, counter: &Counter<K>, key: &K) -> Result<(), CacheError> {
        Ok(self.0.counters.reset(&self.place_of(counter, key)?).await?)
    }

    fn place_of<K: CacheKey>(&self, counter: &Counter<K>, key: &K) -> Result<Key, CacheError> {
        let (parts, mut tags) = (KeyParts::of(key)?, Tags::default());
        // They end no counter. A tenant that is not there is refused among them.
        key.tags(&mut tags);
        tags.digests()?;
        let digest = Fingerprint::of("cache counter", [Some(counter.name.as_bytes()), Some(parts.as_bytes())]);
        let at = match &self.0.backing {
            Some(backing) => backing.generations.of_this_cache("cache counter", &digest),
            None => digest,
        };
        Ok(self.0.counters.key_in(RecordKind::Cache, &format!("{}:count:", counter.name), &at))
    }
}
