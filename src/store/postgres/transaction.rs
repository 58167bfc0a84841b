//! Statements in a transaction: one of the caller's, or one of its own for each.

use std::sync::Arc;

use tokio_postgres::Transaction;

use super::{PostgresStore, fault};
use crate::store::sql::{AnySql, SqlHome, SqlRow, SqlTransaction, SqlValue};
use crate::store::{StoreAnswer, StoreError};

impl SqlTransaction for Transaction<'_> {
    async fn call(&mut self, sql: &'static str, values: &[SqlValue<'_>]) -> Result<Option<SqlRow>, StoreError> {
        let values: Vec<_> = values.iter().map(SqlValue::typed).collect();
        // Read to its end: before that the server may still fail it.
        let rows = self.query_typed(sql, &values).await.map_err(|error| fault::calling(&error))?;
        Ok(rows.first().and_then(SqlRow::of))
    }
}

/// Each statement is a transaction of its own.
struct OnItsOwn(PostgresStore);

impl SqlTransaction for OnItsOwn {
    async fn call(&mut self, sql: &'static str, values: &[SqlValue<'_>]) -> Result<Option<SqlRow>, StoreError> {
        let pool = &self.0.0.pool;
        let row = pool.call(sql, values).await?;
        self.0.0.sweeper.after_write(pool);
        Ok(row)
    }
}

impl SqlHome for PostgresStore {
    fn sql(&self) -> Box<dyn AnySql> {
        Box::new(OnItsOwn(self.clone()))
    }

    fn table_id(&self, anew: bool) -> StoreAnswer<'_, Arc<[u8]>> {
        Box::pin(self.0.pool.table_id(anew))
    }
}
