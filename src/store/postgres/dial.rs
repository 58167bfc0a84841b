//! Makes a connection to the server that takes writes, of those that the URL names.

use std::time::Duration;

use tokio_postgres::NoTls;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::connection::Connection;
use super::endpoint::DatabaseServer;
use super::fault;
use crate::store::StoreError;
use crate::store::first_of::first_of;

/// How long one server is tried before the next one is tried as well.
const HEAD_START: Duration = Duration::from_millis(50);

/// How to connect.
#[derive(Clone)]
pub(super) struct DatabaseDial {
    pub(super) servers: Box<[DatabaseServer]>,
    /// None where no server is talked to in TLS.
    pub(super) tls: Option<MakeRustlsConnect>,
}

impl DatabaseDial {
    pub(super) fn addresses(&self) -> Vec<&str> {
        self.servers.iter().map(|server| &*server.address).collect()
    }

    /// Connects. The caller puts a limit around it.
    pub(super) async fn connect(&self) -> Result<Connection, StoreError> {
        let tries: Vec<_> = self.servers.iter().map(|server| open(server.clone(), self.tls.clone())).collect();
        let none = StoreError::not_sent("there is no PostgreSQL server to ask");
        first_of(tries.into_iter(), HEAD_START, none).await
    }
}

async fn open(server: DatabaseServer, tls: Option<MakeRustlsConnect>) -> Result<Connection, StoreError> {
    let DatabaseServer { config, address } = server;
    let opened = match tls {
        Some(tls) => config.connect(tls).await.map(|(client, driven)| Connection::new(client, driven)),
        None => config.connect(NoTls).await.map(|(client, driven)| Connection::new(client, driven)),
    };
    opened.map_err(|error| fault::connecting(&error, &address))
}
