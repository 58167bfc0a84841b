//! The handles to one space of a cache.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::accessors::{partial_debug, setters};
use crate::lock::Lock;

use super::ask::Ask;
use super::error::CacheError;
use super::hit::Hit;
use super::join::recall;
use super::key::CacheKey;
use super::load::{FirstLoader, Loaders, OnceLoader, boxed};
use super::stock::Stock;
use super::value::CacheValue;

/// A space of a cache. Clones cost one counter.
pub struct Cached<K, V>(pub(super) Arc<Stock<K, V>>);

/// A space of a cache, with its loaders. Derefs to the space; clones cost two counters.
pub struct Loads<K, V> {
    cached: Cached<K, V>,
    pub(super) loaders: Arc<Loaders<K, V>>,
}

impl<K, V> Clone for Cached<K, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K, V> Clone for Loads<K, V> {
    fn clone(&self) -> Self {
        Self { cached: self.cached.clone(), loaders: Arc::clone(&self.loaders) }
    }
}

partial_debug!(Cached<K, V>, self => space: self.0.space);
partial_debug!(Loads<K, V>, self => space: self.cached.0.space);

impl<K, V> Deref for Loads<K, V> {
    type Target = Cached<K, V>;

    fn deref(&self) -> &Cached<K, V> {
        &self.cached
    }
}

impl<K: CacheKey, V: CacheValue> Cached<K, V> {
    /// The space with its loader: what asks the database, or another service, for the value of one key.
    ///
    /// It runs in a task of its own, once for all calls that wait for it, in all processes. It is not tried again here: retries
    /// are the loader's.
    pub fn loads<F, Fut, E>(&self, load: F) -> Loads<K, V>
    where
        F: Fn(K) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>> + 'static,
    {
        self.with(FirstLoader::One(Arc::new(move |key| boxed(load(key)))))
    }

    /// The space with a loader of many keys at once, which returns as many values in the order of the keys.
    pub fn loads_many<F, Fut, E>(&self, load: F) -> Loads<K, V>
    where
        F: Fn(Vec<K>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<V>, E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>> + 'static,
    {
        self.with(FirstLoader::Many(Box::new(move |keys| boxed(load(keys)))))
    }

    fn with(&self, first: FirstLoader<K, V>) -> Loads<K, V> {
        Loads { cached: self.clone(), loaders: Loaders::first(first, self.0.space.load_timeout) }
    }

    /// The value of a key; where the cache has none, what this loader brings.
    ///
    /// # Errors
    /// As for [`Loads::get`].
    ///
    /// # Cancel safety
    /// As for [`Loads::get`].
    pub fn get_or_load<'c, F, Fut, E>(&'c self, key: &'c K, load: F) -> Get<'c, K, V>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>> + 'static,
    {
        Get::new(&self.0, key, LoadWith::Once(Some(Box::new(move || boxed(load())))))
    }
}

impl<K: CacheKey, V: CacheValue> Loads<K, V> {
    /// Another loader, which is asked where those before it failed. [`Hit::origin`] says by its name that it brought a value.
    #[must_use = "the loaders are those of the space that this returns"]
    pub fn or_loads<F, Fut, E>(self, name: &'static str, load: F) -> Self
    where
        F: Fn(K) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>> + 'static,
    {
        Self { loaders: self.loaders.or(name, Arc::new(move |key| boxed(load(key)))), cached: self.cached }
    }

    /// The value of a key: from memory, from the store, or from the loader, which one process of the fleet asks.
    ///
    /// Lazy: nothing is done until the future is awaited. What memory has is the answer of the first poll.
    ///
    /// # Errors
    /// When the value has to be loaded and cannot be; never for want of the store. See [`CacheError`].
    ///
    /// # Cancel safety
    /// Dropped at any point, it loses nothing: a load under way goes on, for the next call.
    pub fn get<'c>(&'c self, key: &'c K) -> Get<'c, K, V> {
        Get::new(&self.0, key, LoadWith::These(&self.loaders))
    }
}

/// A value that is asked for when this is awaited. Made by [`Loads::get`] and [`Cached::get_or_load`].
#[must_use = "nothing is asked for until this is awaited"]
pub struct Get<'c, K, V> {
    stock: &'c Arc<Stock<K, V>>,
    key: &'c K,
    load_with: LoadWith<'c, K, V>,
    max_age: Duration,
    limit: Option<Duration>,
    /// The rest of the way, where memory does not answer.
    asking: Option<Asking<V>>,
}

type Asking<V> = Pin<Box<dyn Future<Output = Result<Hit<V>, CacheError>> + Send>>;

/// How the value is loaded, if it has to be.
enum LoadWith<'c, K, V> {
    These(&'c Arc<Loaders<K, V>>),
    Once(Option<OnceLoader<V>>),
}

impl<'c, K: CacheKey, V: CacheValue> Get<'c, K, V> {
    fn new(stock: &'c Arc<Stock<K, V>>, key: &'c K, load_with: LoadWith<'c, K, V>) -> Self {
        Self { stock, key, load_with, max_age: Duration::MAX, limit: None, asking: None }
    }

    setters! {
        /// Takes no value that is older than this, counted from the beginning of its load. Zero always loads.
        pub fn max_age(mut self, age: Duration) => self.max_age = age;

        /// Waits at most this long. A load under way goes on without this call.
        pub fn deadline(mut self, limit: Duration) => self.limit = Some(limit);
    }

    fn loaders(&mut self) -> Arc<Loaders<K, V>> {
        match &mut self.load_with {
            LoadWith::These(loaders) => Arc::clone(loaders),
            LoadWith::Once(load) => {
                Loaders::first(FirstLoader::Once(Lock::new(load.take())), self.stock.space.load_timeout)
            }
        }
    }
}

impl<K: CacheKey, V: CacheValue> Future for Get<'_, K, V> {
    type Output = Result<Hit<V>, CacheError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Some(asking) = &mut this.asking {
            let answer = asking.as_mut().poll(cx);
            if answer.is_ready() {
                this.asking = None;
            }
            return answer;
        }
        let (stock, key, max_age, limit) = (this.stock, this.key, this.max_age, this.limit);
        if let Some(hit) = recall(stock, key, max_age, || this.loaders()) {
            return Poll::Ready(Ok(hit));
        }
        match Ask::new(stock, key, max_age) {
            Err(error) => Poll::Ready(Err(error)),
            Ok(ask) => {
                let loaders = this.loaders();
                let asking = Box::pin(async move { ask.answer(None, &loaders, limit).await });
                this.asking.insert(asking).as_mut().poll(cx)
            }
        }
    }
}

impl<K, V> fmt::Debug for Get<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Get").field("space", &self.stock.space).finish_non_exhaustive()
    }
}
