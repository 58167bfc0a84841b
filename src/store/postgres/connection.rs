//! One connection to a server, which runs one statement at a time.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::AbortHandle;
use tokio_postgres::error::{Severity, SqlState};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{AsyncMessage, Client, Row};

use super::fault;
use crate::lock::Lock;
use crate::store::StoreError;

/// The values of a statement.
pub(super) type Values<'v> = [(&'v (dyn ToSql + Sync), Type)];

/// A connection that is up, until it is retired.
pub(super) struct Connection {
    client: Client,
    driver: AbortHandle,
    /// How often the server warned.
    warnings: Arc<AtomicU64>,
    retired: AtomicBool,
    table_id: Lock<Option<Arc<[u8]>>>,
}

impl Connection {
    /// Drives a connection that was made just now, in a task.
    pub(super) fn new<S, T>(client: Client, link: tokio_postgres::Connection<S, T>) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let warnings = Arc::default();
        let driver = tokio::spawn(drive(link, Arc::clone(&warnings))).abort_handle();
        Self { client, driver, warnings, retired: AtomicBool::new(false), table_id: Lock::default() }
    }

    /// Runs a statement without a name, in one round trip, and waits until the server is ready for the next: only then is what
    /// it did committed.
    pub(super) async fn run(&self, sql: &str, values: &Values<'_>) -> Result<Vec<Row>, StoreError> {
        let warned = self.warnings.load(Ordering::Acquire);
        let rows = self.client.query_typed(sql, values).await.map_err(|error| self.fault(&error))?;
        if self.warnings.load(Ordering::Acquire) == warned {
            return Ok(rows);
        }
        // The one that a commit can come with: its wait for a synchronous standby was called off.
        Err(StoreError::not_replicated("PostgreSQL warned that the write may not have reached a synchronous standby"))
    }

    fn fault(&self, error: &tokio_postgres::Error) -> StoreError {
        // A new connection may find the server that takes writes.
        if error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION) {
            self.retire();
        }
        fault::calling(error)
    }

    /// Waits until the server has done with everything that it was sent.
    pub(super) async fn quiet(&self) -> bool {
        self.client.check_connection().await.is_ok()
    }

    /// Runs statements in one text, for what is no call of the store.
    pub(super) async fn run_all(&self, sql: &str) -> Result<(), StoreError> {
        self.client.batch_execute(sql).await.map_err(|error| self.fault(&error))
    }

    /// Tells the table that is found over this connection from every other one; asked once for each connection, and anew
    /// where it may have been renewed.
    pub(super) async fn table_id(&self, anew: bool) -> Result<Arc<[u8]>, StoreError> {
        let known = self.table_id.lock().clone();
        if let Some(known) = known.filter(|_| !anew) {
            return Ok(known);
        }
        let rows = self.run("SELECT table_id FROM payproof_table_id_1()", &[]).await?;
        let id = rows.first().and_then(|row| row.try_get::<_, &[u8]>(0).ok());
        let id: Arc<[u8]> = id
            .map(Arc::from)
            .ok_or_else(|| StoreError::refused("the table of payproof has no id; run `payproof migrate`"))?;
        *self.table_id.lock() = Some(Arc::clone(&id));
        Ok(id)
    }

    /// Lets the next caller make a new connection.
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }

    /// Takes that back.
    pub(super) fn reinstate(&self) {
        self.retired.store(false, Ordering::Relaxed);
    }

    pub(super) fn is_usable(&self) -> bool {
        !self.retired.load(Ordering::Relaxed) && !self.client.is_closed()
    }
}

/// The client would wait for the answer of a server that hangs.
impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Moves bytes until the connection ends, and counts warnings: each before the answer is handed on that it came before.
async fn drive<S, T>(mut link: tokio_postgres::Connection<S, T>, warnings: Arc<AtomicU64>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    poll_fn(|context| {
        while let Some(Ok(message)) = ready!(link.poll_message(context)) {
            if let AsyncMessage::Notice(notice) = message
                && notice.parsed_severity() == Some(Severity::Warning)
            {
                warnings.fetch_add(1, Ordering::Release);
            }
        }
        Poll::Ready(())
    })
    .await;
}
