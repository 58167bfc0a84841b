//! Diesel 2.3 with diesel-async 0.9.
//!
//! diesel-async prepares every statement under a name. One in text (`sql_query`) is not cached, so its name is closed with its
//! answer, in the same transaction: any pooler may stand between that keeps a transaction on one connection. Where other statements
//! of yours are cached, an old PgBouncer in transaction pooling may lead to a server connection with that name taken, and the
//! statement fails (`42P05`): `set_prepared_statement_cache_size(CacheSize::Disabled)`, or PgBouncer 1.21 with
//! `max_prepared_statements`. diesel-async drops the warning that a commit may come with.
//!
//! Where the rollback fails as well, as on a connection that is gone, `transaction` returns that error in the place of the
//! redemption's.
//!
//! Diesel hands on no SQLSTATE, so some errors are known by the words of a server that speaks English (`lc_messages`, also by
//! `ALTER ROLE … SET`). In another language a lock that is held, say, is told as a refusal.
//!
//! ```no_run
//! # use diesel::sql_types::Text;
//! # use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
//! # use payproof::{Proof, Validator};
//! # use payproof_transactions::diesel::DieselTransaction;
//! # type Error = Box<dyn std::error::Error + Send + Sync>;
//! # async fn place(validator: Validator, proof: Proof, mut connection: AsyncPgConnection) -> Result<(), Error> {
//! let placed = connection.transaction(async |tx| {
//!     let redeemed = validator.redeem(&proof).within(&mut DieselTransaction(tx)).await?; // an error rolls back
//!     let insert = diesel::sql_query("INSERT INTO orders (receipt) VALUES ($1)");
//!     insert.bind::<Text, _>(redeemed.receipt().to_string()).execute(tx).await?;
//!     Ok::<_, Error>(redeemed)
//! });
//! let redeemed = placed.await?; // committed: only now the receipt counts
//! # drop(redeemed);
//! # Ok(())
//! # }
//! ```

use diesel::QueryableByName;
use diesel::pg::Pg;
use diesel::result::{DatabaseErrorKind, Error};
use diesel::sql_types::{BigInt, Binary, Bool, Nullable, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use payproof::store::{SqlRow, SqlTransaction, SqlValue, StoreError};

/// A connection of diesel-async's, in a transaction.
pub struct DieselTransaction<'t>(pub &'t mut AsyncPgConnection);

#[derive(QueryableByName)]
struct Answer {
    #[diesel(sql_type = Bool)]
    done: bool,
    #[diesel(sql_type = Nullable<Binary>)]
    held: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<BigInt>)]
    left_ms: Option<i64>,
    #[diesel(sql_type = Nullable<Text>)]
    which: Option<String>,
}

impl SqlTransaction for DieselTransaction<'_> {
    async fn call(&mut self, sql: &'static str, values: &[SqlValue<'_>]) -> Result<Option<SqlRow>, StoreError> {
        // Prepared, and closed after its answer: statements in text are not cached.
        let mut query = diesel::sql_query(sql).into_boxed::<Pg>();
        for value in values {
            query = match *value {
                SqlValue::Bytes(bytes) => query.bind::<Binary, _>(bytes),
                SqlValue::NoBytes => query.bind::<Nullable<Binary>, _>(None::<&[u8]>),
                SqlValue::Integer(number) => query.bind::<BigInt, _>(number),
                _ => return Err(StoreError::refused("a value of this kind is new to the newtype for Diesel")),
            };
        }
        // Reads the answer to its end.
        let rows = query.load::<Answer>(&mut *self.0).await.map_err(|error| failed(&error))?;
        let row = rows.into_iter().next();
        Ok(row.map(|row| SqlRow::new(row.done, row.held, row.left_ms, row.which)))
    }
}

/// What the server says keeps its meaning; without a word of it the statement may have run.
///
/// Diesel hands on no SQLSTATE, but a kind for some of them. The others that mean anything but a refusal are known by what a server
/// says in English.
fn failed(error: &Error) -> StoreError {
    let Error::DatabaseError(kind, said) = error else {
        return StoreError::outcome_unknown(error.to_string());
    };
    let message = said.message();
    let code = match kind {
        DatabaseErrorKind::UnableToSendCommand | DatabaseErrorKind::ClosedConnection => {
            return StoreError::outcome_unknown(message);
        }
        DatabaseErrorKind::SerializationFailure => "40001",
        DatabaseErrorKind::ReadOnlyTransaction => "25006",
        _ if message == "canceling statement due to lock timeout" => "55P03",
        _ if message == "deadlock detected" => "40P01",
        _ if message.starts_with("canceling statement due to ") => "57014",
        _ if message.starts_with("terminating connection due to ") => "57P01",
        _ => return StoreError::refused(message),
    };
    StoreError::from_sqlstate(code, message)
}
