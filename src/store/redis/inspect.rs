//! A look at the servers themselves: what they are, what they keep, and whether this user may write.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand::RngExt as _;
use rand::rngs::StdRng;
use tokio::time::{Instant, timeout};

use super::connection::{ConnectionFault, ConnectionSettings, ask_disk, disk, of_server};
use super::endpoint::Address;
use super::fault::RedisRefusal;
use super::reply::{RecordReply, Request};
use super::script::{REMOVE, claim};
use super::servers::Servers;
use super::wire::Wire;
use crate::store::{Inspection, StoreError, StoreFinding};

/// Clocks further apart than this make log lines hard to read.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(1);

/// So many primaries of a Cluster are looked at; what is wrong with a Cluster is seldom wrong with its ninth node alone.
const MOST_SERVERS: usize = 8;

/// How long the probe lives if it cannot be removed.
const PROBE_MILLIS: u64 = 1000;

/// The oldest version that is tested.
const OLDEST: (u32, u32) = (6, 2);

/// Looks at every server, over connections of its own, and writes and removes a record that would live for a second.
pub(super) async fn inspect(servers: &Servers, settings: &ConnectionSettings) -> Result<Inspection, StoreError> {
    let mut whole: Option<Inspection> = None;
    for address in servers.primaries().await?.iter().take(MOST_SERVERS) {
        let limit = settings.connect_timeout.saturating_add(settings.command_timeout);
        let looked = timeout(limit, Look::begin(settings, address)).await;
        let look = looked.unwrap_or_else(|_| Err(late(address, limit)))?;
        match &mut whole {
            None => whole = Some(look),
            Some(whole) => {
                whole.latency = whole.latency.max(look.latency);
                whole.restart_loss = whole.restart_loss.or_worse(look.restart_loss);
                let new = look.findings.into_iter().filter(|finding| !whole.findings.contains(finding));
                let new: Vec<StoreFinding> = new.collect();
                whole.findings.extend(new);
            }
        }
    }
    let mut whole = whole.ok_or_else(|| StoreError::not_sent("the Cluster has no primaries; look at its nodes"))?;
    if !whole.findings.contains(&StoreFinding::Replica) && !may_write(servers).await? {
        whole.findings.push(StoreFinding::ReadOnly);
    }
    Ok(whole)
}

fn late(address: &Address, limit: Duration) -> StoreError {
    StoreError::not_sent(format!("Redis at {address} did not answer within {limit:?}"))
}

/// Claims and removes a record, as everything else does.
async fn may_write(servers: &Servers) -> Result<bool, StoreError> {
    let mut rng: StdRng = rand::make_rng();
    let key = format!("payproof:probe:{:016x}", rng.random::<u64>());
    let value = b"probe".as_slice();
    for outcome in [
        claim(servers, &key, value, PROBE_MILLIS).await.map(drop),
        servers.run(&REMOVE, &key, &[value]).await.map(drop),
    ] {
        match outcome {
            Ok(()) => {}
            Err(ConnectionFault::Refused(refusal)) if refusal.is("NOPERM") => return Ok(false),
            Err(fault) => return Err(fault.into()),
        }
    }
    Ok(true)
}

/// A look at one server.
struct Look {
    wire: Wire,
    found: Inspection,
}

impl Look {
    async fn begin(settings: &ConnectionSettings, address: &Address) -> Result<Inspection, StoreError> {
        let (wire, hello) = settings.dial.connect(address).await?;
        let start = Instant::now();
        let pong = wire.call(Request::One(&[b"PING"])).await;
        let found = Inspection::new(hello.server.unwrap_or_else(|| "redis".into()), start.elapsed());
        let mut look = Self { wire, found };
        match pong {
            Ok(RecordReply::Error(text)) if !RedisRefusal::of(&text).is("NOPERM") => {
                return Err(RedisRefusal::of(&text).into_error());
            }
            Ok(_) => {}
            Err(lost) => return Err(StoreError::not_sent(lost.reason())),
        }
        look.found.version = hello.version;
        look.found.compare = Some("script".into());
        if hello.replica {
            look.found.findings.push(StoreFinding::Replica);
        }
        look.info().await;
        if let Ok(Ok(disk)) = ask_disk(&look.wire).await.map(|replies| disk(&replies)) {
            look.found.restart_loss = of_server(disk.restart_loss(), address);
        }
        look.clock().await;
        Ok(look.found)
    }

    /// The reply, unless it is an error or does not come.
    async fn ask(&self, words: &[&[u8]]) -> Option<RecordReply> {
        self.wire.call(Request::One(words)).await.ok().filter(|reply| !matches!(reply, RecordReply::Error(_)))
    }

    async fn info(&mut self) {
        let reply = self.ask(&[b"INFO"]).await;
        let info = reply.as_ref().and_then(RecordReply::text).unwrap_or_default();
        let field = |name: &str| info.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(':'));
        if let Some(version) = field("valkey_version") {
            self.found.server = "valkey".into();
            self.found.version = Some(version.into());
        } else if let Some(version) = field("redis_version") {
            self.found.version = Some(version.into());
        }
        match &self.found.version {
            None => self.unknown("the server's version"),
            Some(version) if &*self.found.server == "redis" && is_old(version) => {
                let version = version.clone();
                self.found.findings.push(StoreFinding::OldServer { version });
            }
            Some(_) => {}
        }
        match field("maxmemory_policy") {
            Some("noeviction") => {}
            Some(policy) => self.found.findings.push(StoreFinding::Evicts { policy: policy.into() }),
            None => self.eviction().await,
        }
        if field("role") == Some("slave") && !self.found.findings.contains(&StoreFinding::Replica) {
            self.found.findings.push(StoreFinding::Replica);
        }
    }

    async fn eviction(&mut self) {
        match self.setting("maxmemory-policy").await.as_deref() {
            Some("noeviction") => {}
            Some(policy) => self.found.findings.push(StoreFinding::Evicts { policy: policy.into() }),
            None => self.unknown("whether the server evicts (`INFO memory`)"),
        }
    }

    async fn setting(&self, name: &str) -> Option<Box<str>> {
        match self.ask(&[b"CONFIG", b"GET", name.as_bytes()]).await?.array() {
            [_, value] => value.text().map(Into::into),
            _ => None,
        }
    }

    async fn clock(&mut self) {
        let start = Instant::now();
        let reply = self.ask(&[b"TIME"]).await;
        let half = start.elapsed().checked_div(2).unwrap_or_default();
        let theirs = match reply.as_ref().map(RecordReply::array) {
            Some([seconds, micros]) => seconds.integer().zip(micros.integer()),
            _ => None,
        };
        let theirs = theirs.and_then(|(seconds, micros)| {
            let seconds = Duration::from_secs(u64::try_from(seconds).ok()?);
            seconds.checked_add(Duration::from_micros(u64::try_from(micros).ok()?))
        });
        let ours = SystemTime::now().duration_since(UNIX_EPOCH).ok().and_then(|ours| ours.checked_sub(half));
        match theirs.zip(ours) {
            None => self.unknown("the server's clock (`TIME`)"),
            Some((theirs, ours)) => {
                let by = theirs.abs_diff(ours);
                if by > CLOCK_TOLERANCE {
                    self.found.findings.push(StoreFinding::ClockDiffers { by });
                }
            }
        }
    }

    fn unknown(&mut self, what: &str) {
        self.found.findings.push(StoreFinding::Unknown { what: what.into() });
    }
}

fn is_old(version: &str) -> bool {
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or_default());
    (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default()) < OLDEST
}

#[cfg(test)]
mod tests {
    use super::is_old;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(is_old("5.0.14") && is_old("6.0.16"));
        assert!(!is_old("6.2.0") && !is_old("7.0.15") && !is_old("10.1"));
    }
}
