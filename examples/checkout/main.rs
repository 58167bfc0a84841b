//! Thousands of checkouts against a payment provider that misbehaves. No account, nothing to set up:
//!
//! ```sh
//! cargo run --release --example checkout                                  # a stormy provider
//! cargo run --release --example checkout -- --healthy                     # one that always answers
//! cargo run --release --example checkout -- --seed 7 --checkouts 10000
//! ```
//!
//! The provider is the sandbox that comes with the feature `test-util`: a real HTTP server on the loopback device that
//! answers like Stripe, and that fails more than every third time. Honest shoppers, impatient ones who click several times, and
//! thieves check out at once; then a table says who was believed.
//!
//! Exit status: 0 when every verdict was right, 1 when one was wrong, 2 when the run itself failed. "Could not tell" is
//! not a wrong verdict, and is never counted as a right one.
//!
//! | to learn | read |
//! |---|---|
//! | how a service builds its validator | [`validator_at`] |
//! | how it asks, and what it does with an error | `crowd.rs` |
//! | which payments and claims there are, and what is true about each | `scenario.rs` |
//! | what to watch | `report.rs` |

mod crowd;
mod report;
mod scenario;

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use payproof::testing::sandbox::{Fault, Faults, Sandbox};
use payproof::{BuildError, RetryBudget, Stripe, Validator};
use tokio::time::Instant;

use report::Report;
use scenario::Scenario;

/// A healthy answer takes this long, so that calls overlap as they do with a provider far away.
const LATENCY: std::ops::Range<Duration> = Duration::from_millis(5)..Duration::from_millis(30);

/// Checks out thousands of times at a faulty sandbox, and says who was believed.
#[derive(Debug, Parser)]
struct Args {
    /// How many checkouts; duplicate clicks come on top.
    #[arg(long, value_name = "N", default_value_t = 3000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    checkouts: u32,
    /// Seeds the checkouts, the provider's faults and the waits between retries.
    ///
    /// Which of the calls at one moment meets a fault is up to the scheduler, so counts differ a little between runs.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Lets the provider answer every call.
    #[arg(long)]
    healthy: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    // In a task, as a web framework does it: the body of `#[tokio::main]` runs beside the workers, and each wake-up
    // between the two costs more than an answer from memory.
    let report = match tokio::spawn(run(Args::parse())).await {
        Ok(Ok(report)) => report,
        Ok(Err(error)) => return failed(&*error),
        Err(panicked) => return failed(&panicked),
    };
    match io::stdout().lock().write_all(report.to_string().as_bytes()) {
        // The reader has seen enough, as in `checkout | head`.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => failed(&error),
        _ => ExitCode::from(u8::from(!report.all_right())),
    }
}

fn failed(error: &dyn Error) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::from(2)
}

async fn run(args: Args) -> Result<Report, Box<dyn Error + Send + Sync>> {
    let faults = if args.healthy { Faults::none() } else { storm() };
    let sandbox = Sandbox::builder().seed(args.seed).faults(faults).latency(LATENCY).start().await?;
    let scenario = Scenario::new(args.seed, args.checkouts)?;
    for payment in scenario.payments {
        sandbox.put(payment);
    }
    let validator = validator_at(&sandbox.url(), args.seed)?;

    let (bar, begin) = (progress(args.checkouts), Instant::now());
    let answers = crowd::check_out(&validator, scenario.checkouts, &bar).await?;
    let took = begin.elapsed();
    bar.finish_and_clear();

    let report = Report::new(&args, &answers, took, validator.stats(), sandbox.requests());
    sandbox.stop().await;
    Ok(report)
}

/// What goes wrong by chance, in more than a third of the answers.
///
/// Much as `Faults::stormy()`, with fewer rate limits, since each of them makes every call of the account wait, and with
/// answers about another payment than was asked for.
fn storm() -> Faults {
    Faults::none()
        .chance(Fault::Unavailable, 0.09)
        .chance(Fault::InternalError, 0.05)
        .chance(Fault::BadGateway, 0.04)
        .chance(Fault::Reset, 0.04)
        .chance(Fault::DropAfterRequest, 0.04)
        .chance(Fault::SlowHeaders(Duration::from_millis(50)), 0.03)
        .chance(Fault::LockTimeout, 0.03)
        .chance(Fault::TruncatedBody, 0.02)
        .chance(Fault::WrongPayment, 0.02)
        .chance(Fault::RateLimited { retry_after: None }, 0.005)
}

/// One validator for the whole service: it holds the facts in memory, the retry budget and the circuit breaker.
///
/// In production this is `Validator::builder(Stripe::new(secret_key)?).build()`.
fn validator_at(url: &str, seed: u64) -> Result<Validator, BuildError> {
    let stripe = Stripe::builder("sk_live_sandbox").base_url(url).build()?;
    Validator::builder(stripe).retry_budget(storm_budget()).seed(seed).build()
}

/// Allows as many retries as a storm without end needs; `report::CHANGED` says why to the reader of the output.
fn storm_budget() -> RetryBudget {
    RetryBudget::new().per_answer(1.0)
}

/// Hides itself where standard error is no terminal.
fn progress(checkouts: u32) -> ProgressBar {
    let bar = ProgressBar::new(checkouts.into());
    match ProgressStyle::with_template("{bar:40} {pos} of {len} checkouts, {elapsed}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
