//! Makes a connection: name, TCP, TLS, login, database, and who answers there.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ::redis::Value;
use ::redis::io::tcp::socket2::{SockRef, TcpKeepalive};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::endpoint::{Address, Login};
use super::fault::RedisRefusal;
use super::reply::{array, text};
use super::wire::{Pushes, Wire};
use crate::store::first_of::first_of;
use crate::store::{StoreError, tls};

/// Finds a dead peer, and keeps middleboxes from forgetting an idle connection.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// A name with more addresses than this is no server's.
const MOST_ADDRESSES: usize = 8;

/// How long one address of a name is tried before the next one is tried as well.
const HEAD_START: Duration = Duration::from_millis(50);

/// What `CLIENT LIST` on the server shows.
const CLIENT_NAME: &[u8] = b"payproof";

/// How to connect, and as whom.
#[derive(Clone)]
pub(super) struct Dial {
    pub(super) login: Login,
    pub(super) database: u16,
    pub(super) tls: Option<Arc<ClientConfig>>,
    /// The most requests that are open on one connection.
    pub(super) max_in_flight: usize,
}

/// What the server says about itself, as far as it does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hello {
    pub(super) server: Option<Box<str>>,
    pub(super) version: Option<Box<str>>,
    pub(super) replica: bool,
}

impl Dial {
    /// Connects. The caller puts a limit around it.
    pub(super) async fn connect(&self, to: &Address) -> Result<(Wire, Hello), StoreError> {
        // Boxed, since a call that waits for it has room for it all its life, and connections are seldom made.
        let wire = Box::pin(self.wire(to, None)).await?;
        let hello = self.log_in(&wire, to).await?;
        Ok((wire, hello))
    }

    /// Connects, and hears what the server says without being asked. The caller puts a limit around it.
    pub(super) async fn listen(&self, to: &Address, pushes: Pushes) -> Result<Wire, StoreError> {
        Box::pin(self.wire(to, Some(pushes))).await
    }

    async fn wire(&self, to: &Address, pushes: Option<Pushes>) -> Result<Wire, StoreError> {
        let unreachable = |error: io::Error| StoreError::not_sent(format!("no connection to Redis at {to}: {error}"));
        let wire = match to {
            Address::Tcp { host, port } => {
                let stream = tcp(host, *port).await.map_err(unreachable)?;
                match &self.tls {
                    None => self.open(stream, pushes).await,
                    Some(config) => {
                        let name = ServerName::try_from(host.to_string());
                        let name = name.map_err(|_| StoreError::refused("the host is no name that TLS can verify"))?;
                        let connecting = TlsConnector::from(Arc::clone(config)).connect(name, stream);
                        let stream = connecting.await.map_err(|error| tls::fault(&error, "Redis", "redis://"))?;
                        self.open(stream, pushes).await
                    }
                }
            }
            #[cfg(unix)]
            Address::Unix(path) => {
                let stream = tokio::net::UnixStream::connect(path).await.map_err(unreachable)?;
                self.open(stream, pushes).await
            }
            #[cfg(not(unix))]
            Address::Unix(_) => return Err(StoreError::refused("there are no Unix sockets on this system")),
        };
        wire.map_err(|error| if error.is_refused() { error } else { self.no_login(to, &error) })
    }

    async fn open<S>(&self, stream: S, pushes: Option<Pushes>) -> Result<Wire, StoreError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        match pushes {
            None => Wire::new(stream, self.max_in_flight).await,
            Some(pushes) => Wire::listening(stream, &self.login, self.database, pushes).await,
        }
    }

    /// Nothing that matters was sent, however far the login got.
    fn no_login(&self, to: &Address, error: &StoreError) -> StoreError {
        let hint = if self.tls.is_some() { "" } else { "; if the server expects TLS, use rediss://" };
        StoreError::not_sent(format!("no login to Redis at {to}: {error}{hint}"))
    }

    /// Logs in, selects the database and asks who is there, in one round trip.
    async fn log_in(&self, wire: &Wire, to: &Address) -> Result<Hello, StoreError> {
        let database = self.database.to_string();
        let mut commands: Vec<Vec<&[u8]>> = vec![];
        match (&self.login.user, &self.login.password) {
            (_, None) => {}
            (None, Some(password)) => commands.push(vec![b"AUTH", password.as_bytes()]),
            (Some(user), Some(password)) => commands.push(vec![b"AUTH", user.as_bytes(), password.as_bytes()]),
        }
        if self.database > 0 {
            commands.push(vec![b"SELECT", database.as_bytes()]);
        }
        let needed = commands.len();
        commands.push(vec![b"HELLO", b"2"]);
        // A name for operators who look at the server, which may not allow it.
        commands.push(vec![b"CLIENT", b"SETNAME", CLIENT_NAME]);
        let replies = wire.all(&commands).await.map_err(|error| self.no_login(to, &error))?;
        let (must, rest) = replies.split_at_checked(needed).unwrap_or((&replies, &[]));
        if let Some(Value::ServerError(error)) = must.iter().find(|reply| matches!(reply, Value::ServerError(_))) {
            return Err(RedisRefusal::of(error).into_error());
        }
        match rest.first() {
            Some(Value::ServerError(error)) => {
                let refusal = RedisRefusal::of(error);
                // A server or a proxy that does not know the command is taken as it is.
                let is_unknown = refusal.is("ERR") || refusal.is("NOPERM");
                if is_unknown { Ok(Hello::default()) } else { Err(refusal.into_error()) }
            }
            Some(reply) => Ok(Hello::of(reply)),
            None => Ok(Hello::default()),
        }
    }
}

impl Hello {
    fn of(reply: &Value) -> Self {
        let (pairs, _) = array(reply).as_chunks::<2>();
        let field = |name| pairs.iter().find(|[key, _]| text(key) == Some(name)).and_then(|[_, value]| text(value));
        Self {
            server: field("server").map(Into::into),
            version: field("version").map(Into::into),
            replica: matches!(field("role"), Some("replica" | "slave")),
        }
    }
}

/// Tries every address of the name, each with a head start, and takes the first that answers.
async fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let addresses = tokio::net::lookup_host((host, port)).await?.take(MOST_ADDRESSES);
    let none = io::Error::other("the name has no address");
    let stream = first_of(addresses.map(TcpStream::connect), HEAD_START, none).await?;
    // Without this a request waits for the acknowledgment of the one before.
    stream.set_nodelay(true)?;
    SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE))?;
    Ok(stream)
}
