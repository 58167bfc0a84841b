//! The connections of a store: each runs one statement at a time, since one that waits for a lock would hold up those behind it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};
use tokio_postgres::Row;

use super::connection::{Connection, Values};
use super::dial::DatabaseDial;
use super::record;
use crate::lock::Lock;
use crate::store::StoreError;
use crate::store::renewed::Renewed;
use crate::store::sql::{SqlRow, SqlValue};

/// How long a change of the table may take; it waits for transactions that use it.
const LONGEST_CHANGE: Duration = Duration::from_secs(60);

/// What every connection has in common.
#[derive(Clone)]
pub(super) struct PoolSettings {
    pub(super) dial: DatabaseDial,
    pub(super) connect_timeout: Duration,
    pub(super) command_timeout: Duration,
    pub(super) connections: usize,
}

/// The connections, made at first use, and anew when they are of no more use.
pub(super) struct Pool {
    pub(super) settings: PoolSettings,
    slots: Box<[Renewed<Arc<Connection>>]>,
    /// The slots on which nothing runs; the one that was used last is taken first, so that no more connections are made than are
    /// needed.
    free: Lock<Vec<usize>>,
    places: Arc<Semaphore>,
    /// How many connections were made; after each of them the server may be another one, or set up otherwise.
    made: Arc<AtomicU64>,
}

impl Pool {
    pub(super) fn new(settings: PoolSettings) -> Arc<Self> {
        let count = settings.connections.max(1);
        Arc::new(Self {
            slots: (0..count).map(|_| Renewed::new()).collect(),
            free: Lock::new((0..count).rev().collect()),
            places: Arc::new(Semaphore::new(count)),
            made: Arc::default(),
            settings,
        })
    }

    /// Calls a function of the table's: its row, if it answers with one that can be read.
    pub(super) async fn call(
        self: &Arc<Self>,
        sql: &str,
        values: &[SqlValue<'_>],
    ) -> Result<Option<SqlRow>, StoreError> {
        let values: Vec<_> = values.iter().map(SqlValue::typed).collect();
        let rows = self.run(sql, &values).await?;
        Ok(rows.first().and_then(record::read))
    }

    /// Runs a statement on a connection that is free, and waits no longer than the command timeout: half of it for a connection,
    /// and what is left for the answer. To make a connection takes up to the connect timeout more.
    pub(super) async fn run(self: &Arc<Self>, sql: &str, values: &Values<'_>) -> Result<Vec<Row>, StoreError> {
        let (busy, connection) = self.begin().await?;
        busy.until(connection.run(sql, values)).await
    }

    /// Tells the table that the store uses now from every other one.
    pub(super) async fn table_id(self: &Arc<Self>, anew: bool) -> Result<Arc<[u8]>, StoreError> {
        let (busy, connection) = self.begin().await?;
        busy.until(connection.table_id(anew)).await
    }

    /// Runs statements in one text over a connection of its own, for at most [`LONGEST_CHANGE`].
    pub(super) async fn run_apart(&self, sql: &str) -> Result<(), StoreError> {
        let connection = connect(self.settings.clone(), Arc::clone(&self.made)).await?;
        let late = |_| Err(StoreError::outcome_unknown(format!("PostgreSQL did not answer within {LONGEST_CHANGE:?}")));
        timeout(LONGEST_CHANGE, connection.run_all(sql)).await.unwrap_or_else(late)
    }

    /// Takes a connection on which nothing runs.
    async fn begin(self: &Arc<Self>) -> Result<(Busy, Arc<Connection>), StoreError> {
        let limit = self.settings.command_timeout;
        let begun = Instant::now();
        let patience = limit.checked_div(2).unwrap_or_default();
        let Ok(place) = timeout(patience, self.place()).await else {
            return Err(StoreError::not_sent(format!(
                "all `connections` to PostgreSQL were busy for {patience:?}; raise their number, or look at its load"
            )));
        };
        let left = limit.saturating_sub(begun.elapsed());
        let connection = self.connection(place.slot).await?;
        Ok((Busy { place: Some(place), connection: Arc::clone(&connection), left }, connection))
    }

    /// Waits for a slot on which nothing runs.
    async fn place(self: &Arc<Self>) -> Place {
        // Nothing closes the semaphore.
        let permit = Arc::clone(&self.places).acquire_owned().await.ok();
        let slot = self.free.lock().pop().unwrap_or_default();
        Place { pool: Arc::clone(self), slot, _permit: permit }
    }

    async fn connection(&self, slot: usize) -> Result<Arc<Connection>, StoreError> {
        let Some(slot) = self.slots.get(slot) else { return Err(StoreError::not_sent("the pool has no connections")) };
        let attempt = || connect(self.settings.clone(), Arc::clone(&self.made));
        slot.get(|connection| connection.is_usable(), attempt).await
    }

    /// How many connections were made so far.
    pub(super) fn made(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }
}

async fn connect(settings: PoolSettings, made: Arc<AtomicU64>) -> Result<Arc<Connection>, StoreError> {
    let limit = settings.connect_timeout;
    let late = |_| Err(StoreError::not_sent(format!("no connection to PostgreSQL within {limit:?}")));
    let connection = timeout(limit, settings.dial.connect()).await.unwrap_or_else(late)?;
    made.fetch_add(1, Ordering::Relaxed);
    Ok(Arc::new(connection))
}

/// A slot that is taken, until this is dropped.
struct Place {
    pool: Arc<Pool>,
    slot: usize,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.pool.free.lock().push(self.slot);
    }
}

/// A connection on which a statement runs. Dropped before its end, it keeps the slot until the server has done with it.
struct Busy {
    /// None once the statement has ended.
    place: Option<Place>,
    connection: Arc<Connection>,
    /// How long the answer is waited for.
    left: Duration,
}

impl Busy {
    async fn until<T>(mut self, answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        match timeout(self.left, answer).await {
            Ok(ended) => {
                self.place = None;
                ended
            }
            Err(_elapsed) => {
                let limit = self.place.as_ref().map(|place| place.pool.settings.command_timeout).unwrap_or_default();
                Err(StoreError::outcome_unknown(format!(
                    "PostgreSQL did not answer within {limit:?}; look at its load and locks, or raise `command_timeout`"
                )))
            }
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let Some(place) = self.place.take() else { return };
        // It stays retired unless the task below runs to its end, which it does not where the runtime ends.
        self.connection.retire();
        if let Ok(runtime) = Handle::try_current() {
            let connection = Arc::clone(&self.connection);
            runtime.spawn(async move {
                let limit = place.pool.settings.command_timeout;
                if timeout(limit, connection.quiet()).await == Ok(true) {
                    connection.reinstate();
                }
                drop(place);
            });
        }
    }
}
