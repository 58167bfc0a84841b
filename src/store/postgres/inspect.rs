//! A look at the server: what it is, what a crash or a failover of it loses, and whether this user may do what the store does.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;
use tokio::time::Instant;
use tokio_postgres::Row;

use super::disk::DiskSettings;
use super::pool::Pool;
use super::statement::{CLAIM, REMOVE, read_claim, read_swap};
use crate::moment::since_1970;
use crate::store::sql::{SqlValue, unexpected};
use crate::store::{Inspection, StoreError, StoreFinding};

/// The oldest version that is tested; before it a sweep reads the whole table each time.
const OLDEST: (i64, &str) = (14, "14");

/// What every user may read: of standbys that there are some. What takes a copy of the server follows it no further.
const LOOK: &str = "SELECT current_setting('server_version'), current_setting('server_version_num')::bigint, \
     (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, current_setting('statement_timeout') = '0', \
     current_setting('synchronous_standby_names') = '' \
       AND EXISTS (SELECT FROM pg_stat_replication r WHERE r.state IS DISTINCT FROM 'backup')";

/// How long the probe lives if it cannot be removed.
const PROBE_MILLIS: i64 = 1000;

/// Looks at the server, and writes and removes a record that would live for a second.
pub(super) async fn inspect(pool: &Arc<Pool>) -> Result<Inspection, StoreError> {
    // The first question opens the connection, so that the second shows what a call waits for.
    let disk = DiskSettings::ask(pool).await?;
    let (begun, before) = (Instant::now(), since_1970());
    let look = pool.run(LOOK, &[]).await?.pop().ok_or_else(unexpected)?;
    let (latency, after) = (begun.elapsed(), since_1970());
    let mut found = Inspection::new("postgresql", latency);
    found.restart_loss = disk.restart_loss();
    found.findings.extend(disk.off().map(|setting| StoreFinding::Lossy { setting: setting.into() }));
    found.compare = Some("function".into());
    let micros = look.try_get(2).ok().and_then(|micros: i64| u64::try_from(micros).ok());
    found.read_clock(micros.map(Duration::from_micros), [before, after]);
    read_settings(&look, &mut found)?;
    match write_probe(pool).await {
        Ok(()) => {}
        Err(error) if error.is_refused() => {
            found.findings.push(StoreFinding::CanaryRefused { reason: error.to_string().into() });
        }
        Err(error) => return Err(error),
    }
    Ok(found)
}

fn read_settings(look: &Row, found: &mut Inspection) -> Result<(), StoreError> {
    let version: &str = look.try_get(0).map_err(|_| unexpected())?;
    // The rest of it says who built it.
    let version: Box<str> = version.split(' ').next().unwrap_or_default().into();
    let number: i64 = look.try_get(1).map_err(|_| unexpected())?;
    let flag = |column: usize| look.try_get::<_, bool>(column).map_err(|_| unexpected());
    let is_old = number.checked_div(10_000).is_some_and(|major| major < OLDEST.0);
    let old = StoreFinding::OldServer { version: version.clone(), oldest: OLDEST.1 };
    found.version = Some(version);
    let all = [(is_old, old), (flag(3)?, StoreFinding::NoStatementTimeout), (flag(4)?, StoreFinding::BestEffort)];
    found.findings.extend(all.into_iter().filter(|(holds, _)| *holds).map(|(_, finding)| finding));
    Ok(())
}

/// Claims and removes a record, as everything else does.
async fn write_probe(pool: &Arc<Pool>) -> Result<(), StoreError> {
    let mut rng: StdRng = rand::make_rng();
    let key = format!("payproof:probe:{:016x}", rng.random::<u64>());
    let (key, value) = (SqlValue::Bytes(key.as_bytes()), SqlValue::Bytes(b"probe"));
    // A record of another form is no answer, whatever the function did.
    let readable = |read: Result<(), StoreError>| read.map_err(|_| unexpected());
    let claimed = pool.call(CLAIM, &[key, value, SqlValue::Integer(PROBE_MILLIS)]).await?;
    readable(read_claim(claimed).map(drop))?;
    let removed = pool.call(REMOVE, &[key, value]).await?;
    readable(read_swap(removed).map(drop))?;
    pool.table_id(false).await.map(drop)
}
