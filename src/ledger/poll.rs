//! The pace at which another call's claim is looked at until it ends.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use crate::call::deadline::Deadline;

use super::Ledger;
use super::watch::Watches;

/// A provider seldom answers faster.
const FIRST: Duration = Duration::from_millis(20);

/// Often enough for a shopper who waits, and seldom enough for a store that a whole fleet asks.
const LONGEST: Duration = Duration::from_millis(500);

/// Waits between looks, longer each time, with jitter so that a fleet does not look in step.
#[derive(Debug)]
pub(crate) struct Poll {
    next: Duration,
    /// Has the jitter.
    watches: Arc<Watches>,
}

impl Ledger {
    /// Begins to wait at a pace of its own.
    pub(crate) fn poll(&self) -> Poll {
        Poll { next: FIRST, watches: Arc::clone(&self.watches) }
    }
}

impl Poll {
    /// Waits until the next look: half to all of the pace, and not past `until`, when there is something to see for sure.
    /// False when the deadline leaves no time for a look.
    pub(crate) async fn wait(&mut self, until: Duration, deadline: Deadline) -> bool {
        let pace = self.next.min(until.max(FIRST));
        let wait = self.watches.wait_at(pace);
        self.next = self.next.saturating_mul(3).checked_div(2).unwrap_or(LONGEST).min(LONGEST);
        if !deadline.allows(tokio::time::Instant::now(), wait) {
            return false;
        }
        sleep(wait).await;
        true
    }
}
