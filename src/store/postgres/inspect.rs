//! A look at the server: what it is, what a crash of it loses, and whether this user may write.

use std::sync::Arc;

use rand::RngExt as _;
use rand::rngs::StdRng;
use tokio::time::Instant;
use tokio_postgres::Row;

use super::pool::Pool;
use super::statement::{CLAIM, REMOVE};
use crate::store::sql::{SqlValue, unexpected};
use crate::store::{Inspection, RestartLoss, StoreError};

const LOOK: &str = "SELECT current_setting('server_version'), current_setting('fsync'), \
                    current_setting('full_page_writes'), current_setting('synchronous_commit')";

/// How long the probe lives if it cannot be removed.
const PROBE_MILLIS: i64 = 1000;

/// Looks at the server, and writes and removes a record that would live for a second.
pub(super) async fn inspect(pool: &Arc<Pool>) -> Result<Inspection, StoreError> {
    let begun = Instant::now();
    let look = look(pool).await?;
    let mut found = Inspection::new("postgresql", begun.elapsed());
    let mut rng: StdRng = rand::make_rng();
    let key = format!("payproof:probe:{:016x}", rng.random::<u64>());
    let (key, value) = (SqlValue::Bytes(key.as_bytes()), SqlValue::Bytes(b"probe"));
    pool.call(CLAIM, &[key, value, SqlValue::Integer(PROBE_MILLIS)]).await?;
    pool.call(REMOVE, &[key, value]).await?;
    found.version = setting(&look, 0).and_then(|version| version.split(' ').next()).map(Into::into);
    found.compare = Some("function".into());
    found.restart_loss = loss_of(&look);
    Ok(found)
}

/// What a restart of the server may lose.
pub(super) async fn restart_loss(pool: &Arc<Pool>) -> Result<RestartLoss, StoreError> {
    Ok(loss_of(&look(pool).await?))
}

async fn look(pool: &Arc<Pool>) -> Result<Row, StoreError> {
    pool.run(LOOK, &[]).await?.pop().ok_or_else(unexpected)
}

/// Nothing with the defaults of PostgreSQL. Without `fsync` or `full_page_writes` a crash may leave files that cannot be read;
/// with `synchronous_commit` off it loses up to three times `wal_writer_delay`, which is 200 ms.
fn loss_of(look: &Row) -> RestartLoss {
    match (setting(look, 1), setting(look, 2), setting(look, 3)) {
        (Some("on"), Some("on"), Some("on" | "local" | "remote_write" | "remote_apply")) => RestartLoss::Nothing,
        (Some("on"), Some("on"), Some("off")) => RestartLoss::Second,
        (Some("off"), _, _) | (_, Some("off"), _) => RestartLoss::All,
        _ => RestartLoss::Unknown,
    }
}

fn setting(look: &Row, column: usize) -> Option<&str> {
    look.try_get(column).ok()
}
