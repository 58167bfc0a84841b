//! What could not be written is tried again for a while, for whoever comes next.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::runtime::Handle;
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

/// Writes in the background until it works, for about a minute. Without a runtime, or when too much waits already, not at
/// all.
pub(crate) fn later<F>(mut write: impl FnMut() -> F + Send + 'static)
where
    F: Future<Output = Result<(), LedgerError>> + Send,
{
    let (Ok(runtime), Some(waiting)) = (Handle::try_current(), Waiting::one_more()) else { return };
    runtime.spawn(async move {
        let _waiting = waiting;
        for pause in PAUSES {
            sleep(Duration::from_secs(pause)).await;
            if write().await.is_ok() {
                return;
            }
        }
    });
}
