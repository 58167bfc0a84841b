//! The server on which the processes meet.

use std::time::Duration;

use payproof::store::PostgresStore;
use rand::RngExt as _;
use rand::rngs::StdRng;

use crate::language::Shared;
use crate::postgres_server::{PostgresConfig, PostgresServer};
use crate::redis_server::{RedisConfig, RedisServer};

/// What it has acknowledged is on its disk, so that a restart loses none of it.
pub(crate) enum Server {
    Redis(RedisServer),
    Postgres(PostgresServer),
}

impl Server {
    pub(crate) async fn redis() -> Self {
        Self::Redis(RedisConfig::new().line("appendfsync always").start().await)
    }

    pub(crate) async fn postgres() -> Self {
        let server = PostgresConfig::new().syncs().start().await;
        server.sql(PostgresStore::schema()).await;
        Self::Postgres(server)
    }

    pub(crate) fn port(&self) -> u16 {
        match self {
            Self::Redis(server) => server.port(),
            Self::Postgres(server) => server.port(),
        }
    }

    /// How a worker gets to it, by a port of this machine.
    pub(crate) fn at(&self, port: u16) -> Shared {
        match self {
            Self::Redis(_) => Shared::One(format!("redis://127.0.0.1:{port}")),
            Self::Postgres(_) => Shared::Postgres(format!("postgres://postgres@127.0.0.1:{port}/postgres")),
        }
    }

    /// Its verbs alone.
    pub(crate) fn verbs_at(&self, port: u16) -> Shared {
        match self.at(port) {
            Shared::Postgres(url) => Shared::PostgresVerbs(url),
            other => other,
        }
    }

    pub(crate) fn kill(&mut self) {
        match self {
            Self::Redis(server) => server.kill(),
            Self::Postgres(server) => server.kill(),
        }
    }

    pub(crate) async fn restart(&mut self) {
        match self {
            Self::Redis(server) => server.restart().await,
            Self::Postgres(server) => server.restart().await,
        }
    }

    pub(crate) fn hang(&self) {
        match self {
            Self::Redis(server) => server.hang(),
            Self::Postgres(server) => server.hang(),
        }
    }

    pub(crate) fn resume(&self) {
        match self {
            Self::Redis(server) => server.resume(),
            Self::Postgres(server) => server.resume(),
        }
    }

    /// Lets calls wait for so long: all of them, or those that write.
    pub(crate) async fn pause(&self, rng: &mut StdRng, span: Duration) {
        let all = rng.random_bool(0.5);
        match self {
            Self::Redis(server) => {
                let mode = if all { "ALL" } else { "WRITE" };
                server.command(&["CLIENT", "PAUSE", &span.as_millis().to_string(), mode]);
            }
            Self::Postgres(server) => {
                let mode = if all { "ACCESS EXCLUSIVE" } else { "SHARE" };
                let lock =
                    format!("LOCK TABLE payproof_records IN {mode} MODE; SELECT pg_sleep({})", span.as_secs_f64());
                server.sql(&lock).await;
            }
        }
    }
}
