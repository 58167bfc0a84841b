//! What could not be written is tried again for a while, for the calls that come next.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::sleep;

use super::LedgerError;

/// For about a minute, as long as a store takes to fail over and more.
const PAUSES: [u64; 6] = [1, 2, 4, 8, 16, 32];

/// What waits to be written while a store is down holds this many KiB at most: as much memory as an outage may cost.
const MOST_WAITING: usize = 256 * 1_000;

/// So much is no more than a key and a nonce with the task around it.
const SMALL: usize = 1024;

static WAITING: AtomicUsize = AtomicUsize::new(0);

/// How much one of those holds that wait to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Holds {
    /// A record, of whatever size.
    Record,
    /// A key and a nonce. In an outage every request may leave one behind, and each that is given up stands in a later call's
    /// way.
    Claim,
}

impl Holds {
    /// What a record with so many bytes to say counts as.
    pub(super) const fn of(bytes: usize) -> Self {
        if bytes > SMALL { Self::Record } else { Self::Claim }
    }

    /// With the task around it.
    const fn kib(self) -> usize {
        match self {
            Self::Record => 256,
            Self::Claim => 4,
        }
    }
}

/// One of those that wait to be written, by what it holds.
struct Waiting(usize);

impl Waiting {
    fn one_more(holds: Holds) -> Option<Self> {
        let kib = holds.kib();
        // Made first, so that it is counted back whichever way this ends.
        let (before, waiting) = (WAITING.fetch_add(kib, Relaxed), Self(kib));
        (before < MOST_WAITING).then_some(waiting)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        WAITING.fetch_sub(self.0, Relaxed);
    }
}

/// Writes until it works, for about a minute, beginning in a second. For a task of its own. When too much waits already, it
/// does nothing.
pub(crate) async fn later<F>(holds: Holds, mut write: impl FnMut() -> F)
where
    F: Future<Output = Result<(), LedgerError>>,
{
    let Some(_waiting) = Waiting::one_more(holds) else { return };
    for pause in PAUSES {
        sleep(Duration::from_secs(pause)).await;
        if write().await.is_ok() {
            return;
        }
    }
}
