//! One SQL statement and its answer, in the terms that every driver of PostgreSQL has.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "postgres")]
use tokio_postgres::Row;
#[cfg(feature = "postgres")]
use tokio_postgres::types::{ToSql, Type};

use super::{StoreAnswer, StoreError, Stored};
use crate::accessors::partial_debug;

/// A transaction of yours in PostgreSQL, in which this crate may run a statement.
///
/// `tokio_postgres::Transaction` is one, and what derefs to it can be handed over as `&mut *tx`. The folder
/// `examples/transactions` has a newtype for each of Diesel (diesel-async), SeaORM and sqlx, to be copied. For another driver
/// implement it likewise, for a newtype of your own around its transaction: run the statement with the values in the place of
/// `$1`, `$2` and so on, read its answer to the end, and hand its one row on. The statement calls a function of this crate's, and
/// neither begins nor ends a transaction.
///
/// - Send it unprepared where a pooler stands between, such as PgBouncer.
/// - An error of the server becomes [`StoreError::from_sqlstate`], so that what may be asked again is known.
/// - The commit is yours, and so is a warning with it: where PostgreSQL waits for a synchronous standby and that wait is called
///   off, it has committed, and a failover may undo it. tokio-postgres hands the warning to what drives the connection.
pub trait SqlTransaction: Send {
    /// Runs one statement. Its answer has no row or one.
    ///
    /// # Errors
    /// What the driver says. The transaction is lost then, and has to be rolled back.
    ///
    /// # Cancel safety
    /// Dropped, the statement may have run or not: roll back.
    fn call(
        &mut self,
        sql: &'static str,
        values: &[SqlValue<'_>],
    ) -> impl Future<Output = Result<Option<SqlRow>, StoreError>> + Send;
}

/// A value of a statement.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SqlValue<'v> {
    /// A `bytea`.
    Bytes(&'v [u8]),
    /// A `bytea` that is null.
    NoBytes,
    /// A `bigint`.
    Integer(i64),
}

impl<'v> SqlValue<'v> {
    /// Bytes, or none.
    pub(crate) fn bytes_or_none(bytes: Option<&'v [u8]>) -> Self {
        bytes.map_or(Self::NoBytes, Self::Bytes)
    }

    #[cfg(feature = "postgres")]
    /// The value and its type for the driver of this crate.
    pub(super) fn typed(&self) -> (&(dyn ToSql + Sync), Type) {
        match self {
            Self::Bytes(bytes) => (bytes, Type::BYTEA),
            Self::NoBytes => (&None::<&[u8]>, Type::BYTEA),
            Self::Integer(number) => (number, Type::INT8),
        }
    }
}

/// Shows how many bytes there are, and not which.
impl fmt::Debug for SqlValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "Bytes(len: {})", bytes.len()),
            Self::NoBytes => f.write_str("NoBytes"),
            Self::Integer(number) => write!(f, "Integer({number})"),
        }
    }
}

/// The row of a statement's answer. Every statement of this crate answers with these four columns.
#[derive(Clone, PartialEq, Eq)]
pub struct SqlRow {
    pub(crate) done: bool,
    pub(crate) held: Option<Vec<u8>>,
    pub(crate) left_ms: Option<i64>,
    pub(crate) which: Option<String>,
}

impl SqlRow {
    /// The columns `done` (`boolean`), `held` (`bytea`), `left_ms` (`bigint`) and `which` (`text`). All but the first may be null.
    #[must_use]
    pub fn new(done: bool, held: Option<Vec<u8>>, left_ms: Option<i64>, which: Option<String>) -> Self {
        Self { done, held, left_ms, which }
    }

    #[cfg(feature = "postgres")]
    /// The row as the driver of this crate has it; none where it has other columns.
    pub(super) fn of(row: &Row) -> Option<Self> {
        let columns = || -> Result<Self, tokio_postgres::Error> {
            Ok(Self {
                done: row.try_get("done")?,
                held: row.try_get("held")?,
                left_ms: row.try_get("left_ms")?,
                which: row.try_get("which")?,
            })
        };
        columns().ok()
    }

    /// What is stored, with the time it has left.
    pub(crate) fn stored(self) -> Option<Stored> {
        let left_ms = self.left_ms.and_then(|left| u64::try_from(left).ok()).unwrap_or_default();
        self.held.map(|bytes| Stored { bytes, ttl_left: Duration::from_millis(left_ms) })
    }
}

/// What the answer of a function is that is none of this crate's.
const OTHER_FORM: &str = "a function of payproof in the database answers in another form; run `payproof migrate`";

/// Such an answer of a function that reads.
pub(super) fn unexpected() -> StoreError {
    StoreError::refused(OTHER_FORM)
}

/// Such an answer of a function that may have written.
pub(super) fn unexpected_of_write() -> StoreError {
    StoreError::outcome_unknown(OTHER_FORM)
}

partial_debug!(SqlRow, self => done: self.done, len: self.held.as_ref().map(Vec::len), which: self.which);

type SqlAnswer<'s> = Pin<Box<dyn Future<Output = Result<Option<SqlRow>, StoreError>> + Send + 's>>;

/// The object-safe twin of [`SqlTransaction`].
pub(crate) trait AnySql: Send {
    fn call<'s>(&'s mut self, sql: &'static str, values: &'s [SqlValue<'s>]) -> SqlAnswer<'s>;
}

impl<T: SqlTransaction> AnySql for T {
    fn call<'s>(&'s mut self, sql: &'static str, values: &'s [SqlValue<'s>]) -> SqlAnswer<'s> {
        Box::pin(SqlTransaction::call(self, sql, values))
    }
}

/// A store whose records can be changed in one statement with others, by itself or in a transaction of the caller's.
pub(crate) trait SqlHome: fmt::Debug + Send + Sync {
    /// Each call on it is a transaction of its own.
    fn sql(&self) -> Box<dyn AnySql>;

    /// Tells the table of the store from every other one: from memory, unless it is to be asked for anew.
    fn table_id(&self, anew: bool) -> StoreAnswer<'_, Arc<[u8]>>;
}
