//! Single flight: of the callers that want the same work done at the same time, one leads and the others wait for its
//! outcome.
//!
//! A caller joins by key. It leads where no flight of the key is under way, or where the one under way cannot answer for
//! it; by what leaders say of their work while they are at it (`N`, the notes), a caller tells whether it can.
//!
//! Flights are never evicted. A flight that is no longer the current one of its key, because a later caller asked for
//! something newer or because the key was forgotten, still answers its waiters. One whose callers have all left may end
//! without an outcome for them (`audience`): it is joined no more, and the next caller leads a new one.
//!
//! Each flight holds a permit, of which all tenants share a number. A permit comes back when the flight completes, or when
//! it should have: its runtime may stand still.

use std::future::{Future, poll_fn};
use std::panic::catch_unwind;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Poll;
use std::time::Duration;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use tokio::time::{Instant, sleep};
use tracing::{Id, Span};

use crate::call::audience::Audience;
use crate::call::leases::Ticket;

pub(crate) mod permits;

use permits::{NoPermit, Permits};

/// The leader of a flight is gone without an outcome, as after a panic or when its runtime is shut down.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LeaderLost;

/// By what flights are told apart.
pub(crate) trait FlightKey: Clone + Eq {
    /// Where it stands in tables: its hash.
    fn position(&self) -> u64;
}

/// Work under way, and all that wait for its outcome.
#[derive(Debug)]
pub(crate) struct Flight<K, N, T> {
    key: K,
    begun: Instant,
    notes: N,
    outcome: OnceLock<Result<T, LeaderLost>>,
    /// The callers that wait, who also hear here that there is an outcome.
    audience: Audience,
    /// For waiters to link to; the span itself ends with the flight.
    span: OnceLock<Id>,
}

impl<K, N, T> Flight<K, N, T> {
    fn new(key: K, begun: Instant, notes: N) -> Self {
        let (outcome, audience, span) = (OnceLock::new(), Audience::of_one(), OnceLock::new());
        Self { key, begun, notes, outcome, audience, span }
    }

    /// What it is about.
    pub(crate) fn key(&self) -> &K {
        &self.key
    }

    /// When its leader joined.
    pub(crate) fn begun(&self) -> Instant {
        self.begun
    }

    /// What the leader lets callers know of its work while it is at it.
    pub(crate) fn notes(&self) -> &N {
        &self.notes
    }

    pub(crate) fn audience(&self) -> &Audience {
        &self.audience
    }

    /// Lets waiters link to the span of the work.
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

    /// Waits for the outcome.
    ///
    /// # Cancel safety
    /// Dropped, it leaves the flight and its other waiters alone.
    pub(crate) async fn completed(&self) -> &Result<T, LeaderLost> {
        loop {
            let changed = self.audience.changed();
            if let Some(outcome) = self.outcome.get() {
                return outcome;
            }
            changed.await;
        }
    }

    /// Waits for the outcome, for so long at most. Without a limit, and in a runtime without a timer, for as long as it takes.
    ///
    /// # Cancel safety
    /// As [`completed`](Self::completed).
    pub(crate) async fn completed_within(&self, limit: Option<Duration>) -> Option<&Result<T, LeaderLost>> {
        let mut completed = pin!(self.completed());
        let mut over = pin!(limit.and_then(|limit| catch_unwind(|| sleep(limit)).ok()));
        poll_fn(|cx| match completed.as_mut().poll(cx) {
            Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
            Poll::Pending => over.as_mut().as_pin_mut().map_or(Poll::Pending, |over| over.poll(cx).map(|()| None)),
        })
        .await
    }

    /// The outcome, once it is there.
    pub(crate) fn outcome(&self) -> Option<&Result<T, LeaderLost>> {
        self.outcome.get()
    }
}

/// Whether a caller leads a flight, waits for one, or missed one that completed after it had looked for what was known.
#[derive(Debug)]
pub(crate) enum Joined<K: FlightKey, N, T> {
    Leader(Leader<K, N, T>, Waiter<K, N, T>),
    Waiter(Waiter<K, N, T>),
    Missed,
}

/// A caller of a flight, the one that started it too. Dropped, it has left.
#[derive(Debug)]
pub(crate) struct Waiter<K, N, T>(Arc<Flight<K, N, T>>);

impl<K, N, T> Waiter<K, N, T> {
    pub(crate) fn flight(&self) -> &Arc<Flight<K, N, T>> {
        &self.0
    }
}

impl<K, N, T> Drop for Waiter<K, N, T> {
    fn drop(&mut self) {
        // Past the outcome there is nothing to leave.
        if self.0.outcome.get().is_none() {
            self.0.audience.leave();
        }
    }
}

/// The flights of one kind, by key.
#[derive(Debug)]
pub(crate) struct SingleFlight<K, N, T> {
    current: Mutex<Current<K, N, T>>,
    /// Of flights under way, current or not, and of other work.
    permits: Arc<Permits>,
    /// How long a flight takes at most. One that takes longer stands still, and is joined no more.
    longest: Duration,
}

/// By the positions of their keys.
type Current<K, N, T> = HashTable<Arc<Flight<K, N, T>>>;

impl<K: FlightKey, N, T> SingleFlight<K, N, T> {
    /// Each flight holds one of the permits; past its longest, it may still have to tell others of its outcome.
    pub(crate) fn new(permits: Arc<Permits>, longest: Duration) -> Self {
        Self { current: Mutex::default(), permits, longest }
    }

    /// Joins the current flight of the key, if its notes say that it fits, or else leads a new one, with the notes that
    /// `lead` makes.
    ///
    /// The caller has looked for what is known already. `missed` says whether a flight has brought anything since, and runs
    /// under the lock under which a flight completes, so that none completes in between. It is to be quick: all callers
    /// wait for this lock.
    ///
    /// # Errors
    /// What `lead` says, or that there is no permit.
    pub(crate) fn join<E: From<NoPermit>>(
        self: &Arc<Self>,
        key: &K,
        tenant: &str,
        now: Instant,
        missed: impl FnOnce() -> bool,
        fits: impl FnOnce(&N) -> bool,
        lead: impl FnOnce() -> Result<N, E>,
    ) -> Result<Joined<K, N, T>, E> {
        let mut current = self.lock();
        if missed() {
            return Ok(Joined::Missed);
        }
        let is_of_key = |flight: &Arc<Flight<K, N, T>>| flight.key == *key;
        let place = current.entry(key.position(), is_of_key, |flight| flight.key.position());
        if let Entry::Occupied(found) = &place
            && let flight = found.get()
            && now.saturating_duration_since(flight.begun) <= self.longest
            && fits(&flight.notes)
            && flight.audience.join()
        {
            return Ok(Joined::Waiter(Waiter(Arc::clone(flight))));
        }
        let notes = lead()?;
        let permit = Some(self.permits.take(tenant, now)?);
        let flight = Arc::new(Flight::new(key.clone(), now, notes));
        let waiter = Waiter(Arc::clone(&flight));
        place.insert(Arc::clone(&flight));
        drop(current);
        Ok(Joined::Leader(Leader { flights: Arc::clone(self), flight, permit }, waiter))
    }

    /// Runs `then` under the lock under which a flight completes, so that none completes meanwhile. It is to be quick.
    pub(crate) fn between_outcomes<R>(&self, then: impl FnOnce() -> R) -> R {
        let _current = self.lock();
        then()
    }

    /// Makes the key's flight no longer the current one: the next caller leads a new one. `then` runs under the lock under
    /// which a flight completes, so that none completes in between.
    pub(crate) fn forget(&self, key: &K, then: impl FnOnce()) {
        let mut current = self.lock();
        if let Ok(flight) = current.find_entry(key.position(), |flight| flight.key == *key) {
            flight.remove();
        }
        then();
    }

    fn lock(&self) -> MutexGuard<'_, Current<K, N, T>> {
        // What runs under this lock leaves the table whole at every point, so a poisoned one is whole all the same.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The duty to complete a flight. Dropped before, as by a panic, it tells the waiters that their leader is lost.
#[derive(Debug)]
pub(crate) struct Leader<K: FlightKey, N, T> {
    flights: Arc<SingleFlight<K, N, T>>,
    flight: Arc<Flight<K, N, T>>,
    permit: Option<Ticket>,
}

impl<K: FlightKey, N, T> Leader<K, N, T> {
    pub(crate) fn flight(&self) -> &Arc<Flight<K, N, T>> {
        &self.flight
    }

    /// Hands the outcome to the waiters. `settle` hears of it first, and whether this is still its key's current flight.
    pub(crate) fn complete(mut self, outcome: T, settle: impl FnOnce(&T, bool)) {
        self.leave(|is_current| settle(&outcome, is_current));
        // Only the one leader sets it, so it cannot be set already.
        let _ = self.flight.outcome.set(Ok(outcome));
    }

    /// Gives the permit back, before any waiter can hear that the flight is over.
    fn leave(&mut self, settle: impl FnOnce(bool)) {
        let mut current = self.flights.lock();
        let place = current.find_entry(self.flight.key.position(), |flight| Arc::ptr_eq(flight, &self.flight));
        settle(place.is_ok());
        if let Ok(place) = place {
            place.remove();
        }
        if let Some(permit) = self.permit.take() {
            self.flights.permits.give_back(permit);
        }
    }
}

impl<K: FlightKey, N, T> Drop for Leader<K, N, T> {
    fn drop(&mut self) {
        if self.flight.outcome.get().is_none() {
            self.leave(|_| {});
            let _ = self.flight.outcome.set(Err(LeaderLost));
        }
        self.flight.audience.tell();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::ready;

    use crate::call::audience::while_wanted;
    use crate::call::shares::Full;

    const LONGEST: Duration = Duration::from_secs(10);

    type Numbers = SingleFlight<&'static str, u32, u32>;

    impl FlightKey for &'static str {
        fn position(&self) -> u64 {
            7
        }
    }

    fn numbers(permits: usize) -> Arc<Numbers> {
        Arc::new(SingleFlight::new(Arc::new(Permits::new(permits, permits, LONGEST)), LONGEST))
    }

    /// Joins a flight whose notes are at least this; its leader notes the same.
    fn join(numbers: &Arc<Numbers>, now: Instant, least: u32) -> Result<Joined<&'static str, u32, u32>, NoPermit> {
        numbers.join(&"key", "tenant", now, || false, |notes| *notes >= least, || Ok(least))
    }

    fn leader(numbers: &Arc<Numbers>, now: Instant, least: u32) -> Leader<&'static str, u32, u32> {
        match join(numbers, now, least) {
            Ok(Joined::Leader(leader, _)) => leader,
            other => panic!("{other:?}"),
        }
    }

    fn waiter(numbers: &Arc<Numbers>, now: Instant, least: u32) -> Arc<Flight<&'static str, u32, u32>> {
        match join(numbers, now, least) {
            Ok(Joined::Waiter(waiter)) => Arc::clone(waiter.flight()),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn one_leads_and_the_others_get_its_outcome() {
        let (numbers, now) = (numbers(2), Instant::now());
        let first = leader(&numbers, now, 1);
        let waits = waiter(&numbers, now, 1);
        // It asks for more than the flight under way may bring, and those who come after it join its own.
        let second = leader(&numbers, now, 2);
        let waits_for_more = waiter(&numbers, now, 2);
        assert_eq!(join(&numbers, now, 3).unwrap_err(), NoPermit { full: Full::Whole, limit: 2 });
        first.complete(7, |_, is_current| assert!(!is_current));
        second.complete(8, |_, is_current| assert!(is_current));
        assert!(matches!((waits.completed().await, waits_for_more.outcome()), (Ok(7), Some(Ok(8)))));
        assert_eq!(numbers.permits.held(), 0);
        drop(leader(&numbers, now, 1));
    }

    #[test]
    fn a_caller_that_missed_what_a_flight_brought_neither_leads_nor_waits() {
        let (numbers, now) = (numbers(1), Instant::now());
        let missed = || numbers.join(&"key", "tenant", now, || true, |_| true, || Ok::<_, NoPermit>(1));
        assert!(matches!(missed(), Ok(Joined::Missed)));
        assert_eq!(numbers.permits.held(), 0);
        let _leader = leader(&numbers, now, 1);
        assert!(matches!(missed(), Ok(Joined::Missed)));
    }

    #[tokio::test]
    async fn a_leader_that_is_gone_or_stands_still_holds_up_no_caller() {
        let (numbers, now) = (numbers(1), Instant::now());
        let lost = leader(&numbers, now, 1);
        let waits = waiter(&numbers, now, 1);
        drop(lost);
        assert!(matches!(waits.completed().await, Err(LeaderLost)));
        let still = leader(&numbers, now, 1);
        let anew = leader(&numbers, now + LONGEST + Duration::from_millis(1), 1);
        still.complete(7, |_, is_current| assert!(!is_current));
        anew.complete(8, |_, is_current| assert!(is_current));
    }

    #[tokio::test]
    async fn a_flight_that_ends_for_want_of_callers_is_joined_no_more() {
        let (numbers, now) = (numbers(2), Instant::now());
        let Ok(Joined::Leader(old, waiter)) = join(&numbers, now, 1) else { panic!() };
        assert_eq!(while_wanted(Some(old.flight().audience()), ready(7)).await, Some(7));
        drop(waiter);
        assert_eq!(while_wanted(Some(old.flight().audience()), ready(7)).await, None);
        let new = leader(&numbers, now, 1);
        old.complete(7, |_, is_current| assert!(!is_current));
        new.complete(8, |_, is_current| assert!(is_current));
    }

    #[tokio::test]
    async fn a_flight_of_a_forgotten_key_answers_its_waiters_and_is_joined_no_more() {
        let (numbers, now) = (numbers(2), Instant::now());
        let (old, waits) = (leader(&numbers, now, 1), waiter(&numbers, now, 1));
        numbers.forget(&"key", || {});
        let new = leader(&numbers, now, 1);
        old.complete(7, |_, is_current| assert!(!is_current));
        assert!(matches!(waits.completed().await, Ok(7)));
        drop((waiter(&numbers, now, 1), new));
    }
}
