//! Checks what the store is made of.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use tokio::sync::Semaphore;

use super::UpstashStore;
use super::client::RestClient;
use crate::accessors::{partial_debug, setters};
use crate::http::transport;
use crate::lock::Lock;
use crate::settings::build_error::BuildError;
use crate::store::kept_loss::KeptLoss;

/// Settings of an [`UpstashStore`]; checked by `build`.
///
/// | setting | default | why |
/// |---|---|---|
/// | `connect_timeout` | 750 ms | a name look-up and a TLS handshake at 150 ms a round trip |
/// | `command_timeout` | 1 s | a command takes 5 to 200 ms over the internet, and a caller is waiting |
/// | `max_in_flight` | 256 | over HTTP/1.1 each is a connection, and plans allow a thousand or more |
#[derive(Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct UpstashStoreBuilder {
    url_name: &'static str,
    url: String,
    token_name: &'static str,
    token: String,
    connect_timeout: Duration,
    command_timeout: Duration,
    max_in_flight: usize,
}

impl UpstashStoreBuilder {
    /// The names are what messages call the two.
    pub(super) fn new(url_name: &'static str, url: String, token_name: &'static str, token: String) -> Self {
        Self {
            url_name,
            url,
            token_name,
            token,
            connect_timeout: Duration::from_millis(750),
            command_timeout: Duration::from_secs(1),
            max_in_flight: 256,
        }
    }

    setters! {
        /// How long a connection may take, TLS included. Default: 750 ms.
        ///
        /// A call that ends here sent nothing. At most the command time-out.
        pub fn connect_timeout(mut self, timeout: Duration) => self.connect_timeout = timeout;

        /// How long a verb may take, from the wait for its turn to the last byte of the answer. Default: 1 s.
        ///
        /// A call that ends here may have been carried out.
        pub fn command_timeout(mut self, timeout: Duration) => self.command_timeout = timeout;

        /// The most calls under way at once. Default: 256.
        ///
        /// Further ones wait for their turn, in order and for at most half the command time-out, and then fail with
        /// nothing sent.
        pub fn max_in_flight(mut self, calls: usize) => self.max_in_flight = calls;
    }

    /// Checks every setting and makes the store. Nothing is sent yet.
    ///
    /// # Errors
    /// `Url` when the URL is not https (or http for this machine), `Credential` when the token is empty or has white space
    /// in it, `OutOfRange` and `Contradiction` for the limits, `HttpClient` when there are no root certificates.
    pub fn build(self) -> Result<UpstashStore, BuildError> {
        let base = transport::base_url(self.url_name, &self.url)?;
        let mut headers = HeaderMap::with_capacity(5);
        headers.insert(AUTHORIZATION, self.authorization()?);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(HeaderName::from_static("upstash-encoding"), HeaderValue::from_static("base64"));
        self.check_limits()?;
        let http = transport::store_client(&base, self.connect_timeout, self.command_timeout)?;
        Ok(UpstashStore(Arc::new(RestClient {
            http,
            url: base,
            headers,
            token: self.token,
            sync_token: Lock::default(),
            slots: Semaphore::new(self.max_in_flight),
            command_timeout: self.command_timeout,
            refuses_flags: AtomicBool::new(false),
            loss: KeptLoss::default(),
        })))
    }

    fn authorization(&self) -> Result<HeaderValue, BuildError> {
        let wrong = |rule| BuildError::Credential { what: self.token_name, rule };
        if self.token.is_empty() {
            return Err(wrong("must not be empty; set the REST token of the database"));
        }
        if self.token.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(wrong("must not contain white space or control characters, such as a file's last line end"));
        }
        if !self.token.is_ascii() || self.token.contains(['"', '\'']) {
            return Err(wrong("must consist of ASCII characters without quotation marks"));
        }
        let value = HeaderValue::try_from(format!("Bearer {}", self.token));
        let mut value = value.map_err(|_| wrong("cannot be sent as a header"))?;
        value.set_sensitive(true);
        Ok(value)
    }

    fn check_limits(&self) -> Result<(), BuildError> {
        let (connect, command) = ("upstash.connect_timeout", "upstash.command_timeout");
        for (setting, value) in [(connect, self.connect_timeout), (command, self.command_timeout)] {
            BuildError::check(setting, value, value >= Duration::from_millis(1), "at least 1 ms")?;
        }
        BuildError::check_order(connect, self.connect_timeout, command, self.command_timeout)?;
        let rule = match self.max_in_flight {
            0 => "at least 1",
            many if many > Semaphore::MAX_PERMITS => "a number a semaphore can count to",
            _ => return Ok(()),
        };
        Err(BuildError::out_of_range("upstash.max_in_flight", self.max_in_flight.to_string(), rule))
    }
}

// Shows no token, and not the URL either, which has not been checked for credentials yet.
partial_debug!(UpstashStoreBuilder, self =>
    token: "[redacted]", connect_timeout: self.connect_timeout, command_timeout: self.command_timeout,
    max_in_flight: self.max_in_flight
);
