//! The sandbox provider, seen by an HTTP client.
#![cfg(all(feature = "stripe", feature = "test-util"))]

use std::error::Error;
use std::time::Duration;

use payproof::testing::sandbox::{ChargeShape, Fault, Faults, Sandbox, SandboxPayment};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

type Outcome = Result<(), Box<dyn Error>>;

const EXPAND: &str = "?expand[]=latest_charge";

fn client() -> reqwest::Result<Client> {
    // reqwest is built without a crypto provider, and asks for one even where no TLS is spoken. Only the first call counts.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).timeout(Duration::from_secs(10)).build()
}

fn ask(client: &Client, sandbox: &Sandbox, id: &str) -> RequestBuilder {
    client.get(format!("{}/v1/payment_intents/{id}", sandbox.url())).bearer_auth("sk_test_sandbox")
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).and_then(|value| value.to_str().ok())
}

async fn json_of(response: Response) -> Result<Value, Box<dyn Error>> {
    Ok(serde_json::from_slice(&response.bytes().await?)?)
}

/// A sandbox with the paid payment `pi_1`, whose next answer is `fault`.
async fn faulty(fault: Fault) -> std::io::Result<Sandbox> {
    let sandbox = Sandbox::start().await?;
    sandbox.put(SandboxPayment::paid("pi_1", 1999, "usd"));
    sandbox.script("pi_1", [fault]);
    Ok(sandbox)
}

/// The answer to the scripted fault; fails unless the payment is healthy right after it.
async fn faulty_answer(fault: Fault) -> Result<(Response, Client, Sandbox), Box<dyn Error>> {
    let (sandbox, client) = (faulty(fault).await?, client()?);
    let response = ask(&client, &sandbox, "pi_1").send().await?;
    assert_eq!(ask(&client, &sandbox, "pi_1").send().await?.status(), 200);
    Ok((response, client, sandbox))
}

/// Sends bytes as they are and reads until the server closes.
async fn exchange(sandbox: &Sandbox, request: &[u8]) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(sandbox.url().trim_start_matches("http://")).await?;
    stream.write_all(request).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test]
async fn paid_payment_is_answered_with_its_facts() -> Outcome {
    let (sandbox, client) = (Sandbox::start().await?, client()?);
    let payment = SandboxPayment::paid("pi_1", 1999, "usd").tenant("store_42").order("6735").customer("cus_1");
    sandbox.put(payment.destination("acct_2").on_behalf_of("acct_3").livemode(false).created(1_700_000_000));

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
    sandbox.put(SandboxPayment::paid("pi_2", 1999, "usd").charge_shape(ChargeShape::LegacyList));
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
    let body = json_of(ask(&client, &sandbox, "pi_2").send().await?).await?;
    assert_eq!(body.pointer("/charges/data/0/object"), Some(&json!("charge")));
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
async fn anything_else_is_an_unrecognised_url() -> Outcome {
    let (sandbox, client) = (Sandbox::start().await?, client()?);
    for path in ["", "/v1/charges/ch_1", "/v1/payment_intents", "/v1/payment_intents/pi_1/capture"] {
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
        let response = ask(&client, &sandbox, "pi_1").header("Stripe-Version", "2024-06-20").send().await?;
        assert_eq!(header(&response, "request-id"), Some(format!("req_sandbox_{number}").as_str()));
        assert_eq!(header(&response, "stripe-version"), Some("2024-06-20"));
        assert!(header(&response, "date").is_some_and(|date| date.ends_with(" GMT") && date.len() == 29));
    }
    assert_eq!(header(&ask(&client, &sandbox, "pi_1").send().await?, "stripe-version"), None);
    Ok(())
}

#[tokio::test]
async fn connection_is_kept_and_counted() -> Outcome {
    let (sandbox, client) = (Sandbox::start().await?, client()?);
    sandbox.put(SandboxPayment::paid("pi_1", 1999, "usd"));
    for _ in 0..20 {
        ask(&client, &sandbox, "pi_1").send().await?.bytes().await?;
    }
    assert_eq!((sandbox.requests(), sandbox.connections()), (20, 1));
    let response = ask(&client, &sandbox, "pi_1").header("Connection", "close").send().await?;
    assert_eq!(header(&response, "connection"), Some("close"));
    response.bytes().await?;
    ask(&client, &sandbox, "pi_1").send().await?.bytes().await?;
    assert_eq!((sandbox.requests(), sandbox.connections()), (22, 2));
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
    assert!(!format!("{request:?} {sandbox:?}").contains("sk_test_sandbox"));
    Ok(())
}

#[tokio::test]
async fn rate_limit_says_when_to_come_back_in_seconds() -> Outcome {
    let wait = Some(Duration::from_millis(1_500));
    let (response, ..) = faulty_answer(Fault::RateLimited { retry_after: wait }).await?;
    assert_eq!(response.status(), 429);
    assert_eq!(header(&response, "retry-after"), Some("2"));
    assert_eq!(header(&response, "stripe-rate-limited-reason"), Some("global-rate"));
    assert_eq!(json_of(response).await?.pointer("/error/code"), Some(&json!("rate_limit")));
    let (response, ..) = faulty_answer(Fault::RateLimited { retry_after: None }).await?;
    assert_eq!((response.status().as_u16(), header(&response, "retry-after")), (429, None));
    Ok(())
}

#[tokio::test]
async fn rate_limit_date_counts_from_the_answers_own_date() -> Outcome {
    let wait = Duration::from_secs(90);
    let (response, ..) = faulty_answer(Fault::RateLimitedUntil { wait }).await?;
    assert_eq!(response.status(), 429);
    let at = |name| -> Result<_, Box<dyn Error>> {
        let written = header(&response, name).ok_or("no date")?;
        Ok(httpdate::parse_http_date(written)?)
    };
    assert_eq!(at("retry-after")?.duration_since(at("date")?)?, wait);
    Ok(())
}

#[tokio::test]
async fn errors_have_stripes_status_type_and_hints() -> Outcome {
    for (fault, status, hint, body) in [
        (Fault::LockTimeout, 429, None, "\"lock_timeout\""),
        (Fault::InternalError, 500, None, "\"api_error\""),
        (Fault::ShouldNotRetry, 500, Some("false"), "\"api_error\""),
        (Fault::ShouldRetry, 400, Some("true"), "\"invalid_request_error\""),
        (Fault::BadGateway, 502, None, "<h1>502 Bad Gateway</h1>"),
        (Fault::Unavailable, 503, None, "\"api_error\""),
        (Fault::GatewayTimeout, 504, None, "<h1>504 Gateway Timeout</h1>"),
        (Fault::Status(418, "short and stout".to_owned()), 418, None, "short and stout"),
        (Fault::Status(204, "never sent".to_owned()), 204, None, ""),
        (Fault::Status(99, String::new()), 200, None, ""),
        (Fault::NotJson, 200, None, "<html>"),
    ] {
        let case = format!("{fault:?}");
        let (response, _, sandbox) = faulty_answer(fault).await?;
        assert_eq!(response.status(), status, "{case}");
        assert_eq!(header(&response, "stripe-should-retry"), hint, "{case}");
        assert!(header(&response, "request-id").is_some(), "{case}");
        assert!(response.text().await?.contains(body), "{case}");
        // The first body was unread when the second request was sent, so two connections are fine.
        assert!(sandbox.connections() <= 2, "{case}");
    }
    Ok(())
}

#[tokio::test]
async fn reset_and_drop_fail_after_the_request_was_read() -> Outcome {
    for (fault, kind) in [
        (Fault::Reset, std::io::ErrorKind::ConnectionReset),
        (Fault::DropAfterRequest, std::io::ErrorKind::UnexpectedEof),
    ] {
        let (sandbox, client) = (faulty(fault.clone()).await?, client()?);
        let failed = ask(&client, &sandbox, "pi_1").send().await.err().ok_or("answered")?;
        assert!(failed.is_request() && !failed.is_timeout() && !failed.is_connect(), "{failed:?}");
        assert_eq!(sandbox.requests_for("pi_1"), 1);
        assert_eq!(ask(&client, &sandbox, "pi_1").send().await?.status(), 200);

        sandbox.script("pi_1", [fault]);
        let request = b"GET /v1/payment_intents/pi_1 HTTP/1.1\r\nAuthorization: Bearer sk\r\n\r\n";
        let seen = exchange(&sandbox, request).await;
        if kind == std::io::ErrorKind::ConnectionReset {
            assert_eq!(seen.err().map(|error| error.kind()), Some(kind));
        } else {
            assert_eq!(seen?, "");
        }
    }
    Ok(())
}

#[tokio::test]
async fn slow_headers_come_late_and_healthy() -> Outcome {
    let (sandbox, client) = (faulty(Fault::SlowHeaders(Duration::from_millis(60))).await?, client()?);
    let start = Instant::now();
    let response = ask(&client, &sandbox, "pi_1").send().await?;
    assert!(start.elapsed() >= Duration::from_millis(60));
    assert_eq!(json_of(response).await?["status"], "succeeded");
    Ok(())
}

#[tokio::test]
async fn dripping_body_has_early_headers_and_a_slow_end() -> Outcome {
    let (sandbox, client) = (faulty(Fault::DrippingBody { every: Duration::from_millis(20) }).await?, client()?);
    let response = tokio::time::timeout(Duration::from_secs(5), ask(&client, &sandbox, "pi_1").send()).await??;
    assert_eq!(response.status(), 200);
    // Some two thousand bytes at 20 ms each: whoever bounds the body gives up first.
    let bounded = tokio::time::timeout(Duration::from_millis(200), response.bytes()).await;
    assert!(bounded.is_err());
    assert_eq!(ask(&client, &sandbox, "pi_1").send().await?.status(), 200);
    Ok(())
}

#[tokio::test]
async fn dripping_body_is_whole_in_the_end() -> Outcome {
    let (sandbox, client) = (faulty(Fault::DrippingBody { every: Duration::ZERO }).await?, client()?);
    sandbox.put(SandboxPayment::paid("pi_1", 1, "usd").json(json!({ "id": "pi_1" })));
    assert_eq!(json_of(ask(&client, &sandbox, "pi_1").send().await?).await?, json!({ "id": "pi_1" }));
    Ok(())
}

#[tokio::test]
async fn truncated_body_promises_more_than_it_holds() -> Outcome {
    let (sandbox, client) = (faulty(Fault::TruncatedBody).await?, client()?);
    let response = ask(&client, &sandbox, "pi_1").send().await?;
    assert_eq!(response.status(), 200);
    assert!(response.bytes().await.is_err_and(|error| !error.is_timeout()));
    assert_eq!(ask(&client, &sandbox, "pi_1").send().await?.status(), 200);
    Ok(())
}

#[tokio::test]
async fn wrong_json_is_complete_as_http_and_broken_as_json() -> Outcome {
    let (response, ..) = faulty_answer(Fault::WrongJson).await?;
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, "content-type"), Some("application/json"));
    let body = response.bytes().await?;
    assert!(body.starts_with(b"{") && serde_json::from_slice::<Value>(&body).is_err());
    Ok(())
}

#[tokio::test]
async fn wrong_payment_differs_in_the_id_alone() -> Outcome {
    let (response, client, sandbox) = faulty_answer(Fault::WrongPayment).await?;
    let mut wrong = json_of(response).await?;
    assert_eq!(wrong["id"], "pi_1_other");
    wrong["id"] = "pi_1".into();
    assert_eq!(wrong, json_of(ask(&client, &sandbox, "pi_1").send().await?).await?);
    Ok(())
}

#[tokio::test]
async fn unknown_status_differs_in_the_status_alone() -> Outcome {
    let (response, client, sandbox) = faulty_answer(Fault::UnknownStatus).await?;
    let mut unknown = json_of(response).await?;
    assert_eq!(unknown["status"], "requires_divination");
    unknown["status"] = "succeeded".into();
    assert_eq!(unknown, json_of(ask(&client, &sandbox, "pi_1").send().await?).await?);
    Ok(())
}

#[tokio::test]
async fn redirect_names_its_target_and_no_more_headers() -> Outcome {
    let (response, ..) = faulty_answer(Fault::Redirect("http://127.0.0.1:9/\r\nX-Evil: 1".to_owned())).await?;
    assert_eq!(response.status(), 302);
    assert_eq!(header(&response, "location"), Some("http://127.0.0.1:9/X-Evil: 1"));
    assert_eq!(header(&response, "x-evil"), None);
    Ok(())
}

#[tokio::test]
async fn huge_body_has_no_length_and_is_true_in_the_end() -> Outcome {
    let (sandbox, client) = (faulty(Fault::HugeBody).await?, client()?);
    let response = ask(&client, &sandbox, "pi_1").send().await?;
    assert_eq!(response.content_length(), None);
    let body = response.bytes().await?;
    assert!(body.len() > 4 * 1024 * 1024);
    let body: Value = serde_json::from_slice(&body)?;
    assert_eq!((&body["id"], &body["status"]), (&json!("pi_1"), &json!("succeeded")));
    ask(&client, &sandbox, "pi_1").send().await?.bytes().await?;
    assert_eq!(sandbox.connections(), 1);
    Ok(())
}

#[tokio::test]
async fn stalled_request_is_never_answered() -> Outcome {
    let (sandbox, client) = (faulty(Fault::Stall).await?, client()?);
    let failed = ask(&client, &sandbox, "pi_1").timeout(Duration::from_millis(80)).send().await;
    assert!(failed.is_err_and(|error| error.is_timeout()));
    assert_eq!(sandbox.requests_for("pi_1"), 1);
    assert_eq!(ask(&client, &sandbox, "pi_1").send().await?.status(), 200);
    Ok(())
}

#[tokio::test]
async fn script_for_any_payment_hits_whichever_comes_next() -> Outcome {
    let (sandbox, client) = (Sandbox::start().await?, client()?);
    sandbox.put(SandboxPayment::paid("pi_1", 1999, "usd"));
    sandbox.put(SandboxPayment::paid("pi_2", 1999, "usd"));
    sandbox.script_any([Fault::Unavailable]);
    sandbox.script("pi_1", [Fault::InternalError]);
    let mut seen = Vec::new();
    for id in ["pi_1", "pi_2", "pi_1", "pi_2"] {
        seen.push(ask(&client, &sandbox, id).send().await?.status().as_u16());
    }
    assert_eq!(seen, [500, 503, 200, 200]);
    Ok(())
}

#[tokio::test]
async fn outage_begins_and_ends_with_the_faults_that_are_set() -> Outcome {
    let (sandbox, client) = (Sandbox::builder().faults(Faults::down()).start().await?, client()?);
    sandbox.put(SandboxPayment::paid("pi_1", 1999, "usd"));
    for _ in 0..5 {
        assert_eq!(ask(&client, &sandbox, "pi_1").send().await?.status(), 503);
    }
    sandbox.set_faults(Faults::none());
    assert_eq!(ask(&client, &sandbox, "pi_1").send().await?.status(), 200);
    Ok(())
}

#[tokio::test]
async fn same_seed_repeats_the_run_and_another_does_not() -> Outcome {
    async fn run(seed: u64) -> Result<Vec<u16>, Box<dyn Error>> {
        let faults = Faults::none().chance(Fault::Unavailable, 0.3).chance(Fault::InternalError, 0.2);
        let sandbox = Sandbox::builder().seed(seed).faults(faults).start().await?;
        let client = client()?;
        let mut statuses = Vec::new();
        for _ in 0..60 {
            statuses.push(ask(&client, &sandbox, "pi_1").send().await?.status().as_u16());
        }
        Ok(statuses)
    }
    let first = run(7).await?;
    assert_eq!(first, run(7).await?);
    assert_ne!(first, run(8).await?);
    assert!([404, 500, 503].iter().all(|status| first.contains(status)), "{first:?}");
    Ok(())
}

#[tokio::test]
async fn latency_delays_every_answer() -> Outcome {
    let latency = Duration::from_millis(20)..Duration::from_millis(30);
    let (sandbox, client) = (Sandbox::builder().latency(latency).start().await?, client()?);
    let start = Instant::now();
    for _ in 0..3 {
        ask(&client, &sandbox, "pi_1").send().await?;
    }
    assert!(start.elapsed() >= Duration::from_millis(60));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_clients_at_once_are_all_answered_and_counted() -> Outcome {
    let (sandbox, client) = (Sandbox::start().await?, client()?);
    sandbox.put(SandboxPayment::paid("pi_1", 1999, "usd"));
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let call = ask(&client, &sandbox, "pi_1");
        calls.spawn(async move { call.send().await.map(|response| response.status().as_u16()) });
    }
    while let Some(status) = calls.join_next().await {
        assert_eq!(status??, 200);
    }
    assert_eq!(sandbox.requests_for("pi_1"), 200);
    Ok(())
}

#[tokio::test]
async fn heads_that_are_too_long_or_not_http_1_end_the_connection() -> Outcome {
    let sandbox = Sandbox::start().await?;
    let long = format!("GET / HTTP/1.1\r\nX-Long: {}\r\n\r\n", "x".repeat(20_000));
    assert!(exchange(&sandbox, long.as_bytes()).await?.starts_with("HTTP/1.1 431 "));
    let other = exchange(&sandbox, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await?;
    assert!(other.starts_with("HTTP/1.1 505 "), "{other}");
    assert_eq!(sandbox.requests(), 2);
    Ok(())
}

#[tokio::test]
async fn requests_sent_ahead_are_answered_in_order() -> Outcome {
    let sandbox = Sandbox::start().await?;
    let one = "GET /v1/payment_intents/pi_1 HTTP/1.1\r\nAuthorization: Bearer sk\r\n";
    let answers = exchange(&sandbox, format!("{one}\r\n{one}Connection: close\r\n\r\n").as_bytes()).await?;
    let first = answers.find("req_sandbox_1").ok_or("no first answer")?;
    let second = answers.find("req_sandbox_2").ok_or("no second answer")?;
    assert!(first < second);
    Ok(())
}

#[tokio::test]
async fn dropped_sandbox_ends_open_connections() -> Outcome {
    let sandbox = faulty(Fault::Stall).await?;
    let (client, url) = (client()?, sandbox.url());
    let call = tokio::spawn(ask(&client, &sandbox, "pi_1").send());
    while sandbox.requests() == 0 {
        tokio::task::yield_now().await;
    }
    drop(sandbox);
    assert!(call.await?.is_err_and(|error| !error.is_timeout()));
    assert!(client.get(url).send().await.is_err_and(|error| error.is_connect()));
    Ok(())
}

#[tokio::test]
async fn stopped_sandbox_refuses_connections() -> Outcome {
    let (sandbox, client) = (Sandbox::start().await?, client()?);
    let url = sandbox.url();
    assert_eq!(client.get(&url).send().await?.status(), 404);
    sandbox.stop().await;
    let fresh = Client::builder().no_proxy().build()?;
    assert!(fresh.get(&url).send().await.is_err_and(|error| error.is_connect()));
    Ok(())
}
