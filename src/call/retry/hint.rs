//! What the provider's errors ask for: how long to wait, and which calls have to.

use std::time::Duration;

use rand::RngExt;
use tokio::time::Instant;

use crate::provider::{ProviderError, RateLimit};

use super::Retrier;
use super::lane::Traffic;

/// Past a Retry-After or a closed gate, callers come back spread over this share of the wait, so that they do not all
/// come at once. Only ever added: less than asked for would be refused again.
const SPREAD: f64 = 0.2;

/// The least spread, for waits so short that their share would spread nothing.
const MIN_SPREAD: Duration = Duration::from_millis(100);

/// What an error asks for, by whichever rule it is decided.
pub(super) struct ServerHint {
    /// Retry-After, unless it is zero.
    pub(super) wait: Option<Duration>,
    /// How long every call has to wait that the limit concerns, and which those are, if they have to.
    pub(super) closure: Option<(Duration, RateLimit)>,
    pub(super) beyond_cap: bool,
}

impl Retrier {
    /// How long the gate stays closed where the provider does not say: as long as a first retry would wait at most. Not
    /// longer, or one call's third retry would hold up all others.
    pub(super) fn first_wait(&self) -> Duration {
        self.retry.waits().bounds().map_or(MIN_SPREAD, |(_, most)| most)
    }

    pub(super) fn hint(&self, error: &ProviderError) -> ServerHint {
        let wait = error.wait().filter(|wait| !wait.is_zero());
        let whom = error.limits().filter(|whom| matches!(whom, RateLimit::Account | RateLimit::Endpoint));
        ServerHint {
            wait,
            closure: whom.map(|whom| (wait.unwrap_or_else(|| self.first_wait()), whom)),
            beyond_cap: wait.is_some_and(|wait| wait > self.retry_after_cap),
        }
    }

    /// Closes the gate of those whom a limit concerns, if the error tells of one.
    pub(super) fn close_gate(&self, traffic: Traffic, error: &ProviderError, now: Instant) -> ServerHint {
        let hint = self.hint(error);
        if let Some((closure, whom)) = hint.closure {
            // Also when this call gives up: the others must not run into the same limit.
            self.close(traffic, whom, now, closure);
        }
        hint
    }

    /// Closes the gate of those whom the limit concerns.
    fn close(&self, traffic: Traffic, whom: RateLimit, now: Instant, wait: Duration) {
        if whom == RateLimit::Account {
            self.look_ups.gate.close(now, wait);
            self.guarded.gate.close(now, wait);
            #[cfg(feature = "reconcile")]
            self.lists.lane.gate.close(now, wait);
        } else {
            self.lane(traffic).gate.close(now, wait);
        }
    }

    /// A little more than `wait`, never less.
    pub(super) fn spread(&self, wait: Duration) -> Duration {
        wait.saturating_add(self.rng().random_range(Duration::ZERO..=most_spread(wait)))
    }
}

pub(super) fn most_spread(wait: Duration) -> Duration {
    wait.mul_f64(SPREAD).max(MIN_SPREAD)
}
