//! A store in Upstash Redis.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::rest::{Names, RestClient, Settings};
use super::{Claim, Durability, Inspection, RestartLoss, Store, StoreError, Stored, Swap};
use crate::settings::build_error::BuildError;

const NAMES: Names = Names {
    url: "Upstash REST URL",
    token: "Upstash REST token",
    connect_timeout: "upstash.connect_timeout",
    command_timeout: "upstash.command_timeout",
    max_in_flight: "upstash.max_in_flight",
};

/// A store in Upstash Redis, over its REST interface. Clones share everything.
///
/// Each verb is one request and one command: a script that compares and writes, answered by the primary. The first call
/// after the server has forgotten the script takes a second request. Nothing is sent twice otherwise: a lost reply is an
/// error whose outcome is unknown.
///
/// Values are stored as text, behind `pp1:`. What `RedisStore` writes into the same database is refused here as foreign,
/// and the other way round it is unreadable: use one of the two per database.
///
/// Each write is on the service's disks within a moment, so a restart loses [a second](RestartLoss::Second) at most: that is
/// the service's own word, and taken for its hosts alone (`*.upstash.io`). A server of your own behind this protocol is asked
/// for its settings, as `RedisStore` asks.
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
#[derive(Clone)]
pub struct UpstashStore(Arc<RestClient>);

impl UpstashStore {
    /// Makes a store with every default; see [`UpstashStoreBuilder`]. Connects when first used.
    ///
    /// # Errors
    /// As for [`build`](UpstashStoreBuilder::build).
    pub fn new(url: impl Into<String>, token: impl Into<String>) -> Result<Self, BuildError> {
        Self::builder(url, token).build()
    }

    /// Starts from the defaults.
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
        UpstashStoreBuilder(Settings::new(&NAMES, url.into(), token.into()))
    }
}

/// Shows where the database is, and no token.
impl fmt::Debug for UpstashStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UpstashStore").field(&self.0).finish()
    }
}

/// Settings of an [`UpstashStore`]; checked by `build`.
///
/// | setting | default | why |
/// |---|---|---|
/// | `connect_timeout` | 750 ms | a name look-up and a TLS handshake at 150 ms a round trip |
/// | `command_timeout` | 1 s | a command takes 5 to 200 ms over the internet, and a caller is waiting |
/// | `max_in_flight` | 256 | over HTTP/1.1 each is a connection |
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct UpstashStoreBuilder(Settings);

impl UpstashStoreBuilder {
    /// How long a connection may take, TLS included. Default: 750 ms.
    ///
    /// A call that ends here sent nothing. At most the command time-out.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.0.connect_timeout = timeout;
        self
    }

    /// How long a verb may take, from the wait for its turn to the last byte of the answer. Default: 1 s.
    ///
    /// A call that ends here may have been carried out.
    pub fn command_timeout(mut self, timeout: Duration) -> Self {
        self.0.command_timeout = timeout;
        self
    }

    /// The most calls under way at once. Default: 256.
    ///
    /// Further ones wait for their turn, in order and for at most half the command time-out, and then fail with nothing sent.
    pub fn max_in_flight(mut self, calls: usize) -> Self {
        self.0.max_in_flight = calls;
        self
    }

    /// Checks every setting and makes the store. Nothing is sent yet.
    ///
    /// # Errors
    /// `Url` when the URL is not https (or http for this machine), `Credential` when the token is empty or has white space
    /// in it, `OutOfRange` and `Contradiction` for the limits, `HttpClient` when there are no root certificates.
    pub fn build(self) -> Result<UpstashStore, BuildError> {
        Ok(UpstashStore(Arc::new(self.0.build()?)))
    }
}

impl Store for UpstashStore {
    async fn get(&self, key: &str) -> Result<Option<Stored>, StoreError> {
        self.0.get(key).await
    }

    async fn claim(&self, key: &str, value: &[u8], ttl: Duration) -> Result<Claim, StoreError> {
        self.0.claim(key, value, ttl).await
    }

    async fn replace(&self, key: &str, expected: &[u8], value: &[u8], ttl: Duration) -> Result<Swap, StoreError> {
        self.0.replace(key, expected, value, ttl).await
    }

    async fn remove(&self, key: &str, expected: &[u8]) -> Result<Swap, StoreError> {
        self.0.remove(key, expected).await
    }

    fn durability(&self) -> Durability {
        RestClient::durability()
    }

    async fn restart_loss(&self) -> Result<RestartLoss, StoreError> {
        self.0.restart_loss().await
    }

    async fn inspect(&self) -> Result<Inspection, StoreError> {
        self.0.inspect("upstash").await
    }
}
