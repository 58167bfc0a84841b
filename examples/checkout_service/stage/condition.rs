//! How the provider feels, and whether the store answers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use payproof::store::Store;
use payproof::testing::sandbox::{Fault, Faults};
use payproof::testing::{FlakyStore, StoreFault};
use serde::{Deserialize, Serialize};

/// A healthy answer takes this long, as from a provider far away.
pub(super) const LATENCY: std::ops::Range<Duration> = Duration::from_millis(40)..Duration::from_millis(120);

/// What the provider is made to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Condition {
    /// Answers every call.
    #[default]
    Healthy,
    /// Answers every call, two seconds late.
    Slow,
    /// Loses more than a third of the calls, in ways that a retry survives.
    Failing,
    /// Turns every second call away, and asks to wait for two seconds.
    RateLimited,
    /// Answers nothing but 503.
    Down,
}

impl Condition {
    pub(super) fn faults(self) -> Faults {
        match self {
            Self::Healthy => Faults::none(),
            Self::Slow => Faults::none().chance(Fault::SlowHeaders(Duration::from_secs(2)), 1.0),
            Self::Failing => Faults::none()
                .chance(Fault::Unavailable, 0.14)
                .chance(Fault::BadGateway, 0.08)
                .chance(Fault::Reset, 0.08)
                .chance(Fault::TruncatedBody, 0.06),
            Self::RateLimited => {
                Faults::none().chance(Fault::RateLimited { retry_after: Some(Duration::from_secs(2)) }, 0.5)
            }
            Self::Down => Faults::down(),
        }
    }
}

/// Switches a store off, as a server that was stopped: every connection is refused.
#[derive(Clone)]
pub(crate) struct StoreSwitch(Arc<dyn Fn(Option<StoreFault>) + Send + Sync>);

impl StoreSwitch {
    pub(crate) fn before<S: Store>(store: S) -> (FlakyStore<S>, Self) {
        let store = FlakyStore::new(store);
        let switched = store.clone();
        (store, Self(Arc::new(move |fault| switched.always(fault))))
    }

    pub(super) fn set_down(&self, down: bool) {
        (self.0)(down.then_some(StoreFault::NotSent));
    }
}

impl fmt::Debug for StoreSwitch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreSwitch")
    }
}
