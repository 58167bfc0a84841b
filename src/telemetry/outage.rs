//! An outage in a few lines: one at its start, one a minute with counts, one at its end, however many calls fail in it.
//!
//! | what happens | what is said |
//! |---|---|
//! | the first failure, or the first one a minute after the last line | a line at once |
//! | further failures | counted; a line a minute, with the count since the last one |
//! | a success | the end, with what was not told yet |
//! | a failure within a minute of the last line of an outage that ended | counted, and told with the next line |
//!
//! So the counts of all lines add up to the failures, and what fails now and then says two lines a minute at most.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

use crate::lock::Lock;

/// How often an outage is told that goes on, and how soon after its end another one.
const EVERY: Duration = Duration::from_secs(60);

/// What is told of one thing that fails or works.
#[derive(Debug)]
pub(super) struct OutageLog {
    /// Whether a line is told each minute; else at the beginning and the end alone.
    is_told_each_minute: bool,
    /// Whether a success has anything to tell. While all is well it takes no lock.
    has_news: AtomicBool,
    state: Lock<OutageState>,
}

#[derive(Debug, Default)]
struct OutageState {
    since: Option<Instant>,
    told_at: Option<Instant>,
    /// Whether the beginning was told.
    is_told: bool,
    untold: OutageCounts,
}

/// What was counted since the last line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct OutageCounts {
    pub(super) failures: u64,
    /// Calls of the service that ended without an answer for it.
    pub(super) calls: u64,
}

/// Which line it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OutageMoment {
    Begins,
    GoesOn,
    Ends,
}

/// A line that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OutageLine {
    pub(super) moment: OutageMoment,
    pub(super) counts: OutageCounts,
    pub(super) lasted: Duration,
}

impl OutageLog {
    pub(super) fn new(is_told_each_minute: bool) -> Self {
        Self { is_told_each_minute, has_news: AtomicBool::new(false), state: Lock::default() }
    }

    /// Counts a failure.
    pub(super) fn failed(&self) -> Option<OutageLine> {
        let mut state = self.state.lock();
        let now = Instant::now();
        self.has_news.store(true, Relaxed);
        state.since.get_or_insert(now);
        state.untold.failures = state.untold.failures.saturating_add(1);
        self.due(&mut state, now)
    }

    /// Counts a call that ended without an answer, if anything fails at all.
    pub(super) fn call_failed(&self) -> Option<OutageLine> {
        if !self.has_news.load(Relaxed) {
            return None;
        }
        let mut state = self.state.lock();
        state.since?;
        state.untold.calls = state.untold.calls.saturating_add(1);
        self.due(&mut state, Instant::now())
    }

    /// It works.
    #[inline]
    pub(super) fn worked(&self) -> Option<OutageLine> {
        if self.has_news.load(Relaxed) { self.works_again() } else { None }
    }

    #[cold]
    fn works_again(&self) -> Option<OutageLine> {
        let mut state = self.state.lock();
        let now = Instant::now();
        let since = state.since.take();
        if !state.is_told && !is_over(state.told_at, now) {
            // Failures that were not told wait for the next line.
            return None;
        }
        self.has_news.store(false, Relaxed);
        let lasted = since.map(|since| now.saturating_duration_since(since)).unwrap_or_default();
        Some(state.tell(OutageMoment::Ends, lasted, now))
    }

    /// The line that is due while it fails.
    fn due(&self, state: &mut OutageState, now: Instant) -> Option<OutageLine> {
        if !is_over(state.told_at, now) || (state.is_told && !self.is_told_each_minute) {
            return None;
        }
        let moment = if state.is_told { OutageMoment::GoesOn } else { OutageMoment::Begins };
        let lasted = state.since.map(|since| now.saturating_duration_since(since)).unwrap_or_default();
        Some(state.tell(moment, lasted, now))
    }
}

impl OutageState {
    fn tell(&mut self, moment: OutageMoment, lasted: Duration, now: Instant) -> OutageLine {
        self.told_at = Some(now);
        self.is_told = moment != OutageMoment::Ends;
        OutageLine { moment, counts: std::mem::take(&mut self.untold), lasted }
    }
}

/// Whether another line may be told.
fn is_over(told_at: Option<Instant>, now: Instant) -> bool {
    told_at.is_none_or(|told_at| now.saturating_duration_since(told_at) >= EVERY)
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::OutageMoment::{Begins, Ends, GoesOn};
    use super::*;

    fn told(line: Option<OutageLine>) -> Option<(OutageMoment, u64)> {
        line.map(|line| (line.moment, line.counts.failures))
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_is_told_at_its_start_each_minute_and_at_its_end() {
        let log = OutageLog::new(true);
        assert_eq!(log.worked(), None);
        assert_eq!(told(log.failed()), Some((Begins, 1)));
        for _ in 0..59 {
            advance(Duration::from_secs(1)).await;
            assert_eq!(log.failed(), None);
        }
        advance(Duration::from_secs(1)).await;
        assert_eq!(told(log.failed()), Some((GoesOn, 60)));
        assert_eq!(log.failed(), None);
        assert_eq!(
            log.worked(),
            Some(OutageLine { moment: Ends, counts: OutageCounts { failures: 1, calls: 0 }, lasted: EVERY })
        );
        assert_eq!(log.worked(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_fails_now_and_then_says_two_lines_a_minute_and_leaves_none_out() {
        let log = OutageLog::new(true);
        let (mut lines, mut counted) = (0, 0);
        for _ in 0..600 {
            for line in [log.failed(), log.worked()].into_iter().flatten() {
                (lines, counted) = (lines + 1, counted + line.counts.failures);
            }
            advance(Duration::from_secs(1)).await;
        }
        advance(EVERY).await;
        assert!(lines <= 20, "{lines} lines in ten minutes");
        assert_eq!(counted + log.failed().unwrap().counts.failures, 601);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_told_each_minute_is_counted_to_its_end() {
        let log = OutageLog::new(false);
        assert_eq!(told(log.failed()), Some((Begins, 1)));
        for _ in 0..300 {
            advance(Duration::from_secs(1)).await;
            assert_eq!(log.failed(), None);
        }
        assert_eq!(log.call_failed(), None);
        assert_eq!(told(log.worked()), Some((Ends, 300)));
    }
}
