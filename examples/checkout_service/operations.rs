//! `GET /health` and `GET /metrics`: what operators see.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use payproof::health::Health;
use payproof::telemetry::LATENCY_BUCKETS;

use crate::service::Service;

/// What Prometheus's text is called.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Before the validator is built, so that nothing is counted past it.
pub(crate) fn install_metrics() -> Result<PrometheusHandle, BuildError> {
    let ours = Matcher::Prefix("payproof_".to_owned());
    PrometheusBuilder::new().set_buckets_for_metric(ours, &LATENCY_BUCKETS)?.install_recorder()
}

pub(crate) async fn metrics(State(service): State<Arc<Service>>) -> impl IntoResponse {
    service.validator.publish_metrics().await;
    ([(CONTENT_TYPE, EXPOSITION)], service.metrics.render())
}

/// Always 200: a provider that is slow must not take the service out of its load balancer.
pub(crate) async fn health(State(service): State<Arc<Service>>) -> Json<Health> {
    Json(service.validator.health().await)
}
