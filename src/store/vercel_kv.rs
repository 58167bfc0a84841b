//! A store in Vercel KV.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::rest::{Names, RestClient, Settings};
use super::{Claim, Durability, Inspection, RestartLoss, Store, StoreError, Stored, Swap};
use crate::settings::build_error::BuildError;

const NAMES: Names = Names {
    url: "Vercel KV REST URL",
    token: "Vercel KV REST token",
    connect_timeout: "vercel_kv.connect_timeout",
    command_timeout: "vercel_kv.command_timeout",
    max_in_flight: "vercel_kv.max_in_flight",
};

/// A store in Vercel KV, which is Upstash Redis under other names. Clones share everything.
///
/// Vercel moved its KV databases to Upstash in December 2024; what it set in the environment stays:
/// `KV_REST_API_URL` and `KV_REST_API_TOKEN`, never `KV_REST_API_READ_ONLY_TOKEN`. All else is as for
/// [`UpstashStore`](super::UpstashStore), and the two read each other's records.
///
/// ```no_run
/// use payproof::store::VercelKvStore;
///
/// let store = VercelKvStore::new(std::env::var("KV_REST_API_URL")?, std::env::var("KV_REST_API_TOKEN")?)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct VercelKvStore(Arc<RestClient>);

impl VercelKvStore {
    /// Makes a store with every default; see [`VercelKvStoreBuilder`]. Connects when first used.
    ///
    /// # Errors
    /// As for [`build`](VercelKvStoreBuilder::build).
    pub fn new(url: impl Into<String>, token: impl Into<String>) -> Result<Self, BuildError> {
        Self::builder(url, token).build()
    }

    /// Starts from the defaults.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use payproof::store::VercelKvStore;
    ///
    /// let store = VercelKvStore::builder("https://eu1-tidy-cat-1.example.com", "token")
    ///     .command_timeout(Duration::from_secs(2))
    ///     .build()?;
    /// assert!(!format!("{store:?}").contains("token"));
    /// # Ok::<(), payproof::BuildError>(())
    /// ```
    pub fn builder(url: impl Into<String>, token: impl Into<String>) -> VercelKvStoreBuilder {
        VercelKvStoreBuilder(Settings::new(&NAMES, url.into(), token.into()))
    }
}

/// Shows where the database is, and no token.
impl fmt::Debug for VercelKvStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("VercelKvStore").field(&self.0).finish()
    }
}

/// Settings of a [`VercelKvStore`]; checked by `build`.
///
/// | setting | default | why |
/// |---|---|---|
/// | `connect_timeout` | 750 ms | a name look-up and a TLS handshake at 150 ms a round trip |
/// | `command_timeout` | 1 s | a command takes 5 to 200 ms over the internet, and a caller is waiting |
/// | `max_in_flight` | 256 | over HTTP/1.1 each is a connection |
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct VercelKvStoreBuilder(Settings);

impl VercelKvStoreBuilder {
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
    pub fn build(self) -> Result<VercelKvStore, BuildError> {
        Ok(VercelKvStore(Arc::new(self.0.build()?)))
    }
}

impl Store for VercelKvStore {
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
