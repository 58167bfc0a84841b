//! What is told of requests with an idempotency key.

use tracing::field::Empty;
use tracing::{Span, info_span, warn};

use crate::intent::fingerprint::Fingerprint;

use super::metrics::{LEASES_LOST, REQUESTS, REQUESTS_BYPASSED};
use super::{ENDPOINT, Telemetry};

impl Telemetry {
    /// The span of a request that an idempotency layer looks at.
    pub(crate) fn request_span(&self, method: &http::Method) -> Span {
        info_span!(target: ENDPOINT, "payproof.request", provider = &*self.provider, %method, outcome = Empty)
    }

    /// A request that an idempotency layer looked at was answered.
    pub(crate) fn request(&self, span: &Span, outcome: &'static str) {
        self.count(REQUESTS, [outcome]);
        span.record("outcome", outcome);
    }

    /// What became of a request is unknown.
    pub(crate) fn request_indeterminate(&self, reference: &Fingerprint) {
        warn!(
            name: "payproof.request_indeterminate", target: ENDPOINT,
            provider = &*self.provider, reference = reference.to_text(),
            "it is not known what became of a request; look what it did, and resolve it by the reference"
        );
    }

    /// A handler came back too late: another process had taken over, and its answer is not recorded.
    pub(crate) fn request_lost(&self, reference: &Fingerprint) {
        self.count(LEASES_LOST, []);
        warn!(
            name: "payproof.request_lost", target: ENDPOINT,
            provider = &*self.provider, reference = reference.to_text(),
            "a handler came back after its lease, and its answer is not recorded"
        );
    }

    /// Idempotency layers let every request through, as the environment asks.
    pub(crate) fn checks_disabled(&self) {
        self.stats.lock().idempotency_checks_disabled = true;
        warn!(
            name: "payproof.checks_disabled", target: ENDPOINT, provider = &*self.provider,
            "PAYPROOF_DISABLE_IDEMPOTENCY_CHECKS or DISABLE_IDEMPOTENCY_CHECKS is on: duplicate requests run again"
        );
    }

    /// A request went past an idempotency layer that would have looked at it.
    pub(crate) fn request_bypassed(&self) {
        self.count(REQUESTS_BYPASSED, []);
    }
}
