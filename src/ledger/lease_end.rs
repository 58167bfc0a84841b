//! When a lease is over, by this process's reckoning.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::lock::Lock;

/// The system's clock and the monotonic one may be this far apart before the difference says something.
const TOLERANCE: Duration = Duration::from_secs(1);

/// When a claim was asked for: by the runtime's clock, by which leases are counted, and by the machine's two.
#[derive(Clone, Copy, Debug)]
pub(super) struct AskedAt {
    pub(super) at: Instant,
    by_machine: (std::time::Instant, SystemTime),
}

/// The monotonic clock and the system's.
#[expect(
    clippy::disallowed_methods,
    reason = "a test that pauses tokio's clock does not pause the one it is compared with"
)]
fn machine_clocks() -> (std::time::Instant, SystemTime) {
    (std::time::Instant::now(), SystemTime::now())
}

impl AskedAt {
    pub(super) fn now() -> Self {
        Self { at: Instant::now(), by_machine: machine_clocks() }
    }

    /// How long ago that was, as [`held_for`] says.
    pub(super) fn elapsed(&self) -> Duration {
        let ((monotonic, system), (monotonic_then, system_then)) = (machine_clocks(), self.by_machine);
        let by_monotonic = monotonic.saturating_duration_since(monotonic_then);
        held_for(self.at.elapsed(), by_monotonic, system.duration_since(system_then).ok())
    }
}

/// How long a claim has been held by the runtime's clock, unless the machine's two are apart.
///
/// The monotonic clock of many systems stands still while the machine sleeps, and the store's goes on: where the system's
/// clock is ahead, the lease counts as over. The runtime's clock is the monotonic one, except in a test that pauses it.
pub(super) fn held_for(by_runtime: Duration, by_monotonic: Duration, by_system: Option<Duration>) -> Duration {
    match by_system {
        Some(by_system) if by_system > by_monotonic.saturating_add(TOLERANCE) => Duration::MAX,
        _ => by_runtime,
    }
}

/// When a lease is over. Shared with the work that the lease protects, and moved on by each renewal.
#[derive(Clone, Debug)]
pub(crate) struct LeaseEnd {
    length: Duration,
    /// When the claim or its last renewal was asked for; `None` when the lease is lost.
    asked: Arc<Lock<Option<AskedAt>>>,
}

impl LeaseEnd {
    pub(super) fn new(asked: AskedAt, length: Duration) -> Self {
        Self { length, asked: Arc::new(Lock::new(Some(asked))) }
    }

    pub(super) fn set(&self, asked: Option<AskedAt>) {
        *self.asked.lock() = asked;
    }

    /// How long ago the claim or its last renewal was asked for; endlessly long when the lease is lost.
    pub(super) fn since(&self) -> Duration {
        let asked = *self.asked.lock();
        asked.map_or(Duration::MAX, |asked| asked.elapsed())
    }

    /// Whether the lease is over, or may be: a process that stood still for longer than its clock says knows no better.
    pub(crate) fn is_over(&self) -> bool {
        self.since() >= self.length
    }
}
