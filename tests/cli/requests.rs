//! Indeterminate requests of an idempotency layer, from the command line.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::request::Parts;
use axum::http::{Request, StatusCode};
use axum::routing::post;
use payproof::endpoint::{IdempotencyLayer, Scope};
use tower::ServiceExt as _;

use crate::program::sandbox_with;
use crate::redis_server::RedisServer;
use crate::store::{at, service};

#[tokio::test]
async fn an_indeterminate_request_is_resolved_by_the_reference_in_its_refusal() {
    let (sandbox, redis) = (sandbox_with([]).await, RedisServer::start().await);
    let scope = |_: &Parts| Scope::new("store_42", "shopper_7").ok();
    let layer = IdempotencyLayer::builder(&service(&sandbox, &redis), "checkout", Duration::from_secs(5), scope)
        .build()
        .unwrap();
    let routes = Router::new().route("/orders", post(|| async { StatusCode::INTERNAL_SERVER_ERROR }).layer(layer));
    let send = || async {
        let request = Request::post("/orders").header("idempotency-key", "8e03978e").body(Body::empty()).unwrap();
        let response = routes.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        (status, to_bytes(response.into_body(), 10_000).await.unwrap())
    };
    assert_eq!(send().await.0, 500);
    let (status, refusal) = send().await;
    let refusal: serde_json::Value = serde_json::from_slice(&refusal).unwrap();
    let reference = refusal["error"]["details"]["reference"].as_str().unwrap();
    assert_eq!(status, 409);
    let listed = at(&redis, &["indeterminate", "--json"]).run().await;
    let [row] = &listed.rows()[..] else { panic!("{listed:?}") };
    assert_eq!((listed.code(), &row["kind"], &row["name"]), (1, &"request".into(), &"POST /orders".into()));
    assert_eq!((&row["reference"], &row["tenant"]), (&reference.into(), &"store_42".into()));
    for (code, said) in [(0, "changed: resolved"), (2, "nothing to resolve")] {
        let run = at(&redis, &["resolve", reference, "--not-executed", "--who", "Ada"]).run().await;
        assert_eq!(run.code(), code, "{run:?}");
        assert!(run.stderr.contains(said), "{}", run.stderr);
    }
    assert_eq!(send().await.0, 500, "it ran anew");
    let decided = at(&redis, &["decisions", "--about", reference, "--json"]).run().await;
    let [row] = &decided.rows()[..] else { panic!("{decided:?}") };
    assert_eq!((&row["who"], &row["decided"], &row["on"]), (&"Ada".into(), &"not_executed".into(), &"request".into()));
    assert_eq!(row["about"], "tenant store_42, POST /orders");
}
