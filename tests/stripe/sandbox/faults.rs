//! Faults that are asked for.

use std::error::Error;
use std::time::Duration;

use payproof::testing::sandbox::{Fault, Faults, Sandbox, SandboxPayment};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Outcome, ask, client, exchange, faulty, header, json_of};

/// The answer to the scripted fault; fails unless the payment is healthy right after it.
async fn faulty_answer(fault: Fault) -> Result<(Response, Client, Sandbox), Box<dyn Error>> {
    let (sandbox, client) = (faulty(fault).await?, client()?);
    let response = ask(&client, &sandbox, "pi_1").send().await?;
    assert_eq!(ask(&client, &sandbox, "pi_1").send().await?.status(), 200);
    Ok((response, client, sandbox))
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
    // Some two thousand bytes at 20 ms each: a client that bounds the body gives up first.
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
