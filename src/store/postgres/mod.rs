//! A store in PostgreSQL: in the shop's own database, in a table of its own.

mod builder;
mod connection;
mod dial;
mod disk;
mod endpoint;
mod extras;
mod fault;
mod inspect;
mod pool;
mod record;
mod schema;
mod statement;
mod sweep;
mod transaction;

use std::sync::Arc;
use std::time::Duration;

use self::disk::DiskSettings;
use self::pool::{Pool, PoolSettings};
use self::sweep::Sweeper;
use super::extras::{BatchAnswer, CountLeft, Offer};
use super::kept_loss::KeptLoss;
use super::sql::{SqlHome, SqlValue};
use super::{
    AnyStore, Claim, Durability, Extras, Inspection, RestartLoss, Store, StoreAnswer, StoreError, Stored, Swap,
    check_value,
};
use crate::accessors::partial_debug;
use crate::settings::build_error::BuildError;

pub use self::builder::PostgresStoreBuilder;

/// A store in PostgreSQL 14 or newer. Clones share everything.
///
/// ```
/// use payproof::store::PostgresStore;
///
/// # fn main() -> Result<(), payproof::BuildError> {
/// let store = PostgresStore::new("postgres://shop:secret@127.0.0.1:5432/shop?sslmode=disable")?;
/// # Ok(())
/// # }
/// ```
///
/// It connects at first use, and anew whenever a connection is lost. A statement is sent once: what became of one whose
/// answer was lost is for the caller to find out. Use it within a Tokio runtime.
///
/// **The table** is `payproof_records`, with functions that every call goes through. It is never made by itself: run
/// `payproof migrate`, or [`create_table`](Self::create_table), as a role that may create in the first schema of its search path.
/// [`schema`](Self::schema) is the text of it for a migration of your own. Without it each call is refused. A newer release may
/// need it anew before its processes start; what older ones call stays.
///
/// **What it guarantees.** Claims, swaps and removals are atomic on the primary: each is a function that is one statement and one
/// round trip, and is committed before it is answered. With PostgreSQL's defaults a restart loses nothing. `fsync` and
/// `full_page_writes` off lose everything, and `synchronous_commit` off a second: [`restart_loss`](Store::restart_loss) says so.
/// A failover loses nothing that was acknowledged where a standby is synchronous (`synchronous_standby_names`) or takes over the same
/// disk; a call that finds what its own lost try wrote waits until the standby has it. Else say
/// [`fails_over_asynchronously`](PostgresStoreBuilder::fails_over_asynchronously). A standby answers no call, not even a read.
///
/// **Transactions of yours.** A redemption can be made in the transaction that writes the order's row:
/// [`Redeem::within`](crate::redeem::Redeem::within). Outside of one it is one statement, too.
///
/// **Locks.** A call waits at most 250 ms for a record that another transaction has locked, and then fails with nothing done.
///
/// **Rights.** `SELECT, INSERT, UPDATE, DELETE` on `payproof_records` and `SELECT` on `payproof_table_id`; the functions run with the
/// rights of their caller, and any role may call them unless that was revoked. Set `statement_timeout` for the role
/// (`ALTER ROLE shop SET statement_timeout = '5s'`), so that a statement whose caller has left ends some day.
///
/// **Growth.** What is over is deleted after writes, a few pages of the table at a time, once a second per process at most. So a
/// table that is written to all day is gone through in an hour. With many processes one at a time sweeps.
///
/// **Poolers.** Statements have no names and settings of a session are not touched, so `PgBouncer` in transaction pooling serves.
/// Name several servers in the URL, `postgres://user:password@one,two/shop`, and the one that takes writes is found.
#[derive(Clone)]
pub struct PostgresStore(Arc<Inner>);

struct Inner {
    pool: Arc<Pool>,
    sweeper: Arc<Sweeper>,
    loss: KeptLoss,
    best_effort: bool,
}

impl PostgresStore {
    /// A store with the defaults.
    ///
    /// The URL is `postgres://user:password@host:5432/database`, also with several hosts in a list, or
    /// `postgres:///database?host=/run/postgresql` for a socket. Its parameters:
    ///
    /// - `sslmode`: `disable`; `prefer`, the default, which talks in plain text to a server without TLS; `require`, `verify-ca` or
    ///   `verify-full`. Whenever TLS is used, the certificate and the host's name are verified.
    /// - `channel_binding`: `disable`, `prefer`, which is the default, or `require`.
    /// - `application_name`: what `pg_stat_activity` shows. Default: `payproof`.
    ///
    /// # Errors
    /// When the URL cannot be used. It is not repeated.
    pub fn new(url: impl AsRef<str>) -> Result<Self, BuildError> {
        Self::builder(url).build()
    }

    /// Starts building a store.
    pub fn builder(url: impl AsRef<str>) -> PostgresStoreBuilder {
        PostgresStoreBuilder::new(url)
    }

    fn over(pool: Arc<Pool>, sweeper: Arc<Sweeper>, best_effort: bool) -> Self {
        Self(Arc::new(Inner { pool, sweeper, loss: KeptLoss::default(), best_effort }))
    }

    /// The statements that make the table and its functions, for `psql` or a migration of your own; a transaction of their own.
    ///
    /// To run them again changes nothing that is there, and brings functions up to date.
    #[must_use]
    pub const fn schema() -> &'static str {
        schema::SCHEMA
    }

    /// Makes the table and its functions where they are missing, in the first schema of the search path.
    ///
    /// It takes up to a minute beside the time for a connection. Grant the rights above where the store logs in as another role.
    ///
    /// # Errors
    /// As for [`get`](Store::get): [`StoreError::refused`] without the right to create there.
    ///
    /// # Cancel safety
    /// Dropped, all of it was made or nothing.
    pub async fn create_table(&self) -> Result<(), StoreError> {
        self.0.pool.run_apart(schema::SCHEMA).await
    }

    /// Tells this table from the one that it was copied from, after a backup was restored beside it or the database was cloned.
    /// Processes that use the table find it out by their next redemption.
    ///
    /// # Errors
    /// As for [`get`](Store::get).
    ///
    /// # Cancel safety
    /// Dropped, it may or may not have been done.
    pub async fn renew_table_id(&self) -> Result<(), StoreError> {
        self.0.pool.run_apart(schema::RENEW_ID).await
    }
}

impl Store for PostgresStore {
    async fn get(&self, key: &str) -> Result<Option<Stored>, StoreError> {
        statement::read_get(self.0.pool.call(statement::GET, &[SqlValue::Bytes(key.as_bytes())]).await?)
    }

    async fn claim(&self, key: &str, value: &[u8], ttl: Duration) -> Result<Claim, StoreError> {
        check_value(value)?;
        let values = [SqlValue::Bytes(key.as_bytes()), SqlValue::Bytes(value), statement::ttl(ttl)?];
        let claim = statement::read_claim(self.0.pool.call(statement::CLAIM, &values).await?)?;
        if claim == Claim::Claimed {
            self.0.sweeper.after_write(&self.0.pool);
        }
        Ok(claim)
    }

    async fn replace(&self, key: &str, expected: &[u8], value: &[u8], ttl: Duration) -> Result<Swap, StoreError> {
        check_value(value)?;
        let [key, expected, value] = [key.as_bytes(), expected, value].map(SqlValue::Bytes);
        let values = [key, expected, value, statement::ttl(ttl)?];
        statement::read_swap(self.0.pool.call(statement::REPLACE, &values).await?)
    }

    async fn remove(&self, key: &str, expected: &[u8]) -> Result<Swap, StoreError> {
        let values = [key.as_bytes(), expected].map(SqlValue::Bytes);
        statement::read_swap(self.0.pool.call(statement::REMOVE, &values).await?)
    }

    fn durability(&self) -> Durability {
        Durability { shared: true, best_effort: self.0.best_effort }
    }

    async fn restart_loss(&self) -> Result<RestartLoss, StoreError> {
        let Inner { pool, loss, .. } = &*self.0;
        loss.recent(pool.made(), async { Ok(DiskSettings::ask(pool).await?.restart_loss()) }).await
    }

    async fn inspect(&self) -> Result<Inspection, StoreError> {
        inspect::inspect(&self.0.pool).await
    }

    fn extras(&self) -> Extras {
        Extras::of(self.clone())
    }
}

impl Offer for PostgresStore {
    fn get_many<'s>(&'s self, keys: &'s [&'s str]) -> BatchAnswer<'s> {
        Box::pin(extras::get_many(&self.0.pool, keys))
    }

    fn add<'s>(&'s self, key: &'s str, by: i64, ttl: Duration) -> StoreAnswer<'s, CountLeft> {
        Box::pin(async move {
            let added = extras::add(&self.0.pool, key, by, ttl).await?;
            self.0.sweeper.after_write(&self.0.pool);
            Ok(added)
        })
    }

    fn apart(&self, command_timeout: Duration) -> Option<Arc<dyn AnyStore>> {
        let Inner { pool, sweeper, best_effort, .. } = &*self.0;
        let command_timeout = command_timeout.min(pool.settings.command_timeout);
        let connections = pool.settings.connections.div_ceil(2);
        let apart = Pool::new(PoolSettings { command_timeout, connections, ..pool.settings.clone() });
        Some(Arc::new(Self::over(apart, Arc::clone(sweeper), *best_effort)))
    }

    fn binder(&self) -> Option<Arc<dyn SqlHome>> {
        Some(Arc::new(self.clone()))
    }
}

// Where it is, and not who it is there.
partial_debug!(PostgresStore, self =>
    servers: self.0.pool.settings.dial.addresses(), tls: self.0.pool.settings.dial.tls.is_some()
);
