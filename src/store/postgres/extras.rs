//! Many records, and counters, in one statement each.

use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::pool::Pool;
use super::statement;
use crate::store::extras::{BatchRead, BatchReads, CountLeft, no_counter, number_of, overflow};
use crate::store::sql::{SqlValue, unexpected, unexpected_of_write};
use crate::store::{StoreError, Stored};

const GET_MANY: &str = "SELECT place, held, left_ms FROM payproof_get_many_1($1)";
const ADD: &str = "SELECT done, held, left_ms, which FROM payproof_add_1($1, $2, $3)";

/// Reads records, each as by `get`.
pub(super) async fn get_many(pool: &Arc<Pool>, keys: &[&str]) -> BatchReads {
    let names: Vec<&[u8]> = keys.iter().map(|key| key.as_bytes()).collect();
    match pool.run(GET_MANY, &[(&names, Type::BYTEA_ARRAY)]).await {
        Ok(rows) => {
            let mut reads: BatchReads = vec![Ok(None); keys.len()];
            for row in &rows {
                let place = row.try_get(0).ok().and_then(|place: i64| usize::try_from(place.saturating_sub(1)).ok());
                if let Some(read) = place.and_then(|place| reads.get_mut(place)) {
                    *read = stored(row);
                }
            }
            reads
        }
        Err(error) => vec![Err(error); keys.len()],
    }
}

fn stored(row: &Row) -> BatchRead {
    match (row.try_get(1), row.try_get::<_, i64>(2)) {
        (Ok(bytes), Ok(left)) => Ok(Some(Stored { bytes, ttl_left: Duration::from_millis(left.unsigned_abs()) })),
        _ => Err(unexpected()),
    }
}

/// Adds to a counter.
pub(super) async fn add(pool: &Arc<Pool>, key: &str, by: i64, ttl: Duration) -> Result<CountLeft, StoreError> {
    let values = [SqlValue::Bytes(key.as_bytes()), SqlValue::Integer(by), statement::ttl(ttl)?];
    let row = pool.call(ADD, &values).await?.ok_or_else(unexpected_of_write)?;
    match (row.done, row.which.as_deref()) {
        (true, _) => {
            let stored = row.stored().ok_or_else(unexpected_of_write)?;
            let sum = number_of(&stored.bytes).ok_or_else(unexpected_of_write)?;
            Ok((sum, stored.ttl_left))
        }
        (false, Some("overflow")) => Err(overflow()),
        (false, _) => Err(no_counter()),
    }
}
