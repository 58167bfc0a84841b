//! What look-ups, guarded calls and pages of lists each have of their own, so that trouble of the ones does not stop the others.

use std::sync::Arc;
use std::time::Duration;

use crate::call::breaker::{Breaker, CircuitBreaker};
use crate::call::gate::Gate;

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
