//! What could not be written is tried again for a while, for the calls that come next.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::sleep;

use super::{LedgerError, RecordKind};

/// For about a minute, as long as a store takes to fail over and more.
const PAUSES: [u64; 6] = [1, 2, 4, 8, 16, 32];

/// What waits to be written while a store is down holds this many KiB at most: as much memory as an outage may cost.
const MOST_WAITING: usize = 256 * 1_000;

/// So many of these KiB are for guarded operations alone. Their words are mostly small, and tell where money went; what other
/// kinds say can be as large as the answers of a service, and is more.
const FOR_OPERATIONS: usize = MOST_WAITING / 4;

/// So much is no more than a key and a nonce with the task around it.
const SMALL: usize = 1024;

static WAITING: AtomicUsize = AtomicUsize::new(0);

/// How many KiB it costs to wait with a payload of so many bytes, with the task. Without one it is a key and a nonce: in an
/// outage every request may leave those behind, and what is given up stands in a later call's way.
pub(super) const fn kib(payload: usize) -> usize {
    if payload > SMALL { 256 } else { 4 }
}

/// One of those that wait to be written, by what it holds.
pub(super) struct WaitingWord(usize);

impl WaitingWord {
    /// `None` when too much waits already.
    pub(super) fn one_more(kib: usize, kind: RecordKind) -> Option<Self> {
        let most = if kind == RecordKind::Operation { MOST_WAITING } else { MOST_WAITING - FOR_OPERATIONS };
        // Made first, so that it is counted back whichever way this ends.
        let (before, waiting) = (WAITING.fetch_add(kib, Relaxed), Self(kib));
        (before < most).then_some(waiting)
    }
}

impl Drop for WaitingWord {
    fn drop(&mut self) {
        WAITING.fetch_sub(self.0, Relaxed);
    }
}

/// Writes until it works, for about a minute, beginning in a second.
pub(super) async fn later<F>(_waiting: WaitingWord, mut write: impl FnMut() -> F)
where
    F: Future<Output = Result<(), LedgerError>>,
{
    for pause in PAUSES {
        sleep(Duration::from_secs(pause)).await;
        if write().await.is_ok() {
            return;
        }
    }
}
