//! What is told of the store, and of its outages.

use std::fmt;
use std::sync::Arc;

use tracing::{debug, error, info, warn};

#[cfg(feature = "cache")]
use super::CACHE;
use super::metrics::{STORE_FAILURES, STORE_LOSSES};
use super::outage::{OutageCounts, OutageLine, OutageLog, OutageMoment};
use super::{STORE, Telemetry};

/// Hears of each call to a store that was answered, and of each that was not made since the store does not answer. It says
/// when an outage is over.
#[derive(Debug)]
pub(crate) struct StoreWatch {
    user: StoreUser,
    outage: OutageLog,
    /// Calls that were turned away instead of being made.
    turned_away: OutageLog,
    /// Last words that are not said late, since too much waits already.
    given_up: OutageLog,
}

/// Whose calls to a store are told of.
#[derive(Debug)]
enum StoreUser {
    /// A provider's validator, of this store.
    Provider(Box<str>, &'static str),
    #[cfg(feature = "cache")]
    Cache,
}

impl StoreWatch {
    pub(super) fn new(provider: &str) -> Self {
        Self::of(StoreUser::Provider(provider.into(), "the store"))
    }

    #[cfg(feature = "cache")]
    pub(crate) fn of_cache() -> Self {
        Self::of(StoreUser::Cache)
    }

    fn of(user: StoreUser) -> Self {
        Self { user, outage: OutageLog::new(true), turned_away: OutageLog::new(false), given_up: OutageLog::new(true) }
    }

    /// A call was not made, since those before it failed in this way.
    pub(crate) fn turned_away(&self, error: &(dyn std::error::Error + 'static)) {
        if self.turned_away.failed().is_none() {
            return;
        }
        match &self.user {
            StoreUser::Provider(provider, store) => {
                warn!(
                    name: "payproof.store_left_alone", target: STORE, provider, error,
                    "{store} does not answer in time, and is not asked until it does"
                );
            }
            #[cfg(feature = "cache")]
            StoreUser::Cache => {
                warn!(
                    name: "payproof.cache_store", target: CACHE, error,
                    "the store failed twice in a row, and the cache goes on without it until it answers"
                );
            }
        }
    }

    /// What came of a run could not be recorded, nor kept until it can be.
    pub(crate) fn word_given_up(&self) {
        if let Some(line) = self.given_up.failed() {
            self.tell_given_up(line.counts.failures);
        }
    }

    fn tell_given_up(&self, words: u64) {
        match &self.user {
            StoreUser::Provider(provider, _) => {
                error!(
                    name: "payproof.words_given_up", target: STORE, provider, words,
                    "what came of operations, requests or deliveries was not recorded, since too much waits for the store: operations \
                     and requests become indeterminate, so look at what they did and resolve them; deliveries are handled again"
                );
            }
            // What it did not store is loaded again.
            #[cfg(feature = "cache")]
            StoreUser::Cache => {}
        }
    }

    /// The store answered. An end of both is one line.
    #[inline]
    pub(crate) fn worked(&self) {
        let (ended, passing) = (self.outage.worked(), self.turned_away.worked());
        if ended.is_some() || passing.is_some() {
            self.works_again(ended, passing);
        }
    }

    #[cold]
    fn works_again(&self, ended: Option<OutageLine>, passing: Option<OutageLine>) {
        if let Some(untold) = self.given_up.worked().map(|line| line.counts.failures).filter(|words| *words > 0) {
            self.tell_given_up(untold);
        }
        let turned_away = passing.map(|line| line.counts.failures);
        match (&self.user, ended) {
            (StoreUser::Provider(provider, store), Some(OutageLine { counts, lasted, .. })) => {
                let (failures, lasted_s) = (counts.failures, lasted.as_secs());
                info!(
                    name: "payproof.store_outage", target: STORE, provider, failures, turned_away, lasted_s,
                    "{store} answers again, as before"
                );
            }
            (StoreUser::Provider(provider, store), None) => {
                info!(
                    name: "payproof.store_left_alone", target: STORE, provider, turned_away,
                    "{store} answers again, and is asked"
                );
            }
            #[cfg(feature = "cache")]
            (StoreUser::Cache, _) => {
                info!(
                    name: "payproof.cache_store", target: CACHE, turned_away,
                    "the store answers again, and the cache asks it"
                );
            }
        }
    }
}

impl Telemetry {
    /// Hears of the store that redemptions were moved from.
    pub(crate) fn former_store(&self) -> Arc<StoreWatch> {
        let user = StoreUser::Provider(self.provider.clone(), "the store that redemptions were moved from");
        Arc::new(StoreWatch::of(user))
    }

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
