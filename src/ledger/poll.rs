//! The pace at which another call's claim is looked at until it ends.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::sleep;

use crate::call::deadline::Deadline;
use crate::lock::Lock;

use super::Ledger;

/// A provider seldom answers faster.
const FIRST: Duration = Duration::from_millis(20);

/// Often enough for a shopper who waits, and seldom enough for a store that a whole fleet asks.
const LONGEST: Duration = Duration::from_millis(500);

/// Waits between looks, longer each time, with jitter so that a fleet does not look in step.
#[derive(Debug)]
pub(crate) struct Poll {
    next: Duration,
    jitter: Arc<PollJitter>,
}

/// Draws the waits. Its generator is made at the first one, without a seed.
#[derive(Debug, Default)]
pub(super) struct PollJitter(Lock<Option<StdRng>>);

impl PollJitter {
    pub(super) fn seeded(seed: u64) -> Self {
        Self(Lock::new(Some(StdRng::seed_from_u64(seed))))
    }

    /// Half to all of a pace.
    fn wait_at(&self, pace: Duration) -> Duration {
        let mut rng = self.0.lock();
        rng.get_or_insert_with(rand::make_rng).random_range(pace.checked_div(2).unwrap_or_default()..=pace)
    }
}

impl Ledger {
    /// Begins to wait at a pace of its own.
    pub(crate) fn poll(&self) -> Poll {
        Poll { next: FIRST, jitter: Arc::clone(&self.watches.jitter) }
    }
}

impl Poll {
    /// Waits until the next look: half to all of the pace, and not past `until`, when there is something to see for sure.
    /// False when the deadline leaves no time for a look.
    pub(crate) async fn wait(&mut self, until: Duration, deadline: Deadline) -> bool {
        let pace = self.next.min(until.max(FIRST));
        let wait = self.jitter.wait_at(pace);
        self.next = self.next.saturating_mul(3).checked_div(2).unwrap_or(LONGEST).min(LONGEST);
        if !deadline.allows(tokio::time::Instant::now(), wait) {
            return false;
        }
        sleep(wait).await;
        true
    }
}
