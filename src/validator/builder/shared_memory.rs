//! The settings of shared memory.

use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::accessors::setters;
use crate::ledger::{Ledger, RecordKind};
use crate::lookup::facts_cache::FactsCache;
use crate::lookup::shared_facts::SharedFacts;
use crate::provider::ProviderIdentity;
use crate::settings::build_error::BuildError;
use crate::store::line::{ALIVE_FOR, Listener};
use crate::store::{RestartLoss, Store};

use super::ValidatorBuilder;

/// So much longer than the longest validation a lease is, so that no process takes over from an owner that is about to settle.
const LEASE_MARGIN: Duration = Duration::from_secs(5);

/// A lost reply and one more try have to fit between two renewals.
const RENEWED_LEASE_IN_STORE_TIMEOUTS: u32 = 6;

/// Every store can keep a record this long, and what is made of it here.
const LONGEST_LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

impl ValidatorBuilder {
    setters! {
        /// Shares facts, flights and keys with every process that has the same store. Default: none.
        ///
        /// The provider's identity has to state its [account](crate::provider::ProviderIdentity::with_account), since a
        /// store may hold records of several: at Stripe, `own_account`, `account` or `only_account` of its builder.
        ///
        /// When it does not answer, a validation goes on without it, marked
        /// [`StoreDown`](crate::Degradation::StoreDown).
        pub fn store(mut self, store: impl Store) => self.store = Some(Arc::new(store));

        /// The longest one call to the store may take, besides the store's own limits. Default: 1 s. A call whose
        /// connection broke is made once more.
        ///
        /// After two calls in a row that lost their time no call is made, until a probe in the background, once a second, was
        /// answered. Meanwhile validations ask the provider at once, and what may not go on without the store is refused at
        /// once. Only what was begun is brought to its end: leases are renewed, and results recorded.
        pub fn store_timeout(mut self, timeout: Duration) => self.store_timeout = timeout;

        /// What every key in the store begins with. Default: `payproof`. Services with other prefixes share nothing.
        ///
        /// An order is known by mode, tenant and its own name, whichever account or provider it is paid through, so
        /// that no two of them are paid for one order. Merchants that share a store and may name tenants and orders
        /// alike need prefixes of their own.
        pub fn store_prefix(mut self, prefix: impl Into<Box<str>>) => self.store_prefix = prefix.into();

        /// How long a claim is protected from others, not renewed. A lease shorter than the longest validation
        /// and 1 s is refused.
        ///
        /// When a process crashes, others wait this long before one takes over. Default for validations: six times
        /// `store_timeout`, renewed three times within that while the provider is asked. Default for guarded effects: the
        /// longest validation and 5 s, not renewed.
        pub fn lease(mut self, lease: Duration) => (self.lease, self.renew_lease) = (Some(lease), false);

        /// A lease for validations and guarded effects that is renewed three times within its time while the provider is
        /// asked, and so may be short.
        ///
        /// At least six times `store_timeout`. Each renewal is a round trip.
        pub fn renewed_lease(mut self, lease: Duration) => (self.lease, self.renew_lease) = (Some(lease), true);

        /// How long facts of a shared store are served from memory without asking it. Default: 5 s. Zero always asks
        /// it.
        ///
        /// Only facts that last. After [`forget`](crate::Validator::forget) in one process, others may serve them this
        /// long. Where the store tells of changes, as Redis does over its line, they are served for
        /// [`fresh_for`](Self::fresh_for), and for 1 s at most after `forget`. Below 1 s the line is not used.
        pub fn facts_in_memory_for(mut self, time: Duration) => self.facts_in_memory_for = time;

        /// States what a restart of the store loses at most. Default: not stated, and up to [a
        /// second](RestartLoss::Second) is accepted.
        ///
        /// Redemptions, and guarded writes without a provider key, rely on what the store keeps: where a restart loses
        /// it, a used payment becomes unused. So each store is [asked](Store::restart_loss), and one that says more
        /// than is accepted is refused. State it
        ///
        /// - of a server that [does not say](RestartLoss::Unknown), such as a managed one without `CONFIG GET`: your word stands
        ///   for its own;
        /// - to accept a greater loss, up to [all](RestartLoss::All): in tests, and where the orders' own database has a UNIQUE
        /// column on [`Proof::redemption_key`](crate::Proof::redemption_key). A store that says it loses more than you
        /// state is refused all the same.
        pub fn restart_loses_at_most(mut self, loss: RestartLoss) => self.restart_loss = Some(loss);

        /// States that no other process of this service runs, on this machine or another. Default: not stated.
        ///
        /// Then payments can be redeemed, and guarded writes be sent without a provider key, with a store that only this process
        /// sees. [`MemoryStore`](crate::store::MemoryStore) also needs [`restart_loses_at_most`](Self::restart_loses_at_most)
        /// with [`RestartLoss::All`], since it loses everything at a restart. Never state it where two processes run, each with a
        /// store of its own: one payment would pay two orders, and each process would send the write.
        pub fn only_instance(mut self) => self.only_instance = true;
    }

    /// The total deadline, and where there is a store the calls to it that come before and after.
    pub(super) fn worst_case(&self) -> Duration {
        // To bind a key, and to settle; each with a second try.
        const CALLS: u32 = 4;
        match &self.store {
            None => self.total_deadline,
            Some(_) => self.total_deadline.saturating_add(self.store_timeout.saturating_mul(CALLS)),
        }
    }

    pub(super) fn check_store(&self) -> Result<(), BuildError> {
        let (timeout, lease) = (self.store_timeout, self.lease_or_default());
        BuildError::check("store_timeout", timeout, timeout >= Duration::from_millis(1), "at least 1 ms")?;
        let remembered = self.redemption.retention;
        let lifetimes = [("retention", self.retention), ("lease", lease), ("redemption_retention", remembered)];
        for (setting, value) in lifetimes {
            // Without a store all of them stay in this process, and end with it.
            let is_kept = value <= LONGEST_LIFE || self.store.is_none();
            BuildError::check(setting, value, is_kept, "at most 10 years with a store")?;
        }
        let rule = "`Nothing`, `Second`, `Snapshot` or `All`, since `Unknown` states nothing";
        let is_stated = self.restart_loss != Some(RestartLoss::Unknown);
        BuildError::check("restart_loses_at_most", RestartLoss::Unknown, is_stated, rule)?;
        BuildError::check_store_prefix(&self.store_prefix)?;
        let Some(lease) = self.lease else { return Ok(()) };
        let (shorter, shorter_value) = if self.renew_lease {
            ("six times store_timeout", self.shortest_renewed_lease())
        } else {
            ("the longest validation and 1 s", self.worst_case().saturating_add(Duration::from_secs(1)))
        };
        BuildError::check_order(shorter, shorter_value, "lease", lease)
    }

    /// What is shared through the store, where there is one.
    pub(super) fn shared_facts(
        &self,
        ledger: &Ledger,
        identity: &Arc<ProviderIdentity>,
        cache: &Arc<FactsCache>,
    ) -> Option<Arc<SharedFacts>> {
        self.store.as_ref()?;
        // A process that wants facts asked about again sooner than a line tells of changes asks the store.
        let has_line = self.facts_in_memory > 0 && self.facts_in_memory_for >= ALIVE_FOR;
        let listener = || Arc::downgrade(cache) as Weak<dyn Listener>;
        Some(Arc::new(SharedFacts {
            ledger: ledger.clone(),
            identity: Arc::clone(identity),
            // Short and renewed, so that what was begun and never ended holds no caller up for long.
            lease: self.lease.unwrap_or_else(|| self.shortest_renewed_lease()),
            renew: self.renew_lease || self.lease.is_none(),
            retention: self.retention,
            memory_for: self.facts_in_memory_for,
            longest_look_up: self.worst_case(),
            line: if has_line { ledger.line(RecordKind::Facts, listener()) } else { None },
        }))
    }

    /// What leaves time for a lost reply and another try.
    fn shortest_renewed_lease(&self) -> Duration {
        self.store_timeout.saturating_mul(RENEWED_LEASE_IN_STORE_TIMEOUTS)
    }

    /// How long a claim is protected that is not renewed.
    pub(super) fn lease_or_default(&self) -> Duration {
        self.lease.unwrap_or_else(|| self.worst_case().saturating_add(LEASE_MARGIN))
    }
}
