//! What look-ups, guarded calls and pages of lists each have of their own, so that trouble of the ones does not stop the others.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::call::breaker::{Breaker, CircuitBreaker};
use crate::call::concurrency::Concurrency;
use crate::call::gate::Gate;
use crate::provider::Door as _;
use crate::telemetry::stats::BreakerState;

use super::Retrier;
use super::credit::Credit;

/// Which calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Traffic {
    /// Of payments' facts.
    LookUps,
    /// Everything that a guard runs.
    Guarded,
    /// Of pages of lists, for no caller who waits at a checkout.
    #[cfg(feature = "reconcile")]
    Lists,
}

/// A gate's probe that is silent for so long is not the only one any more.
const ANOTHER_PROBE_AFTER: Duration = Duration::from_secs(1);

/// A breaker and a gate.
#[derive(Debug)]
pub(crate) struct Lane {
    /// Look-ups under way ask it for further requests, too.
    pub(super) gate: Arc<Gate>,
    pub(super) breaker: Option<CircuitBreaker>,
}

impl Lane {
    pub(crate) fn new(breaker: Option<Breaker>, longest_attempt: Duration) -> Self {
        let breaker = breaker.map(|breaker| CircuitBreaker::new(breaker, longest_attempt));
        Self { gate: Arc::new(Gate::new(longest_attempt.min(ANOTHER_PROBE_AFTER))), breaker }
    }
}

impl Retrier {
    /// Their gate and breaker.
    pub(super) fn lane(&self, traffic: Traffic) -> &Lane {
        match traffic {
            Traffic::LookUps => &self.look_ups,
            Traffic::Guarded => &self.guarded,
            #[cfg(feature = "reconcile")]
            Traffic::Lists => &self.lists.lane,
        }
    }

    /// What pays for the extra requests of such calls.
    pub(super) fn credit(&self, traffic: Traffic) -> &Credit {
        match traffic {
            Traffic::LookUps | Traffic::Guarded => &self.credit,
            #[cfg(feature = "reconcile")]
            Traffic::Lists => &self.lists.credit,
        }
    }

    /// The places that such calls take.
    pub(super) fn places(&self, traffic: Traffic) -> Option<&Concurrency> {
        match traffic {
            Traffic::LookUps | Traffic::Guarded => self.concurrency.as_ref(),
            // There is one at a time, and it takes none of those that checkouts wait for.
            #[cfg(feature = "reconcile")]
            Traffic::Lists => None,
        }
    }

    /// How long an attempt of such calls may take.
    pub(super) fn attempt_timeout(&self, traffic: Traffic) -> Duration {
        match traffic {
            Traffic::LookUps | Traffic::Guarded => self.attempt_timeout,
            #[cfg(feature = "reconcile")]
            Traffic::Lists => self.lists.attempt_timeout,
        }
    }

    /// How long the provider's rate limit still holds such calls back.
    pub(crate) fn gate_closed_for(&self, traffic: Traffic, now: Instant) -> Option<Duration> {
        self.lane(traffic).gate.closed_for(now)
    }

    pub(crate) fn breaker_state(&self, traffic: Traffic) -> Option<BreakerState> {
        self.lane(traffic).breaker.as_ref().map(|breaker| breaker.state(Instant::now()))
    }
}
