//! The retry budget: in an outage retries are a share of the calls, not a multiple of them.

use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use crate::accessors::setters;
use crate::settings::build_error::BuildError;

/// How many retries all calls of one validator may make together.
///
/// | setting | default | why |
/// |---|---|---|
/// | at start | 20 | a hiccup right after start is ridden out |
/// | per success | 0.1 | retries add at most a tenth to a healthy load |
/// | at most | 100 | a good day does not pay for a storm |
/// | trickle | 0.1 a second, up to 5 | a quiet service still retries |
///
/// A retry costs one. The share of extra load is bounded however many calls fail at once, which a maximum per call cannot
/// do: with three retries each, an outage means four times the load, at the worst moment.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct RetryBudget {
    at_start: f64,
    per_success: f64,
    at_most: f64,
    trickle_per_second: f64,
}

/// The trickle stops here, so that waiting alone never pays for a storm.
const TRICKLE_UP_TO: f64 = 5.0;

impl Default for RetryBudget {
    fn default() -> Self {
        Self { at_start: 20.0, per_success: 0.1, at_most: 100.0, trickle_per_second: 0.1 }
    }
}

impl RetryBudget {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// Retries available at start.
        pub fn at_start(mut self, retries: f64) => self.at_start = retries;

        /// Retries earned by each successful call.
        pub fn per_success(mut self, retries: f64) => self.per_success = retries;

        /// The most that can be saved up.
        pub fn at_most(mut self, retries: f64) => self.at_most = retries;

        /// Retries earned per second while fewer than five are left.
        pub fn trickle_per_second(mut self, retries: f64) => self.trickle_per_second = retries;
    }

    pub(crate) fn check(&self) -> Result<(), BuildError> {
        let settings = [
            ("budget.at_start", self.at_start),
            ("budget.per_success", self.per_success),
            ("budget.at_most", self.at_most),
            ("budget.trickle_per_second", self.trickle_per_second),
        ];
        for (setting, value) in settings {
            if !(value.is_finite() && value >= 0.0) {
                let rule = "a finite number, zero or more";
                return Err(BuildError::OutOfRange { setting, value: value.to_string(), rule });
            }
        }
        if self.at_start > self.at_most {
            let value = format!("{} with at_most {}", self.at_start, self.at_most);
            let rule = "no more than budget.at_most";
            return Err(BuildError::OutOfRange { setting: "budget.at_start", value, rule });
        }
        Ok(())
    }
}

#[derive(Debug)]
pub(crate) struct Budget {
    config: RetryBudget,
    /// Tokens, and when they were last counted.
    tokens: Mutex<(f64, Instant)>,
}

impl Budget {
    pub(crate) fn new(config: RetryBudget) -> Self {
        let tokens = Mutex::new((config.at_start, Instant::now()));
        Self { config, tokens }
    }

    /// Takes one retry if there is one.
    pub(crate) fn take(&self, now: Instant) -> bool {
        self.with(now, |tokens| {
            let enough = *tokens >= 1.0;
            if enough {
                *tokens -= 1.0;
            }
            enough
        })
    }

    /// Earns a part of a retry.
    pub(crate) fn success(&self, now: Instant) {
        self.with(now, |tokens| *tokens = (*tokens + self.config.per_success).min(self.config.at_most));
    }

    /// The retries left.
    pub(crate) fn level(&self, now: Instant) -> f64 {
        self.with(now, |tokens| *tokens)
    }

    fn with<T>(&self, now: Instant, act: impl FnOnce(&mut f64) -> T) -> T {
        let mut state = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let (tokens, counted) = &mut *state;
        let quiet = now.saturating_duration_since(*counted).as_secs_f64();
        let ceiling = TRICKLE_UP_TO.min(self.config.at_most);
        if *tokens < ceiling {
            *tokens = (*tokens + quiet * self.config.trickle_per_second).min(ceiling);
        }
        *counted = now.max(*counted);
        act(tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn it_runs_dry_and_refills_by_successes() {
        let (budget, now) = (Budget::new(RetryBudget::new()), Instant::now());
        assert_eq!((0..30).filter(|_| budget.take(now)).count(), 20);
        for _ in 0..10 {
            budget.success(now);
        }
        // Ten tenths may fall a hair short of one in binary, which is why the eleventh is added.
        budget.success(now);
        assert!(budget.take(now));
        assert!(!budget.take(now));
    }

    #[test]
    fn the_trickle_is_slow_and_stops_at_five() {
        let (budget, now) = (Budget::new(RetryBudget::new()), Instant::now());
        while budget.take(now) {}
        assert!(!budget.take(now + Duration::from_secs(9)));
        assert!(budget.take(now + Duration::from_secs(11)));
        let level = budget.level(now + Duration::from_secs(24 * 60 * 60));
        assert!((level - 5.0).abs() < 1e-9, "{level}");
    }

    #[test]
    fn savings_are_bounded() {
        let (budget, now) = (Budget::new(RetryBudget::new()), Instant::now());
        for _ in 0..10_000 {
            budget.success(now);
        }
        assert!(budget.level(now) <= 100.0);
    }
}
