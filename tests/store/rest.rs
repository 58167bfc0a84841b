//! The stores over REST: against a stand-in that the service's own clients accept, and against a server from npm that runs
//! the script in a real Redis.
#![cfg(all(feature = "test-util", feature = "upstash", feature = "vercel-kv"))]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a server that does not do its part fails the test")]

mod agreement;
mod faults;
mod peers;
mod settings;
#[path = "../support/upstash/mod.rs"]
mod upstash;
mod wire;

use std::time::Duration;

use payproof::store::{Store, Stored, UpstashStore};
use serde_json::Value;

use upstash::UpstashStandIn;

const MINUTE: Duration = Duration::from_secs(60);

/// No test is decided by a time-out that it does not mean.
const PATIENCE: Duration = Duration::from_secs(20);

/// Put together here, so that no credential-shaped literal stands in the source.
fn token() -> String {
    format!("AX{}", "plantedTokenXyz")
}

async fn stand_in() -> UpstashStandIn {
    UpstashStandIn::builder().token(token()).start().await.unwrap()
}

fn patient(url: String, token: &str) -> UpstashStore {
    UpstashStore::builder(url, token).connect_timeout(PATIENCE).command_timeout(PATIENCE).build().unwrap()
}

fn store(server: &UpstashStandIn) -> UpstashStore {
    patient(server.url(), server.token())
}

fn kv(url: String, token: &str) -> UpstashStore {
    UpstashStore::builder_vercel_kv(url, token).connect_timeout(PATIENCE).command_timeout(PATIENCE).build().unwrap()
}

/// A store that has met its server, so that the next verb is one request.
async fn warm(server: &UpstashStandIn) -> UpstashStore {
    let store = store(server);
    assert_eq!(store.get("warm").await.unwrap(), None);
    store
}

#[track_caller]
fn bytes_of(stored: Option<Stored>) -> Vec<u8> {
    let stored = stored.unwrap();
    assert!(stored.ttl_left > Duration::ZERO && stored.ttl_left <= MINUTE, "{stored:?}");
    stored.bytes
}

/// Sends one command past the stores; its result as text.
async fn command(url: &str, token: &str, command: Value) -> String {
    // reqwest is built without a crypto provider, and asks for one even where no TLS is spoken.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.post(url).bearer_auth(token).json(&command).send().await.unwrap();
    let body: Value = answer.json().await.unwrap();
    body["result"].as_str().map_or_else(|| body["result"].to_string(), str::to_owned)
}
