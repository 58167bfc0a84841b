//! Runs simulations: several processes with one store between them, on a clock that jumps, once for each seed.
//!
//! A seed stands for one run: which processes there are, what they do, and what goes wrong on their ways to the store.
//! A validator that is not given the seed draws its waits from the operating system, and so does a cache: there a seed alone
//! does not always repeat a run. What a run is found guilty of is told with its trace.
#![allow(dead_code, reason = "each test binary uses its own share")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "numbers are small, and what is not as it should be fails the test"
)]

use std::collections::HashMap;
use std::future::Future;
use std::sync::Mutex;
use std::time::Duration;

use payproof::store::MemoryStore;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::chaos_store::{ALL_IS_MADE, ChaosStore, Trouble, assert_no_bytes_stood_twice};
use crate::support::paused_runtime;

/// Runs one seed alone: `SIMULATION_SEED=17`.
const ONE: &str = "SIMULATION_SEED";

/// Runs so many seeds instead of the test's own number.
const MANY: &str = "SIMULATION_SEEDS";

/// Runs each seed on a paused clock of its own, and returns what the runs found.
///
/// # Panics
/// When a run says what must not have happened, with the seed, and how to run that one alone.
pub(crate) fn simulate<T, R>(seeds: u64, run: impl Fn(u64) -> R) -> Vec<T>
where
    R: Future<Output = Result<T, String>>,
{
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seeds = number(ONE).map_or(0..number(MANY).unwrap_or(seeds), |seed| seed..seed + 1);
    let on_a_paused_clock = |seed| {
        let runtime = paused_runtime();
        let ended = runtime.block_on(run(seed));
        assert_no_bytes_stood_twice();
        ended.unwrap_or_else(|breach| panic!("{breach}\nseed {seed} found it; {ONE}={seed} runs it alone"))
    };
    seeds.map(on_a_paused_clock).collect()
}

/// Another source of chances, for a task of its own.
pub(crate) fn fork(rng: &mut StdRng) -> StdRng {
    StdRng::seed_from_u64(rng.random())
}

/// Waits for all of them, and fails with the first that panicked.
pub(crate) async fn finish<T>(tasks: Vec<JoinHandle<T>>) -> Vec<T> {
    let mut ended = Vec::new();
    for task in tasks {
        ended.push(task.await.unwrap());
    }
    ended
}

/// Each process's way to the store that all of them share.
#[derive(Clone)]
pub(crate) struct Ways(Vec<ChaosStore>);

impl Ways {
    pub(crate) fn new(seed: u64, processes: u64) -> Self {
        let store = MemoryStore::new();
        Self((0..processes).map(|process| ChaosStore::new(&store, seed * 10 + process)).collect())
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, ChaosStore> {
        self.0.iter()
    }

    pub(crate) fn of(&self, process: usize) -> &ChaosStore {
        &self.0[process]
    }

    /// How much later than it was sent a record may have been written, by the number that stands in it between these two; all
    /// writings of a number together. That long no process can know of.
    pub(crate) fn delays(&self, before: &str, after: char) -> HashMap<usize, Duration> {
        let mut delays: HashMap<usize, Duration> = HashMap::new();
        for made in self.iter().flat_map(ChaosStore::made) {
            let text = String::from_utf8_lossy(&made.bytes).into_owned();
            if let Some((number, _)) = text.split_once(before).and_then(|(_, rest)| rest.split_once(after)) {
                *delays.entry(number.parse().unwrap()).or_default() += made.at.duration_since(made.sent);
            }
        }
        delays
    }

    /// From now on all of them are like this.
    pub(crate) fn trouble(&self, trouble: Trouble) {
        for way in &self.0 {
            way.trouble(trouble);
        }
    }

    /// Ends the trouble, and waits until every command has been made and whatever is kept for so long is over.
    pub(crate) async fn calm(&self, trouble: Trouble, and_then: Duration) {
        self.trouble(trouble);
        sleep(ALL_IS_MADE + and_then).await;
    }
}

type Start<P> = Box<dyn Fn() -> P + Send + Sync>;

/// The processes of one run, each of which may be started anew.
pub(crate) struct Processes<P> {
    starts: Vec<Start<P>>,
    /// As they run now.
    running: Mutex<Vec<P>>,
}

impl<P: Clone> Processes<P> {
    pub(crate) fn start(starts: Vec<Start<P>>) -> Self {
        let running = Mutex::new(starts.iter().map(|start| start()).collect());
        Self { starts, running }
    }

    pub(crate) fn count(&self) -> usize {
        self.starts.len()
    }

    pub(crate) fn get(&self, process: usize) -> P {
        self.running.lock().unwrap()[process].clone()
    }

    /// The process as it is when it has only just started, beside the one that runs.
    pub(crate) fn fresh(&self, process: usize) -> P {
        self.starts[process]()
    }

    /// Starts a process anew, with nothing in its memory. Its calls under way come to their end.
    pub(crate) fn restart(&self, process: usize) {
        let fresh = self.fresh(process);
        self.running.lock().unwrap()[process] = fresh;
    }
}
