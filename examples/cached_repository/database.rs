//! The database: sessions, compliance rules, permissions and orders, in `SQLite`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::Failure;

/// What a database over a network takes for an answer; this one has no network before it.
const ROUND_TRIP: Duration = Duration::from_millis(5);

const SCHEMA: &str = "
    CREATE TABLE sessions (tenant TEXT, token TEXT, user INTEGER, PRIMARY KEY (tenant, token)) STRICT;
    CREATE TABLE rules (region TEXT PRIMARY KEY, largest_payment TEXT, needs_address INTEGER) STRICT;
    CREATE TABLE permissions (tenant TEXT, user INTEGER, right TEXT, PRIMARY KEY (tenant, user, right)) STRICT;
    CREATE TABLE orders (tenant TEXT, cents INTEGER) STRICT;
    INSERT INTO sessions VALUES ('store_42', 'token_of_ann', 7);
    INSERT INTO rules VALUES ('eu', '10000.00', 1), ('us', '20000.00', 0);
    INSERT INTO permissions VALUES ('store_42', 7, 'refund'), ('store_42', 7, 'capture'), ('store_42', 7, 'view');
    INSERT INTO orders VALUES ('store_42', 1999), ('store_42', 500), ('store_43', 12000);";

/// Who is signed in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) user: u32,
}

/// What the law asks of a payment in a region.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Rules {
    pub(crate) largest_payment: String,
    pub(crate) needs_address: bool,
}

/// What a user may do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Permissions(Vec<String>);

impl Permissions {
    pub(crate) fn may(&self, right: &str) -> bool {
        self.0.iter().any(|held| held == right)
    }
}

/// The numbers of a store's day.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Dashboard {
    pub(crate) orders: u32,
    pub(crate) cents: i64,
}

/// Clones share one connection.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    connection: Arc<Mutex<Connection>>,
    queries: Arc<AtomicU64>,
}

impl Database {
    pub(crate) fn open() -> rusqlite::Result<Self> {
        let connection = Connection::open_in_memory()?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)), queries: Arc::default() })
    }

    /// How often it was asked.
    pub(crate) fn queries(&self) -> u64 {
        self.queries.load(Ordering::Relaxed)
    }

    pub(crate) async fn session(&self, tenant: String, token: String) -> Result<Option<Session>, Failure> {
        const QUERY: &str = "SELECT user FROM sessions WHERE tenant = ?1 AND token = ?2";
        self.ask(move |db| {
            db.query_row(QUERY, params![tenant, token], |row| Ok(Session { user: row.get(0)? })).optional()
        })
        .await
    }

    pub(crate) async fn rules(&self, region: String) -> Result<Rules, Failure> {
        const QUERY: &str = "SELECT largest_payment, needs_address FROM rules WHERE region = ?1";
        self.ask(move |db| {
            db.query_row(QUERY, [region], |row| Ok(Rules { largest_payment: row.get(0)?, needs_address: row.get(1)? }))
        })
        .await
    }

    pub(crate) async fn permissions(&self, tenant: String, user: u32) -> Result<Permissions, Failure> {
        const QUERY: &str = "SELECT right FROM permissions WHERE tenant = ?1 AND user = ?2 ORDER BY right";
        self.ask(move |db| {
            let mut query = db.prepare(QUERY)?;
            let rights = query.query_map(params![tenant, user], |row| row.get(0))?;
            Ok(Permissions(rights.collect::<Result<_, _>>()?))
        })
        .await
    }

    pub(crate) async fn dashboard(&self, tenant: String) -> Result<Dashboard, Failure> {
        const QUERY: &str = "SELECT count(*), coalesce(sum(cents), 0) FROM orders WHERE tenant = ?1";
        self.ask(move |db| {
            db.query_row(QUERY, [tenant], |row| Ok(Dashboard { orders: row.get(0)?, cents: row.get(1)? }))
        })
        .await
    }

    pub(crate) async fn revoke(&self, tenant: String, user: u32, right: &'static str) -> Result<(), Failure> {
        const COMMAND: &str = "DELETE FROM permissions WHERE tenant = ?1 AND user = ?2 AND right = ?3";
        self.with(move |db| db.execute(COMMAND, params![tenant, user, right])).await?;
        Ok(())
    }

    pub(crate) async fn sign_out(&self, user: u32) -> Result<(), Failure> {
        self.with(move |db| db.execute("DELETE FROM sessions WHERE user = ?1", [user])).await?;
        Ok(())
    }

    /// One query, counted.
    async fn ask<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Failure> {
        self.queries.fetch_add(1, Ordering::Relaxed);
        sleep(ROUND_TRIP).await;
        self.with(query).await
    }

    /// The database blocks, so it runs where that holds no task up.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Failure> {
        let shared = Arc::clone(&self.connection);
        Ok(spawn_blocking(move || work(&shared.lock().unwrap_or_else(PoisonError::into_inner))).await??)
    }
}
