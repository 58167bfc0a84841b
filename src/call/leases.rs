//! Rights that are given back, or else come back by themselves once their time is over.
//!
//! A holder may stand still with its runtime, and then gives nothing back. So each right has an end, and what is
//! over makes room. Given back after that, it is not counted twice.

use std::collections::BTreeMap;

use tokio::time::Instant;

/// Which right is held, and until when at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket {
    until: Instant,
    number: u64,
}

/// The rights held, with what is known of their holders, in the order of their ends.
#[derive(Debug)]
pub(crate) struct Leases<T> {
    next: u64,
    held: BTreeMap<Ticket, T>,
}

impl<T> Leases<T> {
    pub(crate) const fn new() -> Self {
        Self { next: 0, held: BTreeMap::new() }
    }

    pub(crate) fn take(&mut self, until: Instant, holder: T) -> Ticket {
        let ticket = Ticket { until, number: self.next };
        self.next = self.next.wrapping_add(1);
        self.held.insert(ticket, holder);
        ticket
    }

    /// Gives a right back. `None` when it had come back by itself.
    pub(crate) fn give_back(&mut self, ticket: Ticket) -> Option<T> {
        self.held.remove(&ticket)
    }

    /// Takes one back whose time is over, if there is one.
    pub(crate) fn take_back(&mut self, now: Instant) -> Option<T> {
        let first = self.held.first_entry().filter(|first| first.key().until <= now)?;
        Some(first.remove())
    }

    /// Takes the one whose time is over first.
    pub(crate) fn take_first(&mut self) -> Option<T> {
        Some(self.held.pop_first()?.1)
    }

    /// When the next one is over.
    pub(crate) fn next_end(&self) -> Option<Instant> {
        self.held.first_key_value().map(|(ticket, _)| ticket.until)
    }

    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_came_back_by_itself_is_not_given_back_again() {
        let (mut leases, now) = (Leases::new(), Instant::now());
        let long = leases.take(now + Duration::from_secs(2), "long");
        let short = leases.take(now + Duration::from_secs(1), "short");
        assert_eq!((leases.take_back(now), leases.next_end()), (None, Some(now + Duration::from_secs(1))));
        assert_eq!(leases.take_back(now + Duration::from_secs(1)), Some("short"));
        assert_eq!((leases.give_back(short), leases.give_back(long), leases.len()), (None, Some("long"), 0));
    }
}
