//! A PgBouncer before a PostgreSQL server: a connection is a client's for one transaction only.
#![allow(dead_code, reason = "each test binary uses its own share")]
#![allow(clippy::expect_used, clippy::panic, reason = "what cannot be started fails the test that asked for it")]

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use crate::postgres_server::{command, give, server_folder};
use crate::servers::{PATIENCE, TRIES, free_port};

const INSTALL: &str = "is missing; run scripts/setup-tests, or: sudo apt-get install pgbouncer";

/// It is killed when its value is dropped, also by a panic.
#[derive(Debug)]
pub(crate) struct PgBouncer {
    process: Child,
    folder: PathBuf,
    port: u16,
}

impl PgBouncer {
    /// One that forwards to the server on this port of this machine, in transaction pooling.
    pub(crate) async fn start(to: u16) -> Self {
        Self::start_with(to, "").await
    }

    /// The same, with these lines among its settings.
    pub(crate) async fn start_with(to: u16, lines: &str) -> Self {
        let folder = server_folder("pgbouncer");
        let port = listen(&folder, to, lines);
        let mut bouncer = Self { process: spawn(&folder), folder, port };
        for _ in 1..TRIES {
            if bouncer.is_ready().await {
                return bouncer;
            }
            bouncer.port = listen(&bouncer.folder, to, lines);
            bouncer.process = spawn(&bouncer.folder);
        }
        let log = fs::read_to_string(bouncer.folder.join("log")).unwrap_or_default();
        assert!(bouncer.is_ready().await, "pgbouncer did not start on any of {TRIES} free ports:\n{log}");
        bouncer
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Waits until it listens; false if it ended instead.
    async fn is_ready(&mut self) -> bool {
        let end = Instant::now().checked_add(PATIENCE).expect("a moment to come");
        while Instant::now() < end {
            if matches!(self.process.try_wait(), Ok(Some(_)) | Err(_)) {
                return false;
            }
            if TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                return true;
            }
            sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("pgbouncer on port {} was not ready within {PATIENCE:?}", self.port);
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Has the one in this folder listen on a free port, and returns that.
fn listen(folder: &std::path::Path, to: u16, lines: &str) -> u16 {
    let port = free_port();
    let mut config = format!("[databases]\n* = host=127.0.0.1 port={to}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n");
    let _ = writeln!(config, "listen_port = {port}\nunix_socket_dir =\npool_mode = transaction\nauth_type = trust");
    let _ = writeln!(config, "auth_file = {0}/users\nlogfile = {0}/log\n{lines}", folder.display());
    fs::write(folder.join("pgbouncer.ini"), config).expect("the configuration cannot be written");
    fs::write(folder.join("users"), "\"postgres\" \"\"\n").expect("the users cannot be written");
    give(folder);
    port
}

fn spawn(folder: &std::path::Path) -> Child {
    let mut pgbouncer = command("pgbouncer", folder);
    pgbouncer.arg("pgbouncer.ini").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    pgbouncer.spawn().unwrap_or_else(|error| panic!("pgbouncer {INSTALL} ({error})"))
}
