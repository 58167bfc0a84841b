//! A server's connections: made at first use, shared by every call, made anew when they are of no more use.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use ::redis::Value;
use tokio::time::{Instant, timeout};

use super::dial::{Dial, Hello};
use super::endpoint::Address;
use super::fault::{RedisRefusal, Remedy};
use super::lines::RedisLines;
use super::reply::{Request, array, text};
use super::wire::Wire;
use crate::store::disk::{Disk, PATTERNS, stated_by_service};
use crate::store::kept_loss::KeptLoss;
use crate::store::renewed::Renewed;
use crate::store::{RestartLoss, StoreError};

/// What every connection has in common.
#[derive(Clone)]
pub(super) struct ConnectionSettings {
    pub(super) dial: Dial,
    pub(super) connect_timeout: Duration,
    pub(super) command_timeout: Duration,
    /// Connections to each server.
    pub(super) connections: usize,
    /// Whether another server takes over by itself when one is no primary any more.
    pub(super) fails_over: bool,
    /// What hears of changes, unless that is turned off.
    pub(super) lines: Option<Arc<RedisLines>>,
}

/// Why a request has no answer.
#[derive(Clone, Debug)]
pub(super) enum ConnectionFault {
    /// There was no connection, or it broke, or time ran out.
    Lost(StoreError),
    /// No place among the open requests came free in time; nothing was sent.
    Full(StoreError),
    /// The server answered with an error, and did nothing.
    Refused(RedisRefusal),
}

impl From<StoreError> for ConnectionFault {
    fn from(error: StoreError) -> Self {
        Self::Lost(error)
    }
}

impl From<ConnectionFault> for StoreError {
    fn from(fault: ConnectionFault) -> Self {
        match fault {
            ConnectionFault::Lost(error) | ConnectionFault::Full(error) => error,
            ConnectionFault::Refused(refusal) => refusal.into_error(),
        }
    }
}

/// A connection that is up, until it is retired.
struct Link {
    wire: Arc<Wire>,
    command_timeout: Duration,
}

impl Link {
    /// Lets the next caller make a new connection. Requests that are under way here may still be answered; those that
    /// wait for a place are told that nothing was sent.
    fn retire(&self) {
        self.wire.refuse_more();
    }

    fn is_usable(&self) -> bool {
        self.wire.is_usable()
    }

    /// Sends a request, and waits no longer than the command timeout: half of it for a place among the open requests, and
    /// what is left for the answer. So nothing is sent that has next to no time for its answer.
    async fn call(&self, request: Request<'_>) -> Result<Value, ConnectionFault> {
        let begun = Instant::now();
        let patience = self.command_timeout.checked_div(2).unwrap_or_default();
        let place = match timeout(patience, self.wire.place()).await {
            Ok(Ok(place)) => place,
            Ok(Err(error)) => return Err(error.into()),
            Err(_elapsed) => {
                let text = format!(
                    "`max_in_flight` commands were under way for {patience:?}; raise it, or look at the server's load"
                );
                return Err(ConnectionFault::Full(StoreError::not_sent(text)));
            }
        };
        let sent = Instant::now();
        let left = self.command_timeout.saturating_sub(begun.elapsed());
        match timeout(left, place.call(request)).await {
            Ok(Ok(Value::ServerError(error))) => Err(ConnectionFault::Refused(RedisRefusal::of(&error))),
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(error)) => Err(self.lost(error).into()),
            Err(_elapsed) => {
                self.wire.refuse_more_if_silent(sent);
                let limit = self.command_timeout;
                let text =
                    format!("Redis did not answer within {limit:?}; look at its load, or raise `command_timeout`");
                Err(StoreError::outcome_unknown(text).into())
            }
        }
    }

    /// Asks the server what it keeps on its disk, in one round trip.
    async fn restart_loss(&self) -> Result<RestartLoss, StoreError> {
        let sent = Instant::now();
        match timeout(self.command_timeout, ask_disk(&self.wire)).await {
            Ok(Ok(replies)) => Ok(disk(&replies)?.restart_loss()),
            Ok(Err(error)) => Err(self.lost(error)),
            Err(_elapsed) => {
                self.wire.refuse_more_if_silent(sent);
                let limit = self.command_timeout;
                Err(StoreError::not_sent(format!("Redis did not say within {limit:?} what a restart may lose")))
            }
        }
    }

    /// What follows for the connection where there is no answer.
    fn lost(&self, error: StoreError) -> StoreError {
        if error.is_outcome_unknown() {
            self.retire();
        }
        error
    }
}

/// Asks for what [`disk`] reads.
pub(super) async fn ask_disk(wire: &Wire) -> Result<Vec<Value>, StoreError> {
    let mut questions: Vec<Vec<&[u8]>> = vec![vec![b"INFO", b"persistence"]];
    questions.extend(PATTERNS.map(|pattern| vec![b"CONFIG".as_slice(), b"GET", pattern.as_bytes()]));
    wire.all(&questions).await
}

/// What the server says about its disk. What this user may not ask stays unsaid; a server that is busy says it later.
pub(super) fn disk(replies: &[Value]) -> Result<Disk, StoreError> {
    let mut disk = Disk::default();
    for reply in replies {
        if let Value::ServerError(error) = reply {
            let error = RedisRefusal::of(error).into_error();
            if !error.is_refused() {
                return Err(error);
            }
        }
        if let Some(info) = text(reply) {
            disk.set_info(info);
        }
        let (pairs, _) = array(reply).as_chunks::<2>();
        for [name, value] in pairs {
            disk.add_setting(text(name).unwrap_or_default(), text(value).unwrap_or_default());
        }
    }
    Ok(disk)
}

/// One server, and the connections to it.
pub(super) struct Node {
    pub(super) address: Address,
    settings: Arc<ConnectionSettings>,
    links: Box<[Renewed<Arc<Link>>]>,
    next: AtomicUsize,
    /// How many connections were made; after each of them the server may be one that was started anew.
    made: Arc<AtomicU64>,
    loss: KeptLoss,
}

impl Node {
    pub(super) fn new(address: Address, settings: &Arc<ConnectionSettings>) -> Self {
        let links = (0..settings.connections.max(1)).map(|_| Renewed::new()).collect();
        Self {
            address,
            settings: Arc::clone(settings),
            links,
            next: AtomicUsize::new(0),
            made: Arc::default(),
            loss: KeptLoss::default(),
        }
    }

    /// Sends a request over one of the connections. A server that is no primary any more loses it: the next call looks for
    /// the server anew, or has the name looked up, which may lead to another one by then.
    pub(super) async fn call(&self, request: Request<'_>) -> Result<Value, ConnectionFault> {
        let link = self.link().await?;
        match link.call(request).await {
            Err(ConnectionFault::Refused(refusal)) if refusal.remedy() == Remedy::Reroute => {
                link.retire();
                Err(if self.settings.fails_over {
                    refusal.into_passing().into()
                } else {
                    ConnectionFault::Refused(refusal)
                })
            }
            answer => answer,
        }
    }

    /// One of the connections, in turn; it is made first if it is not up.
    async fn link(&self) -> Result<Arc<Link>, StoreError> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed).checked_rem(self.links.len()).unwrap_or_default();
        let Some(link) = self.links.get(turn) else { return Err(StoreError::not_sent("there is no connection")) };
        let attempt = || connect(self.address.clone(), Arc::clone(&self.settings), Arc::clone(&self.made));
        link.get(|link| link.is_usable(), attempt).await
    }

    /// What a restart of this server may lose, as it said within the last minute and since the last connection was made.
    pub(super) async fn restart_loss(&self) -> Result<RestartLoss, StoreError> {
        let link = self.link().await?;
        let loss = self.loss.recent(self.made.load(Ordering::Relaxed), link.restart_loss()).await?;
        Ok(of_server(loss, &self.address))
    }
}

/// What the server says, or else the service that it belongs to.
pub(super) fn of_server(loss: RestartLoss, address: &Address) -> RestartLoss {
    match (loss, address) {
        (RestartLoss::Unknown, Address::Tcp { host, .. }) => stated_by_service(host).unwrap_or(loss),
        _ => loss,
    }
}

async fn connect(
    address: Address,
    settings: Arc<ConnectionSettings>,
    made: Arc<AtomicU64>,
) -> Result<Arc<Link>, StoreError> {
    let limit = settings.connect_timeout;
    match timeout(limit, settings.dial.connect(&address)).await {
        // It would answer, and with what used to be.
        Ok(Ok((_, Hello { replica: true, .. }))) => {
            let refusal = RedisRefusal::read_only();
            Err(if settings.fails_over { refusal.into_passing() } else { refusal.into_error() })
        }
        Ok(Ok((wire, _))) => {
            let command_timeout = settings.command_timeout;
            made.fetch_add(1, Ordering::Relaxed);
            let wire = Arc::new(wire);
            if let Some(lines) = &settings.lines {
                lines.link_made(&address, &wire);
            }
            Ok(Arc::new(Link { wire, command_timeout }))
        }
        Ok(Err(error)) => Err(error),
        Err(_) => {
            // A server without TLS takes the greeting for the beginning of a command, and waits for the rest.
            let hint = if settings.dial.tls.is_some() { "; if it does not speak TLS, use redis://" } else { "" };
            Err(StoreError::not_sent(format!("no connection to Redis at {address} within {limit:?}{hint}")))
        }
    }
}
