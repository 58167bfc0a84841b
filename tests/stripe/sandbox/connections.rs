//! Connections, and what is sent over them.

use payproof::testing::sandbox::{Fault, Sandbox, SandboxPayment};
use reqwest::Client;

use super::{Outcome, ask, client, exchange, faulty, header};

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
