//! What reconciling takes: time and memory, beside a plain `sort` of the same rows. Needs nothing but the `sort` of this machine.
//!
//! ```sh
//! cargo run --release --features reconcile --example reconcile                           # a million payments
//! cargo run --release --features reconcile --example reconcile -- --payments 10000000    # ten million, with 10 GB on the disk
//! cargo run --release --features reconcile --example reconcile -- --one-order             # as many, which all name one order
//! ```
//!
//! The provider is in this process and answers at once, so that what is measured is payproof's own work. One payment of a thousand
//! has no order, and each of them has to be found; or else the one order of all has to be told, and nothing more.
//!
//! Exit status: 0 when all of them were found and nothing else, 1 when not, 2 when the example could not be run.

mod rows;
mod sorted;

use std::error::Error;
use std::fs;
use std::process::ExitCode;

use clap::Parser;
use futures_util::stream;
use payproof::Validator;
use payproof::reconcile::DiscrepancyClass;
use tokio::time::Instant;

use rows::{DAY, Endless, NEW_YEAR, ONE_IN, order};

#[derive(Parser)]
#[command(about = "What reconciling takes, beside a plain sort")]
struct Args {
    /// How many payments the provider has
    #[arg(long, default_value_t = 1_000_000)]
    payments: u64,
    /// How many payments the provider gives at a time
    #[arg(long, default_value_t = 10_000)]
    page: u64,
    /// How many MiB are sorted in memory at a time
    #[arg(long, default_value_t = 64)]
    sort_memory: usize,
    /// All payments name one order, as by an order's number that the checkout never fills in
    #[arg(long)]
    one_order: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    // Spawned, since the body of `main` runs beside the runtime's workers.
    match tokio::spawn(run(Args::parse())).await.map_err(|error| error.to_string()).and_then(|ended| ended) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

async fn run(args: Args) -> Result<bool, String> {
    measure(&args).await.map_err(|error| error.to_string())
}

async fn measure(args: &Args) -> Result<bool, Box<dyn Error + Send + Sync>> {
    let Args { payments, page, sort_memory, one_order } = *args;
    let validator = Validator::builder(Endless::new(payments, page, one_order)).build()?;
    let builder = validator.reconciler().since(NEW_YEAR).until(NEW_YEAR.saturating_add(DAY)).pace(1000);
    // What is found is not asked for again: in this process an answer costs nothing, and at a provider a fifth of a second.
    let reconciler = builder.confirm(0).sort_memory(sort_memory << 20).build()?;
    let has_order = move |number: &u64| if one_order { *number == 0 } else { !number.is_multiple_of(ONE_IN) };
    let orders = stream::iter((0..payments).filter(has_order).map(|number| Ok(order(number))));

    let begin = Instant::now();
    let report = reconciler.run(orders).await?;
    let took = begin.elapsed();
    let peak = peak_memory();

    let counts = report.counts();
    let rows = counts.orders().saturating_add(counts.payments());
    let found = counts.of(DiscrepancyClass::PaidNotOrdered).told;
    println!("{} payments, {} orders, {found} paid and not ordered", counts.payments(), counts.orders());
    println!("reconciled in {took:.1?}: {:.0} rows a second", sorted::rate(rows, took));
    match peak {
        Some(kib) => println!("at most {} MiB of memory", kib / 1024),
        None => println!("this system does not say how much memory that took"),
    }
    println!(
        "{} pages of {page}: {:.4} pages a payment at 100 a page, with changes",
        counts.pages(),
        sorted::pages_a_payment(payments)
    );

    let (rows, took) = sorted::plainly(payments, sort_memory)?;
    println!("`sort` of the same rows took {took:.1?}: {:.0} rows a second", sorted::rate(rows, took));
    let expected = if one_order { (0, 1) } else { (payments.div_ceil(ONE_IN), payments.div_ceil(ONE_IN)) };
    Ok((found, counts.told()) == expected)
}

/// The most memory that this process held at once, in KiB.
fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}
