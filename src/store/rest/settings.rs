//! Checks what a REST store is made of.

use std::fmt;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use tokio::sync::Semaphore;

use super::RestClient;
use crate::http::transport;
use crate::settings::build_error::BuildError;

/// Time for a name look-up and a TLS handshake at 150 ms a round trip.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(750);

/// Over the internet a command takes some 5 to 200 ms; a whole second is a failure, and a caller is waiting.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(1);

/// Over HTTP/1.1 each is a connection; plans allow a thousand or more.
const MAX_IN_FLIGHT: usize = 256;

/// What messages call the settings of one store.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) url: &'static str,
    pub(crate) token: &'static str,
    pub(crate) connect_timeout: &'static str,
    pub(crate) command_timeout: &'static str,
    pub(crate) max_in_flight: &'static str,
}

/// Settings that are not checked yet.
#[derive(Clone)]
pub(crate) struct Settings {
    names: &'static Names,
    url: String,
    token: String,
    pub(crate) connect_timeout: Duration,
    pub(crate) command_timeout: Duration,
    pub(crate) max_in_flight: usize,
}

impl Settings {
    pub(crate) fn new(names: &'static Names, url: String, token: String) -> Self {
        Self {
            names,
            url,
            token,
            connect_timeout: CONNECT_TIMEOUT,
            command_timeout: COMMAND_TIMEOUT,
            max_in_flight: MAX_IN_FLIGHT,
        }
    }

    pub(crate) fn build(self) -> Result<RestClient, BuildError> {
        let base = transport::base_url(self.names.url, &self.url)?;
        let headers = self.headers()?;
        self.check_limits()?;
        let client = transport::store_client(&base, self.connect_timeout, self.command_timeout)?;
        Ok(RestClient::assemble(client, base, headers, self.token, self.command_timeout, self.max_in_flight))
    }

    fn headers(&self) -> Result<HeaderMap, BuildError> {
        let mut headers = HeaderMap::with_capacity(5);
        headers.insert(AUTHORIZATION, self.authorization()?);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(HeaderName::from_static("upstash-encoding"), HeaderValue::from_static("base64"));
        Ok(headers)
    }

    fn authorization(&self) -> Result<HeaderValue, BuildError> {
        let wrong = |rule| BuildError::Credential { what: self.names.token, rule };
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
        let names = self.names;
        let out = |setting, value, rule| Err(BuildError::OutOfRange { setting, value, rule });
        let timeouts = [(names.connect_timeout, self.connect_timeout), (names.command_timeout, self.command_timeout)];
        for (setting, value) in timeouts {
            if value < Duration::from_millis(1) {
                return out(setting, format!("{value:?}"), "at least 1 ms");
            }
        }
        if self.connect_timeout > self.command_timeout {
            return Err(BuildError::Contradiction {
                shorter: names.connect_timeout,
                shorter_value: self.connect_timeout,
                longer: names.command_timeout,
                longer_value: self.command_timeout,
            });
        }
        match self.max_in_flight {
            0 => out(names.max_in_flight, "0".to_owned(), "at least 1"),
            many if many > Semaphore::MAX_PERMITS => {
                out(names.max_in_flight, many.to_string(), "a number a semaphore can count to")
            }
            _ => Ok(()),
        }
    }
}

/// Shows no token, and not the URL either, since it has not been checked for credentials yet.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("token", &"[redacted]")
            .field("connect_timeout", &self.connect_timeout)
            .field("command_timeout", &self.command_timeout)
            .field("max_in_flight", &self.max_in_flight)
            .finish_non_exhaustive()
    }
}
