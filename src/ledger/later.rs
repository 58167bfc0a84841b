//! What could not be written is tried again for a while, for whoever comes next.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::sleep;

use super::LedgerError;

/// For about a minute, as long as a store takes to fail over and more.
const PAUSES: [u64; 6] = [1, 2, 4, 8, 16, 32];

/// What waits to be written while a store is down. At 256 KiB each they take as much memory as an outage may cost.
const MOST_WAITING: usize = 1_000;

static WAITING: AtomicUsize = AtomicUsize::new(0);

/// One of those that wait to be written.
struct Waiting;

impl Waiting {
    fn one_more() -> Option<Self> {
        // Made first, so that it is counted back whichever way this ends.
        let (before, waiting) = (WAITING.fetch_add(1, Relaxed), Self);
        (before < MOST_WAITING).then_some(waiting)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        WAITING.fetch_sub(1, Relaxed);
    }
}

/// Writes until it works, for about a minute, beginning in a second. For a task of its own. When too much waits already, it
/// does nothing.
pub(crate) async fn later<F>(mut write: impl FnMut() -> F)
where
    F: Future<Output = Result<(), LedgerError>>,
{
    let Some(_waiting) = Waiting::one_more() else { return };
    for pause in PAUSES {
        sleep(Duration::from_secs(pause)).await;
        if write().await.is_ok() {
            return;
        }
    }
}
