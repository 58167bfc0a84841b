//! The account at the provider: how it is asked, where effects on it are recorded, and within which limits.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::time::Instant;

use crate::call::retry::Retrier;
use crate::flight::permits::Permits;
use crate::ledger::Ledger;
use crate::lock::Lock;
use crate::payment::policy::RedemptionRules;
use crate::provider::ProviderIdentity;
use crate::telemetry::{BreakerState, Telemetry};

mod backlog;
mod decisions;
mod index;
mod index_page;
#[cfg(feature = "reconcile")]
mod pages;
mod store_check;

pub(crate) use backlog::{Backlog, Unlisted};
pub(crate) use decisions::Deciding;
pub use decisions::{Decided, DecidedOn, SignedDecision};
pub(crate) use index::{Index, Listing, OnList};
#[cfg(feature = "reconcile")]
pub(crate) use pages::PageTrail;
pub(crate) use store_check::LastLook;
pub use store_check::StoreCheck;

/// The pages of a list of what is indeterminate: more are no list but an outage, and are counted.
const MOST_PAGES: usize = 4;

/// What one page holds: at the longest names it fills most of a record.
const PAGE: usize = 500;

/// The room of a list of what is indeterminate.
pub(crate) const MOST_LISTED: usize = MOST_PAGES * PAGE;

/// What validations, redemptions, guarded effects, endpoints and webhooks have in common.
pub(crate) struct Account {
    pub(crate) identity: Arc<ProviderIdentity>,
    pub(crate) retrier: Retrier,
    pub(crate) telemetry: Telemetry,
    /// Where effects and redemptions stand: in the shared store, or else in this process.
    pub(crate) ledger: Ledger,
    /// Whether the operator gave a store, which other processes may use too.
    pub(crate) has_store: bool,
    /// Whether the operator says that no other process of the service runs.
    pub(crate) only_instance: bool,
    /// Whether the store was looked at when it was first used.
    pub(crate) looked: AtomicBool,
    /// Whether a task of this process looks each minute whether the store lost anything.
    pub(crate) watched: AtomicBool,
    /// When the next such look is due, whichever task makes it.
    pub(crate) loss_look_due: Lock<Option<Instant>>,
    pub(crate) last_look: LastLook,
    pub(crate) permits: Arc<Permits>,
    pub(crate) limits: Limits,
    pub(crate) redemption: RedemptionRules,
    /// Where redemptions were recorded before.
    pub(crate) former_redemptions: Option<Ledger>,
    /// Operations that wait for a place on the list of what is indeterminate.
    pub(crate) backlog: Backlog,
    /// Requests that do.
    #[cfg(feature = "tower")]
    pub(crate) requests_backlog: Backlog,
}

/// How long work on an account takes at most, and how much of it is listed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) total_deadline: Duration,
    /// The total deadline, and with a store the calls to it before and after.
    pub(crate) worst_case: Duration,
    /// Of a guarded effect.
    pub(crate) lease: Duration,
    pub(crate) renew_lease: bool,
    /// The most operations of one tenant on the list of what is indeterminate, and the most requests.
    pub(crate) indeterminate_per_tenant: usize,
}

impl Account {
    /// Whether no process of the service keeps records that this one does not see.
    pub(crate) fn is_alone_or_shared(&self) -> bool {
        self.sees_all_of(&self.ledger)
    }

    fn sees_all_of(&self, ledger: &Ledger) -> bool {
        self.only_instance || ledger.durability().shared
    }

    /// Whether the operator's store is asked.
    pub(crate) fn store_breaker(&self) -> Option<BreakerState> {
        let state = if self.ledger.is_left_alone() { BreakerState::Open } else { BreakerState::Closed };
        self.has_store.then_some(state)
    }
}
