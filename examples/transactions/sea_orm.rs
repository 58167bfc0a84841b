//! SeaORM 2, over sqlx.
//!
//! SeaORM has no statement with values that is unnamed: each is prepared under a name and kept for the connection, as those of your
//! entities are. So a pooler between has to know named statements. PgBouncer does from 1.21 on, with `max_prepared_statements` above
//! 0. Through an older one in transaction pooling the statement fails (`42P05`, `26000`), or another client's of that name runs: use
//! session pooling. The warning that a commit may come with is an event of the target `sqlx::postgres::notice`.
//!
//! ```no_run
//! # use payproof::{Proof, Validator};
//! # use payproof_transactions::sea_orm::SeaOrmTransaction;
//! # use sea_orm::{ConnectionTrait, DatabaseConnection, TransactionTrait};
//! # async fn place(validator: Validator, proof: Proof, db: DatabaseConnection) -> Result<(), Box<dyn std::error::Error>> {
//! let tx = db.begin().await?;
//! let redeemed = validator.redeem(proof).within(&mut SeaOrmTransaction(&tx)).await?; // an error drops `tx`: rolled back
//! // Write the order's row through `&tx`, with `redeemed.receipt()`.
//! tx.commit().await?; // only now the receipt counts
//! # Ok(())
//! # }
//! ```

use payproof::store::{SqlRow, SqlTransaction, SqlValue, StoreError};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, QueryResult, RuntimeErr, Statement, Value};

/// A transaction of SeaORM's.
#[derive(Debug)]
pub struct SeaOrmTransaction<'t>(pub &'t DatabaseTransaction);

impl SqlTransaction for SeaOrmTransaction<'_> {
    async fn call(&mut self, sql: &'static str, values: &[SqlValue<'_>]) -> Result<Option<SqlRow>, StoreError> {
        let values = values.iter().map(|value| match *value {
            SqlValue::Bytes(bytes) => Ok(Value::Bytes(Some(bytes.to_vec()))),
            SqlValue::NoBytes => Ok(Value::Bytes(None)),
            SqlValue::Integer(number) => Ok(Value::BigInt(Some(number))),
            _ => Err(StoreError::refused("a value of this kind is new to the newtype for SeaORM")),
        });
        let values = values.collect::<Result<Vec<_>, _>>()?;
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
        // Reads the answer to its end.
        let row = self.0.query_one_raw(statement).await.map_err(|error| failed(&error))?;
        row.map(|row| read(&row).map_err(|error| StoreError::refused(error.to_string()))).transpose()
    }
}

fn read(row: &QueryResult) -> Result<SqlRow, DbErr> {
    let [done, held, left_ms, which] = ["done", "held", "left_ms", "which"];
    Ok(SqlRow::new(row.try_get("", done)?, row.try_get("", held)?, row.try_get("", left_ms)?, row.try_get("", which)?))
}

/// What the server says keeps its meaning; without a word of it the statement may have run.
fn failed(error: &DbErr) -> StoreError {
    let said = match error {
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => error.as_database_error(),
        _ => None,
    };
    match said.and_then(|said| Some((said.code()?, said.message()))) {
        Some((code, message)) => StoreError::from_sqlstate(code, message),
        None => StoreError::outcome_unknown(error.to_string()),
    }
}
