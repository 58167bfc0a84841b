//! The circuit breaker: stops asking a provider that does not answer, and finds out when it does again.

use std::time::Duration;

use tokio::time::Instant;

use crate::accessors::setters;
use crate::call::deadline::after;
use crate::call::rolling::Rolling;
use crate::lock::Lock;
use crate::settings::build_error::BuildError;
use crate::telemetry::stats::BreakerState;

/// Probes take a fraction of the time that the breaker was open for.
const PROBE_SHARE: u32 = 10;

/// When the circuit breaker opens, and how it closes again.
///
/// | setting | default | why |
/// |---|---|---|
/// | failure share | 0.5 | a provider that fails half the time is in trouble |
/// | minimum attempts | 20 | fewer say nothing |
/// | window | 10 s | forgets a short hiccup |
/// | open for | 5 s | long enough to help, short enough to notice recovery |
/// | probes | 3 | half-open admits this many at once, and closes after as many successes |
///
/// Only what says that the provider is down counts as a failure: no connection, no complete answer, a server error. A
/// rate limit or a refusal is an answer.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct Breaker {
    failure_share: f64,
    minimum_attempts: u32,
    window: Duration,
    open_for: Duration,
    probes: u32,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            failure_share: 0.5,
            minimum_attempts: 20,
            window: Duration::from_secs(10),
            open_for: Duration::from_secs(5),
            probes: 3,
        }
    }
}

impl Breaker {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// The share of failed attempts in the window that opens the breaker, above 0 and at most 1.
        pub fn failure_share(mut self, share: f64) => self.failure_share = share;

        /// Attempts in the window before the share counts.
        pub fn minimum_attempts(mut self, attempts: u32) => self.minimum_attempts = attempts;

        /// How far back attempts count.
        pub fn window(mut self, window: Duration) => self.window = window;

        /// How long nothing is sent once the breaker opened.
        pub fn open_for(mut self, open_for: Duration) => self.open_for = open_for;

        /// Attempts admitted at once while half-open, and successes that close the breaker.
        pub fn probes(mut self, probes: u32) => self.probes = probes;
    }

    pub(crate) fn check(&self) -> Result<(), BuildError> {
        let Self { failure_share, minimum_attempts, window, open_for, probes } = *self;
        let is_share = failure_share > 0.0 && failure_share <= 1.0;
        let never_closes = "at least 1, or the breaker would never close";
        BuildError::check("breaker.failure_share", failure_share, is_share, "above 0 and at most 1")?;
        BuildError::check("breaker.minimum_attempts", minimum_attempts, minimum_attempts > 0, "at least 1")?;
        BuildError::check("breaker.probes", probes, probes > 0, never_closes)?;
        BuildError::check("breaker.window", window, window >= Duration::from_millis(10), "at least 10 ms")?;
        BuildError::check("breaker.open_for", open_for, !open_for.is_zero(), "more than zero")
    }
}

/// What an attempt says about the provider's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProviderHealth {
    Up,
    Down,
}

#[derive(Debug)]
pub(crate) struct CircuitBreaker {
    config: Breaker,
    /// A probe that takes longer stands still with its runtime.
    longest_attempt: Duration,
    state: Lock<State>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// Counts the changes of phase, so that an attempt admitted in an earlier one cannot decide a later one.
    generation: u64,
}

#[derive(Debug)]
enum Phase {
    Closed(Window),
    Open { until: Instant },
    HalfOpen { since: Instant, under_way: u32, succeeded: u32 },
}

/// Attempts and failures of late.
#[derive(Debug)]
struct Window {
    attempts: Rolling,
    failures: Rolling,
}

impl Window {
    fn new(length: Duration, now: Instant) -> Self {
        Self { attempts: Rolling::new(length, now), failures: Rolling::new(length, now) }
    }

    fn add(&mut self, now: Instant, health: ProviderHealth) {
        self.attempts.add(1, now);
        self.failures.add(u32::from(health == ProviderHealth::Down), now);
    }

    fn totals(&mut self, now: Instant) -> (u32, u32) {
        (self.attempts.total(now), self.failures.total(now))
    }
}

impl CircuitBreaker {
    pub(crate) fn new(config: Breaker, longest_attempt: Duration) -> Self {
        let phase = Phase::Closed(Window::new(config.window, Instant::now()));
        let state = State { phase, generation: 0 };
        Self { config, longest_attempt, state: Lock::new(state) }
    }

    /// Admits an attempt, or says how long the breaker stays open.
    pub(crate) fn admit(&self, now: Instant) -> Result<Admission<'_>, Duration> {
        let mut state = self.state.lock();
        match &mut state.phase {
            Phase::Closed(_) => {}
            Phase::Open { until } if now < *until => return Err(until.saturating_duration_since(now)),
            Phase::Open { .. } => state.probe(now),
            Phase::HalfOpen { under_way, .. } if *under_way < self.config.probes => {
                *under_way = under_way.saturating_add(1);
            }
            // Those probes are not driven any more; a new generation makes room, and late reports change nothing.
            Phase::HalfOpen { since, .. } if now.saturating_duration_since(*since) > self.longest_attempt => {
                state.probe(now);
            }
            // Probes are out; a call that comes now is told to come back when they may be done.
            Phase::HalfOpen { .. } => return Err(self.config.open_for.checked_div(PROBE_SHARE).unwrap_or_default()),
        }
        Ok(Admission { breaker: self, generation: state.generation, reported: false })
    }

    fn report(&self, generation: u64, now: Instant, health: Option<ProviderHealth>) {
        let mut state = self.state.lock();
        if state.generation != generation {
            return;
        }
        let open = |state: &mut State| {
            state.enter(Phase::Open { until: after(now, self.config.open_for) });
        };
        match (&mut state.phase, health) {
            (Phase::Closed(window), Some(health)) => {
                window.add(now, health);
                if health == ProviderHealth::Up {
                    return;
                }
                let (attempts, failures) = window.totals(now);
                let enough = attempts >= self.config.minimum_attempts;
                if enough && f64::from(failures) >= self.config.failure_share * f64::from(attempts) {
                    open(&mut state);
                }
            }
            (Phase::HalfOpen { under_way, succeeded, .. }, health) => {
                *under_way = under_way.saturating_sub(1);
                match health {
                    Some(ProviderHealth::Down) => open(&mut state),
                    Some(ProviderHealth::Up) => {
                        *succeeded = succeeded.saturating_add(1);
                        if *succeeded >= self.config.probes {
                            state.enter(Phase::Closed(Window::new(self.config.window, now)));
                        }
                    }
                    // A dropped probe says nothing, but gives its place back.
                    None => {}
                }
            }
            _ => {}
        }
    }

    pub(crate) fn state(&self, now: Instant) -> BreakerState {
        match &self.state.lock().phase {
            Phase::Closed(_) => BreakerState::Closed,
            Phase::Open { until } if now < *until => BreakerState::Open,
            Phase::Open { .. } | Phase::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }
}

impl State {
    /// Enters half-open with a first probe under way.
    fn probe(&mut self, now: Instant) {
        self.enter(Phase::HalfOpen { since: now, under_way: 1, succeeded: 0 });
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.generation = self.generation.wrapping_add(1);
    }
}

/// The right to make one attempt. Dropped without a report, it is recorded as an attempt that said nothing.
#[derive(Debug)]
pub(crate) struct Admission<'b> {
    breaker: &'b CircuitBreaker,
    generation: u64,
    reported: bool,
}

impl Admission<'_> {
    pub(crate) fn report(mut self, now: Instant, health: ProviderHealth) {
        self.reported = true;
        self.breaker.report(self.generation, now, Some(health));
    }
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        if !self.reported {
            self.breaker.report(self.generation, Instant::now(), None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_secs(30);

    fn opened(now: Instant) -> CircuitBreaker {
        let breaker = CircuitBreaker::new(Breaker::new().minimum_attempts(4).probes(2), LONGEST);
        for _ in 0..4 {
            breaker.admit(now).unwrap().report(now, ProviderHealth::Down);
        }
        breaker
    }

    #[test]
    fn it_opens_at_the_share_and_says_for_how_long() {
        let now = Instant::now();
        let breaker = opened(now);
        assert_eq!(breaker.admit(now + Duration::from_secs(2)).unwrap_err(), Duration::from_secs(3));
        assert_eq!(breaker.state(now), BreakerState::Open);
    }

    #[test]
    fn few_failures_say_nothing() {
        let now = Instant::now();
        let breaker = CircuitBreaker::new(Breaker::new(), LONGEST);
        for _ in 0..19 {
            breaker.admit(now).unwrap().report(now, ProviderHealth::Down);
        }
        assert!(breaker.admit(now).is_ok());
    }

    #[test]
    fn old_failures_are_forgotten() {
        let (now, later) = (Instant::now(), Instant::now() + Duration::from_secs(11));
        let breaker = CircuitBreaker::new(Breaker::new().minimum_attempts(4), LONGEST);
        for _ in 0..3 {
            breaker.admit(now).unwrap().report(now, ProviderHealth::Down);
        }
        breaker.admit(later).unwrap().report(later, ProviderHealth::Down);
        assert_eq!(breaker.state(later), BreakerState::Closed);
    }

    #[test]
    fn half_open_admits_a_bounded_number_and_closes_after_as_many_successes() {
        let (now, later) = (Instant::now(), Instant::now() + Duration::from_secs(6));
        let breaker = opened(now);
        let (first, second) = (breaker.admit(later).unwrap(), breaker.admit(later).unwrap());
        assert!(breaker.admit(later).is_err());
        first.report(later, ProviderHealth::Up);
        second.report(later, ProviderHealth::Up);
        assert_eq!(breaker.state(later), BreakerState::Closed);
    }

    #[test]
    fn a_dropped_probe_gives_its_place_back() {
        let (now, later) = (Instant::now(), Instant::now() + Duration::from_secs(6));
        let breaker = opened(now);
        for _ in 0..10 {
            drop(breaker.admit(later).unwrap());
        }
        assert!(breaker.admit(later).is_ok());
    }

    #[test]
    fn a_failed_probe_opens_again_and_a_late_result_changes_nothing() {
        let (now, later) = (Instant::now(), Instant::now() + Duration::from_secs(6));
        let breaker = opened(now);
        let (first, late) = (breaker.admit(later).unwrap(), breaker.admit(later).unwrap());
        first.report(later, ProviderHealth::Down);
        late.report(later, ProviderHealth::Up);
        assert_eq!(breaker.state(later), BreakerState::Open);
    }

    #[test]
    fn probes_that_no_call_drives_make_room_after_the_longest_attempt() {
        let (now, later) = (Instant::now(), Instant::now() + Duration::from_secs(6));
        let breaker = opened(now);
        let _stuck = (breaker.admit(later).unwrap(), breaker.admit(later).unwrap());
        assert!(breaker.admit(later + LONGEST).is_err());
        let much_later = later + LONGEST + Duration::from_secs(1);
        breaker.admit(much_later).unwrap().report(much_later, ProviderHealth::Up);
        breaker.admit(much_later).unwrap().report(much_later, ProviderHealth::Up);
        assert_eq!(breaker.state(much_later), BreakerState::Closed);
    }
}
