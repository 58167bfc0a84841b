//! Whether the store has room: a server that evicts nothing and is nearly full is left to what must not be refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::ledger::Ledger;
use crate::lock::Lock;
use crate::store::StoreFinding;
use crate::telemetry::cache_full;

/// A look takes several round trips, and memory seldom fills faster.
const LOOKED_EACH: Duration = Duration::from_secs(60);

/// What the last look at the store said of its memory.
#[derive(Debug, Default)]
pub(super) struct Fullness {
    looked_at: Lock<Option<Instant>>,
    is_full: AtomicBool,
}

impl Fullness {
    /// Whether nothing is to be stored. Once a minute the store is looked at, beside the call that asks this.
    pub(super) fn is_full(self: &Arc<Self>, ledger: &Ledger) -> bool {
        let mut looked_at = self.looked_at.lock();
        let is_due = looked_at.is_none_or(|at| at.elapsed() >= LOOKED_EACH);
        if is_due && let Ok(runtime) = Handle::try_current() {
            *looked_at = Some(Instant::now());
            let (this, ledger) = (Arc::clone(self), ledger.clone());
            runtime.spawn(async move { this.look(&ledger).await });
        }
        self.is_full.load(Relaxed)
    }

    /// One that brings no answer changes nothing.
    async fn look(&self, ledger: &Ledger) {
        let Ok(inspection) = ledger.inspect().await else { return };
        let memory = inspection.memory.filter(|_| inspection.is_nearly_full());
        if !self.is_full.swap(memory.is_some(), Relaxed)
            && let Some(memory) = memory
        {
            cache_full(&StoreFinding::NearlyFull { memory });
        }
    }
}
