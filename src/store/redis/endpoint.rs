//! Where a server is and who we are to it: what a URL says, parsed once.

use std::fmt;
use std::path::PathBuf;

use ::redis::{ConnectionAddr, IntoConnectionInfo};

use crate::settings::build_error::BuildError;

const WHAT: &str = "Redis URL";

/// How to reach a server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Address {
    Tcp { host: Box<str>, port: u16 },
    Unix(PathBuf),
}

impl Address {
    pub(super) fn tcp(host: impl Into<Box<str>>, port: u16) -> Self {
        Self::Tcp { host: host.into(), port }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Whom to log in as. It is never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) user: Option<Box<str>>,
    pub(super) password: Option<Box<str>>,
}

/// What one URL says.
#[derive(Clone)]
pub(super) struct Endpoint {
    pub(super) address: Address,
    pub(super) tls: bool,
    pub(super) login: Login,
    pub(super) database: u16,
}

impl Endpoint {
    /// Parses `redis://[[user]:password@]host[:port][/database]`; with `rediss` over TLS, with `redis+unix` a socket's path.
    pub(super) fn parse(url: &str) -> Result<Self, BuildError> {
        let wrong = |rule| BuildError::Url { what: WHAT, rule };
        // The parser would drop these in silence.
        if url.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(wrong("must not contain white space or control characters"));
        }
        let (scheme, rest) = url.split_once("://").ok_or_else(|| wrong(SCHEMES))?;
        let (tls, local) = match scheme {
            "redis" | "valkey" => (false, false),
            "rediss" | "valkeys" => (true, false),
            "redis+unix" | "valkey+unix" | "unix" => (false, true),
            _ => return Err(wrong(SCHEMES)),
        };
        if !local && rest.contains(['?', '#']) {
            return Err(wrong("must not contain a query or a fragment; write ? and # in a password as %3F and %23"));
        }
        // TLS is our own affair, so the parser is only told where the server is.
        let plain = if local { format!("redis+unix://{rest}") } else { format!("redis://{rest}") };
        let info = plain.into_connection_info().map_err(|_| wrong(FORM))?;
        let address = match info.addr() {
            ConnectionAddr::Tcp(host, port) if !host.is_empty() && *port != 0 => Address::tcp(host.as_str(), *port),
            ConnectionAddr::Unix(path) if cfg!(unix) => Address::Unix(path.clone()),
            _ => return Err(wrong(FORM)),
        };
        let settings = info.redis_settings();
        let database = u16::try_from(settings.db());
        let database = database.map_err(|_| wrong("must name a database from 0 to 65535 after the host"))?;
        let login = Login { user: settings.username().map(Into::into), password: settings.password().map(Into::into) };
        if login.user.is_some() && login.password.is_none() {
            return Err(wrong("must not name a user without a password"));
        }
        Ok(Self { address, tls, login, database })
    }
}

const SCHEMES: &str = "must start with redis://, rediss://, redis+unix:// or their valkey forms";
const FORM: &str =
    "must be like redis://user:password@host:6379/0, with special characters in user and password percent-encoded";
