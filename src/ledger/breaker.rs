//! Whether the store is asked. A store that hangs costs each call its time-out, so after two of them in a row no call is
//! made, until a probe beside the calls was answered. Where the prober is overdue, as in a runtime that is driven for one call
//! after the other, or a process that was frozen in between, one call is made in its stead.
//!
//! | what a call came to | what it says |
//! |---|---|
//! | an answer, a refusal included | the store answers: all calls are made again |
//! | time lost and no answer, while no other call was answered | the second one in a row opens the breaker |
//! | the same, while others were answered | nothing: one server of several may hang, and the others do their work |
//! | a connection that was refused, or broke at once | nothing: no time was lost, and who tries next finds the store back at once |
//!
//! A cache has its loaders and keeps what it has in memory for as long as its store fails. For it every failure counts.
//!
//! What was begun comes to its end: a [lease](super::Lease) is renewed, and its last word said, in time or late, whatever the
//! breaker says. Those calls are few, since nothing new begins meanwhile, and the first one that is answered closes the breaker.
//! So what has to follow a last word elsewhere, as on the list of what is indeterminate, finds it closed. A look at the store
//! itself is always made, too.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::call::deadline::after;
use crate::lock::Lock;
use crate::telemetry::StoreWatch;

use super::LedgerError;

/// One lost reply says little; the second in a row says that each further call would lose as much time.
const MOST_LOST: u32 = 2;

/// How long the store is left alone between two probes.
pub(super) const PACE: Duration = Duration::from_secs(1);

/// A call that fails sooner than in this part of its time-out has lost none.
const LOST_PART: u32 = 10;

/// Stops calls from asking a store that does not answer. One for all users of a ledger.
#[derive(Debug, Default)]
pub(crate) struct StoreBreaker {
    /// Whether what fails at once, or is refused, counts as well.
    counts_all: bool,
    /// The calls that were answered. While one is under way and others are answered, it says nothing of the store.
    answers: AtomicU64,
    is_open: AtomicBool,
    state: Lock<BreakerPhase>,
    watch: Option<Arc<StoreWatch>>,
}

#[derive(Debug, Default)]
struct BreakerPhase {
    /// The calls in a row that lost their time.
    lost: u32,
    /// The answers by then.
    answers: u64,
    opened: Option<Opened>,
}

#[derive(Debug)]
struct Opened {
    why: LedgerError,
    prober: AbortHandle,
    /// By then the prober has come to an end or said that it goes on, if its runtime still runs.
    overdue: Instant,
}

/// A call that is about to be made.
#[derive(Clone, Copy, Debug)]
pub(super) struct BegunCall {
    pub(super) at: Instant,
    /// The answers before it.
    answers: u64,
    /// Whether it is made in place of a probe.
    is_probe: bool,
}

/// What a call says of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    Answers,
    Hangs,
    Nothing,
}

/// Starts a prober, unless there is no runtime for it.
type Start<'s> = &'s dyn Fn() -> Option<AbortHandle>;

impl StoreBreaker {
    /// That of a ledger on which effects rely, telling this watch of its outages.
    pub(super) fn told_to(watch: Arc<StoreWatch>) -> Self {
        Self { watch: Some(watch), ..Self::default() }
    }

    /// That of a cache.
    #[cfg(feature = "cache")]
    pub(super) fn of_cache() -> Self {
        Self { counts_all: true, ..Self::told_to(Arc::new(StoreWatch::of_cache())) }
    }

    /// A last word is not said late, since too much waits already.
    pub(super) fn word_given_up(&self) {
        if let Some(watch) = &self.watch {
            watch.word_given_up();
        }
    }

    #[inline]
    pub(super) fn is_open(&self) -> bool {
        self.is_open.load(Relaxed)
    }

    #[inline]
    pub(super) fn begin(&self) -> BegunCall {
        BegunCall { at: Instant::now(), answers: self.answers.load(Relaxed), is_probe: false }
    }

    /// What becomes of a call while the breaker is open: none, it is turned away. A prober that has come to no end in time, as
    /// one whose runtime is gone or stands still between calls, gets a successor. That one may fare no better, and so this call
    /// is made.
    pub(super) fn begin_open(&self, limit: Duration, start: Start<'_>) -> Option<BegunCall> {
        let (begun, mut state) = (self.begin(), self.state.lock());
        let Some(opened) = &mut state.opened else { return Some(begun) };
        if begun.at >= opened.overdue
            && let Some(prober) = start()
        {
            std::mem::replace(&mut opened.prober, prober).abort();
            opened.overdue = overdue(begun.at, limit);
            return Some(BegunCall { is_probe: true, ..begun });
        }
        if let Some(watch) = &self.watch {
            watch.turned_away(&opened.why);
        }
        None
    }

    /// A call said nothing of the store. One in place of a probe lets the next one be made.
    pub(super) fn said_nothing(&self, begun: BegunCall) {
        if begun.is_probe
            && let Some(opened) = &mut self.state.lock().opened
        {
            opened.overdue = Instant::now();
        }
    }

    /// A call was answered.
    #[inline]
    pub(super) fn answered(&self) {
        self.answers_again(0);
        if let Some(watch) = &self.watch {
            watch.worked();
        }
    }

    /// A call failed. The second one in a row that lost its time opens the breaker, and has the store probed.
    pub(super) fn failed(&self, begun: BegunCall, error: &LedgerError, limit: Duration, start: Start<'_>) {
        match self.says(error, begun.at.elapsed(), limit) {
            // An error all the same: no outage is over by it.
            Says::Answers => self.answers_again(0),
            Says::Hangs => self.lost(begun, error, limit, start),
            Says::Nothing => self.said_nothing(begun),
        }
    }

    fn says(&self, error: &LedgerError, took: Duration, limit: Duration) -> Says {
        match error {
            LedgerError::TimedOut { .. } => Says::Hangs,
            LedgerError::Store(_) if self.counts_all => Says::Hangs,
            LedgerError::Store(error) if error.is_answer() => Says::Answers,
            LedgerError::Store(_) if took.saturating_mul(LOST_PART) >= limit => Says::Hangs,
            _ => Says::Nothing,
        }
    }

    fn lost(&self, begun: BegunCall, error: &LedgerError, limit: Duration, start: Start<'_>) {
        let mut state = self.state.lock();
        let answers = self.answers.load(Relaxed);
        if state.opened.is_some() || answers != begun.answers {
            return;
        }
        let before = if state.answers == answers { state.lost } else { 0 };
        (state.lost, state.answers) = (before.saturating_add(1), answers);
        if state.lost < MOST_LOST {
            return;
        }
        let Some(prober) = start() else { return };
        state.opened = Some(Opened { why: error.clone(), prober, overdue: overdue(Instant::now(), limit) });
        self.is_open.store(true, Relaxed);
    }

    /// Takes in what came of a probe. Whether the prober is done.
    pub(super) fn probed(&self, answer: Result<(), &LedgerError>, took: Duration, limit: Duration) -> bool {
        match answer.map_or_else(|error| self.says(error, took, limit), |()| Says::Answers) {
            Says::Answers => {
                // A store that answers readings and nothing else is found out by one call.
                self.answers_again(MOST_LOST.saturating_sub(1));
                if let (Ok(()), Some(watch)) = (answer, &self.watch) {
                    watch.worked();
                }
                true
            }
            Says::Hangs | Says::Nothing => match &mut self.state.lock().opened {
                Some(opened) => {
                    opened.overdue = overdue(Instant::now(), limit);
                    false
                }
                None => true,
            },
        }
    }

    /// The store answered. What was under way before says nothing any more, and `lost` is what the next call begins with.
    fn answers_again(&self, lost: u32) {
        let answers = self.answers.fetch_add(1, Relaxed).wrapping_add(1);
        if self.is_open() {
            self.close(lost, answers);
        }
    }

    #[cold]
    fn close(&self, lost: u32, answers: u64) {
        let mut state = self.state.lock();
        *state = BreakerPhase { lost, answers, opened: None };
        self.is_open.store(false, Relaxed);
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.prober.abort();
    }
}

/// By when a probe that begins now, and the one after it, have come to their ends for sure.
fn overdue(now: Instant, limit: Duration) -> Instant {
    after(now, PACE.saturating_add(limit).saturating_mul(2))
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;
    use crate::store::StoreError;

    const LIMIT: Duration = Duration::from_secs(1);

    const NO_ANSWER: LedgerError = LedgerError::TimedOut { limit: LIMIT };

    /// A prober that never ends.
    fn prober() -> Option<AbortHandle> {
        let runtime = tokio::runtime::Handle::try_current().ok()?;
        Some(runtime.spawn(std::future::pending::<()>()).abort_handle())
    }

    impl StoreBreaker {
        fn hangs(&self) {
            self.failed(self.begin(), &NO_ANSWER, LIMIT, &prober);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn two_calls_in_a_row_that_lost_their_time_open_it_and_an_answer_closes_it() {
        let breaker = StoreBreaker::default();
        breaker.hangs();
        breaker.answered();
        breaker.hangs();
        assert!(!breaker.is_open(), "an answer in between begins anew");
        breaker.hangs();
        assert!(breaker.is_open());
        breaker.answered();
        breaker.hangs();
        assert!(!breaker.is_open());
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_beside_which_others_are_answered_says_nothing() {
        let breaker = StoreBreaker::default();
        let begun = [breaker.begin(), breaker.begin(), breaker.begin()];
        breaker.answered();
        for begun in begun {
            breaker.failed(begun, &NO_ANSWER, LIMIT, &prober);
        }
        assert!(!breaker.is_open());
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_probe_the_first_call_that_loses_its_time_opens_it_again() {
        let breaker = StoreBreaker::default();
        for probed in [true, false] {
            breaker.hangs();
            breaker.hangs();
            let before = breaker.begin();
            assert!(!breaker.probed(Err(&NO_ANSWER), LIMIT, LIMIT) && breaker.is_open());
            assert!(breaker.probed(Ok(()), LIMIT, LIMIT) && !breaker.is_open());
            breaker.failed(before, &NO_ANSWER, LIMIT, &prober);
            assert!(!breaker.is_open(), "it began before the probe");
            if !probed {
                breaker.answered();
            }
            breaker.hangs();
            assert_eq!(breaker.is_open(), probed, "the first call that is answered lets all in");
            breaker.answered();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_costs_no_time_opens_that_of_a_cache_alone() {
        for (error, took, opens, opens_of_cache) in [
            (StoreError::not_sent("refused"), Duration::ZERO, false, true),
            (StoreError::outcome_unknown("broke"), Duration::from_millis(99), false, true),
            (StoreError::outcome_unknown("silent"), Duration::from_millis(100), true, true),
            (StoreError::refused("no right to write"), LIMIT, false, true),
        ] {
            for counts_all in [false, true] {
                let breaker = StoreBreaker { counts_all, ..StoreBreaker::default() };
                for _ in 0..2 {
                    let begun = breaker.begin();
                    advance(took).await;
                    breaker.failed(begun, &error.clone().into(), LIMIT, &prober);
                }
                assert_eq!(breaker.is_open(), if counts_all { opens_of_cache } else { opens }, "{error:?}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_prober_whose_runtime_stands_still_gets_a_successor_and_one_call_is_made() {
        let breaker = StoreBreaker::default();
        breaker.hangs();
        breaker.hangs();
        let started = std::cell::Cell::new(0);
        let start = || {
            started.set(started.get() + 1);
            prober()
        };
        for (after, expected) in [(3_999, 0), (1, 1), (0, 1), (4_000, 2)] {
            advance(Duration::from_millis(after)).await;
            let is_made = started.get() < expected;
            let begun = breaker.begin_open(LIMIT, &start);
            assert_eq!((started.get(), begun.is_some()), (expected, is_made), "{after}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_in_place_of_a_probe_that_says_nothing_lets_the_next_one_be_made() {
        let breaker = StoreBreaker::default();
        breaker.hangs();
        breaker.hangs();
        advance(LIMIT * 4).await;
        let broke = StoreError::outcome_unknown("broke").into();
        for _ in 0..3 {
            breaker.failed(breaker.begin_open(LIMIT, &prober).unwrap(), &broke, LIMIT, &prober);
        }
        breaker.failed(breaker.begin_open(LIMIT, &prober).unwrap(), &NO_ANSWER, LIMIT, &prober);
        assert!(breaker.begin_open(LIMIT, &prober).is_none());
        breaker.failed(breaker.begin(), &broke, LIMIT, &prober);
        assert!(breaker.begin_open(LIMIT, &prober).is_none(), "a call that is always made is no probe");
        advance(LIMIT * 4).await;
        assert!(breaker.begin_open(LIMIT, &prober).is_some() && breaker.is_open());
        breaker.answered();
        assert!(!breaker.is_open());
    }
}
