//! The pace at which somebody else's claim is looked at until it ends.

use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;
use tokio::time::sleep;

use crate::deadline::Deadline;

/// A provider seldom answers faster.
const FIRST: Duration = Duration::from_millis(20);

/// Often enough for a shopper who waits, and seldom enough for a store that a whole fleet asks.
const LONGEST: Duration = Duration::from_millis(500);

/// Waits between looks, longer each time, with jitter so that a fleet does not look in step.
#[derive(Debug)]
pub(crate) struct Poll {
    next: Duration,
    rng: StdRng,
}

impl Poll {
    pub(crate) fn new() -> Self {
        Self { next: FIRST, rng: rand::make_rng() }
    }

    /// Waits until the next look: half to all of the pace, and not past `until`, when there is something to see for sure.
    /// False when the deadline leaves no time for a look.
    pub(crate) async fn wait(&mut self, until: Duration, deadline: Deadline) -> bool {
        let pace = self.next.min(until.max(FIRST));
        let wait = self.rng.random_range(pace / 2..=pace);
        self.next = self.next.saturating_mul(3).checked_div(2).unwrap_or(LONGEST).min(LONGEST);
        if !deadline.allows(tokio::time::Instant::now(), wait) {
            return false;
        }
        sleep(wait).await;
        true
    }
}
