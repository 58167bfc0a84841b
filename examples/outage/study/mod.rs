//! The study: callers arrive evenly, the provider is in trouble for a while, and each peer does what it does.
//!
//! | to learn | read |
//! |---|---|
//! | what can go wrong, and how it is written | `scenario.rs` |
//! | how the provider behaves | `model.rs` |
//! | who asks it | `peers.rs` |
//! | how a run goes | `run.rs` |
//! | what is measured | `figures.rs` |
//! | what payproof has to reach | `goals.rs` |
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unchecked_time_subtraction,
    reason = "counts, times and shares of a study; a slip ends it"
)]

use std::num::NonZero;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

pub(crate) mod figures;
pub(crate) mod goals;
mod model;
pub(crate) mod peers;
mod run;
pub(crate) mod scenario;

use figures::{Figures, Measured};
use peers::Peer;
use run::Run;
use scenario::Scenario;

/// What is run: everything with everything.
pub(crate) struct Study {
    pub(crate) scenarios: Vec<Scenario>,
    /// Callers a second.
    pub(crate) rates: Vec<u32>,
    /// How many processes share the callers.
    pub(crate) processes: Vec<usize>,
    pub(crate) peers: Vec<Peer>,
    /// How many seeds, from 1 on.
    pub(crate) seeds: u64,
}

/// A scenario under one load, and how each peer did.
pub(crate) struct Case {
    pub(crate) scenario: Arc<Scenario>,
    pub(crate) rate: u32,
    pub(crate) processes: usize,
    pub(crate) peers: Vec<(Peer, Measured)>,
    /// The same of each seed alone, where there are several.
    pub(crate) seeds: Vec<Self>,
}

impl Case {
    pub(crate) fn of(&self, peer: Peer) -> Option<&Measured> {
        self.peers.iter().find(|(of, _)| *of == peer).map(|(_, measured)| measured)
    }
}

impl Study {
    /// Runs it on every core, and tells of each case when it is done.
    pub(crate) fn run(&self, mut done: impl FnMut(&Case)) -> Vec<Case> {
        let most = self.rates.iter().max().copied().unwrap_or_default();
        let intents = peers::intents(run::callers(most));
        let mut cases = Vec::new();
        for scenario in &self.scenarios {
            let scenario = Arc::new(scenario.clone());
            for &rate in &self.rates {
                for &processes in &self.processes {
                    let run = |peer, seed| Run { scenario: Arc::clone(&scenario), rate, processes, peer, seed };
                    let seeds = || 1..=self.seeds;
                    let runs = self.peers.iter().flat_map(|&peer| seeds().map(move |seed| run(peer, seed)));
                    let runs: Vec<Run> = runs.collect();
                    let figures = on_every_core(&runs, |run| run.figures(&intents));
                    let count = runs.len() / self.peers.len();
                    let of = |seeds: Range<usize>, alone| {
                        let of_peer = figures.chunks(count).map(|figures| Measured::of(&figures[seeds.clone()]));
                        let peers = self.peers.iter().copied().zip(of_peer).collect();
                        Case { scenario: Arc::clone(&scenario), rate, processes, peers, seeds: alone }
                    };
                    let alone = (0..count).filter(|_| count > 1).map(|seed| of(seed..seed + 1, Vec::new())).collect();
                    let case = of(0..count, alone);
                    done(&case);
                    cases.push(case);
                }
            }
        }
        cases
    }
}

/// The figures of each run, in the order of the runs.
fn on_every_core(runs: &[Run], figures: impl Fn(&Run) -> Figures + Sync) -> Vec<Figures> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let (next, found) = (AtomicUsize::new(0), Mutex::new(vec![Figures::default(); runs.len()]));
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while let number = next.fetch_add(1, Ordering::Relaxed)
                    && let Some(run) = runs.get(number)
                {
                    let of = figures(run);
                    found.lock().unwrap_or_else(PoisonError::into_inner)[number] = of;
                }
            });
        }
    });
    found.into_inner().unwrap_or_else(PoisonError::into_inner)
}
