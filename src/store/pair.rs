//! Two records that are changed in one statement, and the records that this depends on.
//!
//! The functions stand in `postgres/sql/`. They compare bytes and know nothing of what these mean.

use std::time::Duration;

use super::sql::{AnySql, SqlRow, SqlValue, unexpected, unexpected_of_write};
use super::{StoreError, Stored, ttl_millis};

/// Where calls go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PairScope {
    /// To the store: each is a transaction of its own.
    Store,
    /// Into a transaction of the caller's: a record that is answered from is locked until its end.
    Transaction,
}

/// A record that is written where nothing stands, or where exactly these bytes do.
#[derive(Clone, Copy)]
pub(crate) struct PairWrite<'w> {
    pub(crate) key: &'w str,
    pub(crate) expected: Option<&'w [u8]>,
    pub(crate) value: &'w [u8],
    pub(crate) ttl: Duration,
}

/// What is written at once, or not at all.
pub(crate) struct PairCall<'c> {
    pub(crate) payment: PairWrite<'c>,
    /// Places where nothing may stand, of the same length as the payment's.
    pub(crate) former: &'c [&'c str],
    /// A record that is removed before the order's is taken, since it must not change any more.
    pub(crate) lapsed: Option<(&'c str, &'c [u8])>,
    pub(crate) order: PairWrite<'c>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum PairSaid {
    /// Both were written.
    Done,
    /// Nothing was, since this stands at the payment's place.
    Payment(Option<Stored>),
    /// Something stands at a former place.
    Former,
    /// This stands in the place of the record that was to be removed.
    Lapsed,
    /// This stands at the order's place.
    Order(Option<Stored>),
    /// It is another table.
    OtherTable,
}

impl dyn AnySql + '_ {
    /// Writes two records at once, or neither, in the table that is meant; none where that is the caller's to know.
    pub(crate) async fn write_pair(
        &mut self,
        scope: PairScope,
        table: Option<&[u8]>,
        call: &PairCall<'_>,
    ) -> Result<PairSaid, StoreError> {
        let PairCall { payment, former, lapsed, order } = call;
        let former: Vec<u8> = former.iter().flat_map(|place| place.bytes()).collect();
        let values = [
            SqlValue::bytes_or_none(table),
            SqlValue::Bytes(payment.key.as_bytes()),
            SqlValue::bytes_or_none(payment.expected),
            SqlValue::Bytes(payment.value),
            millis(payment.ttl)?,
            SqlValue::Bytes(&former),
            SqlValue::bytes_or_none(lapsed.map(|(place, _)| place.as_bytes())),
            SqlValue::bytes_or_none(lapsed.map(|(_, expected)| expected)),
            SqlValue::Bytes(order.key.as_bytes()),
            SqlValue::bytes_or_none(order.expected),
            SqlValue::Bytes(order.value),
            millis(order.ttl)?,
            SqlValue::Integer(i64::from(scope == PairScope::Transaction)),
        ];
        let row = self.write(BIND, &values).await?;
        if row.done {
            return Ok(PairSaid::Done);
        }
        match row.which.as_deref() {
            Some("payment") => Ok(PairSaid::Payment(row.stored())),
            Some("former") => Ok(PairSaid::Former),
            Some("lapsed") => Ok(PairSaid::Lapsed),
            Some("order") => Ok(PairSaid::Order(row.stored())),
            Some("table") => Ok(PairSaid::OtherTable),
            _ => Err(unexpected_of_write()),
        }
    }

    /// Removes each of two records that is as expected. False where it is another table, and nothing is changed.
    pub(crate) async fn remove_pair(
        &mut self,
        table: Option<&[u8]>,
        pair: [Option<(&str, &[u8])>; 2],
    ) -> Result<bool, StoreError> {
        let [payment, order] = pair;
        let place = |record: Option<(&'_ str, &'_ [u8])>| record.map(|(place, _)| place.as_bytes().to_vec());
        let (payment_key, order_key) = (place(payment), place(order));
        let values = [
            SqlValue::bytes_or_none(table),
            SqlValue::bytes_or_none(payment_key.as_deref()),
            SqlValue::bytes_or_none(payment.map(|(_, expected)| expected)),
            SqlValue::bytes_or_none(order_key.as_deref()),
            SqlValue::bytes_or_none(order.map(|(_, expected)| expected)),
        ];
        Ok(self.write(RELEASE, &values).await?.which.as_deref() != Some("table"))
    }

    /// Whether it reaches this table.
    pub(crate) async fn has_table(&mut self, table: &[u8]) -> Result<bool, StoreError> {
        Ok(self.read(HAS_TABLE, &[SqlValue::Bytes(table)]).await?.done)
    }

    /// Reads a record, which stays as it is until the transaction ends.
    pub(crate) async fn hold(&mut self, key: &str) -> Result<Option<Stored>, StoreError> {
        Ok(self.read(HOLD, &[SqlValue::Bytes(key.as_bytes())]).await?.stored())
    }

    /// Removes a record if it is as expected; says whether it was.
    pub(crate) async fn remove_one(&mut self, key: &str, expected: &[u8]) -> Result<bool, StoreError> {
        Ok(self.write(REMOVE, &[SqlValue::Bytes(key.as_bytes()), SqlValue::Bytes(expected)]).await?.done)
    }

    async fn read(&mut self, sql: &'static str, values: &[SqlValue<'_>]) -> Result<SqlRow, StoreError> {
        self.call(sql, values).await?.ok_or_else(unexpected)
    }

    async fn write(&mut self, sql: &'static str, values: &[SqlValue<'_>]) -> Result<SqlRow, StoreError> {
        self.call(sql, values).await?.ok_or_else(unexpected_of_write)
    }
}

/// Of the functions in `postgres/sql/`, each in its row of four columns.
const BIND: &str =
    "SELECT done, held, left_ms, which FROM payproof_bind_1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
const RELEASE: &str = "SELECT done, held, left_ms, which FROM payproof_release_1($1, $2, $3, $4, $5)";
const HAS_TABLE: &str =
    "SELECT payproof_table_id_1() = $1 AS done, NULL::bytea AS held, NULL::bigint AS left_ms, NULL::text AS which";
const HOLD: &str = "SELECT done, held, left_ms, NULL::text AS which FROM payproof_hold_1($1)";
const REMOVE: &str = "SELECT done, held, left_ms, NULL::text AS which FROM payproof_replace_1($1, $2, NULL, NULL)";

fn millis(ttl: Duration) -> Result<SqlValue<'static>, StoreError> {
    Ok(SqlValue::Integer(i64::try_from(ttl_millis(ttl)?).unwrap_or(i64::MAX)))
}
