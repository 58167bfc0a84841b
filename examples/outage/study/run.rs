//! One run: one peer, one scenario, one seed, on a paused clock of its own.

use std::sync::Arc;
use std::time::Duration;

use payproof::PaymentIntent;
use tokio::runtime::Builder;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::figures::{Figures, Heard, Seen};
use super::model::Model;
use super::peers::Peer;
use super::scenario::{LAST_ARRIVAL, Scenario};

/// The longest that a caller waits, with every peer: payproof's default.
pub(crate) const DEADLINE: Duration = Duration::from_secs(150);

pub(crate) struct Run {
    pub(crate) scenario: Arc<Scenario>,
    pub(crate) rate: u32,
    pub(crate) processes: usize,
    pub(crate) peer: Peer,
    pub(crate) seed: u64,
}

/// How many callers arrive at this rate.
pub(crate) fn callers(rate: u32) -> usize {
    (f64::from(rate) * LAST_ARRIVAL) as usize
}

impl Run {
    pub(crate) fn figures(&self, intents: &Arc<[PaymentIntent]>) -> Figures {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("the system has room for a runtime");
        let seen = runtime.block_on(self.watch(intents));
        Figures::of(&seen, &self.scenario, f64::from(self.rate))
    }

    async fn watch(&self, intents: &Arc<[PaymentIntent]>) -> Seen {
        let callers = callers(self.rate);
        let begin = Instant::now();
        let model = Arc::new(Model::new(Arc::clone(&self.scenario), f64::from(self.rate), callers, self.seed));
        let seed = |process: usize| self.seed.wrapping_mul(1_000).wrapping_add(process as u64);
        let clients = (0..self.processes).map(|process| self.peer.client(&model, intents, seed(process)));
        let clients: Vec<_> = clients.map(Arc::new).collect();
        let mut waiting = Vec::with_capacity(callers);
        for (caller, client) in (0..callers).zip(clients.iter().cycle()) {
            let arrival = caller as f64 / f64::from(self.rate);
            let arrived = begin + Duration::from_secs_f64(arrival);
            sleep_until(arrived).await;
            let client = Arc::clone(client);
            waiting.push(tokio::spawn(async move {
                let is_valid = timeout_at(arrived + DEADLINE, client.is_valid(caller)).await.unwrap_or_default();
                Heard { arrival, end: begin.elapsed().as_secs_f64(), is_valid }
            }));
        }
        let mut heard = Vec::with_capacity(callers);
        for caller in waiting {
            heard.push(caller.await.expect("no client panics"));
        }
        Seen { heard, counted: model.counted() }
    }
}
