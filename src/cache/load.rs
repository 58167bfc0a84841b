//! Loaders: the caller's own code, under a limit, with its panics caught, and never for a key that it is loading already.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::call::contained::catch;
use crate::intent::fingerprint::Fingerprint;

use super::error::CacheError;

/// Which loader brought a value that no further one was asked for.
pub(super) const PRIMARY: &str = "primary";

/// A value, with the name of the loader that brought it; or why none did.
pub(super) type LoadResult<V> = Result<(V, &'static str), CacheError>;

pub(super) type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// One load, which is made once at most.
pub(super) type Load<V> = Box<dyn FnOnce() -> Boxed<LoadResult<V>> + Send>;

type OneLoader<K, V> = Arc<dyn Fn(K) -> Boxed<Result<V, CacheError>> + Send + Sync>;
type ManyLoader<K, V> = Arc<dyn Fn(Vec<K>) -> Boxed<Result<Vec<V>, CacheError>> + Send + Sync>;

/// The loaders of a space, in the order in which they are asked.
pub(super) struct Loaders<K, V> {
    pub(super) first: FirstLoader<K, V>,
    others: Vec<(&'static str, OneLoader<K, V>)>,
    /// Of each.
    limit: Duration,
}

/// The loader that is asked first.
pub(super) enum FirstLoader<K, V> {
    One(OneLoader<K, V>),
    Many(ManyLoader<K, V>),
}

impl<K, V> Clone for Loaders<K, V> {
    fn clone(&self) -> Self {
        let first = match &self.first {
            FirstLoader::One(one) => FirstLoader::One(Arc::clone(one)),
            FirstLoader::Many(many) => FirstLoader::Many(Arc::clone(many)),
        };
        Self { first, others: self.others.clone(), limit: self.limit }
    }
}

fn one_loader<K, V, F, Fut, E>(load: F) -> OneLoader<K, V>
where
    K: 'static,
    V: 'static,
    F: Fn(K) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<V, E>> + Send + 'static,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    Arc::new(move |key| {
        let loading = load(key);
        Box::pin(async move { loading.await.map_err(CacheError::load) })
    })
}

/// One load by a function that is called once.
pub(super) fn once<V, F, Fut, E>(load: F, limit: Duration) -> Load<V>
where
    V: Send + 'static,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = Result<V, E>> + Send + 'static,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    Box::new(move || {
        Box::pin(async move {
            let loading = async move { load().await.map_err(CacheError::load) };
            Ok((within(limit, || loading).await?, PRIMARY))
        })
    })
}

impl<K: Clone + Send + Sync + 'static, V: Send + 'static> Loaders<K, V> {
    pub(super) fn one<F, Fut, E>(load: F, limit: Duration) -> Self
    where
        F: Fn(K) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        Self { first: FirstLoader::One(one_loader(load)), others: Vec::new(), limit }
    }

    pub(super) fn many<F, Fut, E>(load: F, limit: Duration) -> Self
    where
        F: Fn(Vec<K>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<V>, E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let many: ManyLoader<K, V> = Arc::new(move |keys| {
            let loading = load(keys);
            Box::pin(async move { loading.await.map_err(CacheError::load) })
        });
        Self { first: FirstLoader::Many(many), others: Vec::new(), limit }
    }

    pub(super) fn or<F, Fut, E>(mut self, name: &'static str, load: F) -> Self
    where
        F: Fn(K) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.others.push((name, one_loader(load)));
        self
    }

    /// A load of this key: the first loader, and as long as one fails, the next.
    pub(super) fn load(&self, key: &K) -> Load<V> {
        let (loaders, key) = (self.clone(), key.clone());
        Box::new(move || {
            Box::pin(async move {
                let first = loaders.first_of(key.clone()).await;
                loaders.or_others(key, first).await
            })
        })
    }

    async fn first_of(&self, key: K) -> Result<V, CacheError> {
        match &self.first {
            FirstLoader::One(one) => within(self.limit, || one(key)).await,
            FirstLoader::Many(_) => {
                let mut values = self.all_of(vec![key]).await?;
                values.pop().ok_or_else(|| CacheError::load(WRONG_NUMBER))
            }
        }
    }

    /// What the loader of many brings, in the order of the keys.
    pub(super) async fn all_of(&self, keys: Vec<K>) -> Result<Vec<V>, CacheError> {
        let FirstLoader::Many(many) = &self.first else { return Ok(Vec::new()) };
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

const WRONG_NUMBER: &str = "the loader of many keys did not return as many values";

/// Goes through a loader's work, which may panic, for so long at most.
async fn within<T, F: Future<Output = Result<T, CacheError>>>(
    limit: Duration,
    load: impl FnOnce() -> F,
) -> Result<T, CacheError> {
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
