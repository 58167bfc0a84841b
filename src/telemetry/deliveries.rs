//! What is told of webhooks.

use tracing::field::Empty;
use tracing::{Span, info_span, warn};

use super::metrics::{DELIVERIES, DELIVERIES_OF_OTHERS, LEASES_LOST, LEASES_TAKEN_OVER, OBJECTS_UNREADABLE};
use super::{Telemetry, WEBHOOK};

impl Telemetry {
    /// The span of one delivery to an endpoint for webhooks.
    pub(crate) fn delivery_span(&self, endpoint: &str) -> Span {
        info_span!(
            target: WEBHOOK,
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
            warn!(
                name: "payproof.handler_failed", target: WEBHOOK, parent: span, provider = &*self.provider, error,
                "the handler of a webhook failed; the provider will deliver the event again"
            );
        }
    }

    /// A delivery was turned away before its event was read.
    pub(crate) fn delivery_refused(&self, span: &Span, code: &'static str, error: &(dyn std::error::Error + 'static)) {
        warn!(
            name: "payproof.webhook_refused", target: WEBHOOK, parent: span, provider = &*self.provider, code, error,
            "a webhook was refused, and nothing of it was believed"
        );
    }

    /// An event was of another account, and its handler did not run.
    pub(crate) fn delivery_of_other_account(&self) {
        self.count(DELIVERIES_OF_OTHERS, []);
    }

    /// The credential may not read what an event is about, or the event does not say it.
    pub(crate) fn object_unreadable(&self, endpoint: &str, object: &str) {
        self.count(OBJECTS_UNREADABLE, []);
        warn!(
            name: "payproof.object_unreadable", target: WEBHOOK, provider = &*self.provider, endpoint, object,
            "the provider's credential may not read what an event is about, or the event names no object; grant the right, or \
             have snapshot events sent: until then facts may be older than they need be"
        );
    }

    /// Another process had claimed an event, and its lease ended without an answer.
    pub(crate) fn delivery_taken_over(&self, endpoint: &str, event: &str) {
        self.count(LEASES_TAKEN_OVER, []);
        warn!(
            name: "payproof.delivery_taken_over", target: WEBHOOK, provider = &*self.provider, endpoint, event,
            "another process's lease on an event ended without an answer, and this one handles it"
        );
    }

    /// A handler came back too late: another process had taken over, and what it did is not recorded.
    pub(crate) fn delivery_lost(&self, endpoint: &str) {
        self.count(LEASES_LOST, []);
        warn!(
            name: "payproof.delivery_lost", target: WEBHOOK, provider = &*self.provider, endpoint,
            "a handler came back after another process had taken its event over, and that it succeeded is not recorded"
        );
    }
}

/// Shows in the span of a delivery what was delivered, once that is known to be authentic.
pub(crate) fn record_event(span: &Span, event: &str, event_type: &str) {
    span.record("event", event);
    span.record("event_type", event_type);
}
