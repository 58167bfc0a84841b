//! What a restart of the server behind the REST interface may lose.
//!
//! Upstash states it of its service. Behind any other host may be any server, with a bridge before it: that one
//! is asked, as `RedisStore` asks.

use serde_json::Value;

use super::client::RestClient;
use super::wire;
use crate::store::disk::{Disk, PATTERNS, stated_by_service};
use crate::store::{RestartLoss, StoreError};

/// Each request has a connection of its own as far as is known here, so the answer is kept by time alone.
const ANY_CONNECTION: u64 = 0;

impl RestClient {
    pub(super) async fn restart_loss(&self) -> Result<RestartLoss, StoreError> {
        self.loss.recent(ANY_CONNECTION, self.look_at_disk()).await
    }

    /// A command that is refused leaves something unsaid.
    pub(super) async fn look_at_disk(&self) -> Result<RestartLoss, StoreError> {
        if let Some(stated) = self.url.host_str().and_then(stated_by_service) {
            return Ok(stated);
        }
        let mut disk = Disk::default();
        for pattern in PATTERNS {
            let reply = self.unless_refused(&["CONFIG", "GET", pattern]).await?;
            for (name, value) in reply.as_ref().map(wire::pairs).unwrap_or_default() {
                disk.add_setting(&name, &value);
            }
        }
        let reply = self.unless_refused(&["INFO", "persistence"]).await?;
        let info = reply.as_ref().and_then(Value::as_str).and_then(wire::with_line_ends);
        disk.set_info(&info.unwrap_or_default());
        Ok(disk.restart_loss())
    }

    /// What is lost is no refusal: it may be said the next time.
    async fn unless_refused(&self, arguments: &[&str]) -> Result<Option<Value>, StoreError> {
        match self.plain(arguments).await {
            Err(error) if error.is_refused() => Ok(None),
            answer => answer.map(Some),
        }
    }
}
