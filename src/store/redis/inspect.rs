//! A look at the servers themselves: what they are and what they keep; and whether this user may write under a key.

use std::time::Duration;

use ::redis::Value;
use tokio::time::{Instant, timeout};

use super::connection::{ConnectionFault, ConnectionSettings, ask_disk, disk, of_server};
use super::endpoint::Address;
use super::fault::RedisRefusal;
use super::line;
use super::reply::{Request, array, integer, text};
use super::script::{REMOVE, claim};
use super::servers::Servers;
use super::wire::Wire;
use crate::moment::since_1970;
use crate::store::server_info::info_field;
use crate::store::{Inspection, MemoryUse, StoreError, StoreFinding};

/// So many primaries of a Cluster are looked at; what is wrong with a Cluster is seldom wrong with its ninth node alone.
const MOST_SERVERS: usize = 8;

/// How long the probe lives if it cannot be removed.
const PROBE_MILLIS: u64 = 1000;

/// Looks at every server, over connections of its own.
pub(super) async fn inspect(servers: &Servers, settings: &ConnectionSettings) -> Result<Inspection, StoreError> {
    let mut whole: Option<Inspection> = None;
    for address in servers.primaries().await?.iter().take(MOST_SERVERS) {
        let limit = settings.connect_timeout.saturating_add(settings.command_timeout);
        let looked = timeout(limit, Look::begin(settings, servers, address)).await;
        let look = looked.unwrap_or_else(|_| Err(late(address, limit)))?;
        match &mut whole {
            None => whole = Some(look),
            Some(whole) => {
                whole.latency = whole.latency.max(look.latency);
                whole.restart_loss = whole.restart_loss.or_worse(look.restart_loss);
                whole.memory = [whole.memory, look.memory].into_iter().flatten().max_by_key(MemoryUse::percent);
                let new = look.findings.into_iter().filter(|finding| !whole.findings.contains(finding));
                let new: Vec<StoreFinding> = new.collect();
                whole.findings.extend(new);
            }
        }
    }
    let mut whole = whole.ok_or_else(|| StoreError::not_sent("the Cluster has no primaries; look at its nodes"))?;
    let has_none = |finding: &StoreFinding| matches!(finding, StoreFinding::NoInvalidationLine { .. });
    // Each server may tell of changes, and there may be no line all the same.
    if let Some(reason) = settings.lines.as_ref().and_then(|lines| lines.failure())
        && !whole.findings.iter().any(has_none)
    {
        whole.findings.push(StoreFinding::NoInvalidationLine { reason });
    }
    whole.note_memory();
    Ok(whole)
}

fn late(address: &Address, limit: Duration) -> StoreError {
    StoreError::not_sent(format!("Redis at {address} did not answer within {limit:?}"))
}

/// Claims and removes a record that would live for a second, as everything else does, and adds what keeps it from that.
pub(super) async fn try_key(servers: &Servers, key: &str, look: &mut Inspection) -> Result<(), StoreError> {
    if look.findings.contains(&StoreFinding::Replica) {
        return Ok(());
    }
    match write(servers, key).await {
        Ok(()) => {}
        Err(ConnectionFault::Refused(refusal)) if refusal.is("NOPERM") => look.findings.push(StoreFinding::ReadOnly),
        // Where it evicts, too: there was nothing left to evict.
        Err(ConnectionFault::Refused(refusal)) if refusal.is("OOM") => {
            let full = look.memory.map(|memory| StoreFinding::NearlyFull { memory });
            let new = full.filter(|full| !look.findings.contains(full));
            look.findings.extend(new);
        }
        Err(fault) => return Err(fault.into()),
    }
    Ok(())
}

async fn write(servers: &Servers, key: &str) -> Result<(), ConnectionFault> {
    let value = b"probe".as_slice();
    claim(servers, key, value, PROBE_MILLIS).await?;
    servers.run(&REMOVE, key, &[value]).await.map(drop)
}

/// A look at one server.
struct Look {
    wire: Wire,
    found: Inspection,
}

impl Look {
    async fn begin(
        settings: &ConnectionSettings,
        servers: &Servers,
        address: &Address,
    ) -> Result<Inspection, StoreError> {
        let (wire, hello) = settings.dial.connect(address).await?;
        let start = Instant::now();
        let pong = wire.call(Request::One(&[b"PING"])).await;
        let found = Inspection::new(hello.server.unwrap_or_else(|| "redis".into()), start.elapsed());
        let mut look = Self { wire, found };
        match pong {
            Ok(Value::ServerError(error)) if !RedisRefusal::of(&error).is("NOPERM") => {
                return Err(RedisRefusal::of(&error).into_error());
            }
            Ok(_) => {}
            Err(lost) => return Err(StoreError::not_sent(lost.to_string())),
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
        if settings.lines.is_some()
            && !hello.replica
            && let Err(error) = line::check(settings, servers, address).await
            && error.is_refused()
        {
            look.found.findings.push(StoreFinding::NoInvalidationLine { reason: error.to_string().into() });
        }
        Ok(look.found)
    }

    /// The reply, unless it is an error or does not come.
    async fn ask(&self, words: &[&[u8]]) -> Option<Value> {
        self.wire.call(Request::One(words)).await.ok().filter(|reply| !matches!(reply, Value::ServerError(_)))
    }

    async fn info(&mut self) {
        let reply = self.ask(&[b"INFO"]).await;
        let info = reply.as_ref().and_then(text).unwrap_or_default();
        if info_field(info, "valkey_version").is_some() {
            self.found.server = "valkey".into();
        }
        self.found.read_version(info);
        match info_field(info, "maxmemory_policy") {
            Some(policy) => self.found.read_policy(Some(policy)),
            None => self.policy().await,
        }
        self.found.read_role(info);
        self.found.read_memory(info);
    }

    async fn policy(&mut self) {
        let reply = self.ask(&[b"CONFIG", b"GET", b"maxmemory-policy"]).await;
        let policy = match reply.as_ref().map(array) {
            Some([_, value]) => text(value),
            _ => None,
        };
        self.found.read_policy(policy);
    }

    async fn clock(&mut self) {
        let before = since_1970();
        let reply = self.ask(&[b"TIME"]).await;
        let after = since_1970();
        let number = |part: &Value| integer(part).and_then(|number| u64::try_from(number).ok());
        let theirs = match reply.as_ref().map(array) {
            Some([seconds, micros]) => number(seconds).map(Duration::from_secs).zip(number(micros)),
            _ => None,
        };
        let theirs = theirs.map(|(seconds, micros)| seconds.saturating_add(Duration::from_micros(micros)));
        self.found.read_clock(theirs, [before, after]);
    }
}
