//! The invalidation line: a connection of its own, over which the server tells of every record that changes.
//!
//! `CLIENT TRACKING ON BCAST` and no PUBLISH, since it tells of every change: of those that other releases and operators make,
//! and of records that expire or are flushed. The connection is subscribed to a channel as well, so that the server's limit
//! for subscribers bounds what it keeps for a reader that hangs: 32 MB by default, where it has none for others.
//!
//! | what happens | then |
//! |---|---|
//! | the connection ends, as by `CLIENT KILL`, a restart or the buffer's limit | the session ends at once |
//! | no beat is answered, as by a server that hangs, or in a partition | it ends a second after the last answered beat was sent |
//! | the server becomes a replica | the next beat says so, and ends it |
//! | a connection for records is made, as after a failover | it ends before anything is sent over that one |
//! | the system's clock and the steady one part by more than a second, as in a machine that slept | the next beat ends it |
//! | this user may not, or the server cannot | there is no session; it is tried again twice a minute |
//!
//! A session begins with a test: over each connection for records one is written, and has to be announced before the next beat
//! is answered. So all of them lead to the server of the line, and it keeps the order that the promise rests on.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ::redis::{PushInfo, PushKind, Value};
use rand::RngExt as _;
use rand::rngs::StdRng;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::Inner;
use super::connection::ConnectionSettings;
use super::dial::Dial;
use super::endpoint::Address;
use super::fault::{RedisRefusal, Remedy};
use super::lines::Audibles;
use super::reply::{Request, text};
use super::wire::{Pushes, Wire};
use crate::lock::Lock;
use crate::store::StoreError;
use crate::store::line::{ALIVE_FOR, Line};

/// How often a beat is sent: three may be lost on the way before a session ends.
const BEAT: Duration = Duration::from_millis(250);

/// What the connection subscribes to, so that it counts as a subscriber. Nothing is ever published there.
const CHANNEL: &[u8] = b"payproof:line";

/// How long a record of the test lives.
const PROBE_MILLIS: &[u8] = b"1000";

/// How far the system's clock and the steady one may part between two beats.
const MOST_DRIFT: Duration = Duration::from_secs(1);

/// Until the next session. Up to half as much is added to each pause, so that a fleet spreads.
const PAUSE: Duration = Duration::from_millis(100);

/// How much longer after a session that did not open, unless a connection for records is made.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// After the server refused: what is in the way seldom changes.
const PAUSE_AFTER_REFUSAL: Duration = Duration::from_secs(30);

/// A line, with the task that runs it.
pub(super) struct RedisLine {
    store: Arc<Inner>,
    audibles: Arc<Audibles>,
    task: Lock<Option<AbortHandle>>,
}

impl RedisLine {
    pub(super) fn new(store: &Arc<Inner>, audibles: &Arc<Audibles>) -> Self {
        Self { store: Arc::clone(store), audibles: Arc::clone(audibles), task: Lock::default() }
    }
}

impl Line for RedisLine {
    fn keep_up(&self) {
        let Ok(runtime) = Handle::try_current() else { return };
        let mut task = self.task.lock();
        if task.as_ref().is_none_or(AbortHandle::is_finished) {
            let running = run(Arc::clone(&self.store), Arc::clone(&self.audibles));
            *task = Some(runtime.spawn(running).abort_handle());
        }
    }
}

impl Drop for RedisLine {
    fn drop(&mut self) {
        if let Some(task) = self.task.lock().take() {
            task.abort();
        }
    }
}

impl fmt::Debug for RedisLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line for {}", self.audibles.prefix)
    }
}

async fn run(store: Arc<Inner>, audibles: Arc<Audibles>) {
    loop {
        let pause = match Session::begin(&store, &audibles).await {
            Ok(Some(session)) => {
                session.last().await;
                None
            }
            Ok(None) => {
                audibles.linked.notified().await;
                continue;
            }
            Err(error) if error.is_refused() => Some(PAUSE_AFTER_REFUSAL),
            Err(_) => Some(PAUSE_AFTER_FAILURE),
        };
        sleep(spread(PAUSE)).await;
        if let Some(pause) = pause {
            // Another connection for records may mean another server.
            let _ = timeout(spread(pause), audibles.linked.notified()).await;
        }
    }
}

fn spread(pause: Duration) -> Duration {
    let mut rng: StdRng = rand::make_rng();
    pause.saturating_add(pause.mul_f64(rng.random_range(0.0..0.5)))
}

/// Asks a server to tell of changes under a prefix.
pub(super) async fn listen(dial: &Dial, address: &Address, prefix: &str, pushes: Pushes) -> Result<Wire, StoreError> {
    let wire = dial.listen(address, pushes).await?;
    let subscribe: [&[u8]; 2] = [b"SUBSCRIBE", CHANNEL];
    let track: [&[u8]; 6] = [b"CLIENT", b"TRACKING", b"ON", b"BCAST", b"PREFIX", prefix.as_bytes()];
    for (what, words) in [("SUBSCRIBE", subscribe.as_slice()), ("CLIENT TRACKING", &track)] {
        match wire.call(Request::One(words)).await {
            Ok(Value::ServerError(error)) => {
                return Err(StoreError::refused(format!("the server refuses {what} ({})", error.code())));
            }
            Ok(_) => {}
            Err(lost) => return Err(StoreError::not_sent(lost.to_string())),
        }
    }
    beat(&wire).await?;
    Ok(wire)
}

/// Asks the server who it is. Only a primary hears of every change.
async fn beat(wire: &Wire) -> Result<(), StoreError> {
    match wire.call(Request::One(&[b"HELLO", b"3"])).await {
        Ok(Value::Map(fields)) => {
            let role = fields.iter().find(|(name, _)| text(name) == Some("role")).and_then(|(_, role)| text(role));
            match role {
                Some("master" | "primary") => Ok(()),
                Some(_) => Err(StoreError::not_sent("the server of the line is no primary any more")),
                None => Err(StoreError::refused("what answers does not say whether it is a primary")),
            }
        }
        Ok(_) => Err(StoreError::refused("what answers does not speak RESP3")),
        Err(lost) => Err(StoreError::not_sent(lost.to_string())),
    }
}

/// A session that is open. Dropped, it ends.
struct Session<'l> {
    audibles: &'l Audibles,
    wire: Wire,
    closed: Arc<Notify>,
    /// When the last answered beat was sent.
    beaten_at: Instant,
}

impl<'l> Session<'l> {
    /// Nothing where there is no connection for records, and where one was made meanwhile: what it leads to is not known.
    async fn begin(store: &Inner, audibles: &'l Arc<Audibles>) -> Result<Option<Self>, StoreError> {
        let settings = &*store.settings;
        let Some(known) = &settings.lines else { return Ok(None) };
        let (links, made) = known.links();
        let Some(address) = store.servers.known_primary().filter(|_| !links.is_empty()) else { return Ok(None) };
        let closed = Arc::new(Notify::new());
        let limit = settings.connect_timeout.saturating_add(settings.command_timeout);
        let listening = listen(&settings.dial, &address, &audibles.prefix, pushes(audibles, &closed));
        let wire = timeout(limit, listening).await.map_err(|_| late())??;
        let drawn: u64 = rand::make_rng::<StdRng>().random();
        let probe = |place: usize| format!("{}line:{drawn:016x}:{place}", audibles.prefix).into_bytes();
        audibles.expect((0..links.len()).map(|place| probe(place).into()));
        for (place, link) in links.iter().enumerate() {
            let (key, limit) = (probe(place), settings.command_timeout);
            let written = timeout(limit, link.call(Request::One(&[b"SET", &key, b"1", b"PX", PROBE_MILLIS]))).await;
            if let Value::ServerError(error) = written.map_err(|_| late())?? {
                return Err(refused(RedisRefusal::of(&error)));
            }
        }
        let beaten_at = Instant::now();
        timeout(ALIVE_FOR, beat(&wire)).await.map_err(|_| late())??;
        audibles.check_heard()?;
        let session = Self { audibles, wire, closed, beaten_at };
        Ok(known.open(made, audibles, session.alive_until()).then_some(session))
    }

    fn alive_until(&self) -> Instant {
        self.beaten_at.checked_add(ALIVE_FOR).unwrap_or(self.beaten_at)
    }

    /// Lives for as long as beats are answered in time, and nothing else ends it.
    async fn last(mut self) {
        let mut clocks = (SystemTime::now(), Instant::now());
        loop {
            let next = self.beaten_at.checked_add(BEAT).unwrap_or(self.beaten_at);
            if timeout_at(next, self.closed.notified()).await.is_ok() {
                return;
            }
            let sent = Instant::now();
            let is_answered = matches!(timeout_at(self.alive_until(), beat(&self.wire)).await, Ok(Ok(())));
            let now = (SystemTime::now(), Instant::now());
            if !is_answered || drift(clocks, now) > MOST_DRIFT {
                return;
            }
            (self.beaten_at, clocks) = (sent, now);
            if !self.audibles.live_until(self.alive_until()) {
                return;
            }
        }
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        self.audibles.end();
    }
}

/// What the server says without being asked.
fn pushes(audibles: &Arc<Audibles>, closed: &Arc<Notify>) -> Pushes {
    let (audibles, closed) = (Arc::clone(audibles), Arc::clone(closed));
    Arc::new(move |PushInfo { kind, data }| match kind {
        PushKind::Invalidate => audibles.hear(&data),
        PushKind::Disconnection => {
            audibles.end();
            closed.notify_one();
        }
        _ => {}
    })
}

/// By how much the system's clock went another way than the steady one.
fn drift(before: (SystemTime, Instant), after: (SystemTime, Instant)) -> Duration {
    let steady = after.1.saturating_duration_since(before.1);
    match after.0.duration_since(before.0) {
        Ok(system) => system.abs_diff(steady),
        Err(back) => back.duration().saturating_add(steady),
    }
}

/// A probe was refused. By a server that has become a replica since it was asked who it is, only until the next one is found.
fn refused(refusal: RedisRefusal) -> StoreError {
    if refusal.remedy() == Remedy::Reroute { refusal.into_passing() } else { refusal.into_error() }
}

fn late() -> StoreError {
    StoreError::not_sent("Redis did not open the line in time")
}

/// Whether the server tells this user of changes, over a connection that is closed at once. Why it does not, if it does not.
pub(super) async fn check(settings: &ConnectionSettings, address: &Address) -> Result<(), StoreError> {
    listen(&settings.dial, address, "payproof:line:", Arc::new(|_| {})).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_that_a_new_replica_refuses_is_written_again_soon() {
        assert!(!refused(RedisRefusal::read_only()).is_refused());
    }

    #[test]
    fn clocks_part_where_the_machine_slept_and_where_a_clock_is_set() {
        let (start, now, second) = (SystemTime::now(), Instant::now(), Duration::from_secs(1));
        let parted = |system: SystemTime, steady: Duration| drift((start, now), (system, now + steady));
        assert_eq!(parted(start + second, second), Duration::ZERO);
        assert_eq!(parted(start + second * 9, second), second * 8);
        assert_eq!(parted(start - second, second), second * 2);
    }
}
