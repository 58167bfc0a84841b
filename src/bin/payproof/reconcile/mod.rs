//! Reconciles a shop's orders with what the provider lists, and writes what does not fit.

mod args;
mod format;
mod html;
mod known;
mod metrics;
mod orders;
mod picture;
mod reading;
mod table;
mod times;
mod whole_file;
mod words;

use std::io::IsTerminal;
use std::path::PathBuf;

use payproof::Validator;
use payproof::provider::{Provider as _, ProviderIdentity};
use payproof::reconcile::{ReconcileStatus, Reconciliation};
use tokio::time::Instant;

use crate::lines::LinesArgs;
use crate::output::{note, shown};
use crate::settings::{OptionalStore, ProofArgs, ProviderArgs};
use crate::status::Status;
use crate::trouble::Trouble;

use args::{RunArgs, WindowArgs};
use format::ReportFormat;
use orders::OrderReader;
use reading::OrdersFile;

/// Find payments without orders, orders without payments, and what else does not fit
///
/// payproof reconcile --orders orders.csv --since 2026-07-01 --until 2026-07-02 --tenant store_42
///
/// Orders come as CSV with a header row or as JSON lines. Their fields are order, tenant, payment, amount, currency, state, created, paid, shipped,
/// cancelled, updated and paid_by; only the order is required, and the tenant unless --tenant says it for all. A state is open, paid, shipped, cancelled
/// or refunded; without one it is that of the latest of the times. Give all orders that were made or changed
/// since --look-back before the window.
///
/// It reads, and changes nothing at the provider or in the store. Payments are listed from the provider, judged with the orders, and each
/// discrepancy is looked up afresh before it is told. docs/reconciling.md says what each class means, and what to do.
///
/// Exit status: 0 nothing to tell, 1 something is told and the next window may begin, 2 the window is not over, as after half a list.
#[derive(Debug, clap::Args)]
pub(crate) struct ReconcileArgs {
    /// The file of the orders, or - for standard input
    #[arg(long, value_name = "FILE", required_unless_present = "resume", conflicts_with = "resume")]
    orders: Option<String>,
    /// The tenant of the lines that name none
    #[arg(long, value_name = "ID")]
    tenant: Option<String>,
    #[command(flatten)]
    proof: ProofArgs,
    #[command(flatten)]
    window: WindowArgs,
    #[command(flatten)]
    running: RunArgs,
    #[command(flatten)]
    report: ReportArgs,
    #[command(flatten)]
    lines: LinesArgs,
    #[command(flatten)]
    provider: ProviderArgs,
    #[command(flatten)]
    store: OptionalStore,
}

/// Where the report goes.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "The report")]
struct ReportArgs {
    /// How it is written to standard output [default: table on a terminal, else jsonl]
    #[arg(long, value_enum)]
    format: Option<ReportFormat>,
    /// Write its numbers to this file too, for Prometheus
    #[arg(long, value_name = "FILE")]
    metrics: Option<PathBuf>,
    /// Write it to this file too, as one page for a browser
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// What a person has accepted: CSV with class, payment, tenant, order, reason and until
    #[arg(long, value_name = "FILE")]
    known: Option<PathBuf>,
    /// Print no summary to standard error
    #[arg(long)]
    quiet: bool,
}

pub(crate) async fn run(args: ReconcileArgs) -> Result<Status, Trouble> {
    let begun = Instant::now();
    let file = args.orders.as_deref().map(OrdersFile::named);
    if matches!(file, Some(OrdersFile::Stdin)) && !args.window.says_when_exported() {
        return Err(Trouble::new(
            "orders from standard input need --orders-as-of: the time at which their export began, taken before it",
        ));
    }
    let (times, written) = (args.window.times(), file.as_ref().map(OrdersFile::written).transpose()?.flatten());
    let (validator, identity) = validator(&args)?;
    let mut reconciler = args.window.set(args.running.set(validator.reconciler()), &times, written)?;
    if let Some(path) = &args.report.known {
        reconciler = reconciler.known(known::read(path, &times)?);
    }
    let reconciler = reconciler.build()?;
    let (report, lines) = match file {
        Some(file) => {
            let reader = OrderReader { times: times.clone(), tenant: args.tenant };
            let (report, lines) = reading::run(&reconciler, file, args.lines, reader).await?;
            (report, Some(lines))
        }
        None => (reconciler.resume().await?, None),
    };
    let is_read = args.report.write(&report, &identity)?;
    if !args.report.quiet {
        note(&summary(&report, begun));
        if let Some(lines) = lines {
            let counts = report.counts();
            let results = counts.orders().saturating_add(counts.unusable_orders());
            note(&lines.account(results, counts.unusable_orders()));
        }
    }
    for missing in report.missing() {
        note(&format_args!("could not be found out: {}", crate::output::plain(missing)));
    }
    Ok(match report.status() {
        _ if !is_read => Status::CouldNotTell,
        ReconcileStatus::Clean => Status::Fine,
        ReconcileStatus::Found => Status::NotFine,
        ReconcileStatus::Incomplete => Status::CouldNotTell,
    })
}

impl ReportArgs {
    /// Writes the report to everywhere. False where it was not read to its end.
    fn write(&self, report: &Reconciliation, identity: &ProviderIdentity) -> Result<bool, Trouble> {
        let default = if std::io::stdout().is_terminal() { ReportFormat::Table } else { ReportFormat::Jsonl };
        if let Some(path) = &self.html {
            whole_file::write(path, |out| html::write(report, identity, out))?;
        }
        let is_read = self.format.unwrap_or(default).print(report)?;
        // Last, since they say that the run has finished.
        if let Some(path) = &self.metrics {
            whole_file::write(path, |out| metrics::write(report, identity, out))?;
        }
        Ok(is_read)
    }
}

/// What was read and found, in one line.
fn summary(report: &Reconciliation, begun: Instant) -> String {
    let counts = report.counts();
    let (since, until) = report.window();
    format!(
        "{}: {} orders as of {}, {} payments and {} changes in {} pages, {} look-ups, {}; {} told from {} to {}",
        report.status().as_str(),
        counts.orders(),
        times::shown(report.orders_as_of()),
        counts.payments(),
        counts.changes(),
        counts.pages(),
        counts.look_ups(),
        shown(begun.elapsed()),
        counts.told(),
        times::shown(since),
        times::shown(until),
    )
}

fn validator(args: &ReconcileArgs) -> Result<(Validator, ProviderIdentity), Trouble> {
    let stripe = args.provider.stripe()?;
    let identity = stripe.identity().clone();
    let validator = args.proof.set(args.provider.calls(Validator::builder(stripe)));
    Ok((args.store.attach(validator)?.build()?, identity))
}
