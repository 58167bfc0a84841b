//! A provider that is in trouble now and then, on tokio's clock and from a seed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, sleep};

use super::scenario::{Fault, Scenario, Trouble};

/// The longest that one attempt may take, for every peer: payproof's default.
pub(crate) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

/// What a Retry-After says.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A refusal is quicker than an answer.
const REFUSAL: f64 = 0.02;

/// The span over which the load is measured that success falls with.
const LOAD_SPAN: f64 = 0.5;

/// Calls are counted in bins of a quarter of a second.
pub(crate) const BINS_PER_SECOND: f64 = 4.0;

/// What comes of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Paid,
    Failed,
    Limited { told: bool },
    Silent,
}

pub(crate) struct Model {
    state: Mutex<State>,
}

struct State {
    begin: Instant,
    scenario: Arc<Scenario>,
    rate: f64,
    rng: StdRng,
    /// Times of the calls within the last [`LOAD_SPAN`].
    recent: VecDeque<f64>,
    /// What is in the token bucket, and since when.
    tokens: (f64, f64),
    counted: Counted,
}

/// What the provider saw.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counted {
    /// Calls in each bin.
    pub(crate) bins: Vec<u32>,
    /// When each caller was asked for first, in seconds; `NaN` where it never was.
    pub(crate) first: Vec<f64>,
}

impl Model {
    pub(crate) fn new(scenario: Arc<Scenario>, rate: f64, callers: usize, seed: u64) -> Self {
        let tokens = (0.0, scenario.begin());
        let counted = Counted { bins: Vec::new(), first: vec![f64::NAN; callers] };
        let (begin, rng, recent) = (Instant::now(), StdRng::seed_from_u64(seed), VecDeque::new());
        Self { state: Mutex::new(State { begin, scenario, rate, rng, recent, tokens, counted }) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One call; where no answer will come, it says so at once, so that the client's own time-out ends it.
    pub(crate) async fn call(&self, caller: usize) -> Answer {
        let (answer, wait) = self.lock().ask(caller);
        if answer != Answer::Silent {
            sleep(wait).await;
        }
        answer
    }

    /// One call that is cut off after [`ATTEMPT_TIMEOUT`].
    pub(crate) async fn call_within_timeout(&self, caller: usize) -> Answer {
        let (answer, wait) = self.lock().ask(caller);
        sleep(wait).await;
        answer
    }

    pub(crate) fn counted(&self) -> Counted {
        self.lock().counted.clone()
    }
}

impl State {
    /// What comes of a call that is sent now, and after how long.
    fn ask(&mut self, caller: usize) -> (Answer, Duration) {
        let now = self.begin.elapsed().as_secs_f64();
        let bin = (now * BINS_PER_SECOND) as usize;
        if self.counted.bins.len() <= bin {
            self.counted.bins.resize(bin + 1, 0);
        }
        self.counted.bins[bin] += 1;
        let first = &mut self.counted.first[caller];
        if first.is_nan() {
            *first = now;
        }
        self.recent.push_back(now);
        while self.recent.front().is_some_and(|then| *then < now - LOAD_SPAN) {
            self.recent.pop_front();
        }
        let mut seconds = 0.04 + 0.04 * self.rng.random::<f64>();
        let scenario = Arc::clone(&self.scenario);
        let present = |trouble: &&Trouble| (trouble.from..trouble.to).contains(&now);
        for trouble in scenario.troubles.iter().filter(present) {
            if let Some(answer) = self.strikes(trouble.fault, now) {
                let wait = if answer == Answer::Silent { ATTEMPT_TIMEOUT } else { Duration::from_secs_f64(REFUSAL) };
                return (answer, wait);
            }
            if let Fault::Slow(more) = trouble.fault {
                seconds += more;
            }
        }
        let wait = Duration::from_secs_f64(seconds);
        if wait < ATTEMPT_TIMEOUT { (Answer::Paid, wait) } else { (Answer::Silent, ATTEMPT_TIMEOUT) }
    }

    fn strikes(&mut self, fault: Fault, now: f64) -> Option<Answer> {
        let roll: f64 = self.rng.random();
        match fault {
            Fault::Slow(_) => None,
            Fault::Fail(share) => (roll < share).then_some(Answer::Failed),
            Fault::Hang(share) => (roll < share).then_some(Answer::Silent),
            Fault::Limit(share) => (roll < share).then_some(Answer::Limited { told: true }),
            Fault::Congest { room, power } => {
                let load = self.recent.len() as f64 / LOAD_SPAN;
                (roll > (room * self.rate / load).min(1.0).powf(power)).then_some(Answer::Failed)
            }
            Fault::Rate { room, told } => {
                let (tokens, since) = self.tokens;
                let most = room * self.rate;
                let tokens = (tokens + (now - since) * most).min(most);
                let is_empty = tokens < 1.0;
                self.tokens = (if is_empty { tokens } else { tokens - 1.0 }, now);
                is_empty.then_some(Answer::Limited { told })
            }
        }
    }
}
