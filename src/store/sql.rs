//! One SQL statement and its answer, in the terms that every driver of PostgreSQL has.

use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::{StoreError, Stored};

/// A value of a statement.
#[derive(Clone, Copy)]
pub(super) enum SqlValue<'v> {
    /// A `bytea`.
    Bytes(&'v [u8]),
    /// A `bigint`.
    Integer(i64),
}

impl SqlValue<'_> {
    /// The value and its type for the driver of this crate.
    pub(super) fn typed(&self) -> (&(dyn ToSql + Sync), Type) {
        match self {
            Self::Bytes(bytes) => (bytes, Type::BYTEA),
            Self::Integer(number) => (number, Type::INT8),
        }
    }
}

/// The row of a statement's answer. Every statement about one record answers with these four columns.
pub(super) struct SqlRow {
    pub(super) done: bool,
    pub(super) held: Option<Vec<u8>>,
    pub(super) left_ms: Option<i64>,
    pub(super) which: Option<String>,
}

impl SqlRow {
    /// The row as the driver of this crate has it.
    pub(super) fn of(row: &Row) -> Result<Self, StoreError> {
        let columns = || -> Result<Self, tokio_postgres::Error> {
            Ok(Self {
                done: row.try_get("done")?,
                held: row.try_get("held")?,
                left_ms: row.try_get("left_ms")?,
                which: row.try_get("which")?,
            })
        };
        columns().map_err(|_| unexpected())
    }

    /// What is stored, with the time it has left.
    pub(super) fn stored(self) -> Option<Stored> {
        let left_ms = self.left_ms.and_then(|left| u64::try_from(left).ok()).unwrap_or_default();
        self.held.map(|bytes| Stored { bytes, ttl_left: Duration::from_millis(left_ms) })
    }
}

/// The answer of a function that is none of this crate's.
pub(super) fn unexpected() -> StoreError {
    StoreError::refused("a function of payproof in the database answers in another form; run `payproof migrate`")
}
