//! A store in Redis or Valkey: one server, a Cluster, or a primary watched by sentinels.

mod builder;
mod cluster;
mod connection;
mod dial;
mod endpoint;
mod fault;
mod heard_wire;
mod inspect;
mod line;
mod lines;
mod lookup;
mod many;
mod nodes;
mod reply;
mod script;
mod sentinel;
mod servers;
mod slots;
mod wire;

use std::sync::{Arc, Weak};
use std::time::Duration;

use self::builder::Topology;
use self::connection::ConnectionSettings;
use self::line::RedisLine;
use self::servers::Servers;
use super::extras::{BatchAnswer, CountLeft, Offer};
use super::line::{Line, Listener};
use super::{
    AnyStore, Claim, Durability, Extras, Inspection, RestartLoss, Store, StoreAnswer, StoreError, Stored, Swap,
    ttl_millis,
};
use crate::accessors::partial_debug;
use crate::settings::build_error::BuildError;

pub use self::builder::RedisStoreBuilder;

/// A store in Redis 6.2 or newer, or in Valkey. Clones share everything.
///
/// ```
/// use payproof::store::RedisStore;
///
/// # fn main() -> Result<(), payproof::BuildError> {
/// let store = RedisStore::new("redis://127.0.0.1:6379/0")?;
/// # Ok(())
/// # }
/// ```
///
/// It connects at first use, and anew whenever a connection is lost. A command is sent once: what became of one whose
/// answer was lost is for the caller to find out. Use it within a Tokio runtime.
///
/// **What it guarantees.** Claims, swaps and removals are atomic on the primary. Replication is asynchronous, so a failover
/// may lose the last acknowledged writes. A crash loses those that were not on the disk yet. How many that may be is asked of
/// every primary with `CONFIG GET` and `INFO persistence`, and the worst counts:
///
/// | `appendonly` | `appendfsync` | `save` | a restart may lose | `redeem` by default |
/// |---|---|---|---|---|
/// | `yes` | `always` | | [nothing](RestartLoss::Nothing) | takes it |
/// | `yes` | `everysec` | | [a second](RestartLoss::Second) | takes it |
/// | `yes` | `no`, or any with `no-appendfsync-on-rewrite yes`, or while the log cannot be written | | [as much as since a snapshot](RestartLoss::Snapshot) | refuses it |
/// | `no` | | any | [everything since the last snapshot](RestartLoss::Snapshot) | refuses it |
/// | `no` | | empty | [everything](RestartLoss::All) | refuses it |
/// | not told | | | [unknown](RestartLoss::Unknown); at Upstash what that service states, a second | refuses it |
///
/// In `redis.conf` set `appendonly yes`, `appendfsync everysec` and `maxmemory-policy noeviction`. What `CONFIG SET` changes
/// holds until the server ends, so let `CONFIG REWRITE` follow: a server does not tell what it will be started with.
///
/// **Records without a time to live** are refused, as are values of another type: nothing here writes such.
///
/// **Rights.** A user of its own needs `~payproof:* +multi +exec +get +set +pttl +del +evalsha +eval`, for the cache's counters
/// `+incrby`, and for [`restart_loss`](Store::restart_loss) and [`inspect`](Store::inspect) `+info +config|get +time`; with a database
/// other than 0 also `+select`, and in a Cluster `+cluster|slots +asking`. The line needs `&payproof:line
/// +client|tracking +subscribe`, and in a Cluster `+cluster|nodes`.
///
/// **The invalidation line.** Over one more connection for each prefix every primary tells of every record of facts that changes
/// (`CLIENT TRACKING` with `BCAST`, in RESP3), so that validators serve facts from memory for as long as they are
/// [fresh](crate::ValidatorBuilder::fresh_for), and the store is not asked. The server is asked for a sign of life every 250 ms,
/// and counts as silent a second after the last question that it answered: so long others may serve what
/// [`forget`](crate::Validator::forget) took away, at most. While there is no line they may for
/// [`facts_in_memory_for`](crate::ValidatorBuilder::facts_in_memory_for). In a Cluster the line is alive while it is at each
/// primary, and all of them say the same of who serves what; a redirection ends it as well. Servers that do not know the
/// commands or deny them have none, which [`inspect`](Store::inspect) notes;
/// [`no_invalidation_line`](RedisStoreBuilder::no_invalidation_line) turns it off. A failover may lose a `forget` as it may lose
/// any write, and a primary that is cut off from the others, and not from its callers, hears of nothing.
#[derive(Clone)]
pub struct RedisStore(Arc<Inner>);

struct Inner {
    servers: Servers,
    settings: Arc<ConnectionSettings>,
}

impl RedisStore {
    /// A store on one server, with the defaults.
    ///
    /// The URL is `redis://[[user]:password@]host[:port][/database]`; `rediss` uses TLS, `redis+unix:///path` a socket, whose
    /// user, password and database stand behind it as `?user=…&pass=…&db=…`. `valkey`, `valkeys` and `valkey+unix` mean the
    /// same.
    ///
    /// # Errors
    /// When the URL cannot be used. It is not repeated.
    pub fn new(url: impl AsRef<str>) -> Result<Self, BuildError> {
        Self::builder(url).build()
    }

    /// A store in a Cluster, with the defaults.
    ///
    /// # Errors
    /// As for [`new`](Self::new). All URLs have the same credentials and no database.
    pub fn cluster<U: AsRef<str>>(urls: impl IntoIterator<Item = U>) -> Result<Self, BuildError> {
        Self::builder_cluster(urls).build()
    }

    /// A store on the primary of this name, which the sentinels at these URLs watch over, with the defaults.
    ///
    /// # Errors
    /// As for [`new`](Self::new). All URLs have the same credentials and no database.
    pub fn sentinel<U: AsRef<str>>(
        urls: impl IntoIterator<Item = U>,
        primary: impl AsRef<str>,
    ) -> Result<Self, BuildError> {
        Self::builder_sentinel(urls, primary).build()
    }

    /// Starts building a store on one server.
    pub fn builder(url: impl AsRef<str>) -> RedisStoreBuilder {
        RedisStoreBuilder::new(Topology::One, [url])
    }

    /// Starts building a store in a Cluster. The URLs are where to ask first; two or three suffice.
    pub fn builder_cluster<U: AsRef<str>>(urls: impl IntoIterator<Item = U>) -> RedisStoreBuilder {
        RedisStoreBuilder::new(Topology::Cluster, urls)
    }

    /// Starts building a store on a primary that sentinels watch over. The URLs are those of the sentinels.
    pub fn builder_sentinel<U: AsRef<str>>(
        urls: impl IntoIterator<Item = U>,
        primary: impl AsRef<str>,
    ) -> RedisStoreBuilder {
        RedisStoreBuilder::new(Topology::Sentinel { name: primary.as_ref().into() }, urls)
    }
}

impl Store for RedisStore {
    async fn get(&self, key: &str) -> Result<Option<Stored>, StoreError> {
        script::read_get(script::get(&self.0.servers, key).await?)
    }

    async fn claim(&self, key: &str, value: &[u8], ttl: Duration) -> Result<Claim, StoreError> {
        let millis = ttl_millis(ttl)?;
        script::read_claim(script::claim(&self.0.servers, key, value, millis).await?)
    }

    async fn replace(&self, key: &str, expected: &[u8], value: &[u8], ttl: Duration) -> Result<Swap, StoreError> {
        let millis = ttl_millis(ttl)?.to_string();
        let arguments = [expected, value, millis.as_bytes()];
        script::read_swap(self.0.servers.run(&script::REPLACE, key, &arguments).await?)
    }

    async fn remove(&self, key: &str, expected: &[u8]) -> Result<Swap, StoreError> {
        script::read_swap(self.0.servers.run(&script::REMOVE, key, &[expected]).await?)
    }

    fn durability(&self) -> Durability {
        Durability { shared: true, best_effort: true }
    }

    async fn restart_loss(&self) -> Result<RestartLoss, StoreError> {
        self.0.servers.restart_loss().await
    }

    async fn inspect(&self) -> Result<Inspection, StoreError> {
        inspect::inspect(&self.0.servers, &self.0.settings).await
    }

    fn extras(&self) -> Extras {
        Extras::of(self.clone())
    }
}

impl Offer for RedisStore {
    fn try_key<'s>(&'s self, key: &'s str, look: &'s mut Inspection) -> StoreAnswer<'s, ()> {
        Box::pin(inspect::try_key(&self.0.servers, key, look))
    }

    fn get_many<'s>(&'s self, keys: &'s [&'s str]) -> BatchAnswer<'s> {
        Box::pin(many::get_many(&self.0.servers, keys))
    }

    fn add<'s>(&'s self, key: &'s str, by: i64, ttl: Duration) -> StoreAnswer<'s, CountLeft> {
        Box::pin(async move {
            let millis = ttl_millis(ttl)?;
            script::read_add(script::add(&self.0.servers, key, by, millis).await?)
        })
    }

    fn apart(&self, command_timeout: Duration) -> Option<Arc<dyn AnyStore>> {
        let Inner { servers, settings } = &*self.0;
        let command_timeout = command_timeout.min(settings.command_timeout);
        let settings =
            Arc::new(ConnectionSettings { command_timeout, connections: 1, lines: None, ..(**settings).clone() });
        Some(Arc::new(Self(Arc::new(Inner { servers: servers.apart(&settings), settings }))))
    }

    fn line(&self, prefix: &str, listener: Weak<dyn Listener>) -> Option<Arc<dyn Line>> {
        let lines = self.0.settings.lines.as_ref()?;
        Some(lines.join(prefix, listener, |audibles| Arc::new(RedisLine::new(&self.0, audibles))))
    }
}

// Where it is, and not who it is there.
partial_debug!(RedisStore, self => servers: self.0.servers, tls: self.0.settings.dial.tls.is_some());

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::net::TcpListener;

    use super::{Arc, Duration, RedisStore, Store};

    #[tokio::test]
    async fn a_store_apart_has_a_connection_of_its_own_and_waits_no_longer_than_it_was_told() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        let accepted = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&accepted);
        // A server that answers to the greeting, and to nothing else.
        let server = tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                tokio::io::AsyncWriteExt::write_all(&mut stream, b"-ERR\r\n-ERR\r\n").await.unwrap();
                open.push(stream);
            }
        });
        let limit = Duration::from_secs(20);
        let store =
            RedisStore::builder(url).connect_timeout(limit).command_timeout(limit).connections(3).build().unwrap();
        let apart = store.extras().apart(Duration::from_millis(80)).unwrap();
        for _ in 0..2 {
            let error = apart.get("k").await.unwrap_err();
            assert!(error.to_string().contains("did not answer within 80ms"), "{error}");
        }
        // The first was given up, since the server said nothing.
        assert_eq!(accepted.load(Ordering::Relaxed), 2);
        let never = tokio::time::timeout(Duration::from_millis(80), store.get("k")).await;
        assert!(never.is_err(), "the store itself waits as long as it was told");
        assert_eq!(accepted.load(Ordering::Relaxed), 3);
        server.abort();
    }
}
