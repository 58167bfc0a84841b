//! What a function answers as the one value of a row: how the server writes a record.

use std::error::Error;

use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};

use crate::store::sql::SqlRow;

/// Why bytes are no such record.
type Malformed = Box<dyn Error + Sync + Send>;

/// Reads the row of a statement, its columns or its one value, if it is one of this crate's functions.
pub(super) fn read(row: &Row) -> Option<SqlRow> {
    if row.len() != 1 {
        return SqlRow::of(row);
    }
    let Record { done, held, left_ms } = row.try_get(0).ok()?;
    Some(SqlRow::new(done, held.map(<[u8]>::to_vec), left_ms, None))
}

/// What the functions of the four verbs answer.
struct Record<'r> {
    done: bool,
    held: Option<&'r [u8]>,
    left_ms: Option<i64>,
}

impl<'r> FromSql<'r> for Record<'r> {
    fn from_sql(_: &Type, mut raw: &'r [u8]) -> Result<Self, Malformed> {
        if number(&mut raw)? != 3 {
            return Err("a record of other fields".into());
        }
        let done = field(&mut raw, &Type::BOOL)?.ok_or("`done` is null")?;
        Ok(Self { done, held: field(&mut raw, &Type::BYTEA)?, left_ms: field(&mut raw, &Type::INT8)? })
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::RECORD
    }
}

/// Takes the next field: the number of its type, its length or -1 for null, and its bytes.
fn field<'r, T: FromSql<'r>>(raw: &mut &'r [u8], kind: &Type) -> Result<Option<T>, Malformed> {
    if u32::try_from(number(raw)?).ok() != Some(kind.oid()) {
        return Err("a field of another type".into());
    }
    let Ok(length) = usize::try_from(number(raw)?) else { return Ok(None) };
    let value = raw.split_off(..length).ok_or("the record is cut short")?;
    T::from_sql(kind, value).map(Some)
}

fn number(raw: &mut &[u8]) -> Result<i32, Malformed> {
    let (number, rest) = raw.split_first_chunk().ok_or("the record is cut short")?;
    *raw = rest;
    Ok(i32::from_be_bytes(*number))
}
