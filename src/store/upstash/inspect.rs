//! A look at the database itself.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tokio::time::Instant;

use super::client::RestClient;
use super::failure::CommandFailure;
use super::script::PLAIN;
use super::wire::{self, Verb};
use crate::store::{Inspection, StoreError, StoreFinding};

/// Read and never written, so that a look leaves nothing behind.
const KEY: &str = "payproof:inspection";

/// A round trip over this share of the time-out leaves too little for a bad moment.
const SLOW_SHARE: u32 = 4;

/// TIME is good to a second once it has traveled.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(1);

/// The oldest version that is tested with.
const OLDEST: (u32, u32) = (6, 2);

impl RestClient {
    pub(super) async fn inspect(&self, server: &str) -> Result<Inspection, StoreError> {
        // Opens a connection and teaches the server the script, so that the next one is a round trip and no more.
        let first = self.bounded(self.run(KEY, Verb::Get)).await;
        let start = Instant::now();
        let second = match first {
            Ok(_) => self.bounded(self.run(KEY, Verb::Get)).await.map(drop),
            Err(failure) => Err(failure),
        };
        let latency = start.elapsed();
        let mut inspection = Inspection::new(server, latency);
        match second {
            Ok(()) => {}
            Err(CommandFailure::ReadOnly(_)) => inspection.findings.push(StoreFinding::ReadOnly),
            Err(failure) => return Err(failure.into()),
        }
        let locks = if *self.script() == PLAIN { "script" } else { "script that locks its key alone" };
        inspection.compare = Some(locks.into());
        if latency.saturating_mul(SLOW_SHARE) > self.command_timeout {
            inspection.findings.push(StoreFinding::Slow { latency });
        }
        inspection.restart_loss = self.look_at_disk().await.unwrap_or_default();
        self.look_at_info(&mut inspection).await;
        self.look_at_clock(&mut inspection).await;
        inspection.findings.push(StoreFinding::BestEffort);
        Ok(inspection)
    }

    async fn look_at_info(&self, inspection: &mut Inspection) {
        let result = self.command(&["INFO"]).await;
        let info = result.as_ref().and_then(Value::as_str).and_then(wire::with_line_ends).unwrap_or_default();
        let field = |name: &str| info.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(':'));
        let findings = &mut inspection.findings;
        match field("valkey_version").or_else(|| field("redis_version")) {
            Some(version) => {
                inspection.version = Some(version.into());
                if is_old(version) {
                    findings.push(StoreFinding::OldServer { version: version.into() });
                }
            }
            None => findings.push(unknown("the server's version")),
        }
        match field("maxmemory_policy") {
            Some("noeviction") => {}
            Some(policy) => findings.push(StoreFinding::Evicts { policy: policy.into() }),
            None => findings.push(unknown("whether the database evicts")),
        }
        if field("role") == Some("slave") {
            findings.push(StoreFinding::Replica);
        }
    }

    async fn look_at_clock(&self, inspection: &mut Inspection) {
        let before = unix_now();
        let result = self.command(&["TIME"]).await;
        let after = unix_now();
        let seconds = result.as_ref().and_then(|time| time.get(0)).and_then(wire::number);
        let Some(theirs) = seconds.map(Duration::from_secs) else {
            return inspection.findings.push(unknown("the server's clock"));
        };
        // Between the two, whenever it was.
        let by = before.saturating_sub(theirs).max(theirs.saturating_sub(after));
        if by > CLOCK_TOLERANCE {
            inspection.findings.push(StoreFinding::ClockDiffers { by });
        }
    }

    /// The result of a plain command, unless it is refused or lost: then it is not known, which is a finding.
    async fn command(&self, arguments: &[&str]) -> Option<Value> {
        self.plain(arguments).await.ok()
    }
}

fn unknown(what: &str) -> StoreFinding {
    StoreFinding::Unknown { what: what.into() }
}

fn is_old(version: &str) -> bool {
    let mut numbers = version.split('.').map_while(|part| part.parse::<u32>().ok());
    numbers.next().is_some_and(|major| (major, numbers.next().unwrap_or(0)) < OLDEST)
}

fn unix_now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        for (version, old) in
            [("6.0.16", true), ("6.2.0", false), ("7.0.15", false), ("10.1", false), ("5", true), ("", false)]
        {
            assert_eq!(is_old(version), old, "{version}");
        }
    }
}
