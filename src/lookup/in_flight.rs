//! One leader per payment in this process; everybody else waits for its answer.
//!
//! Flights are never evicted. A flight that is no longer the current one of its payment, because somebody asked for
//! something newer or because the payment was forgotten, still answers those who wait for it, and settles nothing.
//!
//! A flight's place comes back when it lands, or when it should have landed: its runtime may stand still.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::{Id, Span};

use crate::call::deadline::{after, is_recent};
use crate::call::error::{CallError, Cause};
use crate::call::leases::Ticket;
use crate::call::shares::{Full, Room};
use crate::intent::payment_intent::{PaymentId, PaymentIntent};
use crate::lookup::error::ValidateError;
use crate::lookup::facts_cache::Stamp;
use crate::moment::Moment;
use crate::payment::facts::ProviderPayment;
use crate::payment::shelf_life::ShelfLife;
use crate::payment::verdict::Degradation;
use crate::provider::attempt_log::Attempt;

/// What a flight brought back.
#[derive(Debug)]
pub(crate) struct Landing {
    pub(crate) facts: ProviderPayment,
    pub(crate) stamp: Stamp,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) source: Source,
    pub(crate) degraded: Option<Degradation>,
    /// When the store was asked that says that the payment was not forgotten: it answers for those who came before.
    pub(crate) confirmed_at: Option<Instant>,
    /// How long it may be served from memory; `None` keeps nothing.
    pub(crate) keep: Option<ShelfLife>,
}

/// Where a flight got its facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// It asked the provider.
    Asked,
    /// They stood in the store.
    Stored,
    /// Another process was asking, and this one waited.
    Elsewhere,
}

/// One question to the provider, and all who wait for the answer.
#[derive(Debug)]
pub(crate) struct Flight {
    epoch: Instant,
    /// How old the facts of a store may be that it is content with; zero without one.
    contents: Duration,
    /// When the attempt under way started, here or in another process; none between attempts.
    attempt_started: Mutex<Option<Moment>>,
    landing: OnceLock<Result<Landing, ValidateError>>,
    landed: Notify,
    /// For followers to link to; the span itself ends with the flight.
    span: OnceLock<Id>,
}

impl Flight {
    fn new(now: Instant, contents: Duration) -> Self {
        Self {
            epoch: now,
            contents,
            attempt_started: Mutex::default(),
            landing: OnceLock::new(),
            landed: Notify::new(),
            span: OnceLock::new(),
        }
    }

    /// Lets followers link to the span of the work.
    pub(crate) fn is_shown_as(&self, span: &Span) {
        if let Some(id) = span.id() {
            // Only the one leader sets it, so it cannot be set already.
            let _ = self.span.set(id);
        }
    }

    /// The span of the work, once the leader has made it.
    pub(crate) fn span(&self) -> Option<Id> {
        self.span.get().cloned()
    }

    /// Tells late-comers how old an answer may turn out to be.
    pub(crate) fn attempt_started(&self, at: Option<Moment>) {
        *self.attempt_started.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }

    /// Whether whatever this flight brings was asked for within `max_age` before now.
    ///
    /// One that should have ended stands still with its runtime, and will not bring anything.
    fn answers(&self, now: Instant, max_age: Duration, longest: Duration) -> bool {
        if now.saturating_duration_since(self.epoch) > longest || self.contents > max_age {
            return false;
        }
        let started = *self.attempt_started.lock().unwrap_or_else(PoisonError::into_inner);
        // Without one the attempt is still to come.
        started.is_none_or(|started| is_recent(started.age_at(now), max_age))
    }

    /// Waits for the answer. Dropping this future leaves the flight and its other followers alone.
    pub(crate) async fn landed(&self) -> &Result<Landing, ValidateError> {
        loop {
            let landed = self.landed.notified();
            if let Some(landing) = self.landing.get() {
                return landing;
            }
            landed.await;
        }
    }

    /// What it brought, if it has landed.
    pub(crate) fn landing(&self) -> Option<&Result<Landing, ValidateError>> {
        self.landing.get()
    }
}

/// Whether a call leads a flight, follows one, or needs none.
#[derive(Debug)]
pub(crate) enum Boarding<R> {
    Leads(Lead),
    Follows(Arc<Flight>),
    Recent(R),
}

/// The flights of one validator.
#[derive(Debug)]
pub(crate) struct Flights {
    aloft: Mutex<Aloft>,
    /// How long a flight takes at most.
    longest: Duration,
    /// How long it holds its place at most: it still tells the store.
    held_for: Duration,
}

#[derive(Debug)]
struct Aloft {
    current: HashMap<PaymentId, Arc<Flight>>,
    /// Of flights under way, current or not, and of other work.
    places: Room,
}

impl Flights {
    pub(crate) fn new(limit: usize, share: usize, longest: Duration, held_for: Duration) -> Self {
        let aloft = Aloft { current: HashMap::new(), places: Room::new(limit, share) };
        Self { aloft: Mutex::new(aloft), longest, held_for }
    }

    fn lock(&self) -> MutexGuard<'_, Aloft> {
        // No foreign code runs under this lock, so a poisoned one is whole all the same.
        self.aloft.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place, if there is one.
    fn seat(&self, aloft: &mut Aloft, tenant: &str, now: Instant) -> Result<Ticket, CallError> {
        let places = &mut aloft.places;
        places.take(tenant, now, after(now, self.held_for)).map_err(|full| {
            let shares = places.shares();
            let (what, setting, limit) = match full {
                Full::Whole => ("calls under way", "max_in_flight", shares.whole()),
                Full::Share => ("calls of this tenant under way", "max_in_flight_per_tenant", shares.share()),
            };
            CallError::new(Cause::Full { what, setting, limit })
        })
    }

    /// Takes recent facts if there are any, or else joins the payment's current flight, or else starts one: when there is
    /// none, or its answer could be older than `max_age`.
    ///
    /// `recent` runs under the lock that settling takes, so that a flight which lands meanwhile is not missed. `may_lead`
    /// says whether this call can. `contents` is how old the facts of a store may be that a flight of this call would be
    /// content with.
    ///
    /// # Errors
    /// When as many flights as allowed are under way, of this tenant or of all, or this call cannot lead.
    pub(crate) fn board<R>(
        self: &Arc<Self>,
        intent: &PaymentIntent,
        now: Instant,
        max_age: Duration,
        contents: Duration,
        recent: impl FnOnce() -> Option<R>,
        may_lead: impl FnOnce() -> Result<(), CallError>,
    ) -> Result<Boarding<R>, CallError> {
        let payment = intent.payment();
        let mut aloft = self.lock();
        if let Some(recent) = recent() {
            return Ok(Boarding::Recent(recent));
        }
        if let Some(flight) = aloft.current.get(payment)
            && flight.answers(now, max_age, self.longest)
        {
            return Ok(Boarding::Follows(Arc::clone(flight)));
        }
        may_lead()?;
        let ticket = self.seat(&mut aloft, intent.tenant(), now)?;
        let flight = Arc::new(Flight::new(now, contents));
        aloft.current.insert(payment.clone(), Arc::clone(&flight));
        drop(aloft);
        Ok(Boarding::Leads(Lead { flights: Arc::clone(self), payment: payment.clone(), flight, ticket }))
    }

    /// Takes a place among the flights, for work that is none itself and goes on without its caller as they do.
    ///
    /// # Errors
    /// When as many as allowed are under way.
    pub(crate) fn place(self: &Arc<Self>, tenant: &str) -> Result<TakenPlace, CallError> {
        let ticket = self.seat(&mut self.lock(), tenant, Instant::now())?;
        Ok(TakenPlace { flights: Arc::clone(self), ticket })
    }

    /// Makes the payment's flight settle nothing; the next call starts a new one. `drop_facts` runs under the same lock
    /// that settling takes, so that no settling slips in between.
    pub(crate) fn forget(&self, payment: &PaymentId, drop_facts: impl FnOnce()) {
        let mut aloft = self.lock();
        aloft.current.remove(payment);
        drop_facts();
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().places.held(Instant::now())
    }
}

/// A place among the flights, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct TakenPlace {
    flights: Arc<Flights>,
    ticket: Ticket,
}

impl Drop for TakenPlace {
    fn drop(&mut self) {
        self.flights.lock().places.give_back(self.ticket);
    }
}

/// The duty to land a flight. Dropped without landing, as by a panic, it gives those who wait an error.
#[derive(Debug)]
pub(crate) struct Lead {
    flights: Arc<Flights>,
    payment: PaymentId,
    flight: Arc<Flight>,
    ticket: Ticket,
}

impl Lead {
    pub(crate) fn flight(&self) -> &Arc<Flight> {
        &self.flight
    }

    pub(crate) fn payment(&self) -> &PaymentId {
        &self.payment
    }

    /// Hands the result to those who wait. `settle` hears of facts first, and whether this is still the payment's current
    /// flight.
    pub(crate) fn land(self, result: Result<Landing, ValidateError>, settle: impl FnOnce(&Landing, bool)) {
        self.leave(|current| {
            if let Ok(landing) = &result {
                settle(landing, current);
            }
        });
        // Only the one leader sets it, so it cannot be set already.
        let _ = self.flight.landing.set(result);
    }

    /// Gives up the place, before anybody can hear that the flight is over.
    fn leave(&self, settle: impl FnOnce(bool)) {
        let mut aloft = self.flights.lock();
        let is_current = aloft.current.get(&self.payment).is_some_and(|flight| Arc::ptr_eq(flight, &self.flight));
        settle(is_current);
        if is_current {
            aloft.current.remove(&self.payment);
        }
        aloft.places.give_back(self.ticket);
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        if self.flight.landing.get().is_none() {
            self.leave(|_| {});
            let _ = self.flight.landing.set(Err(CallError::new(Cause::Interrupted).into()));
        }
        self.flight.landed.notify_waiters();
    }
}
