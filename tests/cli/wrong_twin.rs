//! The example service as it must not be: no key, no proof, no signature. It compiles, and nothing runs it.
#![allow(dead_code, clippy::unused_async, reason = "it is there to be audited")]

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use rusqlite::{Connection, params};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Clone)]
struct Service {
    orders: Arc<Mutex<Connection>>,
}

/// What the browser claims. All of it is believed.
#[derive(Deserialize)]
struct Claim {
    payment_id: String,
    amount: i64,
    order: String,
}

fn routes(service: Service) -> Router {
    let webhooks = Router::new().route("/stripe", post(receive));
    Router::new()
        .route("/checkouts", post(create))
        .route("/orders/{id}/notes", post(note))
        .nest("/webhooks", webhooks)
        .with_state(service)
}

/// Two clicks are two orders, and no payment is needed. The cure in a comment, `headers.get("Idempotency-Key")`, is none.
async fn create(State(service): State<Service>, Json(claim): Json<Claim>) -> Result<Json<Value>, StatusCode> {
    let orders = service.orders.lock().unwrap_or_else(PoisonError::into_inner);
    orders
        .execute(
            "INSERT INTO orders (id, payment_id, amount, status) VALUES (?1, ?2, ?3, 'paid')",
            params![claim.order, claim.payment_id, claim.amount],
        )
        .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(Json(json!({ "data": { "order": claim.order } })))
}

/// A key that may be left out, and an error with a status of success.
async fn note(
    State(service): State<Service>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Json(text): Json<String>,
) -> (StatusCode, Json<Value>) {
    let key = headers.get("Idempotency-Key").map(|key| key.as_bytes().to_vec());
    let orders = service.orders.lock().unwrap_or_else(PoisonError::into_inner);
    match orders.execute("INSERT INTO order_notes (id, text, key) VALUES (?1, ?2, ?3)", params![id, text, key]) {
        Ok(_) => (StatusCode::CREATED, Json(json!({ "data": { "order": id } }))),
        Err(error) => (StatusCode::OK, Json(json!({ "error": { "code": "NOT_NOTED", "message": error.to_string() } }))),
    }
}

/// A stranger who knows the address marks orders as paid.
async fn receive(State(service): State<Service>, Json(event): Json<Value>) -> StatusCode {
    let payment = event.pointer("/data/object/id").and_then(Value::as_str).unwrap_or_default();
    let orders = service.orders.lock().unwrap_or_else(PoisonError::into_inner);
    match orders.execute("UPDATE orders SET status = 'paid' WHERE payment = ?1", params![payment]) {
        Ok(_) => StatusCode::OK,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
