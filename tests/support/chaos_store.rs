//! One process's way to a shared store, where everything goes wrong that a network, a server or a clock can do to a
//! command: by chance, from a seed.
#![allow(dead_code, reason = "each test binary uses its own share")]
#![allow(clippy::arithmetic_side_effects, clippy::unwrap_used, reason = "numbers are small, and no lock is poisoned")]

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::future::{Future, pending};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use payproof::store::{Claim, Durability, Inspection, MemoryStore, RestartLoss, Store, StoreError, Stored, Swap};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

/// Longer than the store's timeout, and than leases, and than anything that is kept for a minute.
const STALLS: [u64; 5] = [2, 31, 45, 61, 200];

/// By then every command that was ever sent has been made.
pub(crate) const ALL_IS_MADE: Duration = Duration::from_secs(210);

/// How often which kind of trouble comes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Trouble {
    /// A call is answered with an error, or not at all.
    pub(crate) faults: f64,
    /// A call waits before or after it is made, by up to 100 ms.
    pub(crate) delays: f64,
    /// A command whose caller was told that the connection broke is made later all the same.
    pub(crate) ghosts: bool,
    /// Faults come to this verb only.
    pub(crate) sore: Option<Verb>,
}

/// What is asked of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    Claim,
    Replace,
    Remove,
}

impl Trouble {
    pub(crate) const NONE: Self = Self { faults: 0.0, delays: 0.0, ghosts: false, sore: None };
    pub(crate) const SLOW: Self = Self { faults: 0.0, delays: 0.7, ghosts: false, sore: None };
}

/// What becomes of one command.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    Made,
    /// Not made, and the caller is told so.
    NotSent,
    /// Not made, and the caller is told that it is unknown.
    RequestLost,
    /// Not made, and the caller is told after this long that it is unknown.
    Breaks(Duration),
    /// Made, and the caller is told that it is unknown.
    ReplyLost,
    /// Refused by the store.
    Refused,
    /// Not made, or made only after the caller has left if it stays that long.
    StallBefore(Duration),
    /// Made at once, and answered late.
    StallAfter(Duration),
    /// Made late, whether or not the caller still waits; it is told nothing.
    Late(Duration),
    /// Made late, and the caller is told at once that it is unknown.
    Ghost(Duration),
    /// Never made, never answered.
    Swallowed,
}

/// A write that was made.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) bytes: Vec<u8>,
    /// When these bytes were sent for the first time.
    pub(crate) sent: Instant,
    pub(crate) at: Instant,
}

/// Digests of every key with the bytes that were put there, in all runs of this binary: nonces are never drawn twice.
static STOOD: Mutex<BTreeSet<u64>> = Mutex::new(BTreeSet::new());

static STOOD_TWICE: AtomicBool = AtomicBool::new(false);

fn now_stands(key: &str, bytes: &[u8]) {
    let mut hasher = DefaultHasher::new();
    (key, bytes).hash(&mut hasher);
    if !STOOD.lock().unwrap().insert(hasher.finish()) {
        STOOD_TWICE.store(true, Ordering::Relaxed);
    }
}

/// A command that comes late finds the bytes that it expects only if they have stood there since: so no bytes may stand
/// under a key, go, and stand there again.
pub(crate) fn assert_no_bytes_stood_twice() {
    assert!(!STOOD_TWICE.load(Ordering::Relaxed), "bytes that stood once stood again");
}

struct State {
    rng: StdRng,
    trouble: Trouble,
    /// What comes next, before anything by chance.
    script: VecDeque<Fate>,
    of_verb: VecDeque<(Verb, Fate)>,
    /// Until when nothing gets through, in either direction.
    cut_until: Option<Instant>,
    /// A process that has crashed sends nothing more, and hears nothing.
    crashed: bool,
    /// It crashes over the call after so many.
    crashes_after: Option<u64>,
    calls: u64,
    made: Vec<Made>,
    sent: HashMap<Vec<u8>, Instant>,
    keys: Vec<String>,
}

/// One process's way to the store.
#[derive(Clone)]
pub(crate) struct ChaosStore {
    inner: MemoryStore,
    state: Arc<Mutex<State>>,
}

impl ChaosStore {
    pub(crate) fn new(inner: &MemoryStore, seed: u64) -> Self {
        let state = State {
            rng: StdRng::seed_from_u64(seed),
            trouble: Trouble::NONE,
            script: VecDeque::new(),
            of_verb: VecDeque::new(),
            cut_until: None,
            crashed: false,
            crashes_after: None,
            calls: 0,
            made: Vec::new(),
            sent: HashMap::new(),
            keys: Vec::new(),
        };
        Self { inner: inner.clone(), state: Arc::new(Mutex::new(state)) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The store itself, without any of this.
    pub(crate) fn beneath(&self) -> &MemoryStore {
        &self.inner
    }

    /// From now on it is like this, in place of everything that was said before.
    pub(crate) fn trouble(&self, trouble: Trouble) {
        let mut state = self.lock();
        (state.trouble, state.cut_until) = (trouble, None);
        state.script.clear();
        state.of_verb.clear();
    }

    /// What becomes of the next commands, in order.
    pub(crate) fn script(&self, fates: impl IntoIterator<Item = Fate>) {
        self.lock().script.extend(fates);
    }

    /// What becomes of the next commands of one verb, in order.
    pub(crate) fn script_verb(&self, verb: Verb, fates: impl IntoIterator<Item = Fate>) {
        self.lock().of_verb.extend(fates.into_iter().map(|fate| (verb, fate)));
    }

    /// Nothing gets through for this long; what is sent meanwhile may be made right afterwards.
    pub(crate) fn cut(&self, time: Duration) {
        self.lock().cut_until = Some(Instant::now() + time);
    }

    /// The process stops, with whatever it was doing.
    pub(crate) fn crash(&self) {
        self.lock().crashed = true;
    }

    /// The process stops once it has made so many more calls, over the next one, which is not made.
    pub(crate) fn crash_after(&self, calls: u64) {
        let mut state = self.lock();
        state.crashes_after = Some(state.calls + calls);
    }

    pub(crate) fn has_crashed(&self) -> bool {
        self.lock().crashed
    }

    /// Calls that were begun.
    pub(crate) fn calls(&self) -> u64 {
        self.lock().calls
    }

    /// Every write that was made through here, in order.
    pub(crate) fn made(&self) -> Vec<Made> {
        self.lock().made.clone()
    }

    /// Every key that was asked for through here.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.lock().keys.clone()
    }

    fn begin(&self, verb: Verb, key: &str) -> (Fate, Duration, Duration, u32) {
        let state = &mut *self.lock();
        state.crashed |= state.crashes_after.is_some_and(|after| state.calls >= after);
        state.calls += 1;
        state.keys.push(key.to_owned());
        let rng = &mut state.rng;
        let mut delay = || if rng.random_bool(state.trouble.delays) { rng.random_range(0..=100) } else { 0 };
        let (before, after) = (Duration::from_millis(delay()), Duration::from_millis(delay()));
        let yields = rng.random_range(0..4);
        let stall = Duration::from_secs(*STALLS.choose(rng).unwrap()) + Duration::from_millis(rng.random_range(0..900));
        let soon = Duration::from_millis(rng.random_range(0..3_000));
        let late = if rng.random_bool(0.5) { soon } else { stall };
        let strikes = rng.random_bool(state.trouble.faults) && state.trouble.sore.is_none_or(|sore| sore == verb);
        let kind = rng.random_range(0..10);
        let now = Instant::now();
        if let Some(fate) = state.script.pop_front() {
            return (fate, before, after, yields);
        }
        if let Some((_, fate)) = state.of_verb.front().copied().filter(|(of, _)| *of == verb) {
            state.of_verb.pop_front();
            return (fate, before, after, yields);
        }
        let fate = match state.cut_until.filter(|until| *until > now) {
            Some(until) => {
                let left = until.duration_since(now) + Duration::from_millis(rng.random_range(0..50));
                match kind {
                    0 | 1 => Fate::NotSent,
                    2..=4 => Fate::Swallowed,
                    5 | 6 if state.trouble.ghosts => Fate::Ghost(left),
                    5 | 6 => Fate::RequestLost,
                    _ => Fate::Late(left),
                }
            }
            None if !strikes => Fate::Made,
            None => match kind {
                0 => Fate::NotSent,
                1 => Fate::RequestLost,
                2 | 3 => Fate::ReplyLost,
                4 => Fate::Refused,
                5 => Fate::StallBefore(stall),
                6 => Fate::StallAfter(stall),
                7 | 8 => Fate::Late(late),
                _ if state.trouble.ghosts => Fate::Ghost(late),
                _ => Fate::ReplyLost,
            },
        };
        (fate, before, after, yields)
    }

    async fn unless_crashed(&self) {
        if self.lock().crashed {
            pending::<()>().await;
        }
    }

    async fn run<T, F>(&self, verb: Verb, key: &str, write: Option<&[u8]>, call: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        self.unless_crashed().await;
        let (fate, before, after, yields) = self.begin(verb, key);
        let state = Arc::clone(&self.state);
        let write =
            write.map(|bytes| (bytes.to_vec(), *self.lock().sent.entry(bytes.to_vec()).or_insert_with(Instant::now)));
        let make = async move {
            let answer = call.await;
            if let Some((bytes, sent)) = write {
                state.lock().unwrap().made.push(Made { bytes, sent, at: Instant::now() });
            }
            answer
        };
        for _ in 0..yields {
            yield_now().await;
        }
        sleep(before).await;
        self.unless_crashed().await;
        let unknown = || StoreError::outcome_unknown("chaos: the connection broke");
        let answer = match fate {
            Fate::Made => make.await,
            Fate::NotSent => Err(StoreError::not_sent("chaos: no connection")),
            Fate::RequestLost => Err(unknown()),
            Fate::Breaks(time) => {
                sleep(time).await;
                Err(unknown())
            }
            Fate::ReplyLost => make.await.and(Err(unknown())),
            Fate::Refused => Err(StoreError::refused("chaos: refused")),
            Fate::StallBefore(stall) => {
                sleep(stall).await;
                make.await
            }
            Fate::StallAfter(stall) => {
                let answer = make.await;
                sleep(stall).await;
                answer
            }
            Fate::Late(late) => {
                tokio::spawn(async move {
                    sleep(late).await;
                    let _ = make.await;
                });
                pending().await
            }
            Fate::Ghost(late) => {
                tokio::spawn(async move {
                    sleep(late).await;
                    let _ = make.await;
                });
                Err(unknown())
            }
            Fate::Swallowed => pending().await,
        };
        self.unless_crashed().await;
        sleep(after).await;
        for _ in 0..yields {
            yield_now().await;
        }
        self.unless_crashed().await;
        answer
    }
}

impl fmt::Debug for ChaosStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChaosStore").finish_non_exhaustive()
    }
}

impl Store for ChaosStore {
    async fn get(&self, key: &str) -> Result<Option<Stored>, StoreError> {
        let (store, owned) = (self.inner.clone(), key.to_owned());
        self.run(Verb::Get, key, None, async move { store.get(&owned).await }).await
    }

    async fn claim(&self, key: &str, value: &[u8], ttl: Duration) -> Result<Claim, StoreError> {
        let (store, owned, bytes) = (self.inner.clone(), key.to_owned(), value.to_vec());
        let making = async move {
            let claim = store.claim(&owned, &bytes, ttl).await?;
            if claim == Claim::Claimed {
                now_stands(&owned, &bytes);
            }
            Ok(claim)
        };
        self.run(Verb::Claim, key, Some(value), making).await
    }

    async fn replace(&self, key: &str, expected: &[u8], value: &[u8], ttl: Duration) -> Result<Swap, StoreError> {
        let (store, owned) = (self.inner.clone(), key.to_owned());
        let (expected, bytes) = (expected.to_vec(), value.to_vec());
        let making = async move {
            let swap = store.replace(&owned, &expected, &bytes, ttl).await?;
            if swap == Swap::Swapped {
                now_stands(&owned, &bytes);
            }
            Ok(swap)
        };
        self.run(Verb::Replace, key, Some(value), making).await
    }

    async fn remove(&self, key: &str, expected: &[u8]) -> Result<Swap, StoreError> {
        let (store, owned, expected) = (self.inner.clone(), key.to_owned(), expected.to_vec());
        self.run(Verb::Remove, key, None, async move { store.remove(&owned, &expected).await }).await
    }

    fn durability(&self) -> Durability {
        Durability { shared: true, best_effort: false }
    }

    async fn restart_loss(&self) -> Result<RestartLoss, StoreError> {
        Ok(RestartLoss::Nothing)
    }

    async fn inspect(&self) -> Result<Inspection, StoreError> {
        Ok(Inspection::new("chaos", Duration::ZERO))
    }
}
