//! Shows an outcome, to people or as JSON, and turns it into an exit status.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use comfy_table::{LineStyle, Table, TableStyle};
use payproof::provider::{Attempt, AttemptOutcome};
use payproof::{Capture, ValidateError, Validation, Verdict};
use serde_json::{Value, json};

/// A line under the header and no other: narrow enough for most terminals.
const LINES: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('═'));

/// What became of one validation.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// There is a verdict.
    Told(Validation),
    /// There is none, for now.
    CouldNotTell(ValidateError),
    /// Nothing was asked: the claim or a setting is wrong.
    Refused { code: &'static str, error: Box<dyn Error> },
}

impl Outcome {
    /// 0 valid, 1 not valid, 2 could not tell.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Told(validation) => u8::from(!validation.verdict().is_valid()),
            Self::CouldNotTell(_) | Self::Refused { .. } => 2,
        }
    }

    fn attempts(&self) -> &[Attempt] {
        match self {
            Self::Told(validation) => validation.attempts(),
            Self::CouldNotTell(error) => error.attempts(),
            Self::Refused { .. } => &[],
        }
    }

    /// The error on one line, with what caused it: each error says only its own part.
    fn complaint(&self) -> Option<String> {
        let error: &dyn Error = match self {
            Self::Told(_) => return None,
            Self::CouldNotTell(error) => error,
            Self::Refused { error, .. } => &**error,
        };
        let causes = std::iter::successors(error.source(), |&cause| cause.source());
        let mut line = causes.fold(error.to_string(), |line, cause| format!("{line}: {cause}"));
        if let Self::CouldNotTell(error) = self
            && let Some(wait) = error.retry_after()
        {
            let _ = write!(line, " (wait {})", shown(wait));
        }
        Some(line)
    }
}

/// Prints the outcome to standard output, and an error to standard error besides.
pub(crate) fn print(payment: &str, outcome: &Outcome, as_json: bool) -> ExitCode {
    if let Some(complaint) = outcome.complaint() {
        eprintln!("error: {complaint}");
    }
    let text = if as_json { format!("{}\n", json_of(outcome)) } else { text_of(payment, outcome) };
    match write_out(&text) {
        Ok(()) => ExitCode::from(outcome.exit_code()),
        Err(error) => {
            eprintln!("error: the result could not be written: {error}");
            ExitCode::from(2)
        }
    }
}

/// Writes all of it; a reader who closed the pipe has seen enough.
pub(crate) fn write_out(text: &str) -> io::Result<()> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// The verdict, every finding, and the attempts behind them.
pub(crate) fn text_of(payment: &str, outcome: &Outcome) -> String {
    let mut text = String::new();
    if let Outcome::Told(validation) = outcome {
        let (provenance, age) = (validation.provenance().as_str(), shown(validation.age()));
        // Writing to a string does not fail.
        let _ = writeln!(text, "Payment: {payment}");
        let _ = writeln!(text, "Verdict: {}", verdict_in_words(validation.verdict()));
        for (code, finding) in findings(validation.verdict()) {
            let _ = writeln!(text, "  - {finding} ({code})");
        }
        let _ = writeln!(text, "Facts:   {provenance}, {age} old");
    }
    if !outcome.attempts().is_empty() {
        let _ = writeln!(text, "{}", table(outcome.attempts()));
    }
    text
}

fn verdict_in_words(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Valid(proof) => match proof.capture() {
            Capture::Captured => format!("valid; {}, captured", proof.money()),
            Capture::Authorized => format!("valid; {}, authorized and not yet captured", proof.money()),
        },
        Verdict::Pending(pending) => format!("pending; ask again in {}", shown(pending.poll_after())),
        Verdict::ActionRequired(action) => match action.reason() {
            Some(reason) => format!("action required; the shopper has something to do first ({reason})"),
            None => "action required; the shopper has something to do first".to_owned(),
        },
        Verdict::Invalid(_) => "invalid; do not ship".to_owned(),
    }
}

fn findings(verdict: &Verdict) -> Vec<(&'static str, String)> {
    match verdict {
        Verdict::Invalid(findings) => findings.iter().map(|found| (found.code(), found.to_string())).collect(),
        _ => Vec::new(),
    }
}

fn table(attempts: &[Attempt]) -> Table {
    let mut table = Table::new();
    table.load_style(LINES).set_header(["attempt", "at", "took", "outcome", "request id", "then waited"]);
    for attempt in attempts {
        let request_id = attempt.request_id().unwrap_or("none").to_owned();
        let waited = match attempt.wait() {
            Some((wait, reason)) => format!("{} ({})", shown(wait), reason.as_str()),
            None => "-".to_owned(),
        };
        let (at, took) = (shown(attempt.offset()), shown(attempt.duration()));
        table.add_row([attempt.number().to_string(), at, took, outcome_in_words(attempt), request_id, waited]);
    }
    table
}

fn outcome_in_words(attempt: &Attempt) -> String {
    match attempt.outcome() {
        AttemptOutcome::Facts => "facts".to_owned(),
        AttemptOutcome::Transient(rule) => format!("transient by {rule}"),
        AttemptOutcome::Permanent(rule) => format!("permanent by {rule}"),
        other => format!("{other:?}"),
    }
}

/// One object: with `verdict`, or with `error`.
fn json_of(outcome: &Outcome) -> Value {
    let attempts: Vec<Value> = outcome.attempts().iter().map(json_of_attempt).collect();
    match outcome {
        Outcome::Told(validation) => json!({
            "verdict": validation.verdict().as_str(),
            "findings": findings(validation.verdict())
                .into_iter()
                .map(|(code, text)| json!({ "code": code, "text": text }))
                .collect::<Vec<_>>(),
            "provenance": validation.provenance().as_str(),
            "age_ms": millis(validation.age()),
            "attempts": attempts,
        }),
        Outcome::CouldNotTell(error) => json!({
            "error": {
                "code": error.code(),
                "message": outcome.complaint(),
                "retry_after_ms": error.retry_after().map(millis),
            },
            "attempts": attempts,
        }),
        Outcome::Refused { code, .. } => json!({
            "error": { "code": code, "message": outcome.complaint(), "retry_after_ms": null },
            "attempts": attempts,
        }),
    }
}

fn json_of_attempt(attempt: &Attempt) -> Value {
    let (outcome, rule) = match attempt.outcome() {
        AttemptOutcome::Transient(rule) => ("transient", Some(rule.to_string())),
        AttemptOutcome::Permanent(rule) => ("permanent", Some(rule.to_string())),
        _ => ("facts", None),
    };
    json!({
        "number": attempt.number(),
        "offset_ms": millis(attempt.offset()),
        "duration_ms": millis(attempt.duration()),
        "reach": attempt.reach().as_str(),
        "status": attempt.status(),
        "request_id": attempt.request_id(),
        "outcome": outcome,
        "rule": rule,
        "wait_ms": attempt.wait().map(|(wait, _)| millis(wait)),
        "wait_reason": attempt.wait().map(|(_, reason)| reason.as_str()),
    })
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn shown(time: Duration) -> String {
    match time.as_millis() {
        0..1_000 => format!("{} ms", time.as_millis()),
        _ => format!("{:.1} s", time.as_secs_f64()),
    }
}
