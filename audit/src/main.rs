//! The audit as a program of its own. `payproof audit` is the same.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;
use payproof_audit::program::{AuditArgs, run};

/// The program's arguments.
#[derive(Debug, Parser)]
#[command(name = "payproof-audit", version)]
struct Args {
    #[command(flatten)]
    audit: AuditArgs,
}

fn main() -> ExitCode {
    // What went wrong is said in one line, below; the default would print where in the source it was.
    std::panic::set_hook(Box::new(|_| {}));
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) if error.use_stderr() => {
            // What is wrong stands before the first empty line; what follows is the usage.
            let said = error.to_string();
            let said = said.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
            return complain(&format!("{said}; see payproof-audit --help"));
        }
        Err(error) => {
            let printed = error.print().is_ok();
            return if printed { ExitCode::SUCCESS } else { ExitCode::from(2) };
        }
    };
    match run(&args.audit) {
        Ok(outcome) => ExitCode::from(outcome as u8),
        Err(error) => complain(&error.to_string()),
    }
}

/// Says in one line what is wrong.
fn complain(line: &str) -> ExitCode {
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    let _ = writeln!(std::io::stderr().lock(), "error: {line}");
    ExitCode::from(2)
}
