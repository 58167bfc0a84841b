//! The retry budget: what all calls of one validator may send beyond one request each.

use std::time::Duration;

use crate::accessors::setters;
use crate::settings::build_error::BuildError;

/// What all calls of one validator may send beyond one request each: retries, and hedges of attempts that were overtaken.
///
/// | setting | default | why |
/// |---|---|---|
/// | at start | 10 | a hiccup right after start is ridden out |
/// | per answer | 0.5 | what waits after a hang of 10 s is answered within 10 s |
/// | per failure | 0.2 | a provider that is 30 % larger than its load recovers from an overload within 25 s |
/// | saved up to | 10, or 5 % of the calls of the last 10 s | a good day does not pay for a storm |
/// | per caller | 2 | what leaves the line, and hedges, are at most so many for each caller that arrives: a backlog is no burst |
/// | trickle | 0.1 a second, up to 5 | a quiet service still retries |
/// | patience | 10 s | a shopper waits no longer than that before a page is reloaded |
///
/// Each extra request costs one, and a server error or a silent attempt takes away a little of what answers earned. A hedge
/// leaves five of what was saved, or half of `saved` where that is less: a call that fails then finds its retry paid for, while
/// others wait for an end of their silence. A call that cannot pay waits in line for at most the patience, first come, first served,
/// and is paid for by the answers that other calls get: new callers never stand behind the line. An outage in which nothing
/// is answered thus costs what was saved up and no more, while a maximum per call would mean four times the load at the
/// worst moment.
///
/// More per answer clears the line sooner and keeps an overloaded provider down for longer: where success falls with load
/// and little room is left, 1.5 does not recover. With 0.3 the line moves slower: what waits after a hang of 10 s is
/// answered within 23 s. More per failure lets an overloaded provider come back sooner, and retries less where calls fail at
/// random: where half of them do for long, 76 of 100 callers are answered with 0.2, and 71 with 0.5.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct RetryBudget {
    pub(super) at_start: f64,
    pub(super) per_answer: f64,
    pub(super) per_failure: f64,
    pub(super) saved: f64,
    pub(super) saved_share: f64,
    pub(super) per_caller: f64,
    pub(super) trickle_per_second: f64,
    pub(super) patience: Duration,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self {
            at_start: 10.0,
            per_answer: 0.5,
            per_failure: 0.2,
            saved: 10.0,
            saved_share: 0.05,
            per_caller: 2.0,
            trickle_per_second: 0.1,
            patience: Duration::from_secs(10),
        }
    }
}

impl RetryBudget {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// Extra requests available at start.
        pub fn at_start(mut self, requests: f64) => self.at_start = requests;

        /// Extra requests earned by each answer of the provider.
        pub fn per_answer(mut self, requests: f64) => self.per_answer = requests;

        /// What a server error or a silent attempt takes away of the extra requests that were earned.
        pub fn per_failure(mut self, requests: f64) => self.per_failure = requests;

        /// The most that can be saved up, however few calls there are.
        pub fn saved(mut self, requests: f64) => self.saved = requests;

        /// The most that can be saved up, as a share of the calls of the last 10 s, where that is more.
        pub fn saved_share(mut self, share: f64) => self.saved_share = share;

        /// The most that may leave the line or be a hedge for each caller that arrives, at least 1.
        pub fn per_caller(mut self, requests: f64) => self.per_caller = requests;

        /// Extra requests earned per second while fewer than five are left.
        pub fn trickle_per_second(mut self, requests: f64) => self.trickle_per_second = requests;

        /// The longest a call waits in line for a retry. Zero refuses at once what cannot be paid for.
        pub fn patience(mut self, patience: Duration) => self.patience = patience;
    }

    pub(crate) fn check(&self) -> Result<(), BuildError> {
        let settings = [
            ("retry_budget.at_start", self.at_start, 0.0, "a finite number, zero or more"),
            ("retry_budget.per_answer", self.per_answer, 0.0, "a finite number, zero or more"),
            ("retry_budget.per_failure", self.per_failure, 0.0, "a finite number, zero or more"),
            ("retry_budget.saved", self.saved, 0.0, "a finite number, zero or more"),
            ("retry_budget.saved_share", self.saved_share, 0.0, "a finite number, zero or more"),
            ("retry_budget.per_caller", self.per_caller, 1.0, "a finite number, 1 or more"),
            ("retry_budget.trickle_per_second", self.trickle_per_second, 0.0, "a finite number, zero or more"),
        ];
        for (setting, value, least, rule) in settings {
            if !(value.is_finite() && value >= least) {
                return Err(BuildError::out_of_range(setting, value.to_string(), rule));
            }
        }
        if self.at_start > self.saved {
            let value = format!("{} with saved {}", self.at_start, self.saved);
            return Err(BuildError::out_of_range("retry_budget.at_start", value, "no more than retry_budget.saved"));
        }
        Ok(())
    }
}
