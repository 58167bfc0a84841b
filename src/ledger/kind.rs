//! The kinds of record, and the versions in which each is read and written.

use std::ops::RangeInclusive;

/// What a record is about, in its key, for people who look into the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RecordKind {
    /// Facts of one payment.
    Facts,
    /// Which payment an alias stands for.
    Alias,
    /// A caller's idempotency key.
    Key,
    /// A guarded operation.
    Operation,
    /// A request with an idempotency key.
    Request,
    /// The order that a payment pays.
    Payment,
    /// The payment that pays an order.
    Order,
    /// What has to be looked into.
    Indeterminate,
    /// What people decided on one day: resolutions and releases.
    Decision,
    /// An event that the provider reported.
    Event,
    /// What the store check writes and reads.
    Canary,
    /// A value of the cache.
    Cache,
    /// What many values of the cache are invalidated by at once.
    CacheTag,
    /// A kind of the tests, which has come to its third version.
    #[cfg(test)]
    Sample,
}

/// The largest record of a kind that holds what callers and providers say. A store's bill and memory should stay small.
const LARGE: usize = 256 * 1024;

/// The largest record of a kind that holds a few names of at most 255 bytes.
const SMALL: usize = 4 * 1024;

/// How records of one kind are laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// As it stands in keys.
    pub(super) name: &'static str,
    /// The most bytes of a record.
    pub(super) most_bytes: usize,
    /// Retention may be ten years, so a version that was ever written is read for good.
    pub(super) reads: RangeInclusive<u8>,
    /// The version that this release writes.
    writes: u8,
    /// The version that release 0.1 writes.
    in_0_1: u8,
}

impl RecordKind {
    /// Every kind that stands in a store.
    pub(super) const ALL: [Self; 13] = [
        Self::Facts,
        Self::Alias,
        Self::Key,
        Self::Operation,
        Self::Request,
        Self::Payment,
        Self::Order,
        Self::Indeterminate,
        Self::Decision,
        Self::Event,
        Self::Canary,
        Self::Cache,
        Self::CacheTag,
    ];

    /// A stable name, as it stands in the store's keys.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.layout().name
    }

    /// The one table of kinds. A change of a kind's bytes begins here: see [`record`](super::record).
    pub(super) const fn layout(self) -> Layout {
        let (name, most_bytes, reads, writes, in_0_1) = match self {
            Self::Facts => ("facts", LARGE, 1..=2, 2, 1),
            Self::Alias => ("alias", LARGE, 1..=1, 1, 1),
            Self::Key => ("key", SMALL, 1..=1, 1, 1),
            Self::Operation => ("operation", LARGE, 1..=1, 1, 1),
            Self::Request => ("request", LARGE, 1..=1, 1, 1),
            Self::Payment => ("payment", SMALL, 1..=1, 1, 1),
            Self::Order => ("order", SMALL, 1..=1, 1, 1),
            Self::Indeterminate => ("indeterminate", LARGE, 1..=2, 2, 1),
            Self::Decision => ("decision", LARGE, 1..=1, 1, 1),
            Self::Event => ("event", SMALL, 1..=2, 2, 1),
            Self::Canary => ("canary", SMALL, 1..=1, 1, 1),
            Self::Cache => ("cache", LARGE, 1..=1, 1, 1),
            Self::CacheTag => ("cache-tag", SMALL, 1..=1, 1, 1),
            #[cfg(test)]
            Self::Sample => ("sample", SMALL, 1..=3, 3, 2),
        };
        Layout { name, most_bytes, reads, writes, in_0_1 }
    }
}

/// The release whose records are written. Those of every release are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Release {
    /// This one.
    #[default]
    Current,
    V0_1,
}

impl Release {
    /// Those that have a name, the oldest first.
    const NAMED: [(&'static str, Self); 1] = [("0.1", Self::V0_1)];

    /// The names that [`named`](Self::named) knows, as a rule.
    pub(crate) const NAMES: &'static str = "a release whose records are known: \"0.1\"";

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::NAMED.into_iter().find(|(known, _)| *known == name).map(|(_, release)| release)
    }

    /// The version in which it writes a kind of record.
    pub(super) const fn writes(self, kind: RecordKind) -> u8 {
        let Layout { writes, in_0_1, .. } = kind.layout();
        match self {
            Self::Current => writes,
            Self::V0_1 => in_0_1,
        }
    }
}
