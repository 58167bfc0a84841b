//! Every metric, by name, over the `metrics` facade. The crate's docs list the same names, and a test compares the two.
//!
//! Without the feature `metrics` a [`Meter`] is empty, a [`Stopwatch`] reads no clock, and nothing is recorded.
#![cfg_attr(not(feature = "metrics"), allow(dead_code, reason = "names and helps are read by the recording alone"))]

#[cfg(feature = "metrics")]
use std::sync::Arc;
#[cfg(feature = "metrics")]
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
#[cfg(feature = "metrics")]
use std::time::Duration;

#[cfg(feature = "metrics")]
use ::metrics::{Label, Level, Metadata, Unit, describe_counter, describe_gauge, describe_histogram, with_recorder};
use tokio::time::Instant;

use crate::accessors::partial_debug;

#[cfg(feature = "metrics")]
use super::series::SeriesKeys;
use super::stats::Stats;

/// What only grows, and what of it [`Stats`] counts.
#[derive(Clone, Copy)]
pub(super) struct CounterMetric {
    name: &'static str,
    /// Labels beside those of the validator: few values each, and never an id.
    labels: &'static [&'static str],
    /// Counts one step in the statistics; gets the value of the first label.
    pub(super) step: Option<fn(&mut Stats, &'static str)>,
    help: &'static str,
}

/// What goes up and down.
#[derive(Clone, Copy)]
pub(super) struct Gauge(&'static str, &'static str);

/// Times, in seconds.
#[derive(Clone, Copy)]
pub(super) struct Histogram(&'static str, &'static str);

/// One line for each counter: its name here and on the page, its labels, the field of [`Stats`] that it moves (`sum`, or
/// `by` the value of its first label), and what it counts.
macro_rules! counters {
    ($($constant:ident $name:literal $labels:tt ($($step:tt)*) $help:literal;)*) => {
        $(pub(super) const $constant: CounterMetric =
            CounterMetric { name: $name, labels: &$labels, step: counters!(@step $($step)*), help: $help };)*
        #[cfg(feature = "metrics")]
        const COUNTERS: &[CounterMetric] = &[$($constant),*];
    };
    (@step) => { None };
    (@step sum $field:ident) => { Some(|stats, _| stats.$field = stats.$field.saturating_add(1)) };
    (@step by $field:ident) => {
        Some(|stats, value| {
            let count = stats.$field.entry(value).or_default();
            *count = count.saturating_add(1);
        })
    };
}

#[rustfmt::skip]
counters! {
    VALIDATIONS "payproof_validations_total" ["verdict", "provenance"] () "Validations with a verdict.";
    VALIDATION_ERRORS "payproof_validation_errors_total" ["code"] (by errors) "Validations without a verdict, by code.";
    DEGRADED "payproof_degraded_total" ["answer", "reason"] () "Answers that something was missing for.";
    ATTEMPTS "payproof_attempts_total" ["outcome"] (sum attempts) "Calls to the provider.";
    RETRIES "payproof_retries_total" [] (sum retries) "Calls to the provider after a first one.";
    HEDGES "payproof_hedges_total" [] (sum hedges) "Calls to the provider beside one that was silent.";
    OVERTAKEN "payproof_overtaken_total" [] (sum overtaken) "Calls to the provider that one beside them made needless.";
    ATTEMPT_TIMEOUTS "payproof_attempt_timeouts_total" [] () "Calls to the provider that were cut off.";
    LIST_PAGES "payproof_list_pages_total" [] () "Pages of the provider's lists that came.";
    STORE_FAILURES "payproof_store_failures_total" [] (sum store_failures) "Work that the store failed.";
    STORE_LOSSES "payproof_store_losses_total" [] (sum store_losses) "Times that the store had lost what it had acknowledged.";
    LEASES_LOST "payproof_leases_lost_total" [] (sum leases_lost) "Answers that came too late to be recorded.";
    LEASES_TAKEN_OVER "payproof_leases_taken_over_total" [] (sum taken_over) "Flights taken over from a process that did not come back.";
    OPERATIONS "payproof_operations_total" ["outcome"] () "Guarded operations that were run.";
    REQUESTS "payproof_requests_total" ["outcome"] (by requests) "Requests with an idempotency key.";
    REQUESTS_BYPASSED "payproof_requests_bypassed_total" [] (sum requests_bypassed) "Requests past an idempotency layer that was switched off.";
    DELIVERIES "payproof_webhook_deliveries_total" ["outcome"] (by deliveries) "Deliveries of webhooks.";
    CACHE_REQUESTS "payproof_cache_requests_total" ["space", "outcome"] () "Calls to the cache.";
    DELIVERIES_OF_OTHERS "payproof_webhook_other_accounts_total" [] (sum deliveries_of_other_accounts) "Deliveries of other accounts' events, for which no handler ran.";
    OBJECTS_UNREADABLE "payproof_webhook_objects_unreadable_total" [] (sum objects_unreadable) "Deliveries of events whose object the credential may not read, or that name none although they may have taken money back.";
}

/// The metrics of one kind, and the list of them: each with its name on the page and what it tells.
macro_rules! metrics {
    ($list:ident: $kind:ident { $($constant:ident $name:literal $help:literal;)* }) => {
        $(pub(super) const $constant: $kind = $kind($name, $help);)*
        #[cfg(feature = "metrics")]
        const $list: &[$kind] = &[$($constant),*];
    };
}

#[rustfmt::skip]
metrics! { HISTOGRAMS: Histogram {
    VALIDATION_SECONDS "payproof_validation_duration_seconds" "Time of a validation past the quick answer.";
    ATTEMPT_SECONDS "payproof_attempt_duration_seconds" "Time of a call to the provider.";
    STORE_SECONDS "payproof_store_call_duration_seconds" "Time of a call to the store.";
    CACHE_LOAD_SECONDS "payproof_cache_load_duration_seconds" "Time of a load for the cache.";
} }

#[rustfmt::skip]
metrics! { GAUGES: Gauge {
    BREAKER "payproof_breaker_state" "The breaker: 0 closed, 1 half-open, 2 open.";
    CREDENTIAL_REFUSED "payproof_credential_refused_seconds" "How long the provider has refused the credential, by 401; 0 while it does not.";
    CALLS_FORBIDDEN "payproof_calls_forbidden" "Kinds of call that are forbidden to the credential, by 403.";
    RATE_LIMITED "payproof_rate_limited_seconds" "How long the provider has limited the account's rate; 0 while it does not.";
    STORE_BREAKER "payproof_store_breaker_state" "Whether the store is asked: 0 it is, 2 calls are turned away.";
    BUDGET "payproof_retry_credit" "Extra requests that the retry budget pays for now.";
    IN_LINE "payproof_retry_line" "Calls that wait in line for a retry.";
    IN_FLIGHT "payproof_in_flight" "Flights under way.";
    FACTS "payproof_facts_in_memory" "Payments whose facts are in memory.";
    LINE "payproof_invalidation_line" "Whether the store tells of changes about facts in memory: 1 it does, 0 it should and does not.";
    KEYS "payproof_keys_held" "Idempotency keys held in memory.";
    CHECKS_DISABLED "payproof_idempotency_checks_disabled" "1 while PAYPROOF_DISABLE_IDEMPOTENCY_CHECKS lets duplicates through.";
    CACHE_BYTES "payproof_cache_memory_bytes" "Bytes that the values of the cache's spaces in memory count for.";
    INDETERMINATE "payproof_indeterminate_operations" "Indeterminate operations: it is unknown whether the provider executed them.";
    INDETERMINATE_REQUESTS "payproof_indeterminate_requests" "Indeterminate requests: it is unknown what became of them.";
    INDETERMINATE_OLDEST "payproof_indeterminate_oldest_seconds" "How long the oldest of either has been waiting; 0 without any.";
} }

/// Upper bounds for the histograms of this crate, in seconds, for exporters that ask for them.
///
/// From what a store in the same data center takes to the longest validation by default, with the limit of the alert rules
/// among them: quantiles are only as sharp as the bounds beside them.
#[cfg(feature = "metrics")]
#[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
pub const LATENCY_BUCKETS: [f64; 17] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 150.0];

/// What the facade's own macros say of where a metric comes from.
#[cfg(feature = "metrics")]
static METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

#[cfg(feature = "metrics")]
impl Histogram {
    fn record(self, keys: &SeriesKeys, labels: &[&'static str], values: &[&'static str], time: Duration) {
        let key = keys.key(self.0, labels, values);
        with_recorder(|recorder| recorder.register_histogram(key, &METADATA)).record(time.as_secs_f64());
    }
}

/// Records for one validator.
pub(crate) struct Meter {
    #[cfg(feature = "metrics")]
    keys: SeriesKeys,
    /// How many of the hits that are counted beside the facts were added.
    #[cfg(feature = "metrics")]
    hits_added: AtomicU64,
}

partial_debug!(Meter, self =>);

/// Reads the clock once more when the time is recorded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch {
    #[cfg(feature = "metrics")]
    started: Instant,
}

impl Stopwatch {
    /// Where the clock was not read for anything else.
    #[cfg(any(test, feature = "cache"))]
    pub(crate) fn start() -> Self {
        Self {
            #[cfg(feature = "metrics")]
            started: Instant::now(),
        }
    }

    pub(crate) fn since(started: Instant) -> Self {
        #[cfg(not(feature = "metrics"))]
        let _ = started;
        Self {
            #[cfg(feature = "metrics")]
            started,
        }
    }
}

#[cfg(feature = "metrics")]
impl Meter {
    pub(super) fn new(provider: &str, account: &str, mode: &'static str) -> Self {
        let shared = |name, value: &str| Label::new(name, Arc::<str>::from(value));
        let mode = Label::from_static_parts("mode", mode);
        let keys = SeriesKeys::new(vec![shared("provider", provider), shared("account", account), mode]);
        Self { keys, hits_added: AtomicU64::new(0) }
    }

    /// The values are those of the counter's labels, in their order.
    pub(super) fn add(&self, metric: CounterMetric, steps: u64, values: &[&'static str]) {
        let key = self.keys.key(metric.name, metric.labels, values);
        with_recorder(|recorder| recorder.register_counter(key, &METADATA)).increment(steps);
    }

    pub(super) fn took(&self, metric: Histogram, time: Duration, (label, value): (&'static str, &'static str)) {
        metric.record(&self.keys, &[label], &[value], time);
    }

    pub(super) fn took_since(&self, metric: Histogram, watch: Stopwatch, label: (&'static str, &'static str)) {
        self.took(metric, watch.started.elapsed(), label);
    }

    #[allow(clippy::cast_precision_loss, reason = "what is counted here stays below 2^52")]
    fn set(&self, metric: Gauge, value: u64) {
        self.set_to(metric, value as f64);
    }

    fn set_to(&self, metric: Gauge, value: f64) {
        let key = self.keys.key(metric.0, &[], &[]);
        with_recorder(|recorder| recorder.register_gauge(key, &METADATA)).set(value);
    }

    /// Sets what can be read from the validator alone, and adds the hits that were counted beside the facts since.
    pub(crate) fn publish(&self, stats: &Stats, valid_hits: u64) {
        describe();
        // Those without labels begin at zero, since Prometheus does not see a first step out of nothing.
        for metric in COUNTERS.iter().filter(|metric| metric.labels.is_empty()) {
            self.add(*metric, 0, &[]);
        }
        // The second of two publishers finds what the first has added, and adds the rest.
        let before = self.hits_added.fetch_max(valid_hits, Relaxed);
        self.add(VALIDATIONS, valid_hits.saturating_sub(before), &["valid", "replayed"]);
        for (metric, state) in [(BREAKER, stats.breaker), (STORE_BREAKER, stats.store_breaker)] {
            if let Some(state) = state {
                self.set(metric, state as u64);
            }
        }
        if let Some(level) = stats.credit {
            self.set_to(BUDGET, level);
        }
        let counts = [
            (IN_LINE, stats.in_line),
            (IN_FLIGHT, stats.in_flight),
            (FACTS, stats.facts_in_memory),
            (KEYS, stats.keys_held),
            (CALLS_FORBIDDEN, stats.forbidden_calls),
        ];
        for (metric, count) in counts {
            self.set(metric, u64::try_from(count).unwrap_or(u64::MAX));
        }
        for (metric, time) in
            [(CREDENTIAL_REFUSED, stats.credential_refused_for), (RATE_LIMITED, stats.rate_limited_for)]
        {
            self.set_to(metric, time.unwrap_or_default().as_secs_f64());
        }
        self.set(CHECKS_DISABLED, u64::from(stats.idempotency_checks_disabled));
    }

    /// Sets whether the store tells of changes, where it is to.
    pub(crate) fn publish_line(&self, is_alive: bool) {
        self.set(LINE, u64::from(is_alive));
    }

    /// Sets what only the store knows.
    pub(crate) fn publish_indeterminate(&self, operations: u64, requests: u64, oldest: Duration) {
        self.set(INDETERMINATE, operations);
        self.set(INDETERMINATE_REQUESTS, requests);
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

    pub(super) fn add(&self, _metric: CounterMetric, _steps: u64, _values: &[&'static str]) {}

    pub(super) fn took(&self, _metric: Histogram, _time: std::time::Duration, _label: (&'static str, &'static str)) {}

    pub(super) fn took_since(&self, _metric: Histogram, _watch: Stopwatch, _label: (&'static str, &'static str)) {}
}

/// One call to the store is over. Its ledger may serve several validators, so it names none.
pub(crate) fn store_call(verb: &'static str, outcome: &'static str, watch: Stopwatch) {
    #[cfg(feature = "metrics")]
    {
        static KEYS: SeriesKeys = SeriesKeys::new(Vec::new());
        STORE_SECONDS.record(&KEYS, &["verb", "outcome"], &[verb, outcome], watch.started.elapsed());
    }
    #[cfg(not(feature = "metrics"))]
    let _ = (verb, outcome, watch);
}

/// The keys of the cache's metrics. A cache may serve several validators, so they name none.
#[cfg(all(feature = "cache", feature = "metrics"))]
static CACHE_KEYS: SeriesKeys = SeriesKeys::new(Vec::new());

/// Calls to a space of the cache.
#[cfg(all(feature = "cache", feature = "metrics"))]
pub(super) fn cache_requests(space: &'static str, outcome: &'static str, calls: u64) {
    let key = CACHE_KEYS.key(CACHE_REQUESTS.name, CACHE_REQUESTS.labels, &[space, outcome]);
    with_recorder(|recorder| recorder.register_counter(key, &METADATA)).increment(calls);
}

/// A load of a space is over.
#[cfg(all(feature = "cache", feature = "metrics"))]
pub(super) fn cache_load_took(space: &'static str, outcome: &'static str, watch: Stopwatch) {
    CACHE_LOAD_SECONDS.record(&CACHE_KEYS, &["space", "outcome"], &[space, outcome], watch.started.elapsed());
}

/// What only a space itself knows.
#[cfg(all(feature = "cache", feature = "metrics"))]
#[allow(clippy::cast_precision_loss, reason = "no memory has 2^52 bytes")]
pub(super) fn cache_bytes(space: &'static str, bytes: u64) {
    let key = CACHE_KEYS.key(CACHE_BYTES.0, &["space"], &[space]);
    with_recorder(|recorder| recorder.register_gauge(key, &METADATA)).set(bytes as f64);
}

/// Tells the recorder what the names mean. Done with each publishing, since it may have been installed any time.
#[cfg(feature = "metrics")]
pub(super) fn describe() {
    for counter in COUNTERS {
        describe_counter!(counter.name, counter.help);
    }
    for &Histogram(name, help) in HISTOGRAMS {
        describe_histogram!(name, Unit::Seconds, help);
    }
    for &Gauge(name, help) in GAUGES {
        if name.ends_with("_seconds") {
            describe_gauge!(name, Unit::Seconds, help);
        } else {
            describe_gauge!(name, help);
        }
    }
}
