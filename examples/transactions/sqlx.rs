//! sqlx 0.9.
//!
//! The statement is unnamed (`persistent(false)`), so any pooler may stand between that keeps a transaction on one connection. It
//! takes two round trips: sqlx has a statement described before it binds the values. The warning that a commit may come with is an
//! event of the target `sqlx::postgres::notice`.
//!
//! ```no_run
//! # use payproof::{Proof, Validator};
//! # use payproof_transactions::sqlx::SqlxTransaction;
//! # async fn place(validator: Validator, proof: Proof, pool: sqlx::PgPool) -> Result<(), Box<dyn std::error::Error>> {
//! let mut tx = pool.begin().await?;
//! let redeemed = validator.redeem(proof).within(&mut SqlxTransaction(&mut tx)).await?; // an error drops `tx`: rolled back
//! sqlx::query("INSERT INTO orders (receipt) VALUES ($1)").bind(redeemed.receipt().to_string()).execute(&mut *tx).await?;
//! tx.commit().await?; // only now the receipt counts
//! # Ok(())
//! # }
//! ```

use payproof::store::{SqlRow, SqlTransaction, SqlValue, StoreError};
use sqlx::{Error, Postgres, Row, Transaction, postgres::PgRow};

/// A transaction of sqlx's.
#[derive(Debug)]
pub struct SqlxTransaction<'t, 'c>(pub &'t mut Transaction<'c, Postgres>);

impl SqlTransaction for SqlxTransaction<'_, '_> {
    async fn call(&mut self, sql: &'static str, values: &[SqlValue<'_>]) -> Result<Option<SqlRow>, StoreError> {
        // Unnamed, and gone with its answer.
        let mut query = sqlx::query(sql).persistent(false);
        for value in values {
            query = match *value {
                SqlValue::Bytes(bytes) => query.bind(bytes),
                SqlValue::NoBytes => query.bind(None::<&[u8]>),
                SqlValue::Integer(number) => query.bind(number),
                _ => return Err(StoreError::refused("a value of this kind is new to the newtype for sqlx")),
            };
        }
        // Reads the answer to its end.
        let row = query.fetch_optional(&mut **self.0).await.map_err(|error| failed(&error))?;
        row.map(|row| read(&row).map_err(|error| StoreError::refused(error.to_string()))).transpose()
    }
}

fn read(row: &PgRow) -> Result<SqlRow, Error> {
    Ok(SqlRow::new(row.try_get("done")?, row.try_get("held")?, row.try_get("left_ms")?, row.try_get("which")?))
}

/// What the server says keeps its meaning; without a word of it the statement may have run.
fn failed(error: &Error) -> StoreError {
    let said = error.as_database_error().and_then(|said| Some((said.code()?, said.message())));
    match said {
        Some((code, message)) => StoreError::from_sqlstate(code, message),
        None => StoreError::outcome_unknown(error.to_string()),
    }
}
