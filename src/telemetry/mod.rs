//! Every span, event, field and counter of the crate. No other room emits; the crate's docs list the names.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;
use tracing::field::Empty;
use tracing::{Span, debug, error, info, info_span, warn};

use crate::intent::fingerprint::Fingerprint;
use crate::intent::payment_intent::PaymentId;
use crate::lock::Lock;
use crate::payment::verdict::{Degradation, Provenance, Verdict};
use crate::provider::attempt_log::{Attempt, AttemptOutcome, WaitReason};

#[cfg(feature = "cache")]
mod cache;
#[cfg(feature = "webhook")]
mod deliveries;
mod metrics;
#[cfg(feature = "tower")]
mod requests;
#[cfg(feature = "metrics")]
mod series;
pub(crate) mod stats;
#[cfg(all(test, feature = "metrics", feature = "tower"))]
mod tests;

#[cfg(all(feature = "cache", feature = "metrics"))]
pub(crate) use cache::cache_published;
#[cfg(feature = "cache")]
pub(crate) use cache::{CacheCall, cache_called, cache_hit, cache_loaded, cache_store_down, cache_unreadable};
#[cfg(feature = "webhook")]
pub(crate) use deliveries::record_event;
#[cfg(feature = "metrics")]
pub use metrics::LATENCY_BUCKETS;
use metrics::{
    ATTEMPT_SECONDS, ATTEMPT_TIMEOUTS, ATTEMPTS, Counter, DEGRADED, HEDGES, LEASES_LOST, LEASES_TAKEN_OVER, Meter,
    OPERATIONS, OVERTAKEN, RETRIES, STORE_FAILURES, VALIDATION_ERRORS, VALIDATION_SECONDS, VALIDATIONS,
};
pub(crate) use metrics::{Stopwatch, store_call};
pub use stats::{BreakerState, Stats};

/// The counters of one validator. Hits on valid facts are counted beside the facts, since those are the hot path.
#[derive(Debug)]
pub(crate) struct Telemetry {
    provider: Box<str>,
    mode: &'static str,
    pub(crate) meter: Meter,
    since: Instant,
    stats: Lock<Stats>,
}

impl Telemetry {
    pub(crate) fn new(provider: &str, account: &str, mode: &'static str) -> Self {
        Self {
            provider: provider.into(),
            mode,
            meter: Meter::new(provider, account, mode),
            since: Instant::now(),
            stats: Lock::default(),
        }
    }

    /// Counts one step of a counter, with a value for each of its labels.
    fn count<const N: usize>(&self, counter: Counter, values: [&'static str; N]) {
        if let Some(step) = counter.step {
            step(&mut self.stats.lock(), values.first().copied().unwrap_or_default());
        }
        self.meter.add(counter, 1, &values);
    }

    /// The span of one validation.
    #[inline]
    pub(crate) fn validation_span(&self, payment: &PaymentId) -> Span {
        info_span!(
            "payproof.validate",
            provider = &*self.provider,
            mode = self.mode,
            payment = payment.as_str(),
            provenance = Empty,
            verdict = Empty,
            code = Empty,
        )
    }

    /// The span of a flight, as a child of the validation that leads it.
    pub(crate) fn flight_span(&self, payment: &PaymentId, leader: &Span) -> Span {
        info_span!(parent: leader, "payproof.flight", provider = &*self.provider, payment = payment.as_str())
    }

    /// One provider call is over.
    pub(crate) fn attempt(&self, attempt: &Attempt, error: Option<&(dyn std::error::Error + 'static)>) {
        let outcome = attempt.outcome().as_str();
        self.count(ATTEMPTS, [outcome]);
        self.meter.took(ATTEMPT_SECONDS, attempt.duration(), ("outcome", outcome));
        if attempt.number() > 1 {
            self.count(RETRIES, []);
        }
        if matches!(attempt.wait(), Some((_, WaitReason::Hedge))) {
            self.count(HEDGES, []);
        }
        if *attempt.outcome() == AttemptOutcome::Abandoned {
            self.count(OVERTAKEN, []);
        }
        let number = attempt.number();
        let reach = attempt.reach().as_str();
        let status = attempt.status();
        let request_id = attempt.request_id();
        let duration_ms = millis(attempt.duration());
        let wait_ms = attempt.wait().map(|(wait, _)| millis(wait));
        let wait_reason = attempt.wait().map(|(_, reason)| reason.as_str());
        let Some(rule) = attempt.outcome().rule() else {
            debug!(name: "payproof.attempt", number, reach, status, request_id, outcome, duration_ms);
            return;
        };
        warn!(
            name: "payproof.attempt",
            number, reach, status, request_id, outcome, %rule, duration_ms, wait_ms, wait_reason, error
        );
    }

    /// The provider call that is over next was cut off, at its own limit or the deadline's.
    pub(crate) fn attempt_timed_out(&self) {
        self.count(ATTEMPT_TIMEOUTS, []);
    }

    /// A caller's function that reads the order of a payment panicked, so it stated none.
    pub(crate) fn order_function_panicked(&self, function: &str) {
        error!(name: "payproof.order_function_panicked", provider = &*self.provider, function);
    }

    /// The provider's credential may not read what a verdict depends on.
    pub(crate) fn right_missing(&self, right: &'static str) {
        warn!(name: "payproof.right_missing", provider = &*self.provider, right);
    }

    /// A bank debit was found valid for the first time, and the policy does not hold those.
    pub(crate) fn debit_not_held(&self) {
        let advice = "a bank debit that succeeded can still come back for weeks; `Policy::hold_debits` has it wait";
        warn!(name: "payproof.debit_not_held", provider = &*self.provider, advice);
    }

    /// The shared store did not do what it was asked.
    pub(crate) fn store_failed(&self, error: &(dyn std::error::Error + 'static)) {
        self.count(STORE_FAILURES, []);
        warn!(name: "payproof.store", provider = &*self.provider, error);
    }

    /// A look at the store found something that needs attention.
    pub(crate) fn store_finding(&self, code: &'static str, advice: &dyn fmt::Display) {
        warn!(name: "payproof.store_finding", provider = &*self.provider, code, advice = %advice);
    }

    /// A flight came back too late, or the payment was forgotten meanwhile: its answer is not recorded.
    pub(crate) fn lease_lost(&self, payment: &PaymentId) {
        self.count(LEASES_LOST, []);
        warn!(name: "payproof.lease_lost", provider = &*self.provider, payment = payment.as_str());
    }

    /// The span of one guarded call.
    pub(crate) fn operation_span(&self, operation: &str) -> Span {
        info_span!(
            "payproof.operation",
            provider = &*self.provider,
            mode = self.mode,
            operation,
            provenance = Empty,
            code = Empty,
        )
    }

    /// A guarded call ended: with a result from somewhere, or with the code of an error.
    pub(crate) fn operation(&self, span: &Span, result: Result<(Provenance, Option<Degradation>), &'static str>) {
        let outcome = match result {
            Ok((provenance, degraded)) => {
                self.degraded("operation", degraded);
                span.record("provenance", provenance.as_str());
                provenance.as_str()
            }
            Err(code) => {
                span.record("code", code);
                code
            }
        };
        self.count(OPERATIONS, [outcome]);
    }

    /// A guarded call came back too late: another process had taken over, and what it brought is not recorded.
    pub(crate) fn operation_lost(&self, operation: &str) {
        self.count(LEASES_LOST, []);
        warn!(name: "payproof.operation_lost", provider = &*self.provider, operation);
    }

    /// Whether an operation was executed is unknown.
    pub(crate) fn indeterminate(&self, operation: &str, reference: &Fingerprint) {
        let reference = reference.to_text();
        warn!(name: "payproof.indeterminate", provider = &*self.provider, operation, reference);
    }

    /// An operation was executed in a round that a person or the hook declared not executed: it may be executed twice.
    pub(crate) fn contradicted(&self, operation: &str, reference: &Fingerprint) {
        let reference = reference.to_text();
        let (known, declared) = ("done", "not_executed");
        error!(name: "payproof.contradicted", provider = &*self.provider, operation, reference, known, declared);
    }

    /// A person or the reconcile hook said what became of an operation.
    pub(crate) fn resolved(&self, reference: &Fingerprint, operation: Option<&str>, resolution: &str, who: &str) {
        let reference = reference.to_text();
        info!(name: "payproof.resolved", provider = &*self.provider, operation, reference, resolution, who);
    }

    /// A redemption was undone.
    pub(crate) fn released(&self, payment: &PaymentId, who: &str) {
        info!(name: "payproof.released", provider = &*self.provider, payment = payment.as_str(), who);
    }

    /// An operation says that its provider keeps a key, and its call did not take one.
    pub(crate) fn provider_key_unused(&self, operation: &str) {
        warn!(name: "payproof.provider_key_unused", provider = &*self.provider, operation);
    }

    /// Another process had claimed the payment, and its lease ended without an answer.
    pub(crate) fn taken_over(&self, payment: &PaymentId) {
        self.count(LEASES_TAKEN_OVER, []);
        warn!(name: "payproof.taken_over", provider = &*self.provider, payment = payment.as_str());
    }

    /// A validation past the quick answer ended with a verdict.
    pub(crate) fn verdict(
        &self,
        span: &Span,
        verdict: &Verdict,
        provenance: Provenance,
        degraded: Option<Degradation>,
    ) {
        let mut stats = self.stats.lock();
        let provenances = match provenance {
            Provenance::Fresh => &mut stats.misses,
            Provenance::Replayed => &mut stats.hits,
            Provenance::Coalesced => &mut stats.coalesced,
            Provenance::Degraded => &mut stats.degraded,
        };
        *provenances = provenances.saturating_add(1);
        let verdicts = match verdict {
            Verdict::Valid(_) => &mut stats.valid,
            Verdict::Pending(_) => &mut stats.pending,
            Verdict::ActionRequired(_) => &mut stats.action_required,
            Verdict::Invalid(_) => &mut stats.invalid,
        };
        *verdicts = verdicts.saturating_add(1);
        drop(stats);
        self.count(VALIDATIONS, [verdict.as_str(), provenance.as_str()]);
        self.degraded("validation", degraded);
        record_verdict(span, verdict, provenance);
    }

    /// How long a validation took past the quick answer; without a verdict it has no provenance.
    pub(crate) fn validation_took(&self, watch: Stopwatch, provenance: Option<Provenance>) {
        let provenance = provenance.map_or("none", Provenance::as_str);
        self.meter.took_since(VALIDATION_SECONDS, watch, ("provenance", provenance));
    }

    /// Something was missing on the way to an answer.
    fn degraded(&self, answer: &'static str, degraded: Option<Degradation>) {
        if let Some(reason) = degraded {
            self.count(DEGRADED, [answer, reason.as_str()]);
        }
    }

    /// A validation ended without a verdict.
    pub(crate) fn error(&self, span: &Span, code: &'static str) {
        self.count(VALIDATION_ERRORS, [code]);
        span.record("code", code);
    }

    /// Reads the counters; `valid_hits` are those counted beside the facts.
    pub(crate) fn stats(&self, valid_hits: u64) -> Stats {
        let mut stats = self.stats.lock().clone();
        stats.uptime = self.since.elapsed();
        stats.hits = stats.hits.saturating_add(valid_hits);
        stats.valid = stats.valid.saturating_add(valid_hits);
        stats
    }
}

/// Shows a verdict in the span of its validation. Those that the facts in memory have counted are only shown.
#[inline]
pub(crate) fn record_verdict(span: &Span, verdict: &Verdict, provenance: Provenance) {
    if !span.is_disabled() {
        span.record("provenance", provenance.as_str());
        span.record("verdict", verdict.as_str());
    }
}

/// A store was chosen from the environment. What loses records in production is said loudly.
pub(crate) fn store_chosen(store: &'static str, because: &str, is_risky: bool) {
    if is_risky {
        warn!(name: "payproof.store_chosen", store, because, "this store forgets everything when the process ends");
    } else {
        info!(name: "payproof.store_chosen", store, because);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
