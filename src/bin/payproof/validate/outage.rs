//! Waits out an outage of the provider, instead of running the rest of the input against an open circuit breaker.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use payproof::PaymentIntent;
use tokio::time::{Instant, sleep};

use super::Plan;
use super::row::RowOutcome;

/// While a few calls look whether the provider is back, the others ask this often whether it is.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);

/// Shared by all lines of a run.
pub(crate) struct Outage {
    /// How long the provider may be silent before lines are given up at once.
    patience: Duration,
    answered_at: Mutex<Instant>,
}

impl Outage {
    pub(crate) fn new(patience: Duration) -> Self {
        Self { patience, answered_at: Mutex::new(Instant::now()) }
    }

    /// Asks, and while the breaker is open asks again, until the patience is over.
    pub(crate) async fn ask(&self, plan: &Plan, intent: &PaymentIntent) -> RowOutcome {
        let begun = Instant::now();
        loop {
            let outcome = plan.ask(intent).await;
            match self.pause_after(&outcome, begun) {
                Some(pause) => sleep(pause).await,
                None => return outcome,
            }
        }
    }

    /// How long to wait before asking again, if that is worth it for a line that was begun then.
    fn pause_after(&self, outcome: &RowOutcome, begun: Instant) -> Option<Duration> {
        match outcome {
            RowOutcome::CouldNotTell(error) if error.code() == "circuit_open" => {
                let pause = error.retry_after().unwrap_or_default().max(SHORTEST_PAUSE);
                let waited = self.answered_at().elapsed().max(begun.elapsed());
                (waited.saturating_add(pause) <= self.patience).then_some(pause)
            }
            // What was known already says nothing about the provider.
            RowOutcome::Told { validation, .. } if !validation.attempts().is_empty() => {
                *self.answered_at() = Instant::now();
                None
            }
            _ => None,
        }
    }

    fn answered_at(&self) -> MutexGuard<'_, Instant> {
        self.answered_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
