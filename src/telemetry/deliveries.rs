//! What is told of webhooks.

use tracing::field::Empty;
use tracing::{Span, info_span, warn};

use super::Telemetry;
use super::metrics::{DELIVERIES, DELIVERIES_OF_OTHERS, LEASES_LOST, LEASES_TAKEN_OVER, OBJECTS_UNREADABLE};

impl Telemetry {
    /// The span of one delivery to an endpoint for webhooks.
    pub(crate) fn delivery_span(&self, endpoint: &str) -> Span {
        info_span!(
            "payproof.delivery",
            provider = &*self.provider,
            mode = self.mode,
            endpoint,
            event = Empty,
            event_type = Empty,
            outcome = Empty,
        )
    }

    /// A delivery was answered.
    pub(crate) fn delivery(&self, span: &Span, outcome: &'static str, handler_error: Option<&str>) {
        self.count(DELIVERIES, [outcome]);
        span.record("outcome", outcome);
        if let Some(error) = handler_error {
            warn!(name: "payproof.handler_failed", parent: span, provider = &*self.provider, error);
        }
    }

    /// An event was of another account, and its handler did not run.
    pub(crate) fn delivery_of_other_account(&self) {
        self.count(DELIVERIES_OF_OTHERS, []);
    }

    /// The credential may not read what an event is about.
    pub(crate) fn object_unreadable(&self, endpoint: &str, object: &str) {
        self.count(OBJECTS_UNREADABLE, []);
        warn!(name: "payproof.object_unreadable", provider = &*self.provider, endpoint, object);
    }

    /// Another process had claimed an event, and its lease ended without an answer.
    pub(crate) fn delivery_taken_over(&self, endpoint: &str, event: &str) {
        self.count(LEASES_TAKEN_OVER, []);
        warn!(name: "payproof.delivery_taken_over", provider = &*self.provider, endpoint, event);
    }

    /// A handler came back too late: another process had taken over, and what it did is not recorded.
    pub(crate) fn delivery_lost(&self, endpoint: &str) {
        self.count(LEASES_LOST, []);
        warn!(name: "payproof.delivery_lost", provider = &*self.provider, endpoint);
    }
}

/// Shows in the span of a delivery what was delivered, once that is known to be authentic.
pub(crate) fn record_event(span: &Span, event: &str, event_type: &str) {
    span.record("event", event);
    span.record("event_type", event_type);
}
