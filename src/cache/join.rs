//! A call that memory did not answer: it joins a flight of its key, or leads one, and starts anew where what came of it is not
//! for this call.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::call::deadline::Deadline;
use crate::flight::permits::NoPermit;
use crate::flight::{Joined, LeaderLost};
use crate::intent::fingerprint::Fingerprint;
use crate::ledger::FAILED_FOR;
use crate::telemetry::{CacheCall, cache_called};

use super::ask::Ask;
use super::error::CacheError;
use super::fly::launch;
use super::hit::Hit;
use super::key::CacheKey;
use super::landed::{Began, CacheWaiter, Landed, LoadNotes};
use super::lead::Lead;
use super::load::{Chain, Loaders};
use super::marks::Since;
use super::stats::Count;
use super::stock::Stock;
use super::value::CacheValue;

/// A call starts anew where a mark came in between; so many in a row are no accident.
const MOST_FLIGHTS: usize = 16;

/// How a call goes on.
pub(super) enum Joining<V> {
    /// Memory has it by now.
    Recalled(Hit<V>),
    Waits {
        waiter: CacheWaiter<V>,
        /// Whether it is the call's own flight.
        leads: bool,
    },
}

/// What memory answers a call with at once. Where it is due, it is loaded anew behind the call.
#[inline]
pub(super) fn recall<K: CacheKey, V: CacheValue>(
    stock: &Arc<Stock<K, V>>,
    key: &K,
    max_age: Duration,
    loaders: impl FnOnce() -> Arc<Loaders<K, V>>,
) -> Option<Hit<V>> {
    let (hit, is_due) = stock.recall(key, max_age, Instant::now())?;
    stock.recalled(&hit);
    if is_due && let Ok(ask) = Ask::new(stock, key, max_age) {
        ask.refresh(&hit, &loaders());
    }
    Some(hit)
}

impl<K: CacheKey, V: CacheValue> Ask<K, V> {
    /// The answer, where the first turn may have been taken already.
    pub(super) async fn answer(
        self,
        mut first: Option<Result<Joining<V>, CacheError>>,
        loaders: &Arc<Loaders<K, V>>,
        limit: Option<Duration>,
    ) -> Result<Hit<V>, CacheError> {
        for _ in 0..MOST_FLIGHTS {
            let (waiter, leads) = match first.take().unwrap_or_else(|| self.turn_alone(loaders)) {
                Err(error) => return self.told(Err(error), Count::Miss),
                Ok(Joining::Recalled(hit)) => return self.told(Ok(hit), Count::Coalesced),
                Ok(Joining::Waits { waiter, leads }) => (waiter, leads),
            };
            if let Some((result, count)) = self.landed(&waiter, leads, limit).await {
                return self.told(result, count);
            }
        }
        self.told(Err(CacheError::AtCapacity), Count::Miss)
    }

    /// What comes of a flight, if it answers this call.
    async fn landed(
        &self,
        waiter: &CacheWaiter<V>,
        leads: bool,
        limit: Option<Duration>,
    ) -> Option<(Result<Hit<V>, CacheError>, Count)> {
        let left = limit.map(|limit| Deadline::after(self.began.at, limit).left(Instant::now()));
        let landed = match waiter.flight().completed_within(left).await {
            None => return Some((Err(CacheError::Deadline { limit: limit.unwrap_or_default() }), Count::Miss)),
            Some(Err(LeaderLost)) => return leads.then_some((Err(CacheError::Interrupted), Count::Miss)),
            Some(Ok(landed)) => landed,
        };
        let core = &self.stock.core;
        let memory_for = if core.backing.is_some() { self.stock.space.memory_for } else { Duration::MAX };
        if !landed.answers(self.began, self.max_age, memory_for, &core.marks) {
            return None;
        }
        if landed.has_waited {
            self.stock.counts.add(Count::Waited);
        }
        Some((landed.result.clone(), if leads { landed.count } else { Count::Coalesced }))
    }

    /// Counts and tells how the call ended.
    fn told(&self, result: Result<Hit<V>, CacheError>, count: Count) -> Result<Hit<V>, CacheError> {
        let counts = &self.stock.counts;
        counts.add(if result.is_ok() { count } else { Count::Failed });
        let outcome = match (&result, count) {
            (Err(error), _) => error.code(),
            (Ok(hit), _) if hit.is_stale() => {
                counts.add(Count::Stale);
                "stale"
            }
            (Ok(_), Count::Coalesced) => "coalesced",
            (Ok(_), Count::StoreHit) => "hit",
            (Ok(_), _) => "miss",
        };
        let (from, age) = result.as_ref().map_or(("none", None), |hit| (hit.source().as_str(), Some(hit.age())));
        cache_called(&CacheCall { space: self.stock.space.name, outcome, from, age }, self.began.at);
        result
    }

    fn turn_alone(&self, loaders: &Arc<Loaders<K, V>>) -> Result<Joining<V>, CacheError> {
        let runtime = Handle::try_current().map_err(|_| CacheError::NoRuntime)?;
        self.turn(loaders, |lead| launch(&runtime, vec![lead]))
    }

    /// Joins the key's flight, or leads one, which `launch` has to see to.
    pub(super) fn turn(
        &self,
        loaders: &Arc<Loaders<K, V>>,
        launch: impl FnOnce(Lead<K, V>),
    ) -> Result<Joining<V>, CacheError> {
        let (now, mut recalled) = (Instant::now(), None);
        let missed = || {
            recalled = self.stock.recall(&self.key, self.max_age, now).map(|(hit, _)| hit);
            recalled.is_some()
        };
        match self.join(now, missed)? {
            Joined::Missed => recalled.map(Joining::Recalled).ok_or(CacheError::Interrupted),
            Joined::Waiter(waiter) => Ok(Joining::Waits { waiter, leads: false }),
            Joined::Leader(leader, waiter) => {
                launch(Lead::new(self, loaders, leader, false));
                Ok(Joining::Waits { waiter, leads: true })
            }
        }
    }

    /// Joins the key's flight, if it brings what this call wants; or leads one, unless `missed` says that memory has it by now.
    fn join(
        &self,
        now: Instant,
        missed: impl FnOnce() -> bool,
    ) -> Result<Joined<Fingerprint, LoadNotes, Landed<V>>, CacheError> {
        let (marks, max_age) = (&self.stock.core.marks, self.max_age);
        let subjects = self.place.subjects(self.place.tags.iter().copied());
        let has_permit = Chain::here().is_in(self.stock.space.name);
        let fits = |notes: &LoadNotes| {
            let fits = notes.max_age <= max_age && !marks.is_marked(&notes.since, &subjects);
            if fits && has_permit {
                notes.is_waited_for.notify_one();
            }
            fits
        };
        let lead = || {
            let began = Began::now(marks);
            Ok(LoadNotes { began, since: Since::here(began.mark), max_age, is_waited_for: Arc::default() })
        };
        self.stock.flights.join(&self.place.digest, "", now, missed, fits, lead)
    }

    /// Loads anew what is served, unless a flight is under way already.
    pub(super) fn refresh(&self, hit: &Hit<V>, loaders: &Arc<Loaders<K, V>>) {
        let (Ok(runtime), now) = (Handle::try_current(), Instant::now()) else { return };
        if loaders.can_load()
            && hit.value.takes_refresh(now, FAILED_FOR)
            && let Ok(Joined::Leader(leader, _)) = self.join(now, || false)
        {
            launch(&runtime, vec![Lead::new(self, loaders, leader, true)]);
        }
    }
}

impl<K: CacheKey, V: CacheValue> Lead<K, V> {
    /// Hands the outcome to the calls that wait, and to memory; and loads anew what is served past its life.
    pub(super) fn complete(self, landed: Landed<V>) {
        let Self { ask, loaders, leader, is_refresh, .. } = self;
        let mut due = None;
        leader.complete(landed, |landed, is_current| {
            let Ok(hit) = &landed.result else { return };
            // What another value was put in the place of meanwhile, memory does not take in.
            if landed.is_kept && is_current {
                ask.stock.remember(&ask.key, &hit.value, landed.as_of.at);
            }
            due = Some(hit.clone()).filter(|hit| !is_refresh && ask.stock.is_due(&hit.value));
        });
        if let Some(hit) = due {
            let began = Began::now(&ask.stock.core.marks);
            Ask { began, ..ask }.refresh(&hit, &loaders);
        }
    }
}

impl From<NoPermit> for CacheError {
    fn from(_: NoPermit) -> Self {
        Self::AtCapacity
    }
}
