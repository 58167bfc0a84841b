//! `POST /webhooks/stripe`: the provider says that something became of a payment.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use payproof::envelope::{Failure, Success};
use serde_json::Value;

use crate::service::Service;

/// What the provider signs with. In production it comes from the environment.
pub(crate) const SIGNING_SECRET: &str = "whsec_sandbox";

/// By the time the handler runs, the signature was good, the event is new, and what was known of its payment is forgotten.
///
/// An error answers with its own status, and the provider delivers the event again.
pub(crate) async fn receive(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Success<&'static str>, Failure> {
    let orders = service.orders.clone();
    let handler = |event: payproof::webhook::Event| async move {
        // The event also comes for a refund in part. A thin one shows the charge as it is now.
        let charge = event.object().value().unwrap_or(&Value::Null);
        let in_full = charge.get("refunded").and_then(Value::as_bool) == Some(true);
        match (event.event_type(), event.payment()) {
            ("charge.refunded" | "v1.charge.refunded", Some(payment)) if in_full => orders.refund(payment).await,
            _ => Ok(()),
        }
    };
    let delivery = service.webhooks.receive(headers.get("stripe-signature"), &body, handler).await?;
    Ok(Success::new(delivery.as_str()))
}
