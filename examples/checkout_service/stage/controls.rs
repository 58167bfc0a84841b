//! The page's controls. They ask for JSON, so that no other site's form can press them.

use std::future::Future;
use std::sync::Arc;

use axum::extract::State;
use axum::routing::{post, put};
use axum::{Json, Router};
use payproof::envelope::{Failure, Success};
use serde::Deserialize;

use super::{Burst, Condition, Keys, Parts, Refund, Scene, Stage};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Weather {
    condition: Condition,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Store {
    down: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shoppers {
    on: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Clicks {
    keys: Keys,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

pub(crate) fn routes(stage: Arc<Stage>) -> Router {
    Router::new()
        .route("/stage/provider", put(set_provider))
        .route("/stage/store", put(set_store))
        .route("/stage/shoppers", put(set_shoppers))
        .route("/stage/burst", post(burst))
        .route("/stage/refund", post(refund))
        .with_state(stage)
}

async fn set_provider(State(stage): State<Arc<Stage>>, Json(weather): Json<Weather>) -> Success<Scene> {
    stage.set_condition(weather.condition);
    Success::new(stage.scene())
}

async fn set_store(State(stage): State<Arc<Stage>>, Json(store): Json<Store>) -> Result<Success<Parts>, Failure> {
    to_the_end(async move { Ok(stage.set_store(store.down).await) }).await.map(Success::new)
}

async fn set_shoppers(State(stage): State<Arc<Stage>>, Json(shoppers): Json<Shoppers>) -> Success<Scene> {
    stage.set_shoppers(shoppers.on);
    Success::new(stage.scene())
}

async fn burst(State(stage): State<Arc<Stage>>, Json(clicks): Json<Clicks>) -> Result<Success<Burst>, Failure> {
    to_the_end(async move { stage.burst(clicks.keys).await }).await.map(Success::new)
}

async fn refund(State(stage): State<Arc<Stage>>, Json(Nothing {}): Json<Nothing>) -> Result<Success<Refund>, Failure> {
    // payproof-allow: key-missing: a button of the stage, not of the service; each press is meant to act
    to_the_end(async move { stage.refund().await }).await.map(Success::new)
}

/// In a task of its own: who closes the page does not cut what was begun.
async fn to_the_end<T: Send + 'static>(
    scene: impl Future<Output = Result<T, Failure>> + Send + 'static,
) -> Result<T, Failure> {
    tokio::spawn(scene).await.map_err(|_| Failure::new(500, "CUT", "it did not come to an end"))?
}
