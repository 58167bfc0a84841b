//! The most provider calls at once; further ones queue, the first first.
//!
//! A place comes back when its attempt ends, or a second after it should have ended: its runtime may stand still. A queued
//! call whose runtime stands still may be given a place all the same, and that one comes back in the same way.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::call::deadline::after;
use crate::call::leases::{Leases, Ticket};
use crate::lock::Lock;

/// Past its end an attempt keeps its place for so long: a busy machine cuts it off a little late.
const MARGIN: Duration = Duration::from_secs(1);

/// The places of one validator.
#[derive(Debug)]
pub(crate) struct Concurrency {
    limit: usize,
    longest_attempt: Duration,
    state: Lock<State>,
}

#[derive(Debug)]
struct State {
    held: Leases<()>,
    queue: VecDeque<Queued>,
}

/// A call that waits for a place.
#[derive(Debug)]
struct Queued {
    /// Its deadline.
    until: Instant,
    hand: oneshot::Sender<Ticket>,
}

impl Concurrency {
    pub(crate) fn new(limit: usize, longest_attempt: Duration) -> Self {
        let state = Lock::new(State { held: Leases::new(), queue: VecDeque::new() });
        Self { limit, longest_attempt, state }
    }

    /// How long a place is held at most that is taken now, by a call with this deadline.
    fn end(&self, now: Instant, deadline: Instant) -> Instant {
        after(after(now, self.longest_attempt).min(deadline), MARGIN)
    }

    /// A place, if one is free now.
    pub(crate) fn try_take(&self, now: Instant, deadline: Instant) -> Option<Permit<'_>> {
        let mut state = self.state.lock();
        if state.held.len() >= self.limit {
            self.serve(&mut state, now);
        }
        // While a call queues, none is free.
        (state.held.len() < self.limit)
            .then(|| Permit { places: self, ticket: state.held.take(self.end(now, deadline), ()) })
    }

    /// Waits for a place. `None` when there was none by the deadline.
    pub(crate) async fn take(&self, now: Instant, deadline: Instant) -> Option<Permit<'_>> {
        let (hand, received) = oneshot::channel();
        let mut waiting = Waiting { places: self, received };
        {
            let mut state = self.state.lock();
            state.queue.push_back(Queued { until: deadline, hand });
            self.serve(&mut state, now);
        }
        loop {
            let until = self.state.lock().held.next_end().map_or(deadline, |end| end.min(deadline));
            match timeout_at(until, &mut waiting.received).await {
                Ok(Ok(ticket)) => return Some(Permit { places: self, ticket }),
                // Passed over, since the deadline was over.
                Ok(Err(_passed_over)) => return None,
                Err(_elapsed) => {
                    let now = Instant::now();
                    self.serve(&mut self.state.lock(), now);
                    if now >= deadline {
                        return None;
                    }
                }
            }
        }
    }

    /// Takes back what is over, and hands free places to those who came first.
    fn serve(&self, state: &mut State, now: Instant) {
        while state.held.take_back(now).is_some() {}
        while state.held.len() < self.limit {
            let Some(Queued { until, hand }) = state.queue.pop_front() else { return };
            if until <= now {
                continue;
            }
            let ticket = state.held.take(self.end(now, until), ());
            if let Err(ticket) = hand.send(ticket) {
                // It has left.
                state.held.give_back(ticket);
            }
        }
    }

    fn give_back(&self, ticket: Ticket) {
        let mut state = self.state.lock();
        if state.held.give_back(ticket).is_some() && !state.queue.is_empty() {
            self.serve(&mut state, Instant::now());
        }
    }
}

/// A place, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Permit<'p> {
    places: &'p Concurrency,
    ticket: Ticket,
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.places.give_back(self.ticket);
    }
}

/// A place in the queue. Dropped, as with its call, it gives back what it was handed and did not see.
#[derive(Debug)]
struct Waiting<'p> {
    places: &'p Concurrency,
    received: oneshot::Receiver<Ticket>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.received.close();
        if let Ok(ticket) = self.received.try_recv() {
            self.places.give_back(ticket);
        }
    }
}
