//! The last minute, second by second: how the validator's own counters moved.

use std::collections::VecDeque;

use payproof::telemetry::Stats;
use serde::Serialize;

/// What the page's chart spans.
const SECONDS: usize = 60;

/// What was counted in one second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    pub(crate) valid: u64,
    pub(crate) pending: u64,
    pub(crate) action_required: u64,
    pub(crate) invalid: u64,
    pub(crate) could_not_tell: u64,
    pub(crate) fresh: u64,
    pub(crate) replayed: u64,
    pub(crate) coalesced: u64,
    pub(crate) degraded: u64,
}

impl From<&Stats> for Counts {
    fn from(stats: &Stats) -> Self {
        Self {
            valid: stats.valid,
            pending: stats.pending,
            action_required: stats.action_required,
            invalid: stats.invalid,
            could_not_tell: stats.errors.values().fold(0, |sum, count| sum.saturating_add(*count)),
            fresh: stats.misses,
            replayed: stats.hits,
            coalesced: stats.coalesced,
            degraded: stats.degraded,
        }
    }
}

impl Counts {
    fn since(&self, earlier: &Self) -> Self {
        Self {
            valid: self.valid.saturating_sub(earlier.valid),
            pending: self.pending.saturating_sub(earlier.pending),
            action_required: self.action_required.saturating_sub(earlier.action_required),
            invalid: self.invalid.saturating_sub(earlier.invalid),
            could_not_tell: self.could_not_tell.saturating_sub(earlier.could_not_tell),
            fresh: self.fresh.saturating_sub(earlier.fresh),
            replayed: self.replayed.saturating_sub(earlier.replayed),
            coalesced: self.coalesced.saturating_sub(earlier.coalesced),
            degraded: self.degraded.saturating_sub(earlier.degraded),
        }
    }
}

/// Seconds of the past, the last of them under way.
#[derive(Debug)]
pub(crate) struct History {
    /// The counters at the start of the second that is under way.
    base: Counts,
    /// That second, counted from the validator's start.
    second: u64,
    seconds: VecDeque<Counts>,
}

impl History {
    pub(crate) fn new() -> Self {
        Self { base: Counts::default(), second: 0, seconds: VecDeque::from([Counts::default(); SECONDS]) }
    }

    /// Takes a look at the counters; at least one a second keeps the seconds apart.
    pub(crate) fn look(&mut self, stats: &Stats) {
        let (now, second) = (Counts::from(stats), stats.uptime.as_secs());
        if let Some(last) = self.seconds.back_mut() {
            *last = now.since(&self.base);
        }
        for _ in 0..second.saturating_sub(self.second).min(u64::try_from(SECONDS).unwrap_or(u64::MAX)) {
            self.seconds.pop_front();
            self.seconds.push_back(Counts::default());
            self.base = now;
        }
        self.second = second;
    }

    pub(crate) fn seconds(&self) -> impl Iterator<Item = &Counts> {
        self.seconds.iter()
    }
}
