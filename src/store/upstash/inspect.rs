//! A look at the database itself, and what a restart of the server behind the REST interface may lose.
//!
//! Upstash states the loss of its service. Behind any other host may be any server, with a bridge before it: that one
//! is asked, as `RedisStore` asks.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::client::RestClient;
use super::failure::Meaning;
use super::script::PLAIN;
use super::wire::{self, Verb};
use crate::moment::since_1970;
use crate::store::disk::{Disk, PATTERNS, stated_by_service};
use crate::store::server_info::info_field;
use crate::store::{Inspection, RestartLoss, StoreError, StoreFinding};

/// A round trip over this share of the time-out leaves too little for a bad moment.
const SLOW_SHARE: u32 = 4;

/// Each request has a connection of its own as far as is known here, so the loss is kept by time alone.
const ANY_CONNECTION: u64 = 0;

impl RestClient {
    pub(super) async fn inspect(&self, server: &str) -> Result<Inspection, StoreError> {
        // Runs the script on no key: a look leaves nothing behind, and a credential may write without having rights to any key in
        // particular.
        let run = || self.bounded(self.run(&[], Verb::GetMany, wire::answers));
        // Opens a connection and teaches the server the script, so that the next one is a round trip and no more.
        let first = run().await;
        let start = Instant::now();
        let second = match first {
            Ok(_) => run().await.map(drop),
            Err(failure) => Err(failure),
        };
        let latency = start.elapsed();
        let mut inspection = Inspection::new(server, latency);
        match second {
            Ok(()) => {}
            Err(failure) if failure.meaning == Some(Meaning::ReadOnly) => {
                inspection.findings.push(StoreFinding::ReadOnly);
            }
            Err(failure) => return Err(failure.into()),
        }
        let locks = if *self.script() == PLAIN { "script" } else { "script that locks its key alone" };
        inspection.compare = Some(locks.into());
        if latency.saturating_mul(SLOW_SHARE) > self.command_timeout {
            inspection.findings.push(StoreFinding::Slow { latency });
        }
        inspection.restart_loss = self.look_at_disk().await.unwrap_or_default();
        // What is refused or lost is not known, which is a finding.
        let info = self.plain(&["INFO"]).await.ok().and_then(|info| wire::with_line_ends(&info)).unwrap_or_default();
        inspection.read_version(&info);
        inspection.read_policy(info_field(&info, "maxmemory_policy"));
        inspection.read_role(&info);
        inspection.read_memory(&info);
        inspection.note_memory();
        let before = since_1970();
        let time = self.plain(&["TIME"]).await.ok();
        let theirs = time.as_ref().and_then(|time| time.get(0)).and_then(wire::number);
        inspection.read_clock(theirs.map(Duration::from_secs), [before, since_1970()]);
        inspection.findings.push(StoreFinding::BestEffort);
        Ok(inspection)
    }

    pub(super) async fn restart_loss(&self) -> Result<RestartLoss, StoreError> {
        self.loss.recent(ANY_CONNECTION, self.look_at_disk()).await
    }

    /// A command that is refused leaves something unsaid.
    async fn look_at_disk(&self) -> Result<RestartLoss, StoreError> {
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
        disk.set_info(&reply.as_ref().and_then(wire::with_line_ends).unwrap_or_default());
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
