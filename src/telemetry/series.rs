//! The keys of metrics, each made once.
//!
//! A key is a metric's name and labels, and is made of allocations. What records it is looked up each time: a recorder may be
//! installed long after the first steps, and a test may have one of its own.

use std::sync::Arc;

use ::metrics::{Key, Label};

use crate::lock::Lock;

/// At most two labels have values of their own.
type Series = (&'static str, [Option<&'static str>; 2]);

/// The keys of all metrics that share the first labels.
pub(super) struct SeriesKeys {
    whose: Vec<Label>,
    /// A few dozen at most: names, codes and outcomes are all known beforehand.
    made: Lock<Vec<(Series, Arc<Key>)>>,
}

impl SeriesKeys {
    pub(super) const fn new(whose: Vec<Label>) -> Self {
        Self { whose, made: Lock::new(Vec::new()) }
    }

    /// The key of a metric with these labels beside the shared ones; the values are in the order of the labels.
    pub(super) fn key(&self, name: &'static str, labels: &[&'static str], values: &[&'static str]) -> Arc<Key> {
        let series = (name, [values.first().copied(), values.get(1).copied()]);
        let mut made = self.made.lock();
        if let Some((_, key)) = made.iter().find(|(known, _)| *known == series) {
            return Arc::clone(key);
        }
        let own = labels.iter().zip(values).map(|(label, value)| Label::from_static_parts(label, value));
        let labels: Vec<_> = self.whose.iter().cloned().chain(own).collect();
        let key = Arc::new(Key::from_parts(name, labels));
        made.push((series, Arc::clone(&key)));
        key
    }
}
