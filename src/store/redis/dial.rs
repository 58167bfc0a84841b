//! Makes a connection: name, TCP, TLS, login, database, and who answers there.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::io::tcp::socket2::{SockRef, TcpKeepalive};
use ::redis::{AsyncConnectionConfig, Cmd, ErrorKind, FromRedisValue, RedisConnectionInfo, RedisError, Value, cmd};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsConnector;

use super::endpoint::Address;
use super::fault::refusal;
use crate::store::StoreError;

/// Finds a dead peer, and keeps middleboxes from forgetting an idle connection.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// A name with more addresses than this is not a server's.
const MOST_ADDRESSES: usize = 8;

/// How long one address of a name is tried before the next one is tried as well.
const HEAD_START: Duration = Duration::from_millis(50);

/// Where to connect and as whom.
#[derive(Clone)]
pub(super) struct Dial {
    pub(super) address: Address,
    pub(super) session: RedisConnectionInfo,
    pub(super) tls: Option<Arc<ClientConfig>>,
    pub(super) buffer: usize,
}

/// A connection that has just been made.
pub(super) struct Dialled {
    pub(super) link: MultiplexedConnection,
    pub(super) driver: AbortHandle,
    pub(super) hello: Hello,
}

/// What the server says about itself, as far as it does.
#[derive(Clone, Debug, Default)]
pub(super) struct Hello {
    pub(super) replica: bool,
}

impl Dial {
    /// Connects. The caller puts a limit around it.
    pub(super) async fn connect(&self, on_end: impl FnOnce() + Send + 'static) -> Result<Dialled, StoreError> {
        match &self.address {
            Address::Tcp { host, port } => {
                let stream = self.tcp(host, *port).await.map_err(|error| self.unreachable(&error))?;
                match &self.tls {
                    None => self.log_in(stream, on_end).await,
                    Some(config) => {
                        let name = ServerName::try_from(host.to_string());
                        let name = name.map_err(|_| StoreError::refused("the host is no name that TLS can verify"))?;
                        let connecting = TlsConnector::from(Arc::clone(config)).connect(name, stream);
                        let stream = connecting.await.map_err(|error| tls_fault(&error))?;
                        self.log_in(stream, on_end).await
                    }
                }
            }
            #[cfg(unix)]
            Address::Unix(path) => {
                let stream = tokio::net::UnixStream::connect(path).await.map_err(|error| self.unreachable(&error))?;
                self.log_in(stream, on_end).await
            }
            #[cfg(not(unix))]
            Address::Unix(_) => Err(StoreError::refused("there are no Unix sockets on this system")),
        }
    }

    /// Tries every address of the name, each with a head start, and takes the first that answers.
    async fn tcp(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        let mut tries = JoinSet::new();
        let addresses = tokio::net::lookup_host((host, port)).await?.take(MOST_ADDRESSES);
        for (place, address) in (0_u32..).zip(addresses) {
            tries.spawn(async move {
                tokio::time::sleep(HEAD_START.saturating_mul(place)).await;
                TcpStream::connect(address).await
            });
        }
        let mut failure = io::Error::other("the name has no address");
        while let Some(tried) = tries.join_next().await {
            match tried {
                Ok(Ok(stream)) => {
                    // Without this a request waits for the acknowledgement of the one before.
                    stream.set_nodelay(true)?;
                    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE);
                    SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
                    return Ok(stream);
                }
                Ok(Err(error)) => failure = error,
                Err(error) => failure = io::Error::other(error),
            }
        }
        Err(failure)
    }

    async fn log_in<S>(&self, stream: S, on_end: impl FnOnce() + Send + 'static) -> Result<Dialled, StoreError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        // The limits around every command are ours.
        let config = AsyncConnectionConfig::new().set_response_timeout(None).set_pipeline_buffer_size(self.buffer);
        let made = MultiplexedConnection::new_with_config(&self.session, stream, config).await;
        let (mut link, driver) = made.map_err(|error| self.login_fault(error))?;
        let driver = tokio::spawn(async move {
            driver.await;
            on_end();
        });
        let driver = driver.abort_handle();
        let hello = match link.send_packed_command(cmd("HELLO").arg(2)).await {
            Ok(value) => hello(value)?,
            Err(error) => {
                driver.abort();
                return Err(self.login_fault(error));
            }
        };
        Ok(Dialled { link, driver, hello })
    }

    fn unreachable(&self, error: &io::Error) -> StoreError {
        StoreError::not_sent(format!("no connection to Redis at {}: {error}", self.address))
    }

    fn login_fault(&self, error: RedisError) -> StoreError {
        if error.kind() == ErrorKind::AuthenticationFailed {
            return StoreError::refused("Redis refuses the user or the password (WRONGPASS); check both in the URL");
        }
        match refusal(error) {
            Ok(refusal) => refusal.into_error(),
            Err(error) if error.is_io_error() && self.tls.is_none() => StoreError::not_sent(format!(
                "Redis at {} closed the connection at once: {error}; if it expects TLS, use rediss://",
                self.address
            )),
            Err(error) => {
                StoreError::not_sent(format!("no login to Redis at {}: {}", self.address, error))
            }
        }
    }
}

fn tls_fault(error: &io::Error) -> StoreError {
    let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match cause {
        Some(rustls::Error::InvalidCertificate(reason)) => StoreError::refused(format!(
            "the certificate of Redis is not trusted ({reason:?}); \
             give its authority with `root_certificate`, and use a host name that the certificate names"
        )),
        Some(rustls::Error::InvalidMessage(_)) => {
            StoreError::refused("what answers does not speak TLS; use redis:// or the server's TLS port")
        }
        Some(cause) => StoreError::refused(format!("no TLS with Redis: {cause}")),
        None => StoreError::not_sent(format!("no TLS with Redis: {error}")),
    }
}

/// Reads the reply to HELLO. A server or a proxy that has no such command is taken as it is.
fn hello(value: Value) -> Result<Hello, StoreError> {
    if let Value::ServerError(error) = &value {
        let refusal = super::fault::Refusal::of(error);
        return if refusal.is("NOAUTH") || refusal.is("LOADING") { Err(refusal.into_error()) } else { Ok(Hello::default()) };
    }
    let fields = std::collections::HashMap::<String, Value>::from_redis_value(value).unwrap_or_default();
    let role = fields.get("role").and_then(|role| String::from_redis_value_ref(role).ok());
    Ok(Hello { replica: role.is_some_and(|role| role != "master") })
}

/// For a command that takes no key.
pub(super) fn bare(words: &[&str]) -> Cmd {
    let mut command = Cmd::new();
    for word in words {
        command.arg(word);
    }
    command
}
