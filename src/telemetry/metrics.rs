//! Every metric, by name, over the `metrics` facade. The crate's docs list the same names, and a test compares the two.
//!
//! Without the feature `metrics` a [`Meter`] is empty, a [`Stopwatch`] reads no clock, and nothing is recorded.
#![cfg_attr(not(feature = "metrics"), allow(dead_code, reason = "names and helps are read by the recording alone"))]

use std::fmt;
#[cfg(feature = "metrics")]
use std::sync::Arc;
#[cfg(feature = "metrics")]
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
#[cfg(feature = "metrics")]
use std::time::Duration;

#[cfg(feature = "metrics")]
use ::metrics::{Label, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
#[cfg(feature = "metrics")]
use tokio::time::Instant;

#[cfg(feature = "metrics")]
use crate::telemetry::stats::{BreakerState, Stats};

/// What only grows.
#[derive(Clone, Copy)]
pub(super) struct Counter(&'static str, &'static str);

/// What goes up and down.
#[derive(Clone, Copy)]
struct Gauge(&'static str, &'static str);

/// Times, in seconds.
#[derive(Clone, Copy)]
pub(super) struct Histogram(&'static str, &'static str);

/// Labels beside those of the validator: few values each, and never an id.
type Labels<const N: usize> = [(&'static str, &'static str); N];

pub(super) const VALIDATIONS: Counter = Counter("payproof_validations_total", "Validations with a verdict.");
pub(super) const VALIDATION_ERRORS: Counter =
    Counter("payproof_validation_errors_total", "Validations without a verdict, by code.");
pub(super) const DEGRADED: Counter = Counter("payproof_degraded_total", "Answers that something was missing for.");
pub(super) const ATTEMPTS: Counter = Counter("payproof_attempts_total", "Calls to the provider.");
pub(super) const RETRIES: Counter = Counter("payproof_retries_total", "Calls to the provider after a first one.");
pub(super) const ATTEMPT_TIMEOUTS: Counter =
    Counter("payproof_attempt_timeouts_total", "Calls to the provider that were cut off.");
pub(super) const STORE_FAILURES: Counter = Counter("payproof_store_failures_total", "Work that the store failed.");
pub(super) const LEASES_LOST: Counter =
    Counter("payproof_leases_lost_total", "Answers that came too late to be recorded.");
pub(super) const LEASES_TAKEN_OVER: Counter =
    Counter("payproof_leases_taken_over_total", "Flights taken over from a process that did not come back.");
pub(super) const OPERATIONS: Counter = Counter("payproof_operations_total", "Guarded operations that were run.");
pub(super) const REQUESTS: Counter = Counter("payproof_requests_total", "Requests with an idempotency key.");
pub(super) const REQUESTS_BYPASSED: Counter =
    Counter("payproof_requests_bypassed_total", "Requests past an idempotency layer that was switched off.");
pub(super) const DELIVERIES: Counter = Counter("payproof_webhook_deliveries_total", "Deliveries of webhooks.");
pub(super) const DELIVERIES_OF_OTHERS: Counter =
    Counter("payproof_webhook_other_accounts_total", "Deliveries of other accounts' events, for which no handler ran.");

pub(super) const VALIDATION_SECONDS: Histogram =
    Histogram("payproof_validation_duration_seconds", "Time of a validation past the quick answer.");
pub(super) const ATTEMPT_SECONDS: Histogram =
    Histogram("payproof_attempt_duration_seconds", "Time of a call to the provider.");
const STORE_SECONDS: Histogram = Histogram("payproof_store_call_duration_seconds", "Time of a call to the store.");

const BREAKER: Gauge = Gauge("payproof_breaker_state", "The breaker: 0 closed, 1 half-open, 2 open.");
const BUDGET: Gauge = Gauge("payproof_retry_budget_level", "Retries that the budget allows now.");
const IN_FLIGHT: Gauge = Gauge("payproof_in_flight", "Flights under way.");
const FACTS: Gauge = Gauge("payproof_facts_in_memory", "Payments whose facts are in memory.");
const KEYS: Gauge = Gauge("payproof_keys_held", "Idempotency keys held in memory.");
const CHECKS_DISABLED: Gauge = Gauge(
    "payproof_idempotency_checks_disabled",
    "1 while PAYPROOF_DISABLE_IDEMPOTENCY_CHECKS lets duplicates through.",
);
const INDETERMINATE: Gauge = Gauge(
    "payproof_indeterminate_operations",
    "Indeterminate operations: it is unknown whether the provider executed them.",
);
const INDETERMINATE_OLDEST: Gauge =
    Gauge("payproof_indeterminate_oldest_seconds", "How long the oldest of those has been waiting; 0 without any.");

#[cfg(feature = "metrics")]
const COUNTERS: [Counter; 14] = [
    VALIDATIONS,
    VALIDATION_ERRORS,
    DEGRADED,
    ATTEMPTS,
    RETRIES,
    ATTEMPT_TIMEOUTS,
    STORE_FAILURES,
    LEASES_LOST,
    LEASES_TAKEN_OVER,
    OPERATIONS,
    REQUESTS,
    REQUESTS_BYPASSED,
    DELIVERIES,
    DELIVERIES_OF_OTHERS,
];

#[cfg(feature = "metrics")]
const HISTOGRAMS: [Histogram; 3] = [VALIDATION_SECONDS, ATTEMPT_SECONDS, STORE_SECONDS];

#[cfg(feature = "metrics")]
const GAUGES: [Gauge; 8] =
    [BREAKER, BUDGET, IN_FLIGHT, FACTS, KEYS, CHECKS_DISABLED, INDETERMINATE, INDETERMINATE_OLDEST];

/// Counters without labels of their own. They begin at zero, since Prometheus does not see a first step out of nothing.
#[cfg(feature = "metrics")]
const BEGIN_AT_ZERO: [Counter; 7] = [
    RETRIES,
    ATTEMPT_TIMEOUTS,
    STORE_FAILURES,
    LEASES_LOST,
    LEASES_TAKEN_OVER,
    REQUESTS_BYPASSED,
    DELIVERIES_OF_OTHERS,
];

/// Upper bounds for the histograms of this crate, in seconds, for exporters that ask for them.
///
/// From what a store in the same data centre takes to the longest validation by default, with the limit of the alert rules
/// among them: quantiles are only as sharp as the bounds beside them.
#[cfg(feature = "metrics")]
#[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
pub const LATENCY_BUCKETS: [f64; 17] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 150.0];

/// Records for one validator.
pub(super) struct Meter {
    #[cfg(feature = "metrics")]
    whose: [Label; 3],
    /// How many of the hits that are counted beside the facts were added.
    #[cfg(feature = "metrics")]
    hits_added: AtomicU64,
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter").finish_non_exhaustive()
    }
}

/// Reads the clock now and once more when the time is recorded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch {
    #[cfg(feature = "metrics")]
    started: Instant,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self {
            #[cfg(feature = "metrics")]
            started: Instant::now(),
        }
    }
}

#[cfg(feature = "metrics")]
impl Meter {
    pub(super) fn new(provider: &str, account: &str, mode: &'static str) -> Self {
        let shared = |name, value: &str| Label::new(name, Arc::<str>::from(value));
        let whose = [shared("provider", provider), shared("account", account), Label::from_static_parts("mode", mode)];
        Self { whose, hits_added: AtomicU64::new(0) }
    }

    fn labels<const N: usize>(&self, own: Labels<N>) -> Vec<Label> {
        let own = own.into_iter().map(|(name, value)| Label::from_static_parts(name, value));
        self.whose.iter().cloned().chain(own).collect()
    }

    fn add<const N: usize>(&self, metric: Counter, steps: u64, labels: Labels<N>) {
        counter!(metric.0, self.labels(labels)).increment(steps);
    }

    pub(super) fn count<const N: usize>(&self, metric: Counter, labels: Labels<N>) {
        self.add(metric, 1, labels);
    }

    pub(super) fn took<const N: usize>(&self, metric: Histogram, time: Duration, labels: Labels<N>) {
        histogram!(metric.0, self.labels(labels)).record(time.as_secs_f64());
    }

    pub(super) fn took_since<const N: usize>(&self, metric: Histogram, watch: Stopwatch, labels: Labels<N>) {
        self.took(metric, watch.started.elapsed(), labels);
    }

    #[allow(clippy::cast_precision_loss, reason = "what is counted here stays below 2^52")]
    fn set(&self, metric: Gauge, value: u64) {
        self.set_to(metric, value as f64);
    }

    fn set_to(&self, metric: Gauge, value: f64) {
        gauge!(metric.0, self.labels([])).set(value);
    }

    /// Sets what can be read from the validator alone, and adds the hits that were counted beside the facts since.
    pub(super) fn publish(&self, stats: &Stats, valid_hits: u64) {
        describe();
        for metric in BEGIN_AT_ZERO {
            self.add(metric, 0, []);
        }
        // The second of two publishers finds what the first has added, and adds the rest.
        let before = self.hits_added.fetch_max(valid_hits, Relaxed);
        let hits = [("verdict", "valid"), ("provenance", "replayed")];
        self.add(VALIDATIONS, valid_hits.saturating_sub(before), hits);
        if let Some(state) = stats.breaker {
            self.set(
                BREAKER,
                match state {
                    BreakerState::Closed => 0,
                    BreakerState::HalfOpen => 1,
                    BreakerState::Open => 2,
                },
            );
        }
        if let Some(level) = stats.budget_level {
            self.set_to(BUDGET, level);
        }
        let counts = [(IN_FLIGHT, stats.in_flight), (FACTS, stats.facts_in_memory), (KEYS, stats.keys_held)];
        for (metric, count) in counts {
            self.set(metric, u64::try_from(count).unwrap_or(u64::MAX));
        }
        self.set(CHECKS_DISABLED, u64::from(stats.idempotency_checks_disabled));
    }

    /// Sets what only the store knows.
    pub(super) fn publish_unresolved(&self, operations: u64, oldest: Duration) {
        self.set(INDETERMINATE, operations);
        self.set_to(INDETERMINATE_OLDEST, oldest.as_secs_f64());
    }
}

/// Without the feature there is nothing to carry around, and so no clock that was read.
#[cfg(not(feature = "metrics"))]
const _: () = assert!(size_of::<Meter>() == 0 && size_of::<Stopwatch>() == 0);

#[cfg(not(feature = "metrics"))]
#[allow(clippy::unused_self, reason = "what records nothing is called like what records")]
impl Meter {
    pub(super) fn new(_provider: &str, _account: &str, _mode: &'static str) -> Self {
        Self {}
    }

    pub(super) fn count<const N: usize>(&self, _metric: Counter, _labels: Labels<N>) {}

    pub(super) fn took<const N: usize>(&self, _metric: Histogram, _time: std::time::Duration, _labels: Labels<N>) {}

    pub(super) fn took_since<const N: usize>(&self, _metric: Histogram, _watch: Stopwatch, _labels: Labels<N>) {}
}

/// One call to the store is over. Its ledger may serve several validators, so it names none.
pub(crate) fn store_call(verb: &'static str, outcome: &'static str, watch: Stopwatch) {
    #[cfg(feature = "metrics")]
    histogram!(STORE_SECONDS.0, "verb" => verb, "outcome" => outcome).record(watch.started.elapsed().as_secs_f64());
    #[cfg(not(feature = "metrics"))]
    let _ = (verb, outcome, watch);
}

/// Tells the recorder what the names mean. Done with each publishing, since it may have been installed any time.
#[cfg(feature = "metrics")]
fn describe() {
    for Counter(name, help) in COUNTERS {
        describe_counter!(name, help);
    }
    for Histogram(name, help) in HISTOGRAMS {
        describe_histogram!(name, Unit::Seconds, help);
    }
    for Gauge(name, help) in GAUGES {
        if name.ends_with("_seconds") {
            describe_gauge!(name, Unit::Seconds, help);
        } else {
            describe_gauge!(name, help);
        }
    }
}
