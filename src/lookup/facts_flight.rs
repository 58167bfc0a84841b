//! The look-ups under way in this process: what their leaders say of them, and what comes of them.
//!
//! A look-up is of a payment, or of an alias whose payment is not known yet. The two stand in tables of their own.

use std::sync::Arc;
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
use crate::lookup::facts_cache::{Keep, Stamp};
use crate::moment::Moment;
use crate::payment::alias::ResolvedAlias;
use crate::payment::facts::ProviderPayment;
use crate::payment::verdict::Degradation;
use crate::provider::attempt_log::Attempts;

/// What comes of a look-up.
pub(crate) type FactsOutcome = Result<Brought, ValidateError>;

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

/// What a look-up brought.
#[derive(Debug)]
pub(crate) enum Brought {
    /// Boxed, so that a flight under way has no room for it.
    Facts(Box<LookedUp>),
    /// Of an alias: which payment is to be looked up, as the store said when it was asked.
    Alias(Arc<ResolvedAlias>, Instant),
}

/// The facts that a look-up brought.
#[derive(Debug)]
pub(crate) struct LookedUp {
    pub(crate) facts: ProviderPayment,
    /// What the alias states by which they were looked up.
    pub(crate) alias: Option<Arc<ResolvedAlias>>,
    pub(crate) stamp: Stamp,
    pub(crate) attempts: Attempts,
    pub(crate) source: Source,
    pub(crate) degraded: Option<Degradation>,
    /// When the store was asked that says that the payment was not forgotten: it answers for those who came before.
    pub(crate) confirmed_at: Option<Instant>,
    /// How long it may be served from memory.
    pub(crate) keep: Keep,
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
    /// Of an alias, how often anything had been forgotten here before it began: its payment may be what is forgotten next.
    forgets: u64,
}

impl FlightNotes {
    pub(crate) fn new(contents: Duration) -> Self {
        Self { contents, attempt_started: Lock::default(), forgets: 0 }
    }

    /// Of a look-up of an alias, which no caller joins that comes after the next forgetting.
    pub(crate) fn of_alias(contents: Duration, forgets: u64) -> Self {
        Self { forgets, ..Self::new(contents) }
    }

    /// Whether nothing has been forgotten since it began.
    pub(crate) fn is_before_forgetting(&self, forgets: u64) -> bool {
        self.forgets == forgets
    }

    /// How old the facts of a store may be that the look-up is content with.
    pub(crate) fn contents(&self) -> Duration {
        self.contents
    }

    /// Tells later callers how old an answer may turn out to be.
    pub(crate) fn attempt_started(&self, at: Option<Moment>) {
        *self.attempt_started.lock() = at;
    }

    /// Whether all that the look-up may bring was asked for within `max_age` before now, as far as its leader knows.
    pub(crate) fn fit(&self, now: Instant, max_age: Duration) -> bool {
        let started = *self.attempt_started.lock();
        // Without one the attempt is still to come.
        self.contents <= max_age && started.is_none_or(|started| is_recent(started.age_at(now), max_age))
    }

    /// Whether what the look-up brought was asked for since a caller arrived, or within `max_age` before. A leader may see
    /// only after a caller has joined that another process had begun before.
    pub(crate) fn answer(&self, arrived: Instant, max_age: Duration) -> bool {
        let started = *self.attempt_started.lock();
        let age = started.map_or(Duration::ZERO, |started| started.age_at(arrived));
        age.is_zero() || is_recent(age, max_age)
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
