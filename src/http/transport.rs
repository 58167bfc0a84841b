//! The HTTP client, and how far a call got when it failed.
//!
//! There is no timeout in here, on purpose. The caller puts one limit around the whole look-up, from connecting to the
//! last byte of the body, and cuts it off by dropping the future: a client that times the headers alone lets a dripping
//! body run on. There is no retry and no redirect in here either: both would happen behind the retry loop's back.

use std::error::Error;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Method, Request, Url};
use rustls::{ClientConfig, RootCertStore};

use crate::http::tls;
use crate::settings::build_error::BuildError;

/// The most that is read of a provider's body. A payment with an expanded charge has about 5 KiB.
#[cfg(feature = "stripe")]
const MAX_BODY: usize = 1 << 20;

/// Load balancers commonly drop idle connections after 60 s; ours go first, so that no request meets one that is closing.
const POOL_IDLE: Duration = Duration::from_secs(50);

/// Finds a dead HTTP/2 connection within half an attempt. Dropping a request does not close a shared connection, so
/// without this a retry would be sent into the same void.
#[cfg(feature = "stripe")]
const PING_EVERY: Duration = Duration::from_secs(10);

/// How long the answer to a ping may take.
#[cfg(feature = "stripe")]
const PING_TIMEOUT: Duration = Duration::from_secs(5);

const USER_AGENT: &str = concat!("payproof/", env!("CARGO_PKG_VERSION"));

/// Parses a base URL; `what` names it in the error.
///
/// Credentials travel with every request, so anything but this machine needs https.
pub(crate) fn base_url(what: &'static str, text: &str) -> Result<Url, BuildError> {
    let wrong = |rule| BuildError::Url { what, rule };
    // The parser would drop these in silence.
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(wrong("must not contain white space or control characters"));
    }
    let url = Url::parse(text).map_err(|_| wrong("must be an absolute URL such as https://api.example.com"))?;
    let host = url.host_str().unwrap_or_default();
    if !matches!(url.scheme(), "http" | "https") || host.is_empty() {
        return Err(wrong("must start with https://, or http:// for this machine"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("must not contain credentials"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("must not contain a query or a fragment"));
    }
    if url.scheme() == "http" && !is_loopback(host) {
        return Err(wrong("must use https, since http is for loopback only (localhost, 127.0.0.0/8, [::1])"));
    }
    Ok(url)
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Makes a provider's client for a base URL that [`base_url`] has accepted.
#[cfg(feature = "stripe")]
pub(crate) fn client(base: &Url) -> Result<Client, BuildError> {
    build(base, Client::builder().http2_keep_alive_interval(PING_EVERY).http2_keep_alive_timeout(PING_TIMEOUT))
}

/// Makes a store's client for a base URL that [`base_url`] has accepted.
///
/// A store's calls are short: one that waits as long as `call_timeout` is sign enough to look whether a shared connection
/// is still alive.
#[cfg(feature = "upstash")]
pub(crate) fn store_client(base: &Url, connect: Duration, call_timeout: Duration) -> Result<Client, BuildError> {
    let builder = Client::builder().connect_timeout(connect);
    build(base, builder.http2_keep_alive_interval(call_timeout).http2_keep_alive_timeout(call_timeout))
}

fn build(base: &Url, builder: ClientBuilder) -> Result<Client, BuildError> {
    let builder = builder
        .user_agent(USER_AGENT)
        .redirect(Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        .tcp_nodelay(true)
        .pool_idle_timeout(POOL_IDLE);
    // Plain http is for this machine: a proxy from the environment would get the credential in clear text.
    let builder = if base.scheme() == "https" { builder.https_only(true) } else { builder.no_proxy() };
    let config = tls(base).map_err(|error| BuildError::HttpClient { reason: error.to_string() })?;
    let client = builder.tls_backend_preconfigured(config).build();
    client.map_err(|error| BuildError::HttpClient { reason: root_cause(&error.without_url()) })
}

fn tls(base: &Url) -> Result<ClientConfig, rustls::Error> {
    let alpn: [&[u8]; 2] = [b"h2", b"http/1.1"];
    if base.scheme() == "https" { tls::verifying(&alpn) } else { tls::trusting(RootCertStore::empty(), &alpn) }
}

/// Why there is no complete answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TransportError {
    /// The request could not be made, so trying again changes nothing.
    Request(String),
    /// The server's certificate was refused, so trying again changes nothing.
    Certificate(String),
    /// There was no connection to send the request on.
    NotSent(String),
    /// The connection broke after the request may have been sent.
    Broken(String),
    /// The body is over the cap.
    TooLarge,
}

impl TransportError {
    fn of(error: reqwest::Error) -> Self {
        // The URL holds the payment's id, and perhaps more behind a proxy.
        let error = error.without_url();
        let text = root_cause(&error);
        if error.is_builder() || error.is_redirect() {
            Self::Request(text)
        } else if chain(&error).any(is_certificate_error) {
            Self::Certificate(text)
        } else if error.is_connect() {
            Self::NotSent(text)
        } else {
            Self::Broken(text)
        }
    }
}

/// The error and what caused it, outermost first.
fn chain<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        // An I/O error's `source` skips the error that it wraps.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        wrapped.map(|inner| -> &(dyn Error + 'static) { inner }).or_else(|| error.source())
    })
}

/// The innermost cause is the one that helps: "connection refused", and not "error sending request".
fn root_cause(error: &reqwest::Error) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}

fn is_certificate_error(error: &(dyn Error + 'static)) -> bool {
    use rustls::Error::{
        InvalidCertRevocationList, InvalidCertificate, NoCertificatesPresented, PeerIncompatible, UnsupportedNameType,
    };
    matches!(
        error.downcast_ref(),
        Some(
            InvalidCertificate(_)
                | InvalidCertRevocationList(_)
                | NoCertificatesPresented
                | PeerIncompatible(_)
                | UnsupportedNameType
        )
    )
}

/// An answer whose headers arrived, with as much of the body as did.
#[derive(Debug)]
pub(crate) struct HttpReply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Why the body is not complete, if it is not. What the status says holds all the same.
    pub(crate) fault: Option<TransportError>,
}

impl HttpReply {
    /// The first header of this name, if it is ASCII.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// A body and what comes after it. It is copied only when it comes in several pieces, and then grows in place.
fn joined(body: Bytes, chunk: Bytes, expected: usize) -> Bytes {
    if body.is_empty() {
        return chunk;
    }
    let mut joined = BytesMut::from(body);
    joined.reserve(expected.saturating_sub(joined.len()));
    joined.extend_from_slice(&chunk);
    joined.freeze()
}

/// Sends a GET and reads the whole answer. Neither this nor what follows is an `async fn`, which would have room for the request
/// beside what sends it.
#[cfg(feature = "stripe")]
pub(crate) fn get(
    client: &Client,
    url: Url,
    headers: &HeaderMap,
) -> impl Future<Output = Result<HttpReply, TransportError>> + Send + use<> {
    get_up_to(client, url, headers, MAX_BODY)
}

/// The same, up to `most` bytes of the answer.
#[cfg(feature = "stripe")]
pub(crate) fn get_up_to(
    client: &Client,
    url: Url,
    headers: &HeaderMap,
    most: usize,
) -> impl Future<Output = Result<HttpReply, TransportError>> + Send + use<> {
    let mut request = Request::new(Method::GET, url);
    headers.clone_into(request.headers_mut());
    send(client, request, most)
}

/// Sends a POST and reads the whole answer, up to `most` bytes of it.
#[cfg(feature = "upstash")]
pub(crate) fn post(
    client: &Client,
    url: Url,
    headers: HeaderMap,
    body: String,
    most: usize,
) -> impl Future<Output = Result<HttpReply, TransportError>> + Send + use<> {
    let mut request = Request::new(Method::POST, url);
    *request.headers_mut() = headers;
    *request.body_mut() = Some(body.into());
    send(client, request, most)
}

/// Reading the body of errors too is what keeps the connection for the next call.
fn send(
    client: &Client,
    request: Request,
    most: usize,
) -> impl Future<Output = Result<HttpReply, TransportError>> + Send + use<> {
    let sent = client.execute(request);
    async move {
        let mut response = sent.await.map_err(TransportError::of)?;
        let headers = std::mem::take(response.headers_mut());
        let expected = response.content_length().map_or(0, |length| usize::try_from(length).unwrap_or(usize::MAX));
        let (mut body, mut length) = (Bytes::new(), 0_usize);
        let fault = loop {
            if expected.max(length) > most {
                break Some(TransportError::TooLarge);
            }
            match response.chunk().await {
                Ok(Some(chunk)) => {
                    length = length.saturating_add(chunk.len());
                    body = joined(body, chunk, expected);
                }
                Ok(None) => break None,
                Err(error) => break Some(TransportError::of(error)),
            }
        };
        Ok(HttpReply { status: response.status().as_u16(), headers, body, fault })
    }
}

#[cfg(test)]
#[cfg(feature = "stripe")]
mod tests;
