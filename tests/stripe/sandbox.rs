//! The sandbox provider, seen by an HTTP client.
#![cfg(all(feature = "stripe", feature = "test-util"))]

mod answers;
mod connections;
mod faults;

use std::error::Error;
use std::time::Duration;

use payproof::testing::sandbox::{Fault, Sandbox, SandboxPayment};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

type Outcome = Result<(), Box<dyn Error>>;

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

/// Sends bytes as they are and reads until the server closes.
async fn exchange(sandbox: &Sandbox, request: &[u8]) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(sandbox.url().trim_start_matches("http://")).await?;
    stream.write_all(request).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
