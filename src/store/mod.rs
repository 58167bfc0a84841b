//! Shared memory: bytes under keys, with atomic claim, compare-and-swap and compare-and-delete.
//!
//! | store | feature | who sees it | lost at a restart | lost at a failover |
//! |---|---|---|---|---|
//! | [`MemoryStore`] | | this process | everything | |
//! | `FileStore` | `file` | one process at a time | nothing; everything, if its file is in memory | |
//! | `PostgresStore` | `postgres` | every process | nothing, with PostgreSQL's defaults; else what its server says: a second, everything | nothing, with a synchronous standby or none; else the last writes |
//! | `RedisStore` | `redis` | every process | what its primaries say: nothing, a second, since the last snapshot, everything, unknown | the last writes: replication is asynchronous |
//! | `UpstashStore`, for Vercel KV too | `upstash`, `vercel-kv` | every process | a second, as the service states; behind any other host, what the server says | the last writes; of two that conflict, the last one wins |
//!
//! What the bytes mean is the crate's own affair; a store knows keys, bytes and times to live.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::accessors::partial_debug;

/// The pages' examples are tests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/deploying.md")]
struct DeployingPage;

/// The formulas as well.
#[cfg(doctest)]
#[doc = include_str!("../../docs/costs.md")]
struct CostsPage;

mod choices;
#[cfg(feature = "test-util")]
pub mod contract;
#[cfg(any(feature = "redis", feature = "upstash"))]
mod disk;
mod error;
pub(crate) mod extras;
#[cfg(feature = "file")]
mod file;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod first_of;
mod from_env;
mod inspection;
#[cfg(any(feature = "postgres", feature = "redis", feature = "upstash"))]
mod kept_loss;
pub(crate) mod line;
mod memory;
pub(crate) mod pair;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod renewed;
mod restart_loss;
#[cfg(any(feature = "redis", feature = "upstash"))]
mod server_info;
pub(crate) mod sql;
mod sqlstate;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod tls;
#[cfg(feature = "upstash")]
mod upstash;

pub use choices::{env_choices, env_variables};
pub use error::StoreError;
pub use extras::Extras;
#[cfg(feature = "file")]
pub use file::{FileStore, FileStoreBuilder};
pub use from_env::{EnvStore, from_env, from_env_with_prefix, from_vars};
pub use inspection::{Inspection, MemoryUse, RecordLoss, Severity, StoreFinding};
pub use memory::MemoryStore;
#[cfg(feature = "postgres")]
pub use postgres::{PostgresStore, PostgresStoreBuilder};
#[cfg(feature = "redis")]
pub use redis::{RedisStore, RedisStoreBuilder};
pub use restart_loss::RestartLoss;
pub use sql::{SqlRow, SqlTransaction, SqlValue};
#[cfg(feature = "upstash")]
pub use upstash::{UpstashStore, UpstashStoreBuilder};

/// What is stored under a key, and how long it has still to live.
#[derive(Clone, PartialEq, Eq)]
pub struct Stored {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The time until the store drops it, by the store's own clock, to the millisecond.
    pub ttl_left: Duration,
}

// Shows how much there is, and not what.
partial_debug!(Stored, self => len: self.bytes.len(), ttl_left: self.ttl_left);

/// What came of a [`claim`](Store::claim).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Nothing was stored under the key; now the claim is.
    Claimed,
    /// This is stored under the key, unchanged.
    Held(Stored),
}

/// What came of a [`replace`](Store::replace) or a [`remove`](Store::remove).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Swap {
    /// The expected bytes were stored, and the change was made.
    Swapped,
    /// Something else is stored under the key, or nothing; it is unchanged.
    Lost(Option<Stored>),
}

/// Who sees a store's records, and whether they outlive a failover, by the kind of store it is.
///
/// What a restart loses is a question of how the store is set up: see [`Store::restart_loss`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Durability {
    /// Every process of the service sees the same records.
    pub shared: bool,
    /// A failover may lose writes that were acknowledged, as with asynchronous replication.
    pub best_effort: bool,
}

/// Bytes under keys, with four atomic verbs and times to live by the store's own clock.
///
/// Implement it with plain `async fn`s, and prove it with the contract suite (`store::contract`, feature `test-util`).
///
/// - A key is any text of 1 to 512 bytes. A value is any bytes, none included, up to 1 MiB.
/// - A time to live is rounded up to whole milliseconds; [`ttl_millis`] does that, and refuses what no store can keep.
/// - Each verb is one atomic step, which sees every step that was acknowledged before it began.
/// - Nothing is dropped before its time to live is over, for want of space or otherwise; a full store refuses.
/// - No verb is tried again in here: whether a lost reply may be asked for again is known above.
/// - The clock that times to live are counted by is slewed and not stepped. Set back by more than a second, it makes what is
///   stored count as too old, where that can be seen; jumped ahead, it ends the leases of claims that a process has not met
///   before. Either is a finding of [`Validator::check_store`](crate::Validator::check_store).
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// Reads what is stored under a key.
    ///
    /// # Errors
    /// Say how far the call got: [`StoreError::not_sent`], [`outcome_unknown`](StoreError::outcome_unknown) or
    /// [`refused`](StoreError::refused).
    fn get(&self, key: &str) -> impl Future<Output = Result<Option<Stored>, StoreError>> + Send;

    /// Stores a value if nothing is stored under the key; else says what is, with the time it has left.
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    ///
    /// # Cancel safety
    /// Dropped, the claim may or may not have been made. The same holds for the other verbs that write.
    fn claim(&self, key: &str, value: &[u8], ttl: Duration) -> impl Future<Output = Result<Claim, StoreError>> + Send;

    /// Stores another value, with a new time to live, if exactly the expected bytes are stored now.
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    fn replace(
        &self,
        key: &str,
        expected: &[u8],
        value: &[u8],
        ttl: Duration,
    ) -> impl Future<Output = Result<Swap, StoreError>> + Send;

    /// Removes what is stored, if it is exactly the expected bytes.
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    fn remove(&self, key: &str, expected: &[u8]) -> impl Future<Output = Result<Swap, StoreError>> + Send;

    /// Who sees the records, and whether they outlive a failover.
    fn durability(&self) -> Durability;

    /// What a restart of the store may lose of what it has acknowledged, as the store is set up now.
    ///
    /// It is asked before each redemption and each guarded write without a provider key. So a store that has to look it up
    /// keeps the answer for a while, 60 s in the stores here, and never beyond a new connection: that may lead to a server
    /// which was started again with other settings.
    ///
    /// # Errors
    /// As for [`get`](Self::get). A store that answers and does not say is [`RestartLoss::Unknown`], and no error.
    fn restart_loss(&self) -> impl Future<Output = Result<RestartLoss, StoreError>> + Send;

    /// Looks at the store itself, for [`Validator::check_store`](crate::Validator::check_store): a round trip at least, and what can
    /// be found out about version, eviction, replication and clock.
    ///
    /// # Errors
    /// As for [`get`](Self::get). What can be reached and is unfit is a finding, and no error.
    fn inspect(&self) -> impl Future<Output = Result<Inspection, StoreError>> + Send;

    /// What the store offers beside its verbs: nothing, by default.
    ///
    /// A store that wraps another hands on the other's, as `contract::check_wrapper` checks; what goes through them goes past
    /// the wrapper. One that changes keys or bytes, or has to see each call, keeps the default.
    fn extras(&self) -> Extras {
        Extras::default()
    }
}

/// The longest time to live that every store can keep.
const LONGEST_TTL: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// A time to live in whole milliseconds, rounded up.
///
/// # Errors
/// Zero and more than a hundred years are refused: a store would take the one for "at once" or "never", and run over with
/// the other.
pub fn ttl_millis(ttl: Duration) -> Result<u64, StoreError> {
    if ttl.is_zero() || ttl > LONGEST_TTL {
        return Err(StoreError::refused(format!("a time to live of {ttl:?} is not between 1 ms and 100 years")));
    }
    Ok(u64::try_from(ttl.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX))
}

/// The largest value of the contract.
#[cfg(any(feature = "file", feature = "postgres", feature = "upstash"))]
const LARGEST_VALUE: usize = 1 << 20;

/// Refuses a larger value: it could be written, and be too large to be read.
#[cfg(any(feature = "file", feature = "postgres", feature = "upstash"))]
fn check_value(value: &[u8]) -> Result<(), StoreError> {
    if value.len() <= LARGEST_VALUE {
        return Ok(());
    }
    Err(StoreError::refused(format!("a value of {} bytes is larger than 1 MiB", value.len())))
}

/// Hands every call of a [`Store`] on to another one; `verbs of` leaves out what that one offers beside its verbs.
macro_rules! hand_on {
    ($self:ident => $store:expr) => {
        crate::store::hand_on!(verbs of $self => $store);

        fn extras(&$self) -> Extras {
            $store.extras()
        }
    };
    (verbs of $self:ident => $store:expr) => {
        async fn get(&$self, key: &str) -> Result<Option<Stored>, StoreError> {
            $store.get(key).await
        }

        async fn claim(&$self, key: &str, value: &[u8], ttl: Duration) -> Result<Claim, StoreError> {
            $store.claim(key, value, ttl).await
        }

        async fn replace(&$self, key: &str, expected: &[u8], value: &[u8], ttl: Duration) -> Result<Swap, StoreError> {
            $store.replace(key, expected, value, ttl).await
        }

        async fn remove(&$self, key: &str, expected: &[u8]) -> Result<Swap, StoreError> {
            $store.remove(key, expected).await
        }

        fn durability(&$self) -> Durability {
            $store.durability()
        }

        async fn restart_loss(&$self) -> Result<RestartLoss, StoreError> {
            $store.restart_loss().await
        }

        async fn inspect(&$self) -> Result<Inspection, StoreError> {
            $store.inspect().await
        }
    };
}
pub(crate) use hand_on;

impl<S: Store> Store for Arc<S> {
    hand_on!(self => (**self));
}

pub(crate) type StoreAnswer<'s, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 's>>;

/// The object-safe twin of [`Store`], so that nothing above has a type parameter.
pub(crate) trait AnyStore: fmt::Debug + Send + Sync {
    fn get<'s>(&'s self, key: &'s str) -> StoreAnswer<'s, Option<Stored>>;
    fn claim<'s>(&'s self, key: &'s str, value: &'s [u8], ttl: Duration) -> StoreAnswer<'s, Claim>;
    fn replace<'s>(&'s self, key: &'s str, expected: &'s [u8], value: &'s [u8], ttl: Duration)
    -> StoreAnswer<'s, Swap>;
    fn remove<'s>(&'s self, key: &'s str, expected: &'s [u8]) -> StoreAnswer<'s, Swap>;
    fn durability(&self) -> Durability;
    fn restart_loss(&self) -> StoreAnswer<'_, RestartLoss>;
    fn inspect(&self) -> StoreAnswer<'_, Inspection>;
    fn extras(&self) -> Extras;
}

impl<S: Store> AnyStore for S {
    fn get<'s>(&'s self, key: &'s str) -> StoreAnswer<'s, Option<Stored>> {
        Box::pin(Store::get(self, key))
    }

    fn claim<'s>(&'s self, key: &'s str, value: &'s [u8], ttl: Duration) -> StoreAnswer<'s, Claim> {
        Box::pin(Store::claim(self, key, value, ttl))
    }

    fn replace<'s>(
        &'s self,
        key: &'s str,
        expected: &'s [u8],
        value: &'s [u8],
        ttl: Duration,
    ) -> StoreAnswer<'s, Swap> {
        Box::pin(Store::replace(self, key, expected, value, ttl))
    }

    fn remove<'s>(&'s self, key: &'s str, expected: &'s [u8]) -> StoreAnswer<'s, Swap> {
        Box::pin(Store::remove(self, key, expected))
    }

    fn durability(&self) -> Durability {
        Store::durability(self)
    }

    fn restart_loss(&self) -> StoreAnswer<'_, RestartLoss> {
        Box::pin(Store::restart_loss(self))
    }

    fn inspect(&self) -> StoreAnswer<'_, Inspection> {
        Box::pin(Store::inspect(self))
    }

    fn extras(&self) -> Extras {
        Store::extras(self)
    }
}
