//! Room that all tenants share, of which each may take its share at most, so that one does not shut out the others.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::time::Instant;

use crate::call::leases::{Leases, Ticket};

/// Below this many, half of the room would be less than an honest tenant may need.
const SMALLEST_SHARE: usize = 100;

/// Tenants that hold nothing are forgotten once so many are known.
const MOST_IDLE: usize = 1_000;

/// The share of a tenant where none is set: half of the whole, and never less than 100 of it.
pub(crate) fn half(whole: usize) -> usize {
    whole.div_ceil(2).max(SMALLEST_SHARE.min(whole))
}

/// What is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// The whole, for every tenant.
    Whole,
    /// The tenant's share.
    Share,
}

/// How much each tenant holds.
#[derive(Debug)]
pub(crate) struct Shares {
    whole: usize,
    share: usize,
    held: usize,
    by_tenant: HashMap<Arc<str>, usize>,
    forget_idle_at: usize,
}

impl Shares {
    pub(crate) fn new(whole: usize, share: usize) -> Self {
        Self { whole, share, held: 0, by_tenant: HashMap::new(), forget_idle_at: MOST_IDLE }
    }

    pub(crate) fn whole(&self) -> usize {
        self.whole
    }

    pub(crate) fn share(&self) -> usize {
        self.share
    }

    /// Counts one more. The name that comes back is what to give back.
    pub(crate) fn take(&mut self, tenant: &str) -> Result<Arc<str>, Full> {
        if self.held >= self.whole {
            return Err(Full::Whole);
        }
        let Some((name, _)) = self.by_tenant.get_key_value(tenant) else {
            if self.share == 0 {
                return Err(Full::Share);
            }
            self.forget_idle();
            let name: Arc<str> = tenant.into();
            self.by_tenant.insert(Arc::clone(&name), 1);
            self.held = self.held.saturating_add(1);
            return Ok(name);
        };
        let name = Arc::clone(name);
        match self.by_tenant.get_mut(tenant) {
            Some(count) if *count < self.share => *count = count.saturating_add(1),
            _ => return Err(Full::Share),
        }
        self.held = self.held.saturating_add(1);
        Ok(name)
    }

    pub(crate) fn give_back(&mut self, tenant: &str) {
        self.held = self.held.saturating_sub(1);
        if let Some(count) = self.by_tenant.get_mut(tenant) {
            *count = count.saturating_sub(1);
        }
    }

    fn forget_idle(&mut self) {
        if self.by_tenant.len() >= self.forget_idle_at {
            self.by_tenant.retain(|_, count| *count > 0);
            self.forget_idle_at = self.by_tenant.len().saturating_mul(2).max(MOST_IDLE);
        }
    }
}

/// Shared room whose places come back by themselves once their time is over.
#[derive(Debug)]
pub(crate) struct Room {
    shares: Shares,
    leases: Leases<Arc<str>>,
}

impl Room {
    pub(crate) fn new(whole: usize, share: usize) -> Self {
        Self { shares: Shares::new(whole, share), leases: Leases::new() }
    }

    pub(crate) fn shares(&self) -> &Shares {
        &self.shares
    }

    pub(crate) fn take(&mut self, tenant: &str, now: Instant, until: Instant) -> Result<Ticket, Full> {
        let taken = self.shares.take(tenant).or_else(|_| {
            self.take_back(now);
            self.shares.take(tenant)
        });
        Ok(self.leases.take(until, taken?))
    }

    pub(crate) fn give_back(&mut self, ticket: Ticket) {
        if let Some(tenant) = self.leases.give_back(ticket) {
            self.shares.give_back(&tenant);
        }
    }

    /// Takes back what is over.
    fn take_back(&mut self, now: Instant) {
        while let Some(tenant) = self.leases.take_back(now) {
            self.shares.give_back(&tenant);
        }
    }

    /// Places held now.
    pub(crate) fn held(&mut self, now: Instant) -> usize {
        self.take_back(now);
        self.leases.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_half_and_never_too_small_for_one() {
        assert_eq!([0, 1, 2, 100, 150, 200, 201, 10_000].map(half), [0, 1, 2, 100, 100, 100, 101, 5_000]);
    }

    #[test]
    fn a_tenant_at_its_share_leaves_room_for_others() {
        let mut shares = Shares::new(5, 3);
        let names: Vec<_> = (0..3).map(|_| shares.take("a").unwrap()).collect();
        assert_eq!(shares.take("a"), Err(Full::Share));
        assert!(shares.take("b").is_ok() && shares.take("b").is_ok());
        assert_eq!(shares.take("c"), Err(Full::Whole));
        shares.give_back(&names[0]);
        assert!(shares.take("a").is_ok());
    }

    #[test]
    fn tenants_that_hold_nothing_are_forgotten_and_no_others() {
        let mut shares = Shares::new(usize::MAX, 2);
        shares.take("busy").unwrap();
        for number in 0..5_000 {
            let name = shares.take(&format!("t{number}")).unwrap();
            shares.give_back(&name);
        }
        assert!(shares.by_tenant.len() <= MOST_IDLE, "{}", shares.by_tenant.len());
        shares.take("busy").unwrap();
        assert_eq!(shares.take("busy"), Err(Full::Share));
    }
}
