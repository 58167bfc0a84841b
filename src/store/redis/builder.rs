//! How a store is put together: what is set, and what is checked before anything connects.

use std::sync::Arc;
use std::time::Duration;

use super::cluster::Cluster;
use super::connection::{ConnectionSettings, Node};
use super::dial::Dial;
use super::endpoint::{Address, Endpoint, Login};
use super::sentinel::Sentinel;
use super::servers::Servers;
use super::{Inner, RedisStore};
use crate::accessors::{partial_debug, setters};
use crate::settings::build_error::BuildError;
use crate::store::tls;

/// No limit of this crate is meant to be longer.
const LONGEST: Duration = Duration::from_secs(60);

/// More connections to one server than this cost more than they bring.
const MOST_CONNECTIONS: usize = 64;

/// Makes a [`RedisStore`].
///
/// A call takes at most twice `connect_timeout` and once `command_timeout`: for finding the server, for connecting, and for
/// the answer. One that a Cluster redirects takes up to twice that.
#[derive(Clone)]
#[must_use]
pub struct RedisStoreBuilder {
    topology: Topology,
    urls: Vec<Box<str>>,
    connect_timeout: Duration,
    command_timeout: Duration,
    connections: usize,
    max_in_flight: usize,
    roots: Vec<Box<[u8]>>,
    primary: Primary,
    has_line: bool,
}

/// How the servers stand to one another.
#[derive(Clone)]
pub(super) enum Topology {
    One,
    Cluster,
    Sentinel { name: Box<str> },
}

/// What a sentinel does not say about its primary.
#[derive(Clone, Default, PartialEq, Eq)]
struct Primary {
    login: Option<Login>,
    database: Option<u16>,
    tls: Option<bool>,
}

impl RedisStoreBuilder {
    pub(super) fn new<U: AsRef<str>>(topology: Topology, urls: impl IntoIterator<Item = U>) -> Self {
        Self {
            topology,
            urls: urls.into_iter().map(|url| url.as_ref().into()).collect(),
            connect_timeout: Duration::from_millis(250),
            command_timeout: Duration::from_millis(500),
            connections: 1,
            max_in_flight: 1024,
            roots: Vec::new(),
            primary: Primary::default(),
            has_line: true,
        }
    }

    setters! {
        /// The longest that the name, TCP, TLS and login of a connection may take together. Default: 250 ms; at most 60
        /// s.
        pub fn connect_timeout(mut self, limit: Duration) => self.connect_timeout = limit;

        /// The longest to wait for an answer, the wait for a place among `max_in_flight` included. Default: 500 ms; at
        /// most 60 s.
        ///
        /// A connection that says nothing for so long is given up, and the next call makes another.
        pub fn command_timeout(mut self, limit: Duration) => self.command_timeout = limit;

        /// Connections to each server, used in turn, from 1 to 64. Default: 1, which carries more than a server's one
        /// thread.
        pub fn connections(mut self, connections: usize) => self.connections = connections;

        /// The most commands under way on one connection. Default: 1,024.
        ///
        /// Further ones wait for their turn, in order and for at most half the `command_timeout`, and then fail with
        /// nothing sent. A command whose caller has left counts until its answer comes or its connection is given up.
        pub fn max_in_flight(mut self, commands: usize) => self.max_in_flight = commands;

        /// Has no line over which the server tells of changes. Default: one connection more to each primary for each
        /// prefix, see [`RedisStore`].
        ///
        /// Without it validators serve facts from memory only for as long as
        /// [`facts_in_memory_for`](crate::ValidatorBuilder::facts_in_memory_for) says.
        pub fn no_invalidation_line(mut self) => self.has_line = false;

        /// Trusts the authorities in this PEM and no others, instead of the operating system's. Call it again for more of
        /// them.
        pub fn root_certificate(mut self, pem: impl AsRef<[u8]>) => self.roots.push(pem.as_ref().into());

        /// With sentinels: whom to log in as at the primary. The credentials in the URLs are for the sentinels.
        /// Default: no login.
        pub fn primary_login(mut self, user: impl AsRef<str>, password: impl AsRef<str>) =>
            self.primary.login = Some(Login { user: Some(user.as_ref().into()), password: Some(password.as_ref().into()) });

        /// With sentinels: the database of the primary. Default: 0.
        pub fn primary_database(mut self, database: u16) => self.primary.database = Some(database);

        /// With sentinels: the primary speaks TLS. Default: as the sentinels do.
        pub fn primary_with_tls(mut self) => self.primary.tls = Some(true);

        /// With sentinels: the primary does not speak TLS. Default: as the sentinels do.
        pub fn primary_without_tls(mut self) => self.primary.tls = Some(false);
    }

    /// Makes the store. Nothing connects before its first use.
    ///
    /// # Errors
    /// When a setting makes no sense, when a URL cannot be used, or when no certificates can be had. No URL is repeated.
    pub fn build(self) -> Result<RedisStore, BuildError> {
        self.check_limits()?;
        let (endpoint, addresses) = self.endpoint()?;
        let tls = |wanted: bool| if wanted { tls::trusting(&self.roots).map(Some) } else { Ok(None) };
        let mut dial = Dial {
            login: endpoint.login,
            database: endpoint.database,
            tls: tls(endpoint.tls)?,
            max_in_flight: self.max_in_flight,
        };
        let to_sentinels = dial.clone();
        if let Topology::Sentinel { .. } = self.topology {
            dial.login = self.primary.login.clone().unwrap_or_default();
            dial.database = self.primary.database.unwrap_or_default();
            dial.tls = tls(self.primary.tls.unwrap_or(endpoint.tls))?;
        }
        let settings = Arc::new(ConnectionSettings {
            dial,
            connect_timeout: self.connect_timeout,
            command_timeout: self.command_timeout,
            connections: self.connections,
            fails_over: !matches!(self.topology, Topology::One),
            lines: self.has_line.then(Arc::default),
        });
        let servers = match self.topology {
            Topology::One => Servers::One(Node::new(endpoint.address, &settings)),
            Topology::Cluster => Servers::Cluster(Cluster::new(addresses, Arc::clone(&settings))),
            Topology::Sentinel { name } => {
                Servers::Sentinel(Sentinel::new(addresses, name.into(), to_sentinels, Arc::clone(&settings)))
            }
        };
        Ok(RedisStore(Arc::new(Inner { servers, settings })))
    }

    fn check_limits(&self) -> Result<(), BuildError> {
        let limits = [("connect_timeout", self.connect_timeout), ("command_timeout", self.command_timeout)];
        for (setting, limit) in limits {
            let is_kept = !limit.is_zero() && limit <= LONGEST;
            BuildError::check(setting, limit, is_kept, "above zero and at most 60 s")?;
        }
        let counts = [
            ("connections", self.connections, MOST_CONNECTIONS, "from 1 to 64"),
            ("max_in_flight", self.max_in_flight, 1 << 20, "from 1 to 1048576"),
        ];
        for (setting, count, most, rule) in counts {
            BuildError::check(setting, count, (1..=most).contains(&count), rule)?;
        }
        Ok(())
    }

    /// What the URLs say together: what they have in common with the first, and where all of them are.
    fn endpoint(&self) -> Result<(Endpoint, Arc<[Address]>), BuildError> {
        let wrong = |rule| Err(BuildError::Url { what: "Redis URL", rule });
        let parsed: Result<Vec<Endpoint>, BuildError> = self.urls.iter().map(|url| Endpoint::parse(url)).collect();
        let parsed = parsed?;
        let Some(first) = parsed.first() else {
            return Err(BuildError::Url { what: "list of Redis URLs", rule: "must not be empty" });
        };
        if let Topology::Sentinel { name } = &self.topology {
            if name.is_empty() || name.chars().any(|c| c.is_whitespace() || c.is_control()) {
                return Err(BuildError::Url { what: "name of the primary", rule: "must be a word, such as mymaster" });
            }
        } else if self.primary != Primary::default() {
            return wrong(
                "must be a sentinel's where `primary_login`, `primary_database` or the TLS of the primary is set",
            );
        }
        if !matches!(self.topology, Topology::One) {
            if parsed.iter().any(|one| matches!(one.address, Address::Unix(_))) {
                return wrong(
                    "must not be a socket's path with Cluster or Sentinel, whose servers have hosts and ports",
                );
            }
            if parsed.iter().any(|one| one.database != 0) {
                return match self.topology {
                    Topology::Cluster => wrong("must not name a database, since a Cluster has only number 0"),
                    _ => wrong("must not name a database, since a sentinel has none; use `primary_database`"),
                };
            }
            if parsed.iter().any(|one| one.login != first.login || one.tls != first.tls) {
                return wrong("must have the same scheme, user and password as all others");
            }
        }
        Ok((first.clone(), parsed.iter().map(|one| one.address.clone()).collect()))
    }
}

// Shows the limits, and not the URLs.
partial_debug!(RedisStoreBuilder, self =>
    urls: self.urls.len(), connect_timeout: self.connect_timeout, command_timeout: self.command_timeout,
    connections: self.connections, max_in_flight: self.max_in_flight
);
