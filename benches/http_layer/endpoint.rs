//! The endpoint: one handler, with the layer and without.

use std::time::Duration;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{Request, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use payproof::Validator;
use payproof::endpoint::{IdempotencyLayer, Scope};
use payproof::store::Store;
use serde::{Deserialize, Serialize};

use crate::checkout::Prompt;

const BODY: &str = r#"{"payment":"pi_3MtwBwLkdIwHu7ix28a3tqPa","amount":"19.99","currency":"USD","order":"6735"}"#;

#[derive(Debug, Deserialize)]
struct Checkout {
    payment: String,
    order: String,
}

#[derive(Debug, Serialize)]
struct Created {
    order: String,
    payment: String,
    status: &'static str,
}

async fn create(Json(Checkout { payment, order }): Json<Checkout>) -> (StatusCode, Json<Created>) {
    (StatusCode::CREATED, Json(Created { order, payment, status: "paid" }))
}

/// The endpoint as it is.
pub(crate) fn bare() -> Router {
    Router::new().route("/checkouts", post(create))
}

/// The same, idempotent.
pub(crate) fn idempotent(store: impl Store) -> Router {
    let validator = Validator::builder(Prompt::new()).store(store).build().expect("settings fit");
    let scope = |_: &Parts| Scope::new("store_42", "shopper_7").ok();
    let layer = IdempotencyLayer::builder(&validator, "checkout", Duration::from_secs(20), scope)
        .build()
        .expect("settings fit");
    bare().layer(layer)
}

pub(crate) fn request(key: &str) -> Request<Body> {
    Request::post("/checkouts")
        .header("content-type", "application/json")
        .header("idempotency-key", key)
        .body(Body::from(BODY))
        .expect("it is a request")
}

pub(crate) fn body() -> &'static str {
    BODY
}
