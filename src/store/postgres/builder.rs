//! How a store is put together: what is set, and what is checked before anything connects.

use std::time::Duration;

use tokio_postgres_rustls::MakeRustlsConnect;

use super::dial::DatabaseDial;
use super::pool::{Pool, PoolSettings};
use super::sweep::Sweeper;
use super::{PostgresStore, endpoint};
use crate::accessors::{partial_debug, setters};
use crate::settings::build_error::BuildError;
use crate::store::tls;

/// No limit of this crate is meant to be longer.
const LONGEST: Duration = Duration::from_secs(60);

/// More connections of one process than this cost the server more than they bring.
const MOST_CONNECTIONS: usize = 64;

/// Makes a [`PostgresStore`].
///
/// A call takes at most once `connect_timeout` and once `command_timeout`: for connecting, and for the answer.
#[derive(Clone)]
#[must_use]
pub struct PostgresStoreBuilder {
    url: Box<str>,
    connect_timeout: Duration,
    command_timeout: Duration,
    connections: usize,
    roots: Vec<Box<[u8]>>,
    best_effort: bool,
}

impl PostgresStoreBuilder {
    pub(super) fn new(url: impl AsRef<str>) -> Self {
        Self {
            url: url.as_ref().into(),
            connect_timeout: Duration::from_millis(250),
            command_timeout: Duration::from_millis(500),
            connections: 8,
            roots: Vec::new(),
            best_effort: false,
        }
    }

    setters! {
        /// The longest that the name, TCP, TLS and login of a connection may take together. Default: 250 ms; at most 60
        /// s.
        pub fn connect_timeout(mut self, limit: Duration) => self.connect_timeout = limit;

        /// The longest to wait for an answer, the wait for a connection on which nothing runs included. Default: 500 ms; at most
        /// 60 s.
        ///
        /// A record that another transaction holds locked is waited for 250 ms, which is a setting of the functions in the
        /// database.
        pub fn command_timeout(mut self, limit: Duration) => self.command_timeout = limit;

        /// The most connections to the server, from 1 to 64. Default: 8. They are made when they are needed.
        ///
        /// Each runs one statement at a time. Further calls wait for half the `command_timeout`, and then fail with nothing
        /// sent. One whose caller has left keeps its connection until its answer comes or it is given up.
        pub fn connections(mut self, connections: usize) => self.connections = connections;

        /// Trusts the authorities in this PEM and no others, instead of the operating system's. Call it again for more of
        /// them. A server without TLS is refused then, unless the URL says `sslmode=disable`.
        pub fn root_certificate(mut self, pem: impl AsRef<[u8]>) => self.roots.push(pem.as_ref().into());

        /// States that a failover promotes a standby that is replicated asynchronously, and so may lose the last acknowledged
        /// writes: [`Durability::best_effort`](crate::store::Durability::best_effort). Default: a failover loses nothing, as with
        /// `synchronous_standby_names`, with storage that servers share, or with no failover at all.
        pub fn fails_over_asynchronously(mut self) => self.best_effort = true;
    }

    /// Makes the store. Nothing connects before its first use.
    ///
    /// # Errors
    /// When a setting makes no sense, when the URL cannot be used, or when no certificates can be had. The URL is not repeated.
    pub fn build(self) -> Result<PostgresStore, BuildError> {
        self.check_limits()?;
        let mut servers = endpoint::parse(&self.url)?;
        let mut tls = None;
        if servers.iter().any(endpoint::DatabaseServer::may_use_tls) {
            tls = Some(MakeRustlsConnect::new((*tls::trusting(&self.roots)?).clone()));
        }
        if !self.roots.is_empty() {
            servers.iter_mut().for_each(endpoint::DatabaseServer::require_tls);
        }
        let pool = Pool::new(PoolSettings {
            dial: DatabaseDial { servers: servers.into(), tls },
            connect_timeout: self.connect_timeout,
            command_timeout: self.command_timeout,
            connections: self.connections,
        });
        Ok(PostgresStore::over(pool, Sweeper::new(), self.best_effort))
    }

    fn check_limits(&self) -> Result<(), BuildError> {
        let limits = [("connect_timeout", self.connect_timeout), ("command_timeout", self.command_timeout)];
        for (setting, limit) in limits {
            let is_kept = !limit.is_zero() && limit <= LONGEST;
            BuildError::check(setting, limit, is_kept, "above zero and at most 60 s")?;
        }
        let is_kept = (1..=MOST_CONNECTIONS).contains(&self.connections);
        BuildError::check("connections", self.connections, is_kept, "from 1 to 64")
    }
}

// Shows the limits, and not the URL.
partial_debug!(PostgresStoreBuilder, self =>
    connect_timeout: self.connect_timeout, command_timeout: self.command_timeout, connections: self.connections,
    best_effort: self.best_effort
);
