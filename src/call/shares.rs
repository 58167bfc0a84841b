//! Room that all tenants share, of which each may take its share at most, so that one does not shut out the others.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

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
    holders: HashSet<Holder>,
    forget_idle_at: usize,
}

/// A tenant, by its name, and how much it holds. What is given back needs no search for it.
#[derive(Clone, Debug)]
pub(crate) struct Holder(Arc<Holding>);

#[derive(Debug)]
struct Holding {
    tenant: Box<str>,
    /// Changed by the owner of the shares alone.
    held: AtomicUsize,
}

impl Holder {
    fn new(tenant: &str) -> Self {
        Self(Arc::new(Holding { tenant: tenant.into(), held: AtomicUsize::new(0) }))
    }

    pub(crate) fn tenant(&self) -> &str {
        &self.0.tenant
    }

    fn held(&self) -> usize {
        self.0.held.load(Ordering::Relaxed)
    }

    fn hold(&self, held: usize) {
        self.0.held.store(held, Ordering::Relaxed);
    }
}

impl Borrow<str> for Holder {
    fn borrow(&self) -> &str {
        self.tenant()
    }
}

impl Hash for Holder {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.tenant().hash(state);
    }
}

impl PartialEq for Holder {
    fn eq(&self, other: &Self) -> bool {
        self.tenant() == other.tenant()
    }
}

impl Eq for Holder {}

impl Shares {
    pub(crate) fn new(whole: usize, share: usize) -> Self {
        Self { whole, share, held: 0, holders: HashSet::new(), forget_idle_at: MOST_IDLE }
    }

    pub(crate) fn whole(&self) -> usize {
        self.whole
    }

    pub(crate) fn share(&self) -> usize {
        self.share
    }

    /// Counts one more, for the holder that comes back.
    pub(crate) fn take(&mut self, tenant: &str) -> Result<Holder, Full> {
        if self.held >= self.whole {
            return Err(Full::Whole);
        }
        let known = self.holders.get(tenant).cloned();
        if known.as_ref().map_or(0, Holder::held) >= self.share {
            return Err(Full::Share);
        }
        let holder = known.unwrap_or_else(|| {
            self.forget_idle();
            let holder = Holder::new(tenant);
            self.holders.insert(holder.clone());
            holder
        });
        holder.hold(holder.held().saturating_add(1));
        self.held = self.held.saturating_add(1);
        Ok(holder)
    }

    pub(crate) fn give_back(&mut self, holder: &Holder) {
        self.held = self.held.saturating_sub(1);
        holder.hold(holder.held().saturating_sub(1));
    }

    fn forget_idle(&mut self) {
        if self.holders.len() >= self.forget_idle_at {
            self.holders.retain(|holder| holder.held() > 0);
            self.forget_idle_at = self.holders.len().saturating_mul(2).max(MOST_IDLE);
        }
    }
}

/// Shared room whose places come back by themselves once their time is over.
#[derive(Debug)]
pub(crate) struct Room {
    shares: Shares,
    leases: Leases<Holder>,
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
        if let Some(holder) = self.leases.give_back(ticket) {
            self.shares.give_back(&holder);
        }
    }

    /// Takes back what is over.
    fn take_back(&mut self, now: Instant) {
        while let Some(holder) = self.leases.take_back(now) {
            self.shares.give_back(&holder);
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
        let holders: Vec<_> = (0..3).map(|_| shares.take("a").unwrap()).collect();
        assert_eq!(shares.take("a"), Err(Full::Share));
        assert!(shares.take("b").is_ok() && shares.take("b").is_ok());
        assert_eq!(shares.take("c"), Err(Full::Whole));
        shares.give_back(&holders[0]);
        assert!(shares.take("a").is_ok());
    }

    #[test]
    fn tenants_that_hold_nothing_are_forgotten_and_no_others() {
        let mut shares = Shares::new(usize::MAX, 2);
        shares.take("busy").unwrap();
        for number in 0..5_000 {
            let holder = shares.take(&format!("t{number}")).unwrap();
            shares.give_back(&holder);
        }
        assert!(shares.holders.len() <= MOST_IDLE, "{}", shares.holders.len());
        shares.take("busy").unwrap();
        assert_eq!(shares.take("busy"), Err(Full::Share));
    }
}
