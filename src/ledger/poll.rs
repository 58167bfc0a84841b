//! The pace at which another call's claim is looked at until it ends.

use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;
use tokio::time::sleep;

use crate::call::deadline::Deadline;

/// A provider seldom answers faster.
const FIRST: Duration = Duration::from_millis(20);

/// Often enough for a shopper who waits, and seldom enough for a store that a whole fleet asks.
const LONGEST: Duration = Duration::from_millis(500);

/// Waits between looks, longer each time, with jitter so that a fleet does not look in step.
#[derive(Debug)]
pub(crate) struct Poll {
    next: Duration,
    /// Made at the first wait, which most calls never come to.
    rng: Option<StdRng>,
}

impl Poll {
    pub(crate) fn new() -> Self {
        Self { next: FIRST, rng: None }
    }

    /// Waits until the next look: half to all of the pace, and not past `until`, when there is something to see for sure.
    /// False when the deadline leaves no time for a look.
    pub(crate) async fn wait(&mut self, until: Duration, deadline: Deadline) -> bool {
        let pace = self.next.min(until.max(FIRST));
        let rng = self.rng.get_or_insert_with(rand::make_rng);
        let wait = rng.random_range(pace.checked_div(2).unwrap_or_default()..=pace);
        self.next = self.next.saturating_mul(3).checked_div(2).unwrap_or(LONGEST).min(LONGEST);
        if !deadline.allows(tokio::time::Instant::now(), wait) {
            return false;
        }
        sleep(wait).await;
        true
    }
}
