//! Loaders: the caller's own code, under a limit, with its panics caught, and never for a key that it is loading already.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::call::contained::catch;
use crate::intent::fingerprint::Fingerprint;
use crate::lock::Lock;

use super::error::CacheError;

/// Which loader brought a value that no further one was asked for.
const PRIMARY: &str = "primary";

const WRONG_NUMBER: &str = "the loader of many keys did not return as many values";

/// A value, with the name of the loader that brought it; or why none did.
pub(super) type LoadResult<V> = Result<(V, &'static str), CacheError>;

type Loading<V> = Pin<Box<dyn Future<Output = Result<V, CacheError>> + Send>>;

pub(super) type OneLoader<K, V> = Arc<dyn Fn(K) -> Loading<V> + Send + Sync>;

/// The loaders of a space, or of one call, in the order in which they are asked.
pub(super) struct Loaders<K, V> {
    first: Arc<FirstLoader<K, V>>,
    others: Vec<(&'static str, OneLoader<K, V>)>,
    /// Of each.
    limit: Duration,
}

/// The loader that is asked first.
pub(super) enum FirstLoader<K, V> {
    One(OneLoader<K, V>),
    Many(Box<dyn Fn(Vec<K>) -> Loading<Vec<V>> + Send + Sync>),
    /// Gone once it was asked.
    Once(Lock<Option<OnceLoader<V>>>),
}

pub(super) type OnceLoader<V> = Box<dyn FnOnce() -> Loading<V> + Send>;

/// What a loader's future comes to, as a future of one type.
pub(super) fn boxed<T, E>(load: impl Future<Output = Result<T, E>> + Send + 'static) -> Loading<T>
where
    E: Into<Box<dyn Error + Send + Sync>>,
{
    Box::pin(async move { load.await.map_err(CacheError::load) })
}

impl<K, V> Loaders<K, V> {
    pub(super) fn first(first: FirstLoader<K, V>, limit: Duration) -> Arc<Self> {
        Arc::new(Self { first: Arc::new(first), others: Vec::new(), limit })
    }

    /// These, and another one.
    pub(super) fn or(&self, name: &'static str, other: OneLoader<K, V>) -> Arc<Self> {
        let others = self.others.iter().cloned().chain([(name, other)]).collect();
        Arc::new(Self { first: Arc::clone(&self.first), others, limit: self.limit })
    }
}

impl<K: Clone, V> Loaders<K, V> {
    /// Whether one call of the first loader brings the values of many keys.
    pub(super) fn are_of_many(&self) -> bool {
        matches!(*self.first, FirstLoader::Many(_))
    }

    /// Whether there is still one to ask.
    pub(super) fn can_load(&self) -> bool {
        !matches!(&*self.first, FirstLoader::Once(load) if load.lock().is_none())
    }

    /// The value of a key: from the first loader, and as long as one fails, from the next.
    pub(super) async fn load(&self, key: K) -> LoadResult<V> {
        let first = match &*self.first {
            FirstLoader::One(one) => within(self.limit, || one(key.clone())).await,
            FirstLoader::Many(_) => {
                let values = self.load_many(vec![key.clone()]).await;
                values.and_then(|mut values| values.pop().ok_or_else(|| CacheError::load(WRONG_NUMBER)))
            }
            FirstLoader::Once(load) => {
                let load = load.lock().take();
                match load {
                    Some(load) => within(self.limit, load).await,
                    None => Err(CacheError::Interrupted),
                }
            }
        };
        self.or_others(key, first).await
    }

    /// What a first loader of many brings, in the order of the keys.
    pub(super) async fn load_many(&self, keys: Vec<K>) -> Result<Vec<V>, CacheError> {
        let FirstLoader::Many(many) = &*self.first else { return Ok(Vec::new()) };
        let asked = keys.len();
        let values = within(self.limit, || many(keys)).await?;
        if values.len() == asked { Ok(values) } else { Err(CacheError::load(WRONG_NUMBER)) }
    }

    /// What the first loader brought, or else another one does.
    pub(super) async fn or_others(&self, key: K, first: Result<V, CacheError>) -> LoadResult<V> {
        let mut failure = match first {
            Ok(value) => return Ok((value, PRIMARY)),
            Err(failure) => failure,
        };
        for (name, other) in &self.others {
            match within(self.limit, || other(key.clone())).await {
                Ok(value) => return Ok((value, name)),
                Err(next) => failure = next,
            }
        }
        Err(failure)
    }
}

/// Goes through a loader's work, which may panic, for so long at most.
async fn within<T>(limit: Duration, load: impl FnOnce() -> Loading<T>) -> Result<T, CacheError> {
    match timeout(limit, catch(load)).await {
        Ok(Ok(brought)) => brought,
        Ok(Err(_panicked)) => Err(CacheError::Interrupted),
        Err(_elapsed) => Err(CacheError::LoadTimedOut { limit }),
    }
}

tokio::task_local! {
    /// What is being loaded here, the innermost last.
    static LOADING: Vec<Nested>;
}

/// A load that another one may be nested in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Nested {
    pub(super) space: &'static str,
    pub(super) digest: Fingerprint,
}

/// The loads that this call is nested in. They go along into the task of a flight's leader.
#[derive(Clone, Debug, Default)]
pub(super) struct Chain(Vec<Nested>);

impl Chain {
    pub(super) fn here() -> Self {
        Self(LOADING.try_with(Clone::clone).unwrap_or_default())
    }

    pub(super) fn holds(&self, load: Nested) -> bool {
        self.0.contains(&load)
    }

    /// Whether a load of the space is among them, which holds one of its permits.
    pub(super) fn is_in(&self, space: &str) -> bool {
        self.0.iter().any(|load| load.space == space)
    }

    /// Goes through a load, or several at once, as the innermost one.
    pub(super) async fn during<T>(mut self, loads: Vec<Nested>, work: impl Future<Output = T>) -> T {
        self.0.extend(loads);
        LOADING.scope(self.0, work).await
    }
}
