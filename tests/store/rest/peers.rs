//! Peers from npm and a real Redis, on loopback, ended with the test.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a peer that does not do its part fails the test"
)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

/// A port that was free a moment ago may be taken by then.
const STARTS: usize = 5;
const LOOKS: usize = 500;
const PAUSE: Duration = Duration::from_millis(20);

/// Where `scripts/setup-tests` puts what it installs.
pub(crate) fn folder() -> PathBuf {
    let set_up = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-tools/npm");
    let folder = std::env::var_os("PAYPROOF_NPM_PEERS").map_or(set_up, PathBuf::from);
    assert!(folder.join("installed").exists(), "the peers from npm are not installed; run: scripts/setup-tests");
    folder
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/store/rest").join(name)
}

/// Runs the official clients with these facts.
pub(crate) fn run_clients(facts: &Value) -> Output {
    let mut node = Command::new("node");
    node.arg(script("client.mjs")).env("PEER", facts.to_string()).env("NO_PROXY", "127.0.0.1");
    node.output().expect("node is missing; run: scripts/setup-tests")
}

/// Ends the process when it is dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A Redis that writes nothing to disk.
pub(crate) struct Redis {
    _process: Process,
    port: u16,
}

impl Redis {
    pub(crate) async fn start(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("rest-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        for _ in 0..STARTS {
            if let Some(redis) = Self::try_start(&folder).await {
                return redis;
            }
        }
        panic!("redis-server did not start in {}", folder.display());
    }

    async fn try_start(folder: &Path) -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("redis-server");
        command.args([
            "--bind",
            "127.0.0.1",
            "--port",
            &port.to_string(),
            "--save",
            "",
            "--appendonly",
            "yes",
            "--dir",
        ]);
        command.arg(folder).stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.spawn().expect("redis-server is missing; run: sudo apt-get install redis-server");
        let mut process = Process(child);
        for _ in 0..LOOKS {
            if process.0.try_wait().unwrap().is_some() {
                return None;
            }
            if answers(port) {
                return Some(Self { _process: process, port });
            }
            tokio::time::sleep(PAUSE).await;
        }
        None
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

fn answers(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let mut answer = [0; 7];
    stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    stream.write_all(b"PING\r\n").is_ok() && stream.read_exact(&mut answer).is_ok() && answer == *b"+PONG\r\n"
}

/// npm's `@humanwhocodes/upstash-redis-server` over a Redis of its own.
pub(crate) struct RestServer {
    pub(crate) url: String,
    _process: Process,
    _redis: Redis,
}

impl RestServer {
    pub(crate) async fn start(name: &str, token: &str) -> Self {
        let redis = Redis::start(name).await;
        let mut node = Command::new("node");
        node.arg(script("serve.mjs")).arg(folder()).args([&redis.url(), token]);
        let child = node.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut process = Process(child.expect("node is missing; run: scripts/setup-tests"));
        let mut port = String::new();
        BufReader::new(process.0.stdout.take().unwrap()).read_line(&mut port).unwrap();
        assert!(!port.is_empty(), "the REST server did not start; run: scripts/setup-tests");
        Self { url: format!("http://127.0.0.1:{}", port.trim()), _process: process, _redis: redis }
    }
}
