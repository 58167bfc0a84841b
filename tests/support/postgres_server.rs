//! Real PostgreSQL servers for tests: a cluster of its own, and standbys that follow it.
//!
//! They listen on free ports of this machine and on a socket in their folder, and are stopped and removed when their value is
//! dropped, also by a panic. PostgreSQL refuses to run as root: there it runs as a user without rights, and its files are in the
//! folder for temporary ones, since that user may not reach the target folder, and a socket's path has room for 107 bytes.
//! Debian's `postgresql` brings everything; `scripts/setup-tests` installs it.
#![allow(dead_code, reason = "each test binary uses its own share")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what cannot be started fails the test that asked for it"
)]

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

use crate::servers::{PATIENCE, TRIES, free_port, new_folder, new_folder_in, signal};

const INSTALL: &str = "is missing; run scripts/setup-tests, or: sudo apt-get install postgresql";

/// Who may do everything. No client is asked for a password unless [`PostgresConfig::access`] says so.
const SUPERUSER: &str = "postgres";

/// The number of the user without rights, and of its group.
const UNPRIVILEGED: u32 = 65_534;

/// How a server is set up; every setting is a line of `postgresql.conf`.
#[derive(Clone, Debug, Default)]
pub(crate) struct PostgresConfig {
    lines: String,
    access: Option<String>,
    syncs: bool,
    certificate: Option<[PathBuf; 2]>,
}

impl PostgresConfig {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a line.
    pub(crate) fn line(mut self, line: impl AsRef<str>) -> Self {
        let _ = writeln!(self.lines, "{}", line.as_ref());
        self
    }

    /// Brings each commit to the disk, as a server does by default. One that is killed loses nothing without that either: only
    /// a machine that stops does.
    pub(crate) fn syncs(mut self) -> Self {
        self.syncs = true;
        self
    }

    /// These lines of `pg_hba.conf` say who gets in over TCP, and how.
    pub(crate) fn access(mut self, lines: &str) -> Self {
        self.access = Some(lines.into());
        self
    }

    /// Speaks TLS over TCP, to those who ask for it.
    pub(crate) fn tls(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.certificate = Some([certificate.into(), key.into()]);
        self
    }

    /// Starts a cluster with it, on a free port.
    pub(crate) async fn start(self) -> PostgresServer {
        let folder = server_folder("postgres");
        copy(template(), &folder.join("data"));
        self.write(&folder);
        PostgresServer::start_in(folder).await
    }

    fn write(&self, folder: &Path) {
        // Memory in files of the cluster's own goes with them. What is said last counts: the test's lines.
        let mut lines = format!("dynamic_shared_memory_type = mmap\nshared_buffers = 16MB\n{}", self.lines);
        if !self.syncs {
            lines.push_str("fsync = off\n");
        }
        if let Some(files) = &self.certificate {
            lines.push_str("ssl = on\n");
            for (setting, file) in ["ssl_cert_file", "ssl_key_file"].iter().zip(files) {
                let own = folder.join(setting);
                fs::copy(file, &own).expect("the certificate cannot be copied");
                fs::set_permissions(&own, Permissions::from_mode(0o600)).expect("the file's rights cannot be set");
                let _ = writeln!(lines, "{setting} = '{}'", own.display());
            }
        }
        if let Some(access) = &self.access {
            let access = format!("local all all trust\n{access}\n");
            fs::write(folder.join("data/pg_hba.conf"), access).expect("pg_hba.conf cannot be written");
        }
        append(&folder.join("data/postgresql.conf"), &lines);
    }
}

/// One server: a cluster, or a standby of one.
#[derive(Debug)]
pub(crate) struct PostgresServer {
    process: Child,
    folder: PathBuf,
    port: u16,
}

impl PostgresServer {
    /// A cluster of its own without password and with no table.
    pub(crate) async fn start() -> Self {
        PostgresConfig::new().start().await
    }

    async fn start_in(folder: PathBuf) -> Self {
        let port = listen(&folder);
        let mut server = Self { process: spawn(&folder), folder, port };
        for _ in 1..TRIES {
            if server.is_ready().await {
                return server;
            }
            server.port = listen(&server.folder);
            server.process = spawn(&server.folder);
        }
        let log = fs::read_to_string(server.folder.join("log")).unwrap_or_default();
        assert!(server.is_ready().await, "postgres did not start on any of {TRIES} free ports:\n{log}");
        server
    }

    /// A standby of this server, which follows it from now on. It is called `name` in `pg_stat_replication`, and finds this
    /// server at a port of this machine: its own, or one of a proxy before it.
    pub(crate) async fn standby(&self, name: &str, port: u16) -> Self {
        let folder = server_folder("standby");
        let data = folder.join("data");
        let mut copy = command("pg_basebackup", &folder);
        copy.args([
            "--checkpoint=fast",
            "--wal-method=stream",
            "--no-sync",
            "--host=127.0.0.1",
            "--username",
            SUPERUSER,
        ]);
        run(copy.arg("--port").arg(self.port.to_string()).arg("--pgdata").arg(&data));
        let conninfo = format!("primary_conninfo = 'host=127.0.0.1 port={port} user={SUPERUSER}'");
        append(&data.join("postgresql.conf"), &format!("cluster_name = '{name}'\n{conninfo}\n"));
        fs::write(data.join("standby.signal"), "").expect("the standby cannot be set up");
        Self::start_in(folder).await
    }

    /// Makes a primary of this standby, and waits until it is one.
    pub(crate) async fn promote(&self) {
        assert_eq!(self.sql("SELECT pg_promote(true, 30)").await, ["t"], "the standby is no primary");
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        self.url_of(SUPERUSER)
    }

    /// Where a role without password finds it.
    pub(crate) fn url_of(&self, role: &str) -> String {
        format!("postgres://{role}@127.0.0.1:{}/postgres", self.port)
    }

    /// The settings of a client of its own, over the socket, which TLS and passwords do not concern.
    fn config(&self) -> Config {
        let mut config = Config::new();
        config.host_path(&self.folder).port(self.port).user(SUPERUSER).dbname("postgres");
        config
    }

    /// A client of its own.
    pub(crate) async fn client(&self) -> Client {
        let (client, connection) = self.config().connect(NoTls).await.expect("the server takes no connection");
        // It ends with its client, or with the server.
        tokio::spawn(connection);
        client
    }

    /// Runs statements, and returns the first column of what they answer, as text. NULL is empty.
    pub(crate) async fn sql(&self, statements: &str) -> Vec<String> {
        let answer = self.client().await.simple_query(statements).await;
        let answer = answer.unwrap_or_else(|error| panic!("{statements}: {error:?}"));
        let rows = answer.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or_default().to_owned()),
            _ => None,
        });
        rows.collect()
    }

    /// Changes a setting that the server reads while it runs, for all that connect from now on.
    pub(crate) async fn set(&self, setting: &str, value: &str) {
        self.sql(&format!("ALTER SYSTEM SET {setting} = '{value}'")).await;
        self.sql("SELECT pg_reload_conf()").await;
    }

    /// Ends it without warning, with all its processes. What is on disk stays, for [`restart`](Self::restart).
    pub(crate) fn kill(&mut self) {
        if matches!(self.process.try_wait(), Ok(Some(_))) {
            return;
        }
        // Stopped first: it would start its processes again.
        signal("STOP", &[self.process.id()]);
        signal("KILL", &self.processes());
        let _ = self.process.wait();
    }

    /// Starts it again, on the same port and with the same files.
    pub(crate) async fn restart(&mut self) {
        self.kill();
        let end = Instant::now() + PATIENCE;
        loop {
            self.process = spawn(&self.folder);
            if self.is_ready().await {
                return;
            }
            // A process of the old server may hold its memory for a moment.
            assert!(Instant::now() < end, "postgres did not start again on port {}", self.port);
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Lets it hang: its sockets stay open, and nothing answers.
    pub(crate) fn hang(&self) {
        signal("STOP", &self.processes());
    }

    /// Lets it go on after [`hang`](Self::hang).
    pub(crate) fn resume(&self) {
        signal("CONT", &self.processes());
    }

    /// The server's own process, and those of its connections.
    fn processes(&self) -> Vec<u32> {
        let own = self.process.id();
        let children = Command::new("ps").args(["-A", "-o", "pid=,ppid="]).output().expect("ps is missing");
        let children = String::from_utf8_lossy(&children.stdout).into_owned();
        let pairs = children.lines().filter_map(|line| line.trim().split_once(char::is_whitespace));
        let children = pairs.filter(|(_, parent)| parent.trim() == own.to_string());
        std::iter::once(own).chain(children.filter_map(|(child, _)| child.parse().ok())).collect()
    }

    /// Waits until it answers; false if it ended instead.
    async fn is_ready(&mut self) -> bool {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if matches!(self.process.try_wait(), Ok(Some(_)) | Err(_)) {
                return false;
            }
            if self.config().connect(NoTls).await.is_ok() {
                return true;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("postgres on port {} was not ready within {PATIENCE:?}", self.port);
    }
}

#[allow(clippy::disallowed_methods, reason = "a value that is dropped cannot wait otherwise")]
impl Drop for PostgresServer {
    fn drop(&mut self) {
        // At once, but it gives back the memory that a killed one leaves behind.
        let running = self.processes();
        if !matches!(self.process.try_wait(), Ok(Some(_))) {
            signal("QUIT", &[self.process.id()]);
            signal("CONT", &running);
            for _ in 0..500 {
                if matches!(self.process.try_wait(), Ok(Some(_)) | Err(_)) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        self.kill();
        let _ = (0..100).find(|_| fs::remove_dir_all(&self.folder).is_ok());
    }
}

/// Has the server in this folder listen on a free port, and returns that.
fn listen(folder: &Path) -> u16 {
    let port = free_port();
    let socket = folder.display();
    let lines = format!("listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = '{socket}'\n");
    append(&folder.join("data/postgresql.conf"), &lines);
    give(folder);
    port
}

fn spawn(folder: &Path) -> Child {
    let log = File::options().create(true).append(true).open(folder.join("log")).expect("the log cannot be written");
    let mut postgres = command("postgres", folder);
    postgres.arg("-D").arg(folder.join("data")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    postgres.spawn().unwrap_or_else(|error| panic!("postgres {INSTALL} ({error})"))
}

/// An empty cluster, made once for a target folder: `initdb` takes a second where a copy takes a tenth of one.
fn template() -> &'static Path {
    static TEMPLATE: OnceLock<PathBuf> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        remove_leftovers();
        let version = run(Command::new(program("initdb")).arg("--version"));
        let version = version.replace(|sign: char| !sign.is_ascii_alphanumeric(), "-");
        let made_here = new_folder("postgres-template");
        let template = made_here.with_file_name(format!("postgres-template-{version}"));
        if !template.exists() {
            let folder = server_folder("initdb");
            let mut initdb = command("initdb", &folder);
            initdb.args(["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--username", SUPERUSER]);
            run(initdb.arg("--pgdata").arg(folder.join("data")));
            copy(&folder.join("data"), &made_here.join("data"));
            let _ = fs::remove_dir_all(&folder);
            // Of two processes that made one at the same time, one is first.
            let _ = fs::rename(made_here.join("data"), &template);
        }
        let _ = fs::remove_dir_all(&made_here);
        assert!(template.exists(), "no cluster could be put at {}", template.display());
        template
    })
}

/// Removes the folders of test processes that were killed, unless their servers still run.
fn remove_leftovers() {
    for folder in fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten().map(|entry| entry.path()) {
        let name = folder.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let mut parts = name.rsplit('-').skip(1);
        let is_ours = name.starts_with("payproof-") && folder.join("data").is_dir();
        let server = fs::read_to_string(folder.join("data/postmaster.pid")).unwrap_or_default();
        let users = [parts.next(), server.lines().next()];
        if is_ours && !users.into_iter().flatten().any(is_running) {
            let _ = fs::remove_dir_all(&folder);
        }
    }
}

fn is_running(process: &str) -> bool {
    let found = Command::new("ps").args(["-p", process]).output().expect("ps is missing");
    found.status.success()
}

/// A folder in which a server keeps its files, as the user that it runs as.
pub(crate) fn server_folder(what: &str) -> PathBuf {
    let folder = new_folder_in(&std::env::temp_dir(), &format!("payproof-{what}"));
    give(&folder);
    folder
}

/// One of the server's programs, as the user that it runs as. Debian keeps them outside the path, a folder for each version.
pub(crate) fn command(name: &str, folder: &Path) -> Command {
    let mut command = Command::new(program(name));
    command.current_dir(folder).env("LC_ALL", "C");
    if let Some([user, group]) = unprivileged() {
        command.uid(user).gid(group);
    }
    command
}

fn program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let numbers = versions.filter_map(|version| version.file_name().to_str()?.parse::<u32>().ok());
    let paths = numbers.map(|number| (number, PathBuf::from(format!("/usr/lib/postgresql/{number}/bin/{name}"))));
    let newest = paths.filter(|(_, path)| path.exists()).max();
    newest.map(|(_, path)| path).or_else(|| in_sbin(name)).unwrap_or_else(|| name.into())
}

/// Where Debian puts PgBouncer, which is not in the path of every user.
fn in_sbin(name: &str) -> Option<PathBuf> {
    Some(Path::new("/usr/sbin").join(name)).filter(|path| path.exists())
}

/// The user and group that servers run as in the place of root.
fn unprivileged() -> Option<[u32; 2]> {
    static IS_ROOT: OnceLock<bool> = OnceLock::new();
    let is_root = *IS_ROOT.get_or_init(|| run(Command::new("id").arg("-u")) == "0");
    is_root.then_some([UNPRIVILEGED; 2])
}

/// Gives a folder with all that is in it to the user that servers run as.
pub(crate) fn give(folder: &Path) {
    if let Some([user, group]) = unprivileged() {
        run(Command::new("chown").arg("-R").arg(format!("{user}:{group}")).arg(folder));
    }
}

fn copy(from: &Path, to: &Path) {
    run(Command::new("cp").arg("-R").arg(from).arg(to));
}

fn append(file: &Path, lines: &str) {
    let mut file = File::options().append(true).open(file).expect("the configuration is missing");
    file.write_all(lines.as_bytes()).expect("the configuration cannot be written");
}

/// Runs a command to its end, and returns what it prints.
fn run(command: &mut Command) -> String {
    let run =
        command.output().unwrap_or_else(|error| panic!("{} {INSTALL} ({error})", command.get_program().display()));
    assert!(run.status.success(), "{command:?}: {}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8_lossy(&run.stdout).trim_end().to_owned()
}
