//! Every span, event, field and counter of the crate. No other room emits; the crate's docs list the names.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::field::Empty;
use tracing::{Span, debug, error, info, info_span, warn};

use crate::intent::fingerprint::Fingerprint;
use crate::intent::payment_intent::PaymentId;
use crate::lock::Lock;
use crate::payment::verdict::{Degradation, Findings, Provenance, Verdict};

#[cfg(feature = "cache")]
mod cache;
mod calls;
#[cfg(feature = "webhook")]
mod deliveries;
mod metrics;
mod outage;
#[cfg(feature = "reconcile")]
mod pages;
#[cfg(feature = "tower")]
mod requests;
#[cfg(feature = "metrics")]
mod series;
pub(crate) mod stats;
mod stores;
#[cfg(all(test, feature = "metrics", feature = "tower"))]
mod tests;

#[cfg(all(feature = "cache", feature = "metrics"))]
pub(crate) use cache::cache_published;
#[cfg(feature = "cache")]
pub(crate) use cache::{
    CacheCall, cache_called, cache_full, cache_hit, cache_load_span, cache_loaded, cache_unreadable,
};
#[cfg(feature = "webhook")]
pub(crate) use deliveries::record_event;
#[cfg(feature = "metrics")]
pub use metrics::LATENCY_BUCKETS;
use metrics::{
    CounterMetric, DEGRADED, LEASES_LOST, LEASES_TAKEN_OVER, Meter, OPERATIONS, VALIDATION_ERRORS, VALIDATION_SECONDS,
    VALIDATIONS,
};
pub(crate) use metrics::{Stopwatch, store_call};
use outage::OutageLog;
pub use stats::{BreakerState, Stats};
pub(crate) use stores::{StoreWatch, store_chosen};

/// The targets of spans and events, by which subscribers choose. They are public names, and stay: the crate's docs list them.
const VALIDATION: &str = "payproof::validation";
const PROVIDER: &str = "payproof::provider";
const STORE: &str = "payproof::store";
const GUARD: &str = "payproof::guard";
const REDEEM: &str = "payproof::redeem";
#[cfg(feature = "cache")]
const CACHE: &str = "payproof::cache";
#[cfg(feature = "tower")]
const ENDPOINT: &str = "payproof::endpoint";
#[cfg(feature = "webhook")]
const WEBHOOK: &str = "payproof::webhook";

/// The counters of one validator. Hits on valid facts are counted beside the facts, since those are the hot path.
#[derive(Debug)]
pub(crate) struct Telemetry {
    provider: Box<str>,
    mode: &'static str,
    pub(crate) meter: Meter,
    since: Instant,
    stats: Lock<Stats>,
    provider_outage: OutageLog,
    /// Calls that were turned away instead of being sent.
    turned_away: OutageLog,
    pub(crate) store: Arc<StoreWatch>,
}

impl Telemetry {
    pub(crate) fn new(provider: &str, account: &str, mode: &'static str) -> Self {
        Self {
            provider: provider.into(),
            mode,
            meter: Meter::new(provider, account, mode),
            since: Instant::now(),
            stats: Lock::default(),
            provider_outage: OutageLog::new(true),
            turned_away: OutageLog::new(false),
            store: Arc::new(StoreWatch::new(provider)),
        }
    }

    /// Counts one step of a counter, with a value for each of its labels.
    fn count<const N: usize>(&self, counter: CounterMetric, values: [&'static str; N]) {
        if let Some(step) = counter.step {
            step(&mut self.stats.lock(), values.first().copied().unwrap_or_default());
        }
        self.meter.add(counter, 1, &values);
    }

    /// The span of one validation.
    #[inline]
    pub(crate) fn validation_span(&self, payment: &PaymentId) -> Span {
        info_span!(
            target: VALIDATION,
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
        info_span!(target: VALIDATION, parent: leader, "payproof.flight", provider = &*self.provider, payment = payment.as_str())
    }

    /// A caller's function that reads the order of a payment panicked, so it stated none.
    pub(crate) fn order_function_panicked(&self, function: &str) {
        error!(
            name: "payproof.order_function_panicked", target: VALIDATION, provider = &*self.provider, function,
            "a function that reads the order of a payment panicked, so it stated none"
        );
    }

    /// The provider's credential may not read what a verdict depends on.
    pub(crate) fn right_missing(&self, right: &'static str) {
        warn!(
            name: "payproof.right_missing", target: PROVIDER, provider = &*self.provider, right,
            "the provider's credential lacks a right, so verdicts are stricter than they need be; grant it"
        );
    }

    /// A bank debit was found valid for the first time, and the policy does not hold those.
    pub(crate) fn debit_not_held(&self) {
        warn!(
            name: "payproof.debit_not_held", target: VALIDATION, provider = &*self.provider,
            "a bank debit that succeeded can still come back for weeks; `Policy::hold_debits` has it wait"
        );
    }

    /// A flight came back too late, or the payment was forgotten meanwhile: its answer is not recorded.
    pub(crate) fn lease_lost(&self, payment: &PaymentId) {
        self.count(LEASES_LOST, []);
        warn!(
            name: "payproof.lease_lost", target: VALIDATION, provider = &*self.provider, payment = payment.as_str(),
            "an answer came after its lease, or after the payment was forgotten, and is not recorded"
        );
    }

    /// The span of one guarded call.
    pub(crate) fn operation_span(&self, operation: &str) -> Span {
        info_span!(
            target: GUARD,
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
                self.call_ended(code);
                code
            }
        };
        self.count(OPERATIONS, [outcome]);
    }

    /// A guarded call came back too late: another process had taken over, and what it brought is not recorded.
    pub(crate) fn operation_lost(&self, operation: &str) {
        self.count(LEASES_LOST, []);
        warn!(
            name: "payproof.operation_lost", target: GUARD, provider = &*self.provider, operation,
            "a guarded call came back after another process had taken over, and its result is not recorded"
        );
    }

    /// Whether an operation was executed is unknown.
    pub(crate) fn indeterminate(&self, operation: &str, reference: &Fingerprint) {
        let reference = reference.to_text();
        warn!(
            name: "payproof.indeterminate", target: GUARD, provider = &*self.provider, operation, reference,
            "it is not known whether an operation was executed; look at the provider, and resolve it by the reference"
        );
    }

    /// An operation, or a request, was executed that a person or the hook declared not executed: it may be executed twice.
    pub(crate) fn contradicted(&self, operation: &str, reference: &Fingerprint) {
        let reference = reference.to_text();
        let (known, declared) = ("done", "not_executed");
        error!(
            name: "payproof.contradicted", target: GUARD,
            provider = &*self.provider, operation, reference, known, declared,
            "an operation or a request was executed that was declared not executed: it may be executed twice; look at the provider, \
             or in your own records"
        );
    }

    /// A person or the reconcile hook said what became of an operation.
    pub(crate) fn resolved(&self, reference: &Fingerprint, operation: Option<&str>, resolution: &str, who: &str) {
        let reference = reference.to_text();
        info!(
            name: "payproof.resolved", target: GUARD,
            provider = &*self.provider, operation, reference, resolution, who,
            "it was said what became of an indeterminate operation or request"
        );
    }

    /// A payment was bound to its order, by this very call.
    pub(crate) fn redeemed(&self, payment: &PaymentId) {
        info!(
            name: "payproof.redeemed", target: REDEEM, provider = &*self.provider, payment = payment.as_str(),
            "a payment was redeemed for its order"
        );
    }

    /// A redemption was undone.
    pub(crate) fn released(&self, payment: &PaymentId, who: &str) {
        info!(
            name: "payproof.released", target: REDEEM, provider = &*self.provider, payment = payment.as_str(), who,
            "a redemption was undone: the payment may pay another order"
        );
    }

    /// An operation says that its provider keeps a key, and its call did not take one.
    pub(crate) fn provider_key_unused(&self, operation: &str) {
        warn!(
            name: "payproof.provider_key_unused", target: GUARD, provider = &*self.provider, operation,
            "an operation counts on a provider key, and its call took none; have it send `EffectCall::provider_key`"
        );
    }

    /// Another process had claimed the payment, and its lease ended without an answer.
    pub(crate) fn taken_over(&self, payment: &PaymentId) {
        self.count(LEASES_TAKEN_OVER, []);
        warn!(
            name: "payproof.taken_over", target: VALIDATION, provider = &*self.provider, payment = payment.as_str(),
            "another process's lease ended without an answer, and this one asks in its place"
        );
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
        if let Verdict::Invalid(findings) = verdict {
            debug!(
                name: "payproof.invalid", target: VALIDATION, parent: span,
                provider = &*self.provider, findings = %Codes(findings), "a payment is not good for its order"
            );
        }
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
        self.call_ended(code);
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

/// The codes of findings: what they say beside those may be ids.
struct Codes<'f>(&'f Findings);

impl fmt::Display for Codes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, finding) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{}", finding.code())?;
        }
        Ok(())
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
