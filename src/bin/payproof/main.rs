//! Validates payments and looks after the store, from the command line.
//!
//! `payproof help` lists what it can do. Results go to standard output, everything else to standard error, an error in one
//! line. Exit status: 0 fine, 1 not fine, 2 could not tell, which includes wrong arguments and settings.
#![allow(clippy::doc_markdown, reason = "the docs of arguments are what `--help` prints, as it stands")]

#[cfg(feature = "audit")]
mod audit;
mod cache;
mod completions;
mod decisions;
mod doctor;
mod explain;
mod forget;
mod indeterminate;
mod inspect;
mod lines;
mod migrate;
mod output;
mod reconcile;
mod release;
mod resolve;
mod sandbox;
mod settings;
mod status;
mod trouble;
mod usage;
mod validate;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::runtime::Builder;

use crate::output::complain;
use crate::status::Status;
use crate::trouble::Trouble;

/// Validates payments at the payment provider, and looks after the store.
#[derive(Debug, Parser)]
#[command(
    name = "payproof",
    version,
    after_help = format!("{}\nExit status: 0 fine, 1 not fine, 2 could not tell.", settings::variables())
)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Validate(Box<validate::ValidateArgs>),
    #[cfg(feature = "audit")]
    Audit(Box<payproof_audit::program::AuditArgs>),
    Reconcile(Box<reconcile::ReconcileArgs>),
    Explain(explain::ExplainArgs),
    Verify(Box<verify::VerifyArgs>),
    Doctor(doctor::DoctorArgs),
    Migrate(migrate::MigrateArgs),
    Inspect(inspect::InspectArgs),
    Forget(forget::ForgetArgs),
    Indeterminate(indeterminate::IndeterminateArgs),
    Resolve(resolve::ResolveArgs),
    Sandbox(sandbox::SandboxArgs),
    Release(release::ReleaseArgs),
    Cache(Box<cache::CacheCommandArgs>),
    Decisions(decisions::DecisionsArgs),
    Completions(completions::CompletionsArgs),
}

fn main() -> ExitCode {
    // What went wrong is said in one line, below; the default would print where in the source it was.
    std::panic::set_hook(Box::new(|_| {}));
    // The one crypto provider of the tree, for clients that name none.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return usage::answer(&error).into(),
    };
    let status = run(args.command).unwrap_or_else(|trouble| {
        complain(&trouble);
        Status::CouldNotTell
    });
    status.into()
}

/// Runs a command in a task of its own: the body of `block_on` stands beside the workers, and waking it takes long.
fn run(command: Command) -> Result<Status, Trouble> {
    let runtime = Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Trouble::because("no threads can be started; raise the limit", &error))?;
    let done = runtime.block_on(runtime.spawn(async {
        match command {
            Command::Validate(args) => validate::run(*args).await,
            #[cfg(feature = "audit")]
            Command::Audit(args) => audit::run(&args),
            Command::Reconcile(args) => reconcile::run(*args).await,
            Command::Explain(args) => explain::run(&args),
            Command::Verify(args) => verify::run(*args).await,
            Command::Doctor(args) => doctor::run(args).await,
            Command::Migrate(args) => migrate::run(args).await,
            Command::Inspect(args) => inspect::run(args).await,
            Command::Forget(args) => forget::run(args).await,
            Command::Indeterminate(args) => indeterminate::run(args).await,
            Command::Resolve(args) => resolve::run(args).await,
            Command::Sandbox(args) => sandbox::run(args).await,
            Command::Release(args) => release::run(args).await,
            Command::Cache(args) => cache::run(*args).await,
            Command::Decisions(args) => decisions::run(args).await,
            Command::Completions(args) => completions::run(&args),
        }
    }));
    // A task that still waits for standard input is not waited for.
    runtime.shutdown_background();
    done.map_err(|_| Trouble::new("payproof met something that it was not made for, and stopped; please report it"))?
}
