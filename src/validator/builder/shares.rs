//! How much may be held at once, by all tenants and by one.

use crate::accessors::setters;
use crate::call::shares::half;
use crate::flight::permits::Permits;
use crate::lookup::key_register::KeyRegister;
use crate::payment::policy::TenantProof;

use super::ValidatorBuilder;

impl ValidatorBuilder {
    setters! {
        /// The most payments asked about at once, waiting ones included, with guarded runs under way. Default: 25,000.
        /// Further ones get an error.
        ///
        /// What stands still with its runtime makes room after [`worst_case`](crate::Validator::worst_case).
        pub fn max_in_flight(mut self, payments: usize) => self.max_in_flight = payments;

        /// The most payments of one tenant that are asked about at once, with its guarded runs. Default: half of
        /// `max_in_flight` and at least 100 of it; all of it with [`single_tenant`](Self::single_tenant).
        ///
        /// Further ones get the same error as at `max_in_flight`, which names this setting. Other tenants go on.
        pub fn max_in_flight_per_tenant(mut self, payments: usize) => self.max_in_flight_per_tenant = Some(payments);

        /// The most idempotency keys held at once. Default: 100,000. Further ones get an error, since none is evicted.
        ///
        /// A key is held for the whole retention, so 100,000 in 24 h are 1.16 new keys a second: raise this above your
        /// rate, and watch [`Stats::keys_held`](crate::telemetry::Stats::keys_held). Keys should come from authenticated callers.
        pub fn max_keys(mut self, keys: usize) => self.max_keys = keys;

        /// The most idempotency keys of one tenant held at once. Default: half of `max_keys` and at least 100 of it;
        /// all of it with [`single_tenant`](Self::single_tenant).
        ///
        /// Further ones get the same error as at `max_keys`, which names this setting. Other tenants go on.
        pub fn max_keys_per_tenant(mut self, keys: usize) => self.max_keys_per_tenant = Some(keys);

        /// The most operations of one tenant on the list of what is [indeterminate](crate::guard::Guard::indeterminate), which has
        /// room for 2,000, and the most requests on theirs. Default: 1,000; all of it with
        /// [`single_tenant`](Self::single_tenant).
        ///
        /// Further ones are counted, and listed as soon as there is room.
        pub fn max_indeterminate_per_tenant(mut self, operations: usize) =>
            self.max_indeterminate_per_tenant = Some(operations);
    }

    pub(super) fn share(&self, set: Option<usize>, whole: usize) -> usize {
        set.unwrap_or_else(|| if self.rules.tenant == TenantProof::SingleTenant { whole } else { half(whole) })
    }

    pub(super) fn key_register(&self) -> KeyRegister {
        KeyRegister::new(self.retention, self.max_keys, self.share(self.max_keys_per_tenant, self.max_keys))
    }

    pub(super) fn permits(&self) -> Permits {
        let share = self.share(self.max_in_flight_per_tenant, self.max_in_flight);
        Permits::new(self.max_in_flight, share, self.worst_case())
    }
}
