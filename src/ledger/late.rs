//! Writing later what could not be written while a store was down.

use std::slice;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::sleep;

/// When what could not be written is tried again: for about a minute, as long as a store takes to fail over and more.
const PAUSES: [u64; 6] = [1, 2, 4, 8, 16, 32];

/// What waits to be written while a store is down. At 256 KiB each they take as much memory as an outage may cost.
const MOST_WAITING: usize = 1_000;

static WAITING: AtomicUsize = AtomicUsize::new(0);

/// One of those that wait to be written, and the times at which it is tried.
#[derive(Debug)]
pub(crate) struct Late(slice::Iter<'static, u64>);

impl Late {
    /// `None` when too many wait already.
    pub(crate) fn one_more() -> Option<Self> {
        // Made first, so that it is counted back whichever way this ends.
        let (before, waiting) = (WAITING.fetch_add(1, Relaxed), Self(PAUSES.iter()));
        (before < MOST_WAITING).then_some(waiting)
    }

    /// Waits for the next try. False when there is none.
    pub(crate) async fn pause(&mut self) -> bool {
        let Some(pause) = self.0.next() else { return false };
        sleep(Duration::from_secs(*pause)).await;
        true
    }
}

impl Drop for Late {
    fn drop(&mut self) {
        WAITING.fetch_sub(1, Relaxed);
    }
}
