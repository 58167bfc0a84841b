//! What the command line costs, beside a bare loop over the same requests.
//!
//! `cargo bench --all-features --bench cli` prints one line per figure, `<kind> <name> <value>`.
//!
//! | figure | against | target |
//! |---|---|---|
//! | `ratio cli_vs_reqwest` | throughput of `payproof validate` on 100,000 lines, in units of a bare reqwest loop's | at least 0.9 |
//! | `ns cli`, `ns cli_reqwest` | time per line | published, no target |
//!
//! Both are processes of their own with as many requests under way, and ask a sandbox in this one; `--max-age 0` has each
//! line asked about. The bare loop reads no input, compares nothing, writes nothing, and has neither timeout nor retries:
//! it is what a run cannot be faster than. Runs take turns, A B B A, and each is timed from its start to its end.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "a bench measures real time, may stop at what it did not expect, and its counts are far below 2^52"
)]

#[path = "../validate/answer.rs"]
mod answer;
mod bare;
#[path = "../validate/client.rs"]
mod client;
#[path = "../validate/figure.rs"]
#[allow(dead_code, reason = "the other bench uses more of it")]
mod figure;

use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use payproof::testing::sandbox::{Sandbox, SandboxPayment};
use tokio::runtime::Runtime;

use crate::figure::{Asked, Scale, ns, ratio};

const LINES: usize = 100_000;

/// Far more than are under way at once, so that no two lines about one payment ever meet.
const PAYMENTS: usize = 2_000;

/// Each with two runs of either side.
const ROUNDS: usize = 3;

/// Anything that looks like a key; the sandbox takes every one.
const KEY: &str = "sk_live_bench";

fn main() {
    if let Some(task) = bare::Task::of_this_process() {
        return bare::run(&task);
    }
    let asked = Asked::of_arguments();
    if !asked.wants("cli") {
        return;
    }
    let scale = asked.scale;
    let lines = scale.of(LINES);

    let runtime = Runtime::new().expect("there are threads");
    let sandbox = runtime.block_on(Sandbox::start()).expect("loopback has a free port");
    let ids: Vec<String> = (0..PAYMENTS).map(id).collect();
    for id in &ids {
        sandbox.put(SandboxPayment::paid(id, 1999, "usd").tenant("store_42").order("6735"));
    }
    let input = Input::write(lines);
    let cli = || timed(&mut validate(&sandbox, &input.0));
    let bare = || timed(&mut bare::Task::command(&sandbox.url(), lines));

    let (mut ratios, mut cli_times, mut bare_times) = (Vec::new(), Vec::new(), Vec::new());
    // The first of each is for warming up.
    let _warm_up = (cli(), bare());
    let rounds = if scale == Scale::Full { ROUNDS } else { 1 };
    for _ in 0..rounds {
        let (first, second, third, fourth) = (cli(), bare(), bare(), cli());
        for (cli, bare) in [(first, second), (fourth, third)] {
            ratios.push(bare.as_secs_f64() / cli.as_secs_f64());
            cli_times.push(cli.as_secs_f64() * 1e9 / lines as f64);
            bare_times.push(bare.as_secs_f64() * 1e9 / lines as f64);
        }
    }
    ratio("cli_vs_reqwest", median(ratios));
    ns("cli", median(cli_times));
    ns("cli_reqwest", median(bare_times));
}

fn id(number: usize) -> String {
    format!("pi_3MtwBwLkdIwHu7ix{:08}", number % PAYMENTS)
}

/// A file of lines, removed when it is dropped.
struct Input(PathBuf);

impl Input {
    fn write(lines: usize) -> Self {
        let mut csv = "payment,amount,currency,tenant,order\n".to_owned();
        for line in 0..lines {
            let _ = writeln!(csv, "{},19.99,usd,store_42,6735", id(line));
        }
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cli-bench-{}.csv", std::process::id()));
        std::fs::write(&path, csv).expect("the target folder can be written to");
        Self(path)
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn validate(sandbox: &Sandbox, input: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_payproof"));
    command.args(["validate", "--max-age", "0", "--no-store", "--quiet"]).arg("--base-url").arg(sandbox.url());
    command.arg("--concurrency").arg(bare::CONCURRENCY.to_string()).env("STRIPE_SECRET_KEY", KEY);
    command.stdin(File::open(input).expect("it was written")).stdout(Stdio::null());
    command
}

fn timed(command: &mut Command) -> Duration {
    let start = Instant::now();
    let status = command.status().expect("it was built");
    assert!(status.success(), "every payment is valid: {status}");
    start.elapsed()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().expect("something was measured")
}
