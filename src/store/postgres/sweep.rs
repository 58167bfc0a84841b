//! Deletes records that are over: some pages of the table at a time, after writes.
//!
//! A record that is over and claimed again is replaced where it stands. The others would stay for ever, as no index leads to them.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;
use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_postgres::types::Type;

use super::pool::Pool;
use crate::lock::Lock;
use crate::store::StoreError;
use crate::store::sql::unexpected;

const SWEEP: &str = "SELECT next_start, all_pages FROM payproof_sweep_1($1, $2)";

/// How often a process sweeps at most.
const EVERY: Duration = Duration::from_secs(1);

/// After a failure the database is left alone for longer.
const AFTER_FAILURE: Duration = Duration::from_secs(60);

/// The fewest pages at a time, which take 6 to 14 ms.
const FEWEST_PAGES: i64 = 128;

/// One process that writes all the time has been through a table, however large, in about so many sweeps: an hour.
const SWEEPS: i64 = 3600;

/// Where this process sweeps next, and when.
pub(super) struct Sweeper(Lock<State>);

struct State {
    /// No sweep begins before then.
    due: Option<Instant>,
    /// At first anywhere: processes that live for minutes would never come to the end of the table.
    start: i64,
    pages: i64,
}

impl Sweeper {
    pub(super) fn new() -> Arc<Self> {
        let mut rng: StdRng = rand::make_rng();
        let start = i64::from(rng.random::<u32>());
        Arc::new(Self(Lock::new(State { due: None, start, pages: FEWEST_PAGES })))
    }

    /// Sweeps in a task, if it is time. It holds up no caller, but for the connection that it takes.
    pub(super) fn after_write(self: &Arc<Self>, pool: &Arc<Pool>) {
        let Ok(runtime) = Handle::try_current() else { return };
        let (start, pages) = {
            let mut state = self.0.lock();
            let now = Instant::now();
            if state.due.is_some_and(|due| now < due) {
                return;
            }
            // Until this sweep has ended.
            state.due = now.checked_add(AFTER_FAILURE);
            (state.start, state.pages)
        };
        let (sweeper, pool) = (Arc::clone(self), Arc::clone(pool));
        runtime.spawn(async move {
            if let Ok((next, all)) = sweep(&pool, start, pages).await {
                let mut state = sweeper.0.lock();
                state.start = next;
                state.pages = all.checked_div(SWEEPS).unwrap_or_default().max(FEWEST_PAGES);
                state.due = Instant::now().checked_add(EVERY);
            }
        });
    }
}

/// Sweeps some pages: where to go on, and how many pages there are.
async fn sweep(pool: &Arc<Pool>, start: i64, pages: i64) -> Result<(i64, i64), StoreError> {
    let rows = pool.run(SWEEP, &[(&start, Type::INT8), (&pages, Type::INT8)]).await?;
    let row = rows.first().ok_or_else(unexpected)?;
    let read = |column: usize| row.try_get(column).map_err(|_| unexpected());
    Ok((read(0)?, read(1)?))
}
