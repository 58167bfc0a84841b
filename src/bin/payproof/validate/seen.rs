//! Which payments stand on several lines.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::mem;

/// The payments that are remembered at least, the latest of the input. Twice as many take about 75 MB.
const MOST: usize = 1_000_000;

/// The lines of the latest payments. Payments are told apart by hashes of 64 bits under a random key: that two of ten million
/// lines are taken for the same payment and are not has a chance of one in a million.
pub(crate) struct SeenPayments {
    hashing: RandomState,
    latest: HashMap<u64, u64>,
    /// As many, from before the latest.
    before: HashMap<u64, u64>,
    most: usize,
}

impl SeenPayments {
    pub(crate) fn new() -> Self {
        Self::of(MOST)
    }

    fn of(most: usize) -> Self {
        Self { hashing: RandomState::new(), latest: HashMap::new(), before: HashMap::new(), most }
    }

    /// The line on which this payment was first, if it was on one; else this line is.
    pub(crate) fn first_line(&mut self, payment: &str, line: u64) -> Option<u64> {
        let hash = self.hashing.hash_one(payment);
        if let Some(first) = self.latest.get(&hash).or_else(|| self.before.get(&hash)) {
            return Some(*first);
        }
        if self.latest.len() >= self.most {
            mem::swap(&mut self.latest, &mut self.before);
            self.latest.clear();
        }
        self.latest.insert(hash, line);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_payments_are_remembered_and_not_many_more() {
        let mut seen = SeenPayments::of(2);
        let payments = ["a", "b", "a", "c", "b", "d", "e", "d", "a", "b"];
        let told: Vec<Option<u64>> =
            (1..).zip(payments).map(|(line, payment)| seen.first_line(payment, line)).collect();
        // With the fifth payment the first two are forgotten.
        let expected = [None, None, Some(1), None, Some(2), None, None, Some(6), None, None];
        assert_eq!(told, expected);
        assert!(seen.latest.len() <= 2 && seen.before.len() <= 2);
    }
}
