//! The invalidation line: a connection of its own to each primary, over which that tells of every record that changes.
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
//! | a slot goes to another node of a Cluster, as in a takeover | the next beat says so, and ends it; so does a redirection |
//! | a connection for records is made, as after a failover | it ends before anything is sent over that one |
//! | the system's clock and the steady one part by more than a second, as in a machine that slept | the next beat ends it |
//! | this user may not, or the server cannot | there is no session; it is tried again twice a minute |
//! | sessions end soon, or do not open, again and again | the next is tried for later each time, up to eight seconds |
//!
//! A session begins with a test: over each connection for records one is written, and has to be announced before the next beat
//! is answered. So all of them lead to the servers of the line, and these keep the order that the promise rests on.
//!
//! In a Cluster a session lives for as long as each primary answers its beats, and all of them say the same of who serves what
//! as when it began: a node that loses a slot may drop its records without a word, and who has it now may be none of those that
//! are listened to. A change that the others have not heard of is not known here either.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ::redis::{PushInfo, PushKind, Value};
use futures_util::future::try_join_all;
use rand::RngExt as _;
use rand::rngs::StdRng;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::Inner;
use super::connection::ConnectionSettings;
use super::endpoint::Address;
use super::fault::{RedisRefusal, Remedy};
use super::heard_wire::{HeardWire, beat, listen};
use super::lines::Audibles;
use super::nodes::NodesView;
use super::reply::Request;
use super::servers::{KnownPrimaries, Servers};
use super::wire::{Pushes, Wire};
use crate::lock::Lock;
use crate::store::StoreError;
use crate::store::line::{ALIVE_FOR, Line};

/// How often a beat is sent: three may be lost on the way before a session ends.
const BEAT: Duration = Duration::from_millis(250);

/// How long a record of the test lives.
const PROBE_MILLIS: &[u8] = b"1000";

/// How far the system's clock and the steady one may part between two beats.
const MOST_DRIFT: Duration = Duration::from_secs(1);

/// Until the next session. Up to half as much is added to each pause, so that a fleet spreads.
const PAUSE: Duration = Duration::from_millis(100);

/// How much longer after a session that did not open, unless a connection for records is made.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Both double from one attempt to the next, up to this, until a session lasts: for as long as slots move, or a primary is gone,
/// each attempt is a connection to every primary that is of little use.
const MOST_PAUSE: Duration = Duration::from_secs(5);

/// How long a session has to be alive for that.
const LASTING: Duration = Duration::from_secs(2);

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
    // Attempts in a row of which no session came that lasted.
    let mut attempts = 0_u32;
    loop {
        let (pause, longer) = match Session::begin(&store, &audibles).await {
            Ok(Some(session)) => {
                let opened = Instant::now();
                session.last().await;
                attempts = if opened.elapsed() < LASTING { attempts.saturating_add(1) } else { 0 };
                (grown(PAUSE, attempts), Duration::ZERO)
            }
            // Nothing was connected to, so that there is nothing to wait for else.
            Ok(None) => {
                audibles.linked.notified().await;
                continue;
            }
            Err(error) => {
                audibles.failed(&error);
                // Who serves what may have changed without a call that was told so.
                store.servers.look_again();
                let longer =
                    if error.is_refused() { PAUSE_AFTER_REFUSAL } else { grown(PAUSE_AFTER_FAILURE, attempts) };
                attempts = attempts.saturating_add(1);
                (PAUSE, longer)
            }
        };
        sleep(spread(pause)).await;
        // Another connection for records may mean another server. One that was made before counts no more for the next attempt.
        let _ = timeout(spread(longer), audibles.linked.notified()).await;
    }
}

fn grown(pause: Duration, attempts: u32) -> Duration {
    pause.saturating_mul(2_u32.saturating_pow(attempts)).min(MOST_PAUSE)
}

fn spread(pause: Duration) -> Duration {
    let mut rng: StdRng = rand::make_rng();
    pause.saturating_add(pause.mul_f64(rng.random_range(0.0..0.5)))
}

/// A session that is open. Dropped, it ends.
struct Session<'l> {
    audibles: &'l Audibles,
    wires: Vec<HeardWire>,
    closed: Arc<Notify>,
    /// When the last answered beat was sent.
    beaten_at: Instant,
}

impl<'l> Session<'l> {
    /// Nothing where there is no connection for records yet. One that is made meanwhile ends the session before it opens: what
    /// it leads to is not known.
    async fn begin(store: &Inner, audibles: &'l Arc<Audibles>) -> Result<Option<Self>, StoreError> {
        let settings = &*store.settings;
        let Some(known) = &settings.lines else { return Ok(None) };
        let (links, made) = known.links();
        let Some(primaries) = store.servers.known_primaries().filter(|_| !links.is_empty()) else { return Ok(None) };
        let probes = probes(&audibles.prefix, &links, &primaries)?;
        let closed = Arc::new(Notify::new());
        let limit = settings.connect_timeout.saturating_add(settings.command_timeout);
        let (addresses, in_cluster) = (primaries.addresses(), primaries.is_cluster());
        let listening = addresses
            .iter()
            .map(|address| listen(&settings.dial, address, &audibles.prefix, in_cluster, pushes(audibles, &closed)));
        let wires = timeout(limit, try_join_all(listening)).await.map_err(|_| late())??;
        audibles.expect(probes.iter().map(|(key, _)| key.as_slice().into()));
        for (key, link) in &probes {
            let (words, limit) = ([b"SET".as_slice(), key, b"1", b"PX", PROBE_MILLIS], settings.command_timeout);
            let sent = Instant::now();
            let Ok(written) = timeout(limit, link.call(Request::One(&words))).await else {
                // Records may be read over the others alone, so that it would be in the way until it is found dead.
                link.refuse_more_if_silent(sent);
                return Err(late());
            };
            if let Value::ServerError(error) = written? {
                return Err(refused(RedisRefusal::of(&error)));
            }
        }
        let session = Self { audibles, wires, closed, beaten_at: Instant::now() };
        timeout(ALIVE_FOR, session.beat()).await.map_err(|_| late())??;
        audibles.check_heard()?;
        let views: Vec<&NodesView> = session.wires.iter().filter_map(|heard| heard.said.as_ref()).collect();
        if !NodesView::agree(&views) {
            return Err(StoreError::not_sent("the nodes of the Cluster do not agree yet on who serves what"));
        }
        if !known.open(made, audibles, session.alive_until()) {
            session.closed.notify_one();
        }
        Ok(Some(session))
    }

    /// Ends well if each server answers, and with what it said before.
    async fn beat(&self) -> Result<(), StoreError> {
        let beats = self.wires.iter().map(async |HeardWire { wire, said }| {
            if beat(wire, said.is_some()).await? == *said {
                return Ok(());
            }
            Err(StoreError::not_sent("slots of the Cluster went to other nodes while the line was opened"))
        });
        try_join_all(beats).await.map(drop)
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
            let is_answered = matches!(timeout_at(self.alive_until(), self.beat()).await, Ok(Ok(())));
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

/// For each connection for records a key that its server has, to be written over it.
fn probes<'w>(
    prefix: &str,
    links: &'w [(Address, Arc<Wire>)],
    primaries: &KnownPrimaries,
) -> Result<Vec<(Vec<u8>, &'w Wire)>, StoreError> {
    let mut rng: StdRng = rand::make_rng();
    let (drawn, first): (u64, u32) = (rng.random(), rng.random());
    let mut tags: Vec<(&Address, String)> = Vec::new();
    let mut probes: Vec<(Vec<u8>, &Wire)> = Vec::new();
    for (place, (address, link)) in links.iter().enumerate() {
        let known = tags.iter().find(|(known, _)| *known == address).map(|(_, tag)| tag.clone());
        let tag = known.or_else(|| primaries.tag_at(address, first));
        let tag = tag.ok_or_else(|| StoreError::not_sent("records are read at a node that serves none any more"))?;
        probes.push((format!("{prefix}line:{drawn:016x}:{place}{tag}").into_bytes(), link));
        tags.push((address, tag));
    }
    Ok(probes)
}

/// A probe was refused. By a server that has lost what it had since it was asked, only until that is found elsewhere.
fn refused(refusal: RedisRefusal) -> StoreError {
    match refusal.remedy() {
        Remedy::Reroute | Remedy::Moved(_) | Remedy::Ask(_) => refusal.into_passing(),
        Remedy::SendScript | Remedy::None => refusal.into_error(),
    }
}

fn late() -> StoreError {
    StoreError::not_sent("Redis did not open the line in time")
}

/// Whether the server tells this user of changes, over a connection that is closed at once. Why it does not, if it does not.
pub(super) async fn check(
    settings: &ConnectionSettings,
    servers: &Servers,
    address: &Address,
) -> Result<(), StoreError> {
    let in_cluster = matches!(servers, Servers::Cluster(_));
    listen(&settings.dial, address, "payproof:line:", in_cluster, Arc::new(|_| {})).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_that_a_new_replica_refuses_is_written_again_soon() {
        assert!(!refused(RedisRefusal::read_only()).is_refused());
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        assert_eq!((grown(PAUSE, 0), grown(PAUSE, 3)), (PAUSE, PAUSE * 8));
        assert_eq!((grown(PAUSE_AFTER_FAILURE, 3), grown(PAUSE, u32::MAX)), (MOST_PAUSE, MOST_PAUSE));
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
