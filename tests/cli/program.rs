//! Runs the program.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use payproof::testing::sandbox::{Sandbox, SandboxPayment};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// Long enough for a machine that has other things to do: no test is decided by it.
const PATIENCE: Duration = Duration::from_secs(120);

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Run {
    status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn code(&self) -> i32 {
        self.status.code().expect("it ends by itself")
    }

    /// Standard output, as JSON lines.
    pub(crate) fn rows(&self) -> Vec<Value> {
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.stdout.lines().map(parse).collect()
    }

    /// The one line of an error.
    pub(crate) fn error(&self) -> &str {
        let lines: Vec<&str> = self.stderr.lines().collect();
        assert!(matches!(*lines, [line] if line.starts_with("error: ")), "not one line: {}", self.stderr);
        self.stderr.trim_end()
    }
}

/// The program with nothing of this process's environment, so that what a developer has set decides no test.
pub(crate) struct Program(Command);

/// Whose payments they are.
pub(crate) const ACCOUNT: &str = "acct_1Shop";

/// Put together, so that no literal looks like a credential.
pub(crate) fn secret_key() -> String {
    ["sk", "live", "51HxPlantedAbCd"].join("_")
}

impl Program {
    pub(crate) fn new(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_payproof"));
        command.args(arguments).env_clear().kill_on_drop(true);
        // The system's root certificates are found by it where they are not in the usual place.
        command.envs(std::env::var_os("SSL_CERT_FILE").map(|file| ("SSL_CERT_FILE", file)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command)
    }

    /// The program with a key, and this sandbox for a provider.
    pub(crate) fn at(sandbox: &Sandbox, arguments: &[&str]) -> Self {
        Self::new(arguments).env("STRIPE_SECRET_KEY", secret_key()).env("STRIPE_API_BASE", sandbox.url())
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.0.env(name, value.as_ref());
        self
    }

    pub(crate) fn spawn(mut self) -> Child {
        self.0.spawn().expect("the program was built")
    }

    pub(crate) async fn run(self) -> Run {
        self.run_with(b"").await
    }

    pub(crate) async fn run_with(self, stdin: impl AsRef<[u8]>) -> Run {
        let mut child = self.spawn();
        let (mut input, stdin) = (child.stdin.take().expect("it is piped"), stdin.as_ref().to_vec());
        // A reader that has heard enough closes it, which is no failure here.
        let feeding = tokio::spawn(async move {
            let _ = input.write_all(&stdin).await;
        });
        let run = finish(child).await;
        feeding.abort();
        run
    }
}

pub(crate) async fn finish(mut child: Child) -> Run {
    let (mut stdout, mut stderr) = (String::new(), String::new());
    let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
    let read_out = async {
        if let Some(out) = &mut out {
            out.read_to_string(&mut stdout).await.expect("it prints UTF-8");
        }
    };
    let read_err = async {
        if let Some(err) = &mut err {
            err.read_to_string(&mut stderr).await.expect("it prints UTF-8");
        }
    };
    let waiting = async { tokio::join!(read_out, read_err, child.wait()).2 };
    let status = timeout(PATIENCE, waiting).await.expect("it ends in time").expect("it was started");
    Run { status, stdout, stderr }
}

/// A paid payment of 19.99 USD of tenant `store_42` for order 6735.
pub(crate) fn paid(id: &str) -> SandboxPayment {
    SandboxPayment::paid(id, 1999, "usd").tenant("store_42").order("6735")
}

pub(crate) async fn sandbox_with(payments: impl IntoIterator<Item = SandboxPayment>) -> Sandbox {
    let sandbox = Sandbox::start().await.expect("loopback has a free port");
    payments.into_iter().for_each(|payment| sandbox.put(payment));
    sandbox
}
