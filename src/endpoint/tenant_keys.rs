//! How many keys each tenant holds, so that one does not fill the room of all.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::call::deadline::after;
use crate::call::leases::Ticket;
use crate::call::shares::Room;
use crate::lock::Lock;

use super::refusal::Refusal;

/// The keys that were claimed through a layer in this process.
#[derive(Clone, Debug)]
pub(super) struct TenantKeys {
    room: Arc<Lock<Room>>,
    retention: Duration,
}

impl TenantKeys {
    pub(super) fn new(share: usize, retention: Duration) -> Self {
        Self { room: Arc::new(Lock::new(Room::new(usize::MAX, share))), retention }
    }

    /// Room for one more key, given back unless it is kept.
    pub(super) fn reserve(&self, tenant: &str) -> Result<Reserved, Refusal> {
        let now = Instant::now();
        let mut room = self.room.lock();
        match room.take(tenant, now, after(now, self.retention)) {
            Ok(ticket) => Ok(Reserved { keys: self.clone(), ticket, is_kept: AtomicBool::new(false) }),
            Err(_) => Err(Refusal::ShareFull { limit: room.shares().share() }),
        }
    }
}

/// Room for a key.
#[derive(Debug)]
pub(super) struct Reserved {
    keys: TenantKeys,
    ticket: Ticket,
    is_kept: AtomicBool,
}

impl Reserved {
    /// The key is claimed, and held until its retention is over.
    pub(super) fn keep(&self) {
        self.is_kept.store(true, Ordering::Relaxed);
    }

    /// The key was released.
    pub(super) fn free(&self) {
        self.is_kept.store(false, Ordering::Relaxed);
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if !*self.is_kept.get_mut() {
            self.keys.room.lock().give_back(self.ticket);
        }
    }
}
