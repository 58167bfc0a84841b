//! What look-ups and guarded calls each have of their own, so that trouble of the ones does not stop the others.

use std::time::Duration;

use tokio::time::Instant;

use crate::call::breaker::{Admission, Breaker, CircuitBreaker, ProviderHealth};
use crate::call::concurrency::Permit;
use crate::call::gate::{Gate, Probe};

/// Which calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Traffic {
    /// Of payments' facts.
    LookUps,
    /// Everything that a guard runs.
    Guarded,
}

/// A gate's probe that is silent for so long is not the only one any more.
const ANOTHER_PROBE_AFTER: Duration = Duration::from_secs(1);

/// A breaker and a gate.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(super) gate: Gate,
    pub(super) breaker: Option<CircuitBreaker>,
}

impl Lane {
    pub(crate) fn new(breaker: Option<Breaker>, longest_attempt: Duration) -> Self {
        let breaker = breaker.map(|breaker| CircuitBreaker::new(breaker, longest_attempt));
        Self { gate: Gate::new(longest_attempt.min(ANOTHER_PROBE_AFTER)), breaker }
    }
}

/// What may go to the provider now, since when, and what it gives back when it is over.
pub(super) struct Clearance<'r> {
    pub(super) _permit: Option<Permit<'r>>,
    pub(super) probe: Option<Probe<'r>>,
    pub(super) admission: Option<Admission<'r>>,
    pub(super) at: Instant,
}

impl Clearance<'_> {
    /// Frees the place, and tells gate and breaker how it went; the breaker, without a word on that, that it says nothing.
    pub(super) fn leave(self, health: Option<ProviderHealth>, now: Instant) {
        if let Some(probe) = self.probe {
            probe.answered();
        }
        if let (Some(admission), Some(health)) = (self.admission, health) {
            admission.report(now, health);
        }
    }
}
