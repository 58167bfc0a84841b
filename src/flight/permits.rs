//! How much may be under way at once: flights, and other work that goes on without its caller as they do.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::call::deadline::after;
use crate::call::leases::Ticket;
use crate::call::shares::{Full, Room};

/// There was no permit to lead, or to reserve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoPermit {
    pub(crate) full: Full,
    /// How many permits there are: for all tenants, or for one.
    pub(crate) limit: usize,
}

/// The permits that all tenants share.
#[derive(Debug)]
pub(crate) struct Permits {
    room: Mutex<Room>,
    /// How long one is held at most.
    held_for: Duration,
}

impl Permits {
    /// So many in all, and at most `share` of one tenant.
    pub(crate) fn new(permits: usize, share: usize, held_for: Duration) -> Self {
        Self { room: Mutex::new(Room::new(permits, share)), held_for }
    }

    /// Takes one, if there is one, until what comes back is dropped.
    pub(crate) fn reserve(self: &Arc<Self>, tenant: &str, now: Instant) -> Result<Reservation, NoPermit> {
        Ok(Reservation { permits: Arc::clone(self), ticket: self.take(tenant, now)? })
    }

    /// Takes one, if there is one, to be given back by its ticket.
    pub(super) fn take(&self, tenant: &str, now: Instant) -> Result<Ticket, NoPermit> {
        let mut room = self.lock();
        room.take(tenant, now, after(now, self.held_for)).map_err(|full| {
            let limit = match full {
                Full::Whole => room.shares().whole(),
                Full::Share => room.shares().share(),
            };
            NoPermit { full, limit }
        })
    }

    pub(super) fn give_back(&self, ticket: Ticket) {
        self.lock().give_back(ticket);
    }

    /// How many are held.
    pub(crate) fn held(&self) -> usize {
        self.lock().held(Instant::now())
    }

    fn lock(&self) -> MutexGuard<'_, Room> {
        // No foreign code runs under this lock, so a poisoned one is whole all the same.
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A permit that is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    permits: Arc<Permits>,
    ticket: Ticket,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.permits.give_back(self.ticket);
    }
}
