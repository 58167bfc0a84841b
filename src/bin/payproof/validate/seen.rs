//! Which payments stand on several lines.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};

/// The payments that are remembered, the latest of the input; about 50 MB when full.
const MOST: usize = 1_000_000;

/// The lines of the latest payments. Payments are told apart by hashes of 64 bits under a random key: that two of ten million
/// lines are taken for the same payment and are not has a chance of one in a million.
pub(crate) struct SeenPayments {
    hashing: RandomState,
    lines: HashMap<u64, u64>,
    order: VecDeque<u64>,
    most: usize,
}

impl SeenPayments {
    pub(crate) fn new() -> Self {
        Self::of(MOST)
    }

    fn of(most: usize) -> Self {
        Self { hashing: RandomState::new(), lines: HashMap::new(), order: VecDeque::new(), most }
    }

    /// The line on which this payment was first, if it was on one; else this line is.
    pub(crate) fn first_line(&mut self, payment: &str, line: u64) -> Option<u64> {
        let hash = self.hashing.hash_one(payment);
        match self.lines.entry(hash) {
            Entry::Occupied(first) => return Some(*first.get()),
            Entry::Vacant(place) => place.insert(line),
        };
        self.order.push_back(hash);
        if self.order.len() > self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.lines.remove(&oldest);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_payments_are_remembered_and_no_more() {
        let mut seen = SeenPayments::of(2);
        let told: Vec<Option<u64>> = (1..)
            .zip(["a", "b", "a", "b", "c", "a", "a"])
            .map(|(line, payment)| seen.first_line(payment, line))
            .collect();
        // With the third payment the first is forgotten.
        assert_eq!(told, [None, None, Some(1), Some(2), None, None, Some(6)]);
        assert_eq!((seen.lines.len(), seen.order.len()), (2, 2));
    }
}
