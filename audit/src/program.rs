//! The command line of the audit, for a program of its own and as a subcommand.
#![allow(clippy::doc_markdown, reason = "the docs of arguments are what `--help` prints, as it stands")]

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use clap::ValueEnum;

use crate::baseline::{Baseline, BaselineError};
use crate::examine::{Examination, ExamineError, examine};
use crate::library::Progress;
use crate::model::{Rule, Severity};
use crate::report::{Outcome, Report, Thresholds};
use crate::settings::{Settings, SettingsError};
use crate::shown;
use crate::walk::{self, Limits};

/// The most bytes of a baseline or a configuration.
const MOST_BYTES: u64 = 16 << 20;

/// Find where a checkout's API acts twice, believes the browser, or answers the wrong tenant
///
/// Reads TypeScript and JavaScript (Next.js, Express, Hono, Fastify, Koa, NestJS, Nuxt, Remix, SvelteKit, functions that are
/// served alone), Rust (axum) and OpenAPI 3.0 and 3.1. It runs nothing, asks nothing over the network, and opens nothing outside
/// of the paths.
///
/// Exit status: 0 nothing that is denied, 1 something that is, 2 could not tell, as where no route is recognized.
#[derive(Debug, clap::Args)]
pub struct AuditArgs {
    /// Folders or files of the service
    #[arg(value_name = "PATH", required_unless_present = "explain")]
    paths: Vec<PathBuf>,
    /// How the report is written
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// The least severity of which one finding makes the exit status 1; `none` for none
    #[arg(long, value_name = "SEVERITY", default_value = "high", value_parser = deny)]
    deny: Deny,
    /// How many findings of a severity or worse make the exit status 1, as `medium=10`; may be repeated
    #[arg(long, value_name = "SEVERITY=COUNT", value_parser = warn)]
    warn: Vec<(Severity, usize)>,
    /// Findings that are known, and are not told
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Write what is found to the baseline, and tell nothing
    #[arg(long, requires = "baseline")]
    write_baseline: bool,
    /// The configuration [default: payproof-audit.json in PATH or in the current folder]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Hold DELETE to an idempotency key too
    #[arg(long)]
    delete: bool,
    /// Explain a rule, or `all`, and do nothing else
    #[arg(long, value_name = "RULE", value_parser = explained)]
    explain: Option<Explain>,
    /// When severities are colored; auto is on a terminal, unless NO_COLOR is set
    #[arg(long, value_enum, default_value = "auto")]
    color: clap::ColorChoice,
}

/// How the report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// All of it, `schema: 1`
    Json,
    /// SARIF 2.1.0, for code hosts
    Sarif,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Deny(Option<Severity>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Explain {
    All,
    One(Rule),
}

/// Why the audit could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// There is no report.
    #[error(transparent)]
    Examine(#[from] ExamineError),
    /// The configuration cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The baseline cannot be used.
    #[error(transparent)]
    Baseline(#[from] BaselineError),
    /// A file that an argument names cannot be read or written.
    #[error("{path}: {why}; name a file that can be {verb}")]
    File {
        /// The file.
        path: String,
        /// What the system says.
        why: String,
        /// `read`, `written`.
        verb: &'static str,
    },
    /// Standard output is closed, or full.
    #[error("the result cannot be written: {0}; look at where standard output goes")]
    Output(io::Error),
}

/// Audits what the arguments name, and prints the report.
///
/// # Errors
/// If a path, the configuration or the baseline cannot be read.
pub fn run(args: &AuditArgs) -> Result<Outcome, ProgramError> {
    if let Some(explain) = args.explain {
        print(&explanation(explain))?;
        return Ok(Outcome::Fine);
    }
    let examination = Examination {
        paths: args.paths.clone(),
        settings: args.config.as_deref().map(settings).transpose()?,
        delete: args.delete,
        baseline: match &args.baseline {
            Some(file) if !args.write_baseline => Some(Baseline::parse(&text(file)?)?),
            _ => None,
        },
        limits: Limits::default(),
    };
    let bar = Bar::default();
    let report = examine(&examination, &|progress| bar.show(progress));
    bar.clear();
    let report = report?;
    if let Some(file) = args.baseline.as_deref().filter(|_| args.write_baseline) {
        return write_baseline(file, &report);
    }
    print(&match args.format {
        Format::Table => report.table(&|severity, text| painted(args.color, severity, text)),
        Format::Json => report.json(),
        Format::Sarif => report.sarif(),
    })?;
    if let Some(why) = report.not_told().filter(|_| args.format != Format::Table) {
        note(&format!("could not tell: {why}"));
    }
    Ok(report.outcome(&Thresholds { deny: args.deny.0, warn: args.warn.clone() }))
}

fn write_baseline(file: &Path, report: &Report) -> Result<Outcome, ProgramError> {
    if let Some(why) = report.not_told() {
        note(&format!("could not tell: {why}; no baseline was written"));
        return Ok(Outcome::CouldNotTell);
    }
    fs::write(file, report.known.to_text()).map_err(|error| trouble(file, &error.kind(), "written"))?;
    let verb = if report.findings.len() == 1 { "is" } else { "are" };
    note(&format!("{} {verb} in the baseline now", shown::counted(report.findings.len(), "finding")));
    Ok(Outcome::Fine)
}

fn settings(file: &Path) -> Result<Settings, ProgramError> {
    Ok(Settings::parse(&file.display().to_string(), &text(file)?)?)
}

fn text(file: &Path) -> Result<String, ProgramError> {
    let is_file = fs::metadata(file).map_err(|error| trouble(file, &error.kind(), "read"))?.is_file();
    if !is_file {
        return Err(trouble(file, &"no regular file", "read"));
    }
    walk::text(file, MOST_BYTES).map_err(|why| trouble(file, &why, "read"))
}

fn trouble(file: &Path, why: &dyn std::fmt::Display, verb: &'static str) -> ProgramError {
    ProgramError::File { path: shown::plain(&file.display().to_string()), why: why.to_string(), verb }
}

fn deny(text: &str) -> Result<Deny, String> {
    if text == "none" {
        return Ok(Deny(None));
    }
    Severity::named(text)
        .map(|severity| Deny(Some(severity)))
        .ok_or_else(|| "must be low, medium, high or none".to_owned())
}

fn warn(text: &str) -> Result<(Severity, usize), String> {
    let parts =
        text.split_once('=').and_then(|(severity, count)| Some((Severity::named(severity)?, count.parse().ok()?)));
    parts.filter(|(_, count)| *count > 0).ok_or_else(|| "must have the form `medium=10`".to_owned())
}

fn explained(text: &str) -> Result<Explain, String> {
    if text == "all" {
        return Ok(Explain::All);
    }
    let names = || Rule::ALL.iter().map(|rule| rule.id()).collect::<Vec<_>>().join(", ");
    Rule::named(text).map(Explain::One).ok_or_else(|| format!("must be `all` or one of: {}", names()))
}

fn explanation(explain: Explain) -> String {
    let of = |rule: Rule| {
        let (id, severity) = (rule.id(), rule.severity());
        format!("{id} ({severity} at worst)\n  {}\n  {}\n  fix: {}\n", rule.summary(), rule.protects(), rule.fix())
    };
    match explain {
        Explain::All => Rule::ALL.iter().map(|rule| of(*rule)).collect::<Vec<_>>().join("\n"),
        Explain::One(rule) => of(rule),
    }
}

/// Red, yellow and blue on a terminal, unless `NO_COLOR` is set.
fn painted(color: clap::ColorChoice, severity: Severity, text: &str) -> String {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let colors = match color {
        clap::ColorChoice::Always => true,
        clap::ColorChoice::Never => false,
        clap::ColorChoice::Auto => io::stdout().is_terminal() && !set("NO_COLOR") && !dumb,
    };
    let code = match severity {
        Severity::High => 31,
        Severity::Medium => 33,
        Severity::Low => 34,
    };
    if colors { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
}

/// A reader who closed the pipe has seen enough.
fn print(text: &str) -> Result<(), ProgramError> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(ProgramError::Output(error)),
        _ => Ok(()),
    }
}

/// Writes a line to standard error. A reader who closed it does not want to know.
fn note(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// One line on a terminal that says how far the audit has come.
#[derive(Debug)]
struct Bar {
    terminal: bool,
    shown: AtomicBool,
}

impl Default for Bar {
    fn default() -> Self {
        Self { terminal: io::stderr().is_terminal(), shown: AtomicBool::new(false) }
    }
}

impl Bar {
    fn show(&self, progress: Progress) {
        if self.terminal {
            self.shown.store(true, Relaxed);
            let line = match progress.of {
                Some(all) => format!("{} of {all} files read", progress.done),
                None => format!("{} files found", progress.done),
            };
            let _ = write!(io::stderr().lock(), "\r\u{1b}[K{line}");
        }
    }

    fn clear(&self) {
        if self.shown.load(Relaxed) {
            let _ = write!(io::stderr().lock(), "\r\u{1b}[K");
        }
    }
}
