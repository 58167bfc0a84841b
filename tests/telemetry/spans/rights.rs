//! Rights that the provider's credential lacks.
#![cfg(feature = "stripe")]
#![expect(clippy::unwrap_used, reason = "a fixture that cannot be made fails the test that asked for it")]

use std::time::Duration;

use payproof::testing::sandbox::{Fault, Sandbox, SandboxPayment};
use payproof::{Stripe, Validator};
use tracing::Level;

use super::fields;
use super::validations::Collector;
use crate::support::intent;

/// The rights that are told of while a payment is asked for twice, where these requests are refused.
async fn told(refused: impl IntoIterator<Item = bool>) -> Vec<String> {
    let sandbox = Sandbox::start().await.unwrap();
    let payment = SandboxPayment::paid("pi_1", 1999, "usd").tenant("store_42").order("6735");
    sandbox.put(payment.dispute("won", "chargeback"));
    let error = r#"{"error":{"type":"invalid_request_error","message":"The provided key does not have access"}}"#;
    let answer =
        |refused| if refused { Fault::Status(403, error.to_owned()) } else { Fault::SlowHeaders(Duration::ZERO) };
    sandbox.script("pi_1", refused.into_iter().map(answer));
    let key = format!("{}_live_{}", "rk", "sandbox4242");
    let stripe = Stripe::builder(key).base_url(sandbox.url()).build().unwrap();
    let validator = Validator::builder(stripe).build().unwrap();
    let (collector, _guard) = Collector::install();
    for _ in 0..2 {
        validator.validate(intent("pi_1")).max_age(Duration::ZERO).await.unwrap();
    }
    let events = collector.events().into_iter().filter(|event| event.name == "payproof.right_missing");
    let told: Vec<_> = events.map(|event| (event.level, event.fields)).collect();
    let mut rights = Vec::new();
    for (level, told) in told {
        let right = told.get("right").unwrap().clone();
        assert_eq!(told, fields([("provider", "stripe"), ("right", &right)]));
        assert_eq!(level, Level::WARN);
        rights.push(right);
    }
    rights
}

#[tokio::test]
async fn a_missing_right_is_told_once_by_its_name() {
    assert!(told([]).await.is_empty());
    // The payment with its review, the payment alone, its disputes; then the payment alone, and its disputes.
    assert_eq!(told([true, false, false, false, false]).await, ["Reviews, read"]);
    assert_eq!(told([false, true, false, true]).await, ["Disputes, read"]);
}
