//! A call that memory did not answer: it joins a flight of its key, or leads one, and starts anew where what came of it is not
//! for this call.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::call::deadline::Deadline;
use crate::flight::permits::NoPermit;
use crate::flight::{Joined, Leader, LeaderLost, Waiter};
use crate::intent::fingerprint::Fingerprint;
use crate::ledger::FAILED_FOR;
use crate::lock::Lock;
use crate::telemetry::{CacheCall, cache_called};

use super::backing::{Place, Reading};
use super::error::CacheError;
use super::hit::Hit;
use super::key::CacheKey;
use super::landed::{Began, Landed, LoadNotes};
use super::lead::{Lead, Why};
use super::load::{Chain, Load, Nested};
use super::memory::MemoryCopy;
use super::stats::Count;
use super::stock::{Stock, Wishes};
use super::value::CacheValue;

/// A call starts anew where a mark came in between; so many in a row are no accident.
const MOST_FLIGHTS: usize = 16;

type CacheLeader<V> = Leader<Fingerprint, LoadNotes, Landed<V>>;
type CacheWaiter<V> = Waiter<Fingerprint, LoadNotes, Landed<V>>;

/// A call past memory.
pub(super) struct Ask<K, V> {
    pub(super) stock: Arc<Stock<K, V>>,
    pub(super) key: K,
    pub(super) place: Place,
    pub(super) wishes: Wishes,
    pub(super) began: Began,
    pub(super) load: Option<Load<V>>,
}

/// How a call goes on.
pub(super) enum Joining<V> {
    /// Memory has it by now.
    Recalled(Hit<V>),
    Leads(CacheLeader<V>, CacheWaiter<V>),
    /// Its flight is under way already.
    Led(CacheWaiter<V>),
    Waits(CacheWaiter<V>),
}

impl<K: CacheKey, V: CacheValue> Ask<K, V> {
    pub(super) fn new(stock: &Arc<Stock<K, V>>, key: &K, wishes: Wishes, load: Load<V>) -> Result<Self, CacheError> {
        let began = Began::now(&stock.core.marks);
        let (place, key) = (stock.place(key)?, key.clone());
        let nested = Nested { space: stock.space.name, digest: place.digest };
        if Chain::here().holds(nested) {
            return Err(CacheError::RecursiveLoad);
        }
        Ok(Self { stock: Arc::clone(stock), key, place, wishes, began, load: Some(load) })
    }

    pub(super) async fn answer(self) -> Result<Hit<V>, CacheError> {
        self.answer_after(None).await
    }

    /// The answer for a call whose first turn was taken already.
    pub(super) async fn answer_after(
        mut self,
        first: Option<Result<Joining<V>, CacheError>>,
    ) -> Result<Hit<V>, CacheError> {
        let (stock, began) = (Arc::clone(&self.stock), self.began.at);
        let (result, count) = self.result(first).await;
        let counts = &stock.counts;
        counts.add(if result.is_ok() { count } else { Count::Failed });
        if result.as_ref().is_ok_and(Hit::is_stale) {
            counts.add(Count::Stale);
        }
        cache_called(&call(stock.space.name, &result, count), began);
        result
    }

    async fn result(
        &mut self,
        mut first: Option<Result<Joining<V>, CacheError>>,
    ) -> (Result<Hit<V>, CacheError>, Count) {
        let runtime = match Stock::<K, V>::runtime() {
            Ok(runtime) => runtime,
            Err(error) => return (Err(error), Count::Miss),
        };
        let deadline = self.wishes.deadline.map(|limit| Deadline::after(self.began.at, limit));
        for _ in 0..MOST_FLIGHTS {
            let (waiter, leads) = match first.take().unwrap_or_else(|| self.turn()) {
                Err(error) => return (Err(error), Count::Miss),
                Ok(Joining::Recalled(hit)) => return (Ok(hit), Count::Coalesced),
                Ok(Joining::Leads(leader, waiter)) => {
                    self.lead(Why::Asked).launch(&runtime, leader, None);
                    (waiter, true)
                }
                Ok(Joining::Led(waiter)) => (waiter, true),
                Ok(Joining::Waits(waiter)) => (waiter, false),
            };
            let left = deadline.map(|deadline| deadline.left(Instant::now()));
            let flight = waiter.flight();
            match flight.completed_within(left).await {
                None => {
                    let limit = self.wishes.deadline.unwrap_or_default();
                    return (Err(CacheError::Deadline { limit }), Count::Miss);
                }
                Some(Err(LeaderLost)) if leads => return (Err(CacheError::Interrupted), Count::Miss),
                Some(Err(LeaderLost)) => {}
                Some(Ok(landed)) => {
                    let memory_for = self.stock.core.backing.as_ref().map(|_| self.stock.space.memory_for);
                    let of = (flight.begun(), flight.notes());
                    if landed.answers(self.began, self.wishes.max_age, of, &self.stock.core.marks, memory_for) {
                        if landed.has_waited {
                            self.stock.counts.add(Count::Waited);
                        }
                        return (landed.result.clone(), if leads { landed.counts_as } else { Count::Coalesced });
                    }
                }
            }
        }
        (Err(CacheError::AtCapacity), Count::Miss)
    }

    /// Joins the key's flight, or leads one.
    pub(super) fn turn(&self) -> Result<Joining<V>, CacheError> {
        let (now, mut recalled) = (Instant::now(), None);
        let missed = || {
            recalled = self.stock.recall(&self.key, self.wishes.max_age, now).map(|(hit, _)| hit);
            recalled.is_some()
        };
        match self.join(now, missed)? {
            Joined::Missed => recalled.map(Joining::Recalled).ok_or(CacheError::Interrupted),
            Joined::Leader(leader, waiter) => Ok(Joining::Leads(leader, waiter)),
            Joined::Waiter(waiter) => Ok(Joining::Waits(waiter)),
        }
    }

    /// Joins the key's flight, if it brings what this call wants; or leads one, unless `missed` says that memory has it by now.
    fn join(
        &self,
        now: Instant,
        missed: impl FnOnce() -> bool,
    ) -> Result<Joined<Fingerprint, LoadNotes, Landed<V>>, CacheError> {
        let (marks, max_age) = (&self.stock.core.marks, self.wishes.max_age);
        let subjects = Stock::<K, V>::subjects(&self.place, self.place.tags.iter().copied());
        let fits = |notes: &LoadNotes| notes.fits(marks, &subjects, max_age);
        self.stock.flights.join(&self.place.digest, "", now, missed, fits, || Ok(LoadNotes::now(marks, max_age)))
    }

    /// The work of the flight that this call leads.
    pub(super) fn lead(&mut self, why: Why) -> Lead<K, V> {
        let load = Lock::new(self.load.take());
        Lead {
            stock: Arc::clone(&self.stock),
            key: self.key.clone(),
            place: self.place.clone(),
            max_age: self.wishes.max_age,
            why,
            chain: Chain::here(),
            load,
            is_batched: false,
            older: None,
            waits: None,
        }
    }

    /// Loads anew what is served, unless a flight is under way already.
    pub(super) fn refresh(mut self, hit: &Hit<V>) {
        let Ok(runtime) = Stock::<K, V>::runtime() else { return };
        let now = Instant::now();
        if !hit.value.takes_refresh(now, FAILED_FOR) {
            return;
        }
        if let Ok(Joined::Leader(leader, _)) = self.join(now, || false) {
            self.lead(Why::Refresh).launch(&runtime, leader, None);
        }
    }
}

impl<K: CacheKey, V: CacheValue> Lead<K, V> {
    /// Goes through the flight in a task of its own: the call that leads it may be dropped, or be polled no more.
    pub(super) fn launch(mut self, runtime: &Handle, leader: CacheLeader<V>, reading: Option<Reading>) {
        runtime.spawn(async move {
            let landed = self.run(reading).await;
            self.complete(leader, landed);
        });
    }

    /// Hands the outcome to the calls that wait, and to memory; and loads anew what is served past its life.
    pub(super) fn complete(self, leader: CacheLeader<V>, landed: Landed<V>) {
        let Self { stock, key, place, max_age, why, load, .. } = self;
        let load = load.lock().take();
        let mut served = None;
        leader.complete(landed, |landed, is_current| {
            if let Ok(hit) = &landed.result {
                // What another value was put in the place of meanwhile, memory does not take in.
                if let Some(checked) = landed.is_kept.filter(|_| is_current) {
                    stock.memory.insert(&key, MemoryCopy { value: Arc::clone(&hit.value), checked });
                }
                served = Some(hit.clone());
            }
        });
        let Some(hit) = served.filter(|_| why == Why::Asked && load.is_some()) else { return };
        let is_due = stock.is_due(&hit.value);
        if is_due {
            let began = Began::now(&stock.core.marks);
            let wishes = Wishes { max_age, ..Wishes::NONE };
            Ask { stock, key, place, wishes, began, load }.refresh(&hit);
        }
    }
}

/// How a call ended, for telemetry.
fn call<V>(space: &'static str, result: &Result<Hit<V>, CacheError>, count: Count) -> CacheCall {
    let (outcome, from, age) = match result {
        Err(error) => (error.code(), "none", None),
        Ok(hit) if hit.is_stale() => ("stale", hit.source().as_str(), Some(hit.age())),
        Ok(hit) if count == Count::Coalesced => ("coalesced", hit.source().as_str(), Some(hit.age())),
        Ok(hit) if count == Count::StoreHit => ("hit", hit.source().as_str(), Some(hit.age())),
        Ok(hit) => ("miss", hit.source().as_str(), Some(hit.age())),
    };
    CacheCall { space, outcome, from, age }
}

impl From<NoPermit> for CacheError {
    fn from(_: NoPermit) -> Self {
        Self::AtCapacity
    }
}
