//! A worker's line to the provider in the parent: one connection, one line, one line back.

use std::net::SocketAddr;

use payproof::provider::{ProviderError, RateLimit};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::language::{Reply, Request};

/// Makes one call, and says of a failure how far it got.
pub(crate) async fn call(provider: SocketAddr, request: &Request) -> Result<String, ProviderError> {
    let mut stream = TcpStream::connect(provider).await.map_err(|_| ProviderError::not_sent("no connection"))?;
    let unknown = |_| ProviderError::outcome_unknown("the connection broke");
    let mut line = serde_json::to_vec(request).unwrap();
    line.push(b'\n');
    stream.write_all(&line).await.map_err(unknown)?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).await.map_err(unknown)?;
    let Reply { status, text } =
        serde_json::from_str(&answer).map_err(|_| ProviderError::outcome_unknown("the answer was cut"))?;
    let refused = || ProviderError::refused("no").with_status(status);
    match status {
        200 => Ok(text),
        // As Stripe's own codes do.
        409 => Err(refused().transient_by_code(text)),
        429 => Err(refused().transient_by_code(text).with_rate_limit(RateLimit::Payment)),
        _ => Err(refused().with_code(text)),
    }
}
