//! A store in Upstash Redis or Vercel KV, over their REST interface.

mod builder;
mod client;
mod failure;
mod inspect;
mod script;
mod wire;

use std::sync::Arc;
use std::time::Duration;

pub use self::builder::UpstashStoreBuilder;
use self::client::RestClient;
use self::wire::Verb;
use super::extras::{BatchAnswer, CountLeft, Offer, number_of};
use super::{
    Claim, Durability, Extras, Inspection, RestartLoss, Store, StoreAnswer, StoreError, Stored, Swap, check_value,
    ttl_millis,
};
use crate::settings::build_error::BuildError;

/// A store in Upstash Redis, over its REST interface; Vercel KV is the same under other names. Clones share everything.
///
/// Each verb is one request and one command: a script that compares and writes, answered by the primary. The first call
/// after the server has forgotten the script takes a second request. Nothing is sent twice otherwise: a lost reply is an
/// error whose outcome is unknown.
///
/// Values are stored as text, behind `pp1:`, and numbers as they are. What `RedisStore` writes into the same database is refused here as foreign,
/// and the other way round it is unreadable: use one of the two per database.
///
/// Each write is on the service's disks within a moment, so a restart loses [a second](RestartLoss::Second) at most: that is
/// the service's own word, and taken for its hosts alone (`*.upstash.io`, `*.kv.vercel-storage.com`). A server of your own
/// behind this protocol is asked for its settings, as `RedisStore` asks.
///
/// Replicas are written to later, so a failover may lose the last acknowledged writes. Turn eviction off in the console:
/// a record that is deleted early makes a used payment look unused.
///
/// ```no_run
/// use payproof::store::UpstashStore;
///
/// let url = std::env::var("UPSTASH_REDIS_REST_URL")?;
/// let store = UpstashStore::new(url, std::env::var("UPSTASH_REDIS_REST_TOKEN")?)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct UpstashStore(Arc<RestClient>);

impl UpstashStore {
    /// A store in Upstash Redis, with the defaults of [`UpstashStoreBuilder`]. Connects when first used.
    ///
    /// # Errors
    /// As for [`build`](UpstashStoreBuilder::build).
    pub fn new(url: impl Into<String>, token: impl Into<String>) -> Result<Self, BuildError> {
        Self::builder(url, token).build()
    }

    /// A store in Vercel KV, with the defaults of [`UpstashStoreBuilder`]. Connects when first used.
    ///
    /// Vercel moved its KV databases to Upstash in December 2024; what it set in the environment stays:
    /// `KV_REST_API_URL` and `KV_REST_API_TOKEN`, never `KV_REST_API_READ_ONLY_TOKEN`.
    ///
    /// # Errors
    /// As for [`build`](UpstashStoreBuilder::build).
    #[cfg(feature = "vercel-kv")]
    #[cfg_attr(docsrs, doc(cfg(feature = "vercel-kv")))]
    pub fn vercel_kv(url: impl Into<String>, token: impl Into<String>) -> Result<Self, BuildError> {
        Self::builder_vercel_kv(url, token).build()
    }

    /// Starts building a store in Upstash Redis.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use payproof::store::UpstashStore;
    ///
    /// let store = UpstashStore::builder("https://eu1-tidy-cat-1.example.com", "token")
    ///     .command_timeout(Duration::from_secs(2))
    ///     .build()?;
    /// assert!(!format!("{store:?}").contains("token"));
    /// # Ok::<(), payproof::BuildError>(())
    /// ```
    pub fn builder(url: impl Into<String>, token: impl Into<String>) -> UpstashStoreBuilder {
        UpstashStoreBuilder::new("Upstash REST URL", url.into(), "Upstash REST token", token.into())
    }

    /// Starts building a store in Vercel KV.
    #[cfg(feature = "vercel-kv")]
    #[cfg_attr(docsrs, doc(cfg(feature = "vercel-kv")))]
    pub fn builder_vercel_kv(url: impl Into<String>, token: impl Into<String>) -> UpstashStoreBuilder {
        UpstashStoreBuilder::new("Vercel KV REST URL", url.into(), "Vercel KV REST token", token.into())
    }
}

impl Store for UpstashStore {
    async fn get(&self, key: &str) -> Result<Option<Stored>, StoreError> {
        match self.0.verb(key, Verb::Get).await? {
            Swap::Lost(stored) => Ok(stored),
            Swap::Swapped => Err(wire::unexpected()),
        }
    }

    async fn claim(&self, key: &str, value: &[u8], ttl: Duration) -> Result<Claim, StoreError> {
        check_value(value)?;
        match self.0.verb(key, Verb::Claim { value, ttl_millis: ttl_millis(ttl)? }).await? {
            Swap::Swapped => Ok(Claim::Claimed),
            Swap::Lost(Some(stored)) => Ok(Claim::Held(stored)),
            Swap::Lost(None) => Err(wire::unexpected()),
        }
    }

    async fn replace(&self, key: &str, expected: &[u8], value: &[u8], ttl: Duration) -> Result<Swap, StoreError> {
        check_value(value)?;
        self.0.verb(key, Verb::Replace { expected, value, ttl_millis: ttl_millis(ttl)? }).await
    }

    async fn remove(&self, key: &str, expected: &[u8]) -> Result<Swap, StoreError> {
        self.0.verb(key, Verb::Remove { expected }).await
    }

    /// What the protocol implies: a server that all can reach, and replicas that are written to later.
    fn durability(&self) -> Durability {
        Durability { shared: true, best_effort: true }
    }

    async fn restart_loss(&self) -> Result<RestartLoss, StoreError> {
        self.0.restart_loss().await
    }

    async fn inspect(&self) -> Result<Inspection, StoreError> {
        self.0.inspect("upstash").await
    }

    fn extras(&self) -> Extras {
        Extras::of(self.clone())
    }
}

impl Offer for UpstashStore {
    /// One request, and a further one for each megabyte of values.
    fn get_many<'s>(&'s self, keys: &'s [&'s str]) -> BatchAnswer<'s> {
        Box::pin(async {
            let mut reads = Vec::with_capacity(keys.len());
            while let Some(rest) = keys.get(reads.len()..).filter(|rest| !rest.is_empty()) {
                let read = self.0.read(rest, Verb::GetMany, wire::answers).await;
                let told = match &read {
                    Ok(told) if told.len() == rest.len() => told.iter().take_while(|told| told.is_some()).count(),
                    _ => 0,
                };
                match read {
                    Ok(read) if told > 0 => reads.extend(read.into_iter().flatten().take(told)),
                    Ok(_) => reads.resize(keys.len(), Err(wire::unexpected())),
                    Err(error) => reads.resize(keys.len(), Err(error)),
                }
            }
            reads
        })
    }

    fn add<'s>(&'s self, key: &'s str, by: i64, ttl: Duration) -> StoreAnswer<'s, CountLeft> {
        Box::pin(async move {
            let verb = Verb::Add { by, ttl_millis: ttl_millis(ttl)? };
            let Swap::Lost(Some(stored)) = self.0.verb(key, verb).await? else { return Err(wire::unexpected()) };
            Ok((number_of(&stored.bytes).ok_or_else(wire::unexpected)?, stored.ttl_left))
        })
    }
}
