//! What arrives at the subscribers that services use: text, JSON, and spans for OpenTelemetry.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use payproof::Validator;
use payproof::provider::ProviderError;
use payproof::testing::ScriptedProvider;
use serde_json::Value;
use tracing::Level;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::subscribers::{self, Log};
use crate::support::{intent, paid};

/// A redemption that is undone, and a payment that is not good.
async fn work() {
    let provider = ScriptedProvider::new();
    provider.put(paid("pi_1"));
    provider.put(paid("pi_2").with_amount_refunded(1999));
    provider.script("pi_1", [ProviderError::refused("busy").with_status(503)]);
    let validator =
        Validator::builder(provider).only_instance().restart_loses_at_most(payproof::store::RestartLoss::All);
    let validator = validator.build().unwrap();
    let valid = validator.validate(intent("pi_1").with_order("6735").unwrap()).await.unwrap();
    let payproof::Verdict::Valid(proof) = valid.into_verdict() else { panic!() };
    let redeemed = validator.redeem(proof).await.unwrap();
    validator.release(redeemed.receipt(), "Ada, ticket 7").await.unwrap();
    validator.validate(intent("pi_2")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_line_of_text_says_what_happened_in_words() {
    let (log, _guard) = Log::install();
    work().await;
    for said in [
        "WARN payproof.validate{",
        "payproof::provider: calls to the provider fail; further failures are counted, and told once a minute",
        "INFO payproof::redeem: a payment was redeemed for its order provider=\"scripted\" payment=\"pi_1\"",
        "payproof::redeem: a redemption was undone: the payment may pay another order provider=\"scripted\" payment=\"pi_1\" \
         who=\"Ada, ticket 7\"",
    ] {
        assert_eq!(log.lines(said).len(), 1, "{said}: {}", log.text());
    }
}

#[tokio::test(start_paused = true)]
async fn json_has_the_message_beside_the_fields() {
    subscribers::there_are_two();
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().json().with_max_level(Level::DEBUG).with_writer(move || writer.clone());
    let guard = tracing::subscriber::set_default(subscriber.finish());
    work().await;
    drop(guard);
    let text = log.text();
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ours = |row: &&Value| row["target"].as_str().is_some_and(|target| target.starts_with("payproof::"));
    assert!(rows.iter().filter(ours).count() >= 6, "{text}");
    for row in rows.iter().filter(ours) {
        assert!(row["fields"]["message"].as_str().is_some_and(|message| message.contains(' ')), "{row}");
    }
    let find =
        |target: &str, field: &str| rows.iter().find(|row| row["target"] == target && !row["fields"][field].is_null());
    let released = find("payproof::redeem", "who").unwrap();
    assert_eq!((&released["fields"]["who"], &released["level"]), (&"Ada, ticket 7".into(), &"INFO".into()));
    let invalid = find("payproof::validation", "findings").unwrap();
    assert_eq!((&invalid["level"], &invalid["span"]["payment"]), (&"DEBUG".into(), &"pi_2".into()));
    assert!(invalid["fields"]["findings"].as_str().unwrap().contains("refunded"), "{invalid}");
}

/// Keeps the spans that are over.
#[derive(Clone, Debug, Default)]
struct Exported(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Exported {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap().extend(batch);
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn spans_and_their_events_arrive_at_opentelemetry() {
    subscribers::there_are_two();
    let exported = Exported::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exported.clone()).build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    work().await;
    drop(guard);
    let spans = exported.0.lock().unwrap();
    let validate: Vec<_> = spans.iter().filter(|span| span.name == "payproof.validate").collect();
    assert_eq!(validate.len(), 2, "{spans:#?}");
    let attribute = |span: &SpanData, name: &str| {
        span.attributes
            .iter()
            .find(|attribute| attribute.key.as_str() == name)
            .map(|attribute| attribute.value.to_string())
    };
    assert_eq!(attribute(validate[0], "payment").as_deref(), Some("pi_1"));
    assert_eq!(attribute(validate[1], "verdict").as_deref(), Some("invalid"));
    let flight = spans.iter().find(|span| span.name == "payproof.flight").unwrap();
    assert_eq!(flight.parent_span_id, validate[0].span_context.span_id());
    let said: Vec<&str> = flight.events.iter().map(|event| &*event.name).collect();
    assert!(said.iter().any(|said| said.starts_with("calls to the provider fail; ")), "{said:?}");
}
