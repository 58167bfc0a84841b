//! Real Redis servers for tests: one, a Cluster, or a primary with sentinels.
//!
//! They listen on free ports of this machine, keep their files below the target folder, and are killed when their value is
//! dropped, also by a panic. Debian's `redis-server` brings everything; `scripts/setup-tests` installs it.
#![allow(dead_code, reason = "each test binary uses its own share")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what cannot be started fails the test that asked for it"
)]

use std::fmt::Write as _;
use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::servers::{PATIENCE, TRIES, free_port, new_folder, signal, until};

const INSTALL: &str = "is missing; run scripts/setup-tests, or: sudo apt-get install redis-server";

/// One process.
#[derive(Debug)]
pub(crate) struct RedisServer {
    process: Child,
    folder: PathBuf,
    port: u16,
    sentinel: bool,
    /// What `redis-cli` needs to get in.
    access: Vec<String>,
}

/// How a server is set up; every setting is a line of `redis.conf`.
#[derive(Clone, Debug, Default)]
pub(crate) struct RedisConfig {
    lines: String,
    /// What it keeps on its disk.
    disk: Option<String>,
    access: Vec<String>,
    sentinel: bool,
    cluster: bool,
    tls: bool,
}

impl RedisConfig {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a line.
    pub(crate) fn line(mut self, line: impl AsRef<str>) -> Self {
        let _ = writeln!(self.lines, "{}", line.as_ref());
        self
    }

    /// Keeps this on its disk, instead of a log that is synced every second.
    pub(crate) fn disk(mut self, lines: &str) -> Self {
        self.disk = Some(lines.into());
        self
    }

    /// Asks every client for a password.
    pub(crate) fn password(mut self, password: &str) -> Self {
        self.access.extend(["-a".into(), password.into(), "--no-auth-warning".into()]);
        self.line(format!("requirepass {password}"))
    }

    /// What `redis-cli` needs to get in, where a line of it sets users.
    pub(crate) fn access(mut self, arguments: &[&str]) -> Self {
        self.access.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    /// Speaks TLS on its port, and nothing else.
    pub(crate) fn tls(mut self, authority: &Path, certificate: &Path, key: &Path) -> Self {
        self.tls = true;
        self.access.extend(["--tls".into(), "--cacert".into(), authority.display().to_string()]);
        self.line(format!("tls-ca-cert-file {}", authority.display()))
            .line(format!("tls-cert-file {}", certificate.display()))
            .line(format!("tls-key-file {}", key.display()))
            .line("tls-auth-clients no")
    }

    /// Starts a server with it, on a free port.
    pub(crate) async fn start(self) -> RedisServer {
        for _ in 0..TRIES {
            if let Some(server) = self.start_on(free_ports(self.cluster)).await {
                return server;
            }
        }
        panic!("redis-server did not start on any of {TRIES} free ports");
    }

    async fn start_on(&self, port: u16) -> Option<RedisServer> {
        let folder = new_folder("redis");
        let config = folder.join("redis.conf");
        let mut lines = format!("bind 127.0.0.1\ndir {}\n", folder.display());
        let _ = if self.tls { writeln!(lines, "port 0\ntls-port {port}") } else { writeln!(lines, "port {port}") };
        if !self.sentinel {
            let disk = self.disk.as_deref().unwrap_or("save \"\"\nappendonly yes\nappendfsync everysec");
            let _ = writeln!(lines, "{disk}\nrepl-diskless-sync-delay 0");
        }
        // Of two lines for one setting, the server takes the later one.
        lines.push_str(&self.lines);
        std::fs::write(&config, lines).expect("the configuration cannot be written");
        let access = ["-p".into(), port.to_string()].into_iter().chain(self.access.iter().cloned()).collect();
        let process = spawn(&folder, self.sentinel);
        let mut server = RedisServer { process, folder, port, sentinel: self.sentinel, access };
        server.is_ready().await.then_some(server)
    }
}

fn spawn(folder: &Path, sentinel: bool) -> Child {
    let log = File::options().create(true).append(true).open(folder.join("log")).expect("the log cannot be written");
    let mut command = Command::new("redis-server");
    command.arg(folder.join("redis.conf")).args(sentinel.then_some("--sentinel"));
    command.stdin(Stdio::null()).stderr(Stdio::null()).stdout(log);
    command.spawn().unwrap_or_else(|error| panic!("redis-server {INSTALL} ({error})"))
}

impl RedisServer {
    /// An empty server without password.
    pub(crate) async fn start() -> Self {
        RedisConfig::new().start().await
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Runs one command, and returns what `redis-cli` prints.
    pub(crate) fn command(&self, words: &[&str]) -> String {
        let run = Command::new("redis-cli").args(&self.access).args(words).output();
        let run = run.unwrap_or_else(|error| panic!("redis-cli {INSTALL} ({error})"));
        String::from_utf8_lossy(&run.stdout).trim_end().to_owned()
    }

    /// How often a command was executed since the server started, or since `CONFIG RESETSTAT`.
    pub(crate) fn calls(&self, command: &str) -> u64 {
        let stats = self.command(&["INFO", "commandstats"]);
        let line = stats
            .lines()
            .find_map(|line| line.trim().strip_prefix(&format!("cmdstat_{command}:calls="))?.split(',').next());
        line.map_or(0, |calls| calls.parse().expect("a number of calls"))
    }

    /// Ends it without warning. What is on disk stays, for [`restart`](Self::restart).
    pub(crate) fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Starts it again, on the same port and with the same files.
    pub(crate) async fn restart(&mut self) {
        self.kill();
        self.process = spawn(&self.folder, self.sentinel);
        assert!(self.is_ready().await, "redis-server did not start again on port {}", self.port);
    }

    /// Lets it hang: its sockets stay open, and nothing answers.
    pub(crate) fn hang(&self) {
        signal("STOP", &[self.process.id()]);
    }

    /// Lets it go on after [`hang`](Self::hang).
    pub(crate) fn resume(&self) {
        signal("CONT", &[self.process.id()]);
    }

    /// Waits until it accepts connections; false if it ended instead.
    async fn is_ready(&mut self) -> bool {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if matches!(self.process.try_wait(), Ok(Some(_)) | Err(_)) {
                return false;
            }
            if answers(self.port).await {
                return true;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("redis-server on port {} was not ready within {PATIENCE:?}", self.port);
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
        // A child that rewrites the log may outlive it by a moment.
        let _ = (0..100).find(|_| std::fs::remove_dir_all(&self.folder).is_ok());
    }
}

/// Whether anything comes back, be it that a password is missing. A server that wants TLS closes, which is an answer too.
async fn answers(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else { return false };
    let mut reply = [0; 64];
    let asked = stream.write_all(b"PING\r\n").await;
    match (asked, timeout(Duration::from_secs(1), stream.read(&mut reply)).await) {
        (Ok(()), Ok(Ok(count))) => !reply[..count].starts_with(b"-LOADING"),
        (_, Ok(Err(_))) => true,
        _ => false,
    }
}

/// Three primaries with a replica each.
#[derive(Debug)]
pub(crate) struct RedisCluster {
    servers: Vec<RedisServer>,
}

impl RedisCluster {
    /// How long a node is missed before another takes over.
    const NODE_TIMEOUT_MS: u32 = 1500;

    /// Starts six nodes, and waits until every slot is served and every replica follows.
    pub(crate) async fn start() -> Self {
        Self::start_with(RedisConfig::new()).await
    }

    /// The same, with every node set up like this. A password also needs `masterauth`.
    pub(crate) async fn start_with(config: RedisConfig) -> Self {
        let access = config.access.clone();
        let mut servers = Vec::new();
        for _ in 0..6 {
            servers.push(Self::node(config.clone()).start().await);
        }
        let nodes: Vec<String> = servers.iter().map(|server| format!("127.0.0.1:{}", server.port)).collect();
        let mut create = Command::new("redis-cli");
        create.args(access).args(["--cluster", "create"]).args(&nodes).args([
            "--cluster-replicas",
            "1",
            "--cluster-yes",
        ]);
        let run = create.output().unwrap_or_else(|error| panic!("redis-cli {INSTALL} ({error})"));
        assert!(run.status.success(), "the Cluster was not made: {}", String::from_utf8_lossy(&run.stdout));
        let cluster = Self { servers };
        cluster.settle().await;
        cluster
    }

    /// Waits until every node that runs sees all slots served, and every replica follows its primary.
    pub(crate) async fn settle(&self) {
        until("the Cluster is whole", || {
            self.servers.iter().all(|server| {
                let info = server.command(&["INFO", "replication"]);
                server.command(&["CLUSTER", "INFO"]).contains("cluster_state:ok")
                    && (info.contains("role:master") && info.contains("state=online")
                        || info.contains("master_link_status:up"))
            })
        })
        .await;
    }

    /// Adds a primary without slots.
    pub(crate) async fn add_empty(&mut self) {
        self.servers.push(Self::node(RedisConfig::new()).start().await);
        let port = self.servers[0].port.to_string();
        assert_eq!(self.servers[self.servers.len() - 1].command(&["CLUSTER", "MEET", "127.0.0.1", &port]), "OK");
        let count = format!("cluster_known_nodes:{}", self.servers.len());
        until("all nodes know one another", || {
            self.servers.iter().all(|server| {
                let nodes = server.command(&["CLUSTER", "NODES"]);
                let info = server.command(&["CLUSTER", "INFO"]);
                info.contains(&count) && info.contains("cluster_state:ok") && !nodes.contains("handshake")
            })
        })
        .await;
    }

    fn node(mut config: RedisConfig) -> RedisConfig {
        config.cluster = true;
        let config = config.line("cluster-enabled yes").line("cluster-config-file nodes.conf");
        let config = config.line(format!("cluster-node-timeout {}", Self::NODE_TIMEOUT_MS));
        config.line("cluster-replica-validity-factor 0")
    }

    pub(crate) fn urls(&self) -> Vec<String> {
        self.servers.iter().map(RedisServer::url).collect()
    }

    pub(crate) fn servers(&self) -> &[RedisServer] {
        &self.servers
    }

    /// The place in [`servers`](Self::servers) of the primary that serves a key, as this node sees it.
    pub(crate) fn primary_of(&self, key: &str, asked: usize) -> usize {
        self.primary_of_slot(&self.servers[asked].command(&["CLUSTER", "KEYSLOT", key]), asked)
    }

    /// The same of a slot.
    pub(crate) fn primary_of_slot(&self, slot: &str, asked: usize) -> usize {
        let slot: u32 = slot.parse().expect("a slot");
        // `id ip:port@bus flags … first-last …`
        let nodes = self.servers[asked].command(&["CLUSTER", "NODES"]);
        let serves = |line: &&str| {
            line.split(' ').skip(8).any(|range| {
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                let bounds = first.parse::<u32>().ok().zip(last.parse::<u32>().ok());
                bounds.is_some_and(|(first, last)| (first..=last).contains(&slot))
            })
        };
        let line = nodes.lines().find(serves).expect("a node serves the slot");
        let port = line.split([':', '@']).nth(1).and_then(|port| port.parse().ok());
        self.servers.iter().position(|server| Some(server.port) == port).expect("it is one of ours")
    }

    pub(crate) fn kill(&mut self, place: usize) {
        self.servers[place].kill();
    }

    pub(crate) async fn restart(&mut self, place: usize) {
        self.servers[place].restart().await;
    }
}

/// A primary with one replica, and three sentinels that watch over them.
#[derive(Debug)]
pub(crate) struct RedisSentinels {
    pub(crate) primary: RedisServer,
    pub(crate) replica: RedisServer,
    pub(crate) sentinels: Vec<RedisServer>,
}

impl RedisSentinels {
    /// What the primary is called.
    pub(crate) const NAME: &str = "mymaster";

    /// How long the primary is missed before the replica takes over.
    const DOWN_AFTER_MS: u32 = 1000;

    /// Starts them, and waits until all of them know one another.
    pub(crate) async fn start() -> Self {
        Self::start_with(RedisConfig::new(), &[]).await
    }

    /// The same, with the primary and its replica set up like this, and these lines for the sentinels. A password also
    /// needs `masterauth`, and `sentinel auth-pass` with the sentinels.
    pub(crate) async fn start_with(servers: RedisConfig, sentinel_lines: &[&str]) -> Self {
        let primary = servers.clone().start().await;
        let replica = servers.line(format!("replicaof 127.0.0.1 {}", primary.port)).start().await;
        until("the replica follows", || primary.command(&["INFO", "replication"]).contains("state=online")).await;
        let name = Self::NAME;
        let mut sentinels = Vec::new();
        for _ in 0..3 {
            let mut config = RedisConfig::new().line(format!("sentinel monitor {name} 127.0.0.1 {} 2", primary.port));
            config.sentinel = true;
            let config = sentinel_lines.iter().fold(config, RedisConfig::line);
            let config = config.line(format!("sentinel down-after-milliseconds {name} {}", Self::DOWN_AFTER_MS));
            sentinels.push(config.line(format!("sentinel failover-timeout {name} 5000")).start().await);
        }
        let trio = Self { primary, replica, sentinels };
        until("the sentinels know one another and the replica", || {
            trio.sentinels.iter().all(|sentinel| {
                let seen = sentinel.command(&["SENTINEL", "MASTER", name]);
                let count = |field: &str| seen.lines().skip_while(|line| *line != field).nth(1).map(str::to_owned);
                count("num-other-sentinels").as_deref() == Some("2") && count("num-slaves").as_deref() == Some("1")
            })
        })
        .await;
        trio
    }

    pub(crate) fn urls(&self) -> Vec<String> {
        self.sentinels.iter().map(RedisServer::url).collect()
    }
}

/// A port that no process listens on, nor, for a Cluster's own talk, on the one ten thousand above it.
fn free_ports(cluster: bool) -> u16 {
    for _ in 0..1000 {
        let port = free_port();
        let above = port.checked_add(10_000);
        if !cluster || above.is_some_and(|above| TcpListener::bind((Ipv4Addr::LOCALHOST, above)).is_ok()) {
            return port;
        }
    }
    panic!("no two ports ten thousand apart are free");
}
