//! The look-ups under way in this process: what their leaders say of them, and what comes of them.

use std::time::Duration;

use tokio::time::Instant;

use crate::call::deadline::is_recent;
use crate::call::error::{CallError, Cause};
use crate::call::shares::Full;
use crate::flight::permits::NoPermit;
use crate::flight::{Flight, FlightKey, Leader, SingleFlight, Waiter};
use crate::intent::payment_intent::PaymentId;
use crate::lock::Lock;
use crate::lookup::error::ValidateError;
use crate::lookup::facts_cache::Stamp;
use crate::moment::Moment;
use crate::payment::facts::ProviderPayment;
use crate::payment::shelf_life::ShelfLife;
use crate::payment::verdict::Degradation;
use crate::provider::attempt_log::Attempts;

/// What comes of a look-up. Boxed, so that a flight under way has no room for it.
pub(crate) type FactsOutcome = Result<Box<LookedUp>, ValidateError>;

/// The look-ups of one validator. What is forgotten while one is under way, it settles no more.
pub(crate) type FactsFlights = SingleFlight<PaymentId, FlightNotes, FactsOutcome>;

/// A look-up under way, shared by all who wait for it.
pub(crate) type FactsFlight = Flight<PaymentId, FlightNotes, FactsOutcome>;

/// A caller of a look-up.
pub(crate) type FactsWaiter = Waiter<PaymentId, FlightNotes, FactsOutcome>;

/// The duty to bring a look-up to its end.
pub(crate) type FactsLeader = Leader<PaymentId, FlightNotes, FactsOutcome>;

impl FlightKey for PaymentId {
    fn position(&self) -> u64 {
        self.position()
    }
}

/// What a look-up brought back.
#[derive(Debug)]
pub(crate) struct LookedUp {
    pub(crate) facts: ProviderPayment,
    pub(crate) stamp: Stamp,
    pub(crate) attempts: Attempts,
    pub(crate) source: Source,
    pub(crate) degraded: Option<Degradation>,
    /// When the store was asked that says that the payment was not forgotten: it answers for those who came before.
    pub(crate) confirmed_at: Option<Instant>,
    /// How long it may be served from memory; `None` keeps nothing.
    pub(crate) keep: Option<ShelfLife>,
}

/// Where a look-up got its facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// It asked the provider.
    Asked,
    /// They stood in the store.
    Stored,
    /// Another process was asking, and this one waited.
    Elsewhere,
}

/// By what a caller tells whether a look-up under way answers for it.
#[derive(Debug)]
pub(crate) struct FlightNotes {
    /// How old the facts of a store may be that it is content with; zero without one.
    contents: Duration,
    /// When the attempt under way started, here or in another process; none between attempts.
    attempt_started: Lock<Option<Moment>>,
}

impl FlightNotes {
    pub(crate) fn new(contents: Duration) -> Self {
        Self { contents, attempt_started: Lock::default() }
    }

    /// How old the facts of a store may be that the look-up is content with.
    pub(crate) fn contents(&self) -> Duration {
        self.contents
    }

    /// Tells later callers how old an answer may turn out to be.
    pub(crate) fn attempt_started(&self, at: Option<Moment>) {
        *self.attempt_started.lock() = at;
    }

    /// Whether all that the look-up may bring was asked for within `max_age` before now.
    pub(crate) fn fit(&self, now: Instant, max_age: Duration) -> bool {
        let started = *self.attempt_started.lock();
        // Without one the attempt is still to come.
        self.contents <= max_age && started.is_none_or(|started| is_recent(started.age_at(now), max_age))
    }
}

impl From<NoPermit> for CallError {
    fn from(NoPermit { full, limit }: NoPermit) -> Self {
        let (what, setting) = match full {
            Full::Whole => ("calls under way", "max_in_flight"),
            Full::Share => ("calls of this tenant under way", "max_in_flight_per_tenant"),
        };
        Self::new(Cause::Full { what, setting, limit })
    }
}
