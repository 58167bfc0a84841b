//! Payments, and what a request without one is told.

use payproof::testing::sandbox::{Fault, Sandbox, SandboxPayment};
use serde_json::json;

use super::{Outcome, ask, client, faulty, header, json_of};

const EXPAND: &str = "?expand[]=latest_charge";

#[tokio::test]
async fn paid_payment_is_answered_with_its_facts() -> Outcome {
    let (sandbox, client) = (Sandbox::start().await?, client()?);
    let payment = SandboxPayment::paid("pi_1", 1999, "usd").tenant("store_42").order("6735").customer("cus_1");
    sandbox.put(payment.destination("acct_2").on_behalf_of("acct_3").test_mode().created(1_700_000_000));

    let response = ask(&client, &sandbox, &format!("pi_1{EXPAND}")).send().await?;
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, "content-type"), Some("application/json"));
    let body = json_of(response).await?;
    for (pointer, value) in [
        ("/id", json!("pi_1")),
        ("/object", json!("payment_intent")),
        ("/status", json!("succeeded")),
        ("/amount", json!(1999)),
        ("/amount_received", json!(1999)),
        ("/amount_capturable", json!(0)),
        ("/currency", json!("usd")),
        ("/customer", json!("cus_1")),
        ("/livemode", json!(false)),
        ("/created", json!(1_700_000_000)),
        ("/metadata", json!({ "store_id": "store_42", "order_id": "6735" })),
        ("/transfer_data/destination", json!("acct_2")),
        ("/on_behalf_of", json!("acct_3")),
        ("/latest_charge/object", json!("charge")),
        ("/latest_charge/amount_captured", json!(1999)),
        ("/latest_charge/outcome/risk_level", json!("normal")),
    ] {
        assert_eq!(body.pointer(pointer), Some(&value), "{pointer}");
    }
    Ok(())
}

#[tokio::test]
async fn charge_is_expanded_only_when_asked_for() -> Outcome {
    let (sandbox, client) = (Sandbox::start().await?, client()?);
    sandbox.put(SandboxPayment::paid("pi_1", 1999, "usd"));
    for (target, expanded) in [
        ("pi_1", false),
        ("pi_1?expand[]=customer", false),
        ("pi_1?expand[]=latest_charge", true),
        ("pi_1?expand%5B%5D=latest_charge", true),
        ("pi_1?expand[0]=latest_charge", true),
        ("pi_1?expand%5B0%5D=latest_charge", true),
        ("pi_1?expand[0]=latest_charge.refunds", true),
    ] {
        let body = json_of(ask(&client, &sandbox, target).send().await?).await?;
        assert_eq!(body["latest_charge"].is_object(), expanded, "{target}");
        assert_eq!(body["latest_charge"].is_string(), !expanded, "{target}");
    }
    Ok(())
}

#[tokio::test]
async fn the_key_may_be_the_user_of_http_basic() -> Outcome {
    let (sandbox, client) = (Sandbox::start().await?, client()?);
    sandbox.put(SandboxPayment::paid("pi_1", 1999, "usd"));
    let url = format!("{}/v1/payment_intents/pi_1", sandbox.url());
    for (user, password, status) in
        [("sk_test_sandbox", None, 200), ("sk_test_sandbox", Some("x"), 200), ("", None, 401)]
    {
        assert_eq!(client.get(&url).basic_auth(user, password).send().await?.status(), status, "{user}");
    }
    assert!(!format!("{:?}", sandbox.last_request()).contains("Basic"));
    Ok(())
}

#[tokio::test]
async fn put_replaces_and_remove_forgets() -> Outcome {
    let (sandbox, client) = (Sandbox::start().await?, client()?);
    sandbox.put(SandboxPayment::processing("pi_1", 1999, "usd"));
    assert_eq!(json_of(ask(&client, &sandbox, "pi_1").send().await?).await?["status"], "processing");
    sandbox.put(SandboxPayment::paid("pi_1", 1999, "usd"));
    assert_eq!(json_of(ask(&client, &sandbox, "pi_1").send().await?).await?["status"], "succeeded");
    sandbox.remove("pi_1");
    assert_eq!(ask(&client, &sandbox, "pi_1").send().await?.status(), 404);
    assert_eq!(sandbox.requests_for("pi_1"), 3);
    Ok(())
}

#[tokio::test]
async fn unknown_payment_is_missing_as_stripe_says_it() -> Outcome {
    let (sandbox, client) = (Sandbox::start().await?, client()?);
    let response = ask(&client, &sandbox, "pi_none").send().await?;
    assert_eq!(response.status(), 404);
    let body = json_of(response).await?;
    assert_eq!(body.pointer("/error/code"), Some(&json!("resource_missing")));
    assert_eq!(body.pointer("/error/message"), Some(&json!("No such payment_intent: 'pi_none'")));
    Ok(())
}

#[tokio::test]
async fn request_without_a_key_is_refused_and_uses_no_fault() -> Outcome {
    let (sandbox, client) = (faulty(Fault::Unavailable).await?, client()?);
    let bare = client.get(format!("{}/v1/payment_intents/pi_1", sandbox.url()));
    let response = bare.try_clone().ok_or("cannot clone")?.send().await?;
    assert_eq!(response.status(), 401);
    assert_eq!(json_of(response).await?.pointer("/error/type"), Some(&json!("invalid_request_error")));
    assert_eq!(bare.header("Authorization", "Bearer ").send().await?.status(), 401);
    assert_eq!(ask(&client, &sandbox, "pi_1").send().await?.status(), 503);
    assert_eq!(sandbox.requests_for("pi_1"), 3);
    Ok(())
}

#[tokio::test]
async fn anything_else_is_an_unrecognized_url() -> Outcome {
    let (sandbox, client) = (Sandbox::start().await?, client()?);
    for path in ["", "/v1/customers/cus_1", "/v1/charges", "/v1/payment_intents/pi_1/capture"] {
        let response = client.get(format!("{}{path}", sandbox.url())).bearer_auth("sk").send().await?;
        assert_eq!(response.status(), 404, "{path}");
        assert!(response.text().await?.contains("Unrecognized request URL (GET: /"), "{path}");
    }
    let url = format!("{}/v1/payment_intents/pi_1", sandbox.url());
    let response = client.post(url).bearer_auth("sk").body(vec![b'x'; 300_000]).send().await?;
    assert_eq!(response.status(), 404);
    assert!(response.text().await?.contains("Unrecognized request URL (POST: /"));
    Ok(())
}

#[tokio::test]
async fn every_answer_names_its_request_and_echoes_the_version() -> Outcome {
    let (sandbox, client) = (Sandbox::start().await?, client()?);
    for number in 1..=3 {
        let response = ask(&client, &sandbox, "pi_1").header("Stripe-Version", "2025-03-31.basil").send().await?;
        assert_eq!(header(&response, "request-id"), Some(format!("req_sandbox_{number}").as_str()));
        assert_eq!(header(&response, "stripe-version"), Some("2025-03-31.basil"));
        assert!(header(&response, "date").is_some_and(|date| date.ends_with(" GMT") && date.len() == 29));
    }
    assert_eq!(header(&ask(&client, &sandbox, "pi_1").send().await?, "stripe-version"), None);
    Ok(())
}

#[tokio::test]
async fn last_request_is_kept_and_its_debug_hides_the_key() -> Outcome {
    let (sandbox, client) = (Sandbox::start().await?, client()?);
    assert!(sandbox.last_request().is_none());
    ask(&client, &sandbox, &format!("pi_1{EXPAND}")).header("Stripe-Account", "acct_1").send().await?;
    let request = sandbox.last_request().ok_or("nothing recorded")?;
    assert_eq!((request.method(), request.path()), ("GET", "/v1/payment_intents/pi_1"));
    assert_eq!(request.query(), Some("expand[]=latest_charge"));
    assert_eq!(request.header("AUTHORIZATION"), Some("Bearer sk_test_sandbox"));
    assert_eq!(request.header("stripe-account"), Some("acct_1"));
    let shown = format!("{request:?} {sandbox:?}");
    assert!(!shown.contains("sk_test_sandbox") && shown.contains("[redacted]") && shown.contains("acct_1"), "{shown}");
    Ok(())
}
