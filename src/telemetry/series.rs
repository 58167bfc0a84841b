//! The keys of metrics, each made once.
//!
//! A key is a metric's name and labels, and is made of allocations. What records it is looked up each time: a recorder may be
//! installed long after the first steps, and a test may have one of its own.

use std::sync::OnceLock;

use ::metrics::{Key, Label};

/// At most two labels have values of their own.
type Series = (&'static str, [Option<&'static str>; 2]);

/// The keys of all metrics that share the first labels: a few dozen at most, since names, codes and outcomes are all known
/// beforehand. They stand in a list that only grows, so that threads which read it do not wait for each other.
pub(super) struct SeriesKeys {
    whose: Vec<Label>,
    first: OnceLock<Box<Made>>,
}

/// One key, and the place of the next.
struct Made {
    series: Series,
    key: Key,
    next: OnceLock<Box<Self>>,
}

impl SeriesKeys {
    pub(super) const fn new(whose: Vec<Label>) -> Self {
        Self { whose, first: OnceLock::new() }
    }

    /// The key of a metric with these labels beside the shared ones; the values are in the order of the labels.
    pub(super) fn key(&self, name: &'static str, labels: &[&'static str], values: &[&'static str]) -> &Key {
        let series = (name, [values.first().copied(), values.get(1).copied()]);
        let mut place = &self.first;
        loop {
            // The first free place is this key's, unless another thread takes it for another one meanwhile.
            let made = place.get_or_init(|| {
                let own = labels.iter().zip(values).map(|(label, value)| Label::from_static_parts(label, value));
                let labels: Vec<_> = self.whose.iter().cloned().chain(own).collect();
                Box::new(Made { series, key: Key::from_parts(name, labels), next: OnceLock::new() })
            });
            if is_same(made.series, series) {
                return &made.key;
            }
            place = &made.next;
        }
    }
}

/// By where the names lie, and not by their letters: a name that lies in two places may have two keys, which are equal.
fn is_same((name, values): Series, (other_name, other_values): Series) -> bool {
    let is_same = |value: Option<&'static str>, other: Option<&'static str>| match (value, other) {
        (Some(value), Some(other)) => std::ptr::eq(value, other),
        (None, None) => true,
        _ => false,
    };
    let ([first, second], [other_first, other_second]) = (values, other_values);
    std::ptr::eq(name, other_name) && is_same(first, other_first) && is_same(second, other_second)
}
