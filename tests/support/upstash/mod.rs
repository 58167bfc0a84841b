//! A server that answers like Upstash Redis over REST.
//!
//! It speaks HTTP/1.1 on 127.0.0.1: `POST /`, `/pipeline` and `/multi-exec`, with bearer tokens, base64 answers and sync
//! tokens. Point an `UpstashStore` at [`UpstashStandIn::url`], or any client of that service, and script what goes wrong.
//! Data is in this process, and ends with the server.
//!
//! | setting | default |
//! |---|---|
//! | [`token`](UpstashStandInBuilder::token) | `stand-in-token` |
//! | [`read_only_token`](UpstashStandInBuilder::read_only_token) | `stand-in-read-only-token` |
//!
//! Commands: `SET` with `NX`, `XX`, `PX`, `EX` and `GET`, `GET`, `PTTL`, `DEL`, `PING`, `ECHO`, `TIME`, `INFO`, `SCRIPT
//! LOAD`, `EXISTS` and `FLUSH`, and `EVAL` and `EVALSHA` for the script of this crate's stores alone: there is no Lua in
//! here. Times to live run on tokio's clock.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "each binary uses its own share, and a bench runs no unit tests"
)]

mod answer;
mod command;
mod desk;
mod fault;
mod keyspace;
// The servers for tests that the crate ships stand on the same.
#[path = "../../../src/testing/loopback/mod.rs"]
mod loopback;
mod record_script;
mod request;
#[path = "../../../src/store/upstash/script.rs"]
mod script;
mod server;

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use command::Database;
use desk::Desk;
use keyspace::Keyspace;
use loopback::Server;

pub use desk::RecordedCall;
pub use fault::Fault;

const INFO: &str = "# Server\r\nredis_version:8.2.0\r\n# Memory\r\nmaxmemory_policy:noeviction\r\n";

/// A running server; dropping it ends the server and every connection.
#[must_use = "the server stops when this is dropped"]
pub struct UpstashStandIn {
    desk: Arc<Desk>,
    server: Server,
}

impl UpstashStandIn {
    /// Starts a healthy, empty server on a free loopback port.
    ///
    /// # Errors
    /// When called outside a tokio runtime, or when no port can be bound.
    ///
    /// # Panics
    /// When the runtime was built without I/O or without time.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// Returns a builder with the defaults of the [module's table](self).
    pub fn builder() -> UpstashStandInBuilder {
        UpstashStandInBuilder {
            token: "stand-in-token".to_owned(),
            read_only_token: "stand-in-read-only-token".to_owned(),
            encodes: true,
            database: Database {
                keys: Keyspace::default(),
                scripts: HashSet::new(),
                refuses_flags: false,
                lacks: HashSet::new(),
                info: INFO.to_owned(),
                clock_ahead: Duration::ZERO,
            },
        }
    }

    /// The REST URL, `http://127.0.0.1:PORT`, without a trailing slash.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The token that may read and write.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.desk.token
    }

    /// The token that may read.
    #[must_use]
    pub fn read_only_token(&self) -> &str {
        &self.desk.read_only_token
    }

    /// Makes the next requests misbehave, in order. Adds to what is already scripted.
    pub fn script(&self, faults: impl IntoIterator<Item = Fault>) {
        self.desk.script(faults);
    }

    /// Forgets every script, as a restart does.
    pub fn forget_scripts(&self) {
        self.desk.forget_scripts();
    }

    /// How many requests were read, whatever was answered.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.desk.counts().0
    }

    /// How many commands were run, each of a batch counted: what is billed.
    #[must_use]
    pub fn commands(&self) -> u64 {
        self.desk.counts().1
    }

    /// How many connections were accepted since the start.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.desk.connections.load(Ordering::Relaxed)
    }

    /// The latest requests in order, at most 1,000.
    #[must_use]
    pub fn calls(&self) -> Vec<RecordedCall> {
        self.desk.calls()
    }

    /// Ends the server and returns once its port refuses connections.
    ///
    /// # Cancel safety
    /// Dropping the future ends the server as dropping the `UpstashStandIn` does.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}

impl fmt::Debug for UpstashStandIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstashStandIn")
            .field("url", &self.url())
            .field("requests", &self.requests())
            .field("connections", &self.connections())
            .finish_non_exhaustive()
    }
}

/// Settings of a server that is not yet running; made by [`UpstashStandIn::builder`].
#[must_use = "a builder does nothing until `start`"]
pub struct UpstashStandInBuilder {
    token: String,
    read_only_token: String,
    encodes: bool,
    database: Database,
}

impl UpstashStandInBuilder {
    /// The token that may read and write. Default: `stand-in-token`.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = token.into();
        self
    }

    /// The token that may read. Default: `stand-in-read-only-token`.
    pub fn read_only_token(mut self, token: impl Into<String>) -> Self {
        self.read_only_token = token.into();
        self
    }

    /// Answers in plain text whatever `Upstash-Encoding` says, as some servers of this protocol do. Default: encodes.
    pub fn never_encodes(mut self) -> Self {
        self.encodes = false;
        self
    }

    /// Refuses scripts with a flag it does not know, as Redis itself does. Default: knows it.
    pub fn refuses_flags(mut self) -> Self {
        self.database.refuses_flags = true;
        self
    }

    /// Does not know this command. May be called for several. Default: knows all in the [module's list](self).
    pub fn lacks(mut self, command: &str) -> Self {
        self.database.lacks.insert(command.to_ascii_uppercase());
        self
    }

    /// What `INFO` answers. Default: a version, and that nothing is evicted.
    pub fn info(mut self, text: impl Into<String>) -> Self {
        self.database.info = text.into();
        self
    }

    /// How far `TIME` is ahead. Default: not at all.
    pub fn clock_ahead(mut self, by: Duration) -> Self {
        self.database.clock_ahead = by;
        self
    }

    /// Binds a free loopback port and starts serving in a task of the current runtime.
    ///
    /// # Errors
    /// When called outside a tokio runtime, or when no port can be bound.
    ///
    /// # Panics
    /// When the runtime was built without I/O or without time.
    pub async fn start(self) -> io::Result<UpstashStandIn> {
        let desk = Arc::new(Desk::new(self.token, self.read_only_token, self.encodes, self.database));
        let shared = Arc::clone(&desk);
        let server = Server::start(0, move |stream| {
            shared.connected();
            server::converse(stream, Arc::clone(&shared))
        });
        Ok(UpstashStandIn { desk, server: server.await? })
    }
}

/// Shows no token.
impl fmt::Debug for UpstashStandInBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstashStandInBuilder").field("encodes", &self.encodes).finish_non_exhaustive()
    }
}
