//! What is told of the store, and of its outages.

use std::fmt;

use tracing::{debug, info, warn};

use super::metrics::{STORE_FAILURES, STORE_LOSSES};
use super::outage::{OutageCounts, OutageLine, OutageLog, OutageMoment};
use super::{STORE, Telemetry};

/// Hears of each call to a store that was answered, and says when an outage is over.
#[derive(Debug)]
pub(crate) struct StoreWatch {
    provider: Box<str>,
    outage: OutageLog,
}

impl StoreWatch {
    pub(super) fn new(provider: &str) -> Self {
        Self { provider: provider.into(), outage: OutageLog::new(true) }
    }

    /// The store answered.
    #[inline]
    pub(crate) fn worked(&self) {
        if let Some(OutageLine { counts, lasted, .. }) = self.outage.worked() {
            let (failures, lasted_s) = (counts.failures, lasted.as_secs());
            info!(
                name: "payproof.store_outage", target: STORE, provider = &*self.provider, failures, lasted_s,
                "the store answers again"
            );
        }
    }
}

impl Telemetry {
    /// The shared store did not do what it was asked.
    pub(crate) fn store_failed(&self, error: &(dyn std::error::Error + 'static)) {
        self.count(STORE_FAILURES, []);
        debug!(
            name: "payproof.store", target: STORE, provider = &*self.provider, error,
            "the store did not do what it was asked"
        );
        let Some(OutageLine { moment, counts: OutageCounts { failures, .. }, lasted }) = self.store.outage.failed()
        else {
            return;
        };
        if moment == OutageMoment::Begins {
            warn!(
                name: "payproof.store_outage", target: STORE, provider = &*self.provider, failures, error,
                "the store fails; further failures are counted, and told once a minute"
            );
            return;
        }
        let lasted_s = lasted.as_secs();
        warn!(
            name: "payproof.store_outage", target: STORE, provider = &*self.provider, failures, lasted_s, error,
            "the store still fails"
        );
    }

    /// The store was found to have lost a record that it had acknowledged.
    pub(crate) fn records_lost(&self, code: &'static str, advice: &dyn fmt::Display) {
        self.count(STORE_LOSSES, []);
        self.store_finding(code, advice);
    }

    /// A look at the store found something that needs attention.
    pub(crate) fn store_finding(&self, code: &'static str, advice: &dyn fmt::Display) {
        warn!(
            name: "payproof.store_finding", target: STORE, provider = &*self.provider, code, advice = %advice,
            "a look at the store found something to mend"
        );
    }
}

/// A store was chosen from the environment. What loses records in production is said loudly.
pub(crate) fn store_chosen(store: &'static str, because: &str, is_risky: bool) {
    if is_risky {
        warn!(
            name: "payproof.store_chosen", target: STORE, store, because,
            "the environment chose a store that forgets everything when the process ends"
        );
    } else {
        info!(name: "payproof.store_chosen", target: STORE, store, because, "the environment chose the store");
    }
}
