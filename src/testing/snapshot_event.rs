//! The JSON of a snapshot event.

use serde_json::{Value, json};

/// An event of this type, of live mode, which happened to this object at a second since 1970.
pub(super) fn snapshot_event(id: &str, event_type: &str, created: u64, object: &Value) -> Value {
    json!({
        "id": id,
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": created,
        "data": { "object": object },
        "livemode": true,
        "pending_webhooks": 1,
        "request": { "id": null, "idempotency_key": null },
        "type": event_type,
    })
}
