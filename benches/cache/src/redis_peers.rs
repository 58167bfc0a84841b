//! Caches over Redis.

use std::sync::Arc;
use std::time::Duration;

use amalgam::provider::{Backplane, DistributedCache, DistributedLocker, DistributedSerializer};
use amalgam::provider::{JsonSerializer, RedisBackplane, RedisDistributedCache, RedisDistributedLocker};
use cached::{AsyncRedisCache, ConcurrentCachedAsync};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, AsyncTypedCommands};

use crate::price::Price;

/// `GET` and `serde_json`, then `SET` with a lifetime: what is written where there is no library.
#[derive(Clone)]
pub struct Handwritten {
    connection: MultiplexedConnection,
    ttl: Duration,
}

impl Handwritten {
    /// # Panics
    /// When the server is not there.
    pub async fn connect(url: &str, ttl: Duration) -> Self {
        let client = redis::Client::open(url).expect("the URL is one");
        // With the limit that payproof's store has.
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_millis(500)));
        let connection = client.get_multiplexed_async_connection_with_config(&config).await.expect("the server is up");
        Self { connection, ttl }
    }

    /// # Errors
    /// When the server does not answer.
    pub async fn get(&self, key: &str) -> redis::RedisResult<Option<Price>> {
        let bytes: Option<Vec<u8>> = redis::cmd("GET").arg(name(key)).query_async(&mut self.connection.clone()).await?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    /// # Errors
    /// When the server does not answer.
    pub async fn get_many(&self, keys: &[String]) -> redis::RedisResult<Vec<Option<Price>>> {
        let mut command = redis::cmd("MGET");
        for key in keys {
            command.arg(name(key));
        }
        let bytes: Vec<Option<Vec<u8>>> = command.query_async(&mut self.connection.clone()).await?;
        Ok(bytes.into_iter().map(|bytes| bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok())).collect())
    }

    /// # Errors
    /// When the server does not answer.
    pub async fn set(&self, key: &str, price: &Price) -> redis::RedisResult<()> {
        let bytes = serde_json::to_vec(price).unwrap_or_default();
        let ttl = u64::try_from(self.ttl.as_millis()).unwrap_or(u64::MAX);
        self.connection.clone().pset_ex(name(key), bytes, ttl).await
    }

    /// What most services have: no lock, and a loader where there is nothing.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn get_or_load(&self, key: &str, load: impl Future<Output = Price>) -> redis::RedisResult<Price> {
        if let Some(price) = self.get(key).await? {
            return Ok(price);
        }
        let price = load.await;
        self.set(key, &price).await?;
        Ok(price)
    }
}

fn name(key: &str) -> String {
    format!("shop:price:{key}")
}

/// `amalgam-cache`: two tiers, a backplane, and a lock per key in Redis.
#[derive(Clone)]
pub struct Amalgam(amalgam::Cache<Price>);

impl Amalgam {
    /// # Panics
    /// When the server is not there.
    pub async fn connect(url: &str, ttl: Duration) -> Self {
        let store = RedisDistributedCache::connect(url).await.expect("the server is up");
        let backplane = RedisBackplane::connect(url).await.expect("the server is up");
        let locker = RedisDistributedLocker::connect(url).await.expect("the server is up");
        let cache = amalgam::Cache::builder()
            .distributed(Arc::new(store) as Arc<dyn DistributedCache>)
            .serializer(Arc::new(JsonSerializer) as Arc<dyn DistributedSerializer<Price>>)
            .backplane(Arc::new(backplane) as Arc<dyn Backplane>)
            .distributed_locker(Arc::new(locker) as Arc<dyn DistributedLocker>)
            .default_options(amalgam::EntryOptions::new(ttl))
            .instance_id(format!("process-{}", std::process::id()))
            .try_build();
        Self(cache.expect("the settings fit"))
    }

    /// # Panics
    /// When it fails.
    pub async fn get_or_load<F>(&self, key: &str, load: F) -> Price
    where
        F: Future<Output = Price> + Send + 'static,
    {
        let loaded = self.0.get_or_set(key, |_| async move { Ok::<_, std::convert::Infallible>(load.await) }).await;
        loaded.expect("it loads")
    }
}

/// `cached`: a store over Redis, which its macro asks before the function and fills after it.
#[derive(Clone)]
pub struct Cached(Arc<AsyncRedisCache<String, Price>>);

impl Cached {
    /// # Panics
    /// When the server is not there.
    pub async fn connect(url: &str, ttl: Duration) -> Self {
        let cache = AsyncRedisCache::builder("price").connection_string(url).ttl(ttl).build().await;
        Self(Arc::new(cache.expect("the server is up")))
    }

    /// # Panics
    /// When the server does not answer.
    pub async fn get_or_load(&self, key: &String, load: impl Future<Output = Price>) -> Price {
        if let Some(price) = self.0.async_cache_get(key).await.expect("the server answers") {
            return price;
        }
        let price = load.await;
        self.0.async_cache_set(key.clone(), price.clone()).await.expect("the server answers");
        price
    }
}
