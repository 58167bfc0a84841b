//! What a server says of its disk, and what follows for a restart.
//!
//! The settings are those of the [write-ahead log](https://www.postgresql.org/docs/current/runtime-config-wal.html), as they are for
//! this user. Without `fsync` or `full_page_writes` a crash may leave files that cannot be read. With `synchronous_commit` off it
//! loses up to three times `wal_writer_delay`, which is 200 ms unless set.

use std::sync::Arc;

use super::pool::Pool;
use crate::store::sql::unexpected;
use crate::store::{RestartLoss, StoreError};

const SETTINGS: [&str; 3] = ["fsync", "full_page_writes", "synchronous_commit"];

/// Each of them in its column, and the delay in milliseconds.
const ASK: &str = "SELECT current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_commit'), \
     (SELECT s.setting::bigint FROM pg_settings s WHERE s.name = 'wal_writer_delay')";

/// So long a delay comes to a second.
const MOST_MILLIS: i64 = 333;

/// What the server says.
pub(super) struct DiskSettings {
    settings: [Box<str>; 3],
    writer_delay: i64,
}

impl DiskSettings {
    pub(super) async fn ask(pool: &Arc<Pool>) -> Result<Self, StoreError> {
        let row = pool.run(ASK, &[]).await?.pop().ok_or_else(unexpected)?;
        let text = |column: usize| row.try_get(column).map(|text: &str| text.into()).map_err(|_| unexpected());
        let writer_delay = row.try_get(3).map_err(|_| unexpected())?;
        Ok(Self { settings: [text(0)?, text(1)?, text(2)?], writer_delay })
    }

    pub(super) fn restart_loss(&self) -> RestartLoss {
        match self.settings.each_ref().map(|setting| &**setting) {
            ["off", ..] | [_, "off", _] => RestartLoss::All,
            ["on", "on", "off"] if self.writer_delay <= MOST_MILLIS => RestartLoss::Second,
            ["on", "on", "off"] => RestartLoss::Snapshot,
            ["on", "on", "on" | "local" | "remote_write" | "remote_apply"] => RestartLoss::Nothing,
            _ => RestartLoss::Unknown,
        }
    }

    /// The settings that are off.
    pub(super) fn off(&self) -> impl Iterator<Item = &'static str> {
        SETTINGS.into_iter().zip(&self.settings).filter(|(_, value)| ***value == *"off").map(|(name, _)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(settings: [&str; 3], writer_delay: i64) -> RestartLoss {
        DiskSettings { settings: settings.map(Into::into), writer_delay }.restart_loss()
    }

    #[test]
    fn a_crash_loses_what_was_not_waited_for() {
        for (settings, writer_delay, loss) in [
            (["on", "on", "on"], 200, RestartLoss::Nothing),
            (["on", "on", "local"], 10_000, RestartLoss::Nothing),
            (["on", "on", "remote_apply"], 200, RestartLoss::Nothing),
            (["on", "on", "off"], 333, RestartLoss::Second),
            (["on", "on", "off"], 334, RestartLoss::Snapshot),
            (["on", "off", "on"], 200, RestartLoss::All),
            (["off", "on", "on"], 200, RestartLoss::All),
            (["on", "on", "later"], 200, RestartLoss::Unknown),
            (["perhaps", "on", "on"], 200, RestartLoss::Unknown),
        ] {
            assert_eq!(disk(settings, writer_delay), loss, "{settings:?} {writer_delay}");
        }
    }
}
