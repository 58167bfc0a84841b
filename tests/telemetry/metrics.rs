//! The page of metrics that Prometheus reads, by the names that the crate's docs list.
#![cfg(all(
    feature = "axum",
    feature = "cache",
    feature = "metrics",
    feature = "redis",
    feature = "test-util",
    feature = "webhook"
))]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "the numbers are literals of this file, and what is not as it should be fails the test"
)]

mod alerts;
mod names;
mod numbers;
mod page;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::http::request::Parts;
use axum::routing::post;
use payproof::cache::{Cache, Space, ttl};
use payproof::endpoint::{IdempotencyLayer, Scope};
use payproof::guard::{Effect, EffectCall, Operation};
use payproof::provider::ProviderError;
use payproof::store::{MemoryStore, RedisStore};
use payproof::testing::{FlakyStore, ScriptedProvider, Step, StoreFault, StoreVerb, webhook};
use payproof::webhook::StripeWebhooks;
use payproof::{Breaker, Retry, Validator};
use tokio::join;
use tokio::time::sleep;
use tower::ServiceExt as _;

use crate::support::{forgetful, intent, ms, plain, provider, secs};
use page::Exporter;

fn capture() -> Operation {
    Operation::new("store_42", "capture", "order 6735", Effect::write()).unwrap()
}

async fn cut(_call: EffectCall) -> Result<u32, ProviderError> {
    Err(ProviderError::outcome_unknown("reset"))
}

/// Two processes on one store, the first with a way to it that fails on script.
fn two_processes(provider: &ScriptedProvider) -> (Validator, FlakyStore<MemoryStore>, Validator) {
    let store = MemoryStore::new();
    let way = FlakyStore::new(store.clone());
    // The operations in here are writes without a provider key.
    let one = plain(provider).store(way.clone()).facts_in_memory_for(ms(0));
    let one = forgetful(one).build().unwrap();
    let two = plain(provider).store(store).facts_in_memory_for(ms(0)).build().unwrap();
    (one, way, two)
}

/// A day in which everything happens once.
async fn everything() {
    let provider = provider();
    let builder = Validator::builder(provider.clone()).retry(Retry::none()).breaker(Breaker::new());
    let validator = builder.attempt_timeout(secs(3)).build().unwrap();
    for _ in 0..2 {
        validator.validate(intent("pi_1")).await.unwrap();
    }
    provider.script("pi_2", [Step::Never]);
    assert!(validator.validate(intent("pi_2")).await.is_err());
    validator.publish_metrics().await;

    let (one, way, two) = two_processes(&provider);
    assert!(one.guard().run(&capture(), cut).await.is_err());
    way.script(StoreVerb::Replace, [StoreFault::Refused]);
    one.validate(intent("pi_1")).await.unwrap();
    // Forgotten while a caller asks.
    provider.script("pi_1", [Step::Wait(secs(2))]);
    let claims = intent("pi_1");
    let (asked, ()) = join!(one.validate(&claims), async {
        sleep(secs(1)).await;
        two.forget(claims.payment()).await.unwrap();
    });
    asked.unwrap();
    post_twice(&one).await;
    deliver_twice(&one).await;
    one.publish_metrics().await;
    keep_a_price().await;

    // Redis alone tells of changes; whether a server is there does not matter.
    let redis = RedisStore::new("redis://127.0.0.1:1").unwrap();
    plain(&provider).store(redis).build().unwrap().publish_metrics().await;
}

/// One value of the cache, loaded and then found in memory.
async fn keep_a_price() {
    const PRICES: Space<u8, u8> = Space::global("price", ttl::SHORT);
    let cache = Cache::builder(MemoryStore::new()).namespace("shop").build().unwrap();
    let prices = cache.space(PRICES).unwrap();
    for _ in 0..2 {
        prices.get_or_load(&1, || async { Ok::<_, std::io::Error>(19) }).await.unwrap();
    }
    cache.publish_metrics();
}

/// The same request twice, and one that is refused.
async fn post_twice(validator: &Validator) {
    let scope = |_: &Parts| Scope::new("store_42", "shopper_7").ok();
    let layer = IdempotencyLayer::builder(validator, "checkout", secs(1), scope).build().unwrap();
    let routes = Router::new().route("/checkouts", post(|| async { "paid" }).layer(layer));
    for key in ["8e03978e", "8e03978e", "short"] {
        let request = Request::post("/checkouts").header("idempotency-key", key).body(Body::empty()).unwrap();
        routes.clone().oneshot(request).await.unwrap();
    }
}

/// The same event twice, and one that is not signed.
async fn deliver_twice(validator: &Validator) {
    let secret = concat!("whsec", "_", "of_this_endpoint");
    let webhooks = StripeWebhooks::builder(validator, "orders", secret).build().unwrap();
    let body = webhook::EventBody::of_payment("evt_1", "charge.refunded", "pi_1").to_string();
    let signature = webhook::sign(secret, webhook::now(), &body);
    for header in [&*signature, &signature, "t=1,v1=00"] {
        let handler = |_| async { Ok::<_, std::io::Error>(()) };
        let _ = webhooks.receive(Some(header), body.as_bytes(), handler).await;
    }
}

#[tokio::test(start_paused = true)]
async fn requests_and_deliveries_are_counted_by_outcome() {
    let exporter = Exporter::install();
    let validator = plain(&provider()).build().unwrap();
    post_twice(&validator).await;
    deliver_twice(&validator).await;
    let page = exporter.page();
    for outcome in ["first", "replayed", "key_invalid"] {
        assert_eq!(page.sum("payproof_requests_total", &[("outcome", outcome)]), 1.0, "{outcome}");
    }
    for outcome in ["handled", "duplicate", "signature_mismatch"] {
        assert_eq!(page.sum("payproof_webhook_deliveries_total", &[("outcome", outcome)]), 1.0, "{outcome}");
    }
}
