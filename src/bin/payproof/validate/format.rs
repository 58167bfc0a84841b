//! How results are written: as a table, as JSON lines, or as CSV.

use clap::ValueEnum;
use payproof::Verdict;
use payproof::provider::{Attempt, AttemptOutcome};
use serde::Serialize;

use crate::output::{millis, plain};
use crate::trouble::Trouble;

use super::row::{Row, RowError, in_words};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// One JSON object per line
    Jsonl,
    /// With a header row
    Csv,
}

const COLUMNS: [&str; 10] =
    ["line", "payment", "tenant", "order", "verdict", "findings", "error", "message", "provenance", "age_ms"];

/// One result as a JSON object: with `verdict`, or with `error`.
#[derive(Serialize)]
struct Json<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    also_on_line: Option<u64>,
    payment: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    findings: Option<Vec<JsonFinding>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    waits_for: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    waits_until: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    poll_after_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provenance: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    degraded: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    age_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<RowError>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<Vec<JsonAttempt<'r>>>,
}

#[derive(Serialize)]
struct JsonFinding {
    code: &'static str,
    text: String,
}

#[derive(Serialize)]
struct JsonAttempt<'r> {
    number: u32,
    offset_ms: u64,
    duration_ms: u64,
    reach: &'static str,
    status: Option<u16>,
    request_id: Option<&'r str>,
    outcome: &'static str,
    rule: Option<String>,
    wait_ms: Option<u64>,
    wait_reason: Option<&'static str>,
}

impl Format {
    /// What stands above the results.
    pub(crate) fn head(self, out: &mut Vec<u8>) {
        match self {
            Self::Table => out.extend(columns("line", "payment", "verdict", "details").into_bytes()),
            Self::Jsonl => {}
            Self::Csv => out.extend(format!("{}\n", COLUMNS.join(",")).into_bytes()),
        }
    }

    /// Adds one result. With `every_attempt` also those are told that went well at once.
    pub(crate) fn write(self, row: &Row, every_attempt: bool, out: &mut Vec<u8>) -> Result<(), Trouble> {
        let written = match self {
            Self::Table => {
                out.extend(line(row).into_bytes());
                Ok(())
            }
            Self::Jsonl => serde_json::to_writer(&mut *out, &json(row, every_attempt))
                .map_err(|error| error.to_string())
                .map(|()| out.push(b'\n')),
            Self::Csv => csv(row, out).map_err(|error| error.to_string()),
        };
        written.map_err(|error| Trouble::new(format!("a result cannot be written in this format: {error}")))
    }
}

/// Fixed widths, so that each line can be shown as soon as it is known.
fn columns(line: &str, payment: &str, verdict: &str, details: &str) -> String {
    format!("{line:>6}  {payment:<28} {verdict:<15} {details}").trim_end().to_owned() + "\n"
}

fn line(row: &Row) -> String {
    let number = row.place.line.map(|line| line.to_string()).unwrap_or_default();
    let payment = row.payment.as_ref().map_or("-", |payment| payment.as_str());
    let (verdict, details) = match (row.verdict(), row.failure()) {
        (Some(verdict @ Verdict::Invalid(findings)), _) => (verdict.as_str(), findings.to_string()),
        (Some(verdict), _) => {
            let words = in_words(verdict);
            (verdict.as_str(), words.split_once("; ").map(|(_, details)| details.to_owned()).unwrap_or(words))
        }
        (None, Some(failure)) => ("could not tell", failure.message),
        (None, None) => ("could not tell", String::new()),
    };
    let details = [Some(details).filter(|details| !details.is_empty()), row.repetition()];
    let details: Vec<String> = details.into_iter().flatten().collect();
    columns(&number, payment, verdict, &plain(&details.join("; ")))
}

fn json(row: &Row, every_attempt: bool) -> Json<'_> {
    let validation = row.validation();
    let verdict = row.verdict();
    let findings = match verdict {
        Some(Verdict::Invalid(findings)) => Some(
            findings.iter().map(|finding| JsonFinding { code: finding.code(), text: finding.to_string() }).collect(),
        ),
        _ => None,
    };
    let reason = match verdict {
        Some(Verdict::Pending(pending)) => Some(pending.status().as_str()),
        Some(Verdict::ActionRequired(action)) => action.reason(),
        _ => None,
    };
    let waiting = match verdict {
        Some(Verdict::Pending(pending)) => Some(pending.waiting()),
        Some(Verdict::ActionRequired(action)) => Some(action.waiting()),
        _ => None,
    };
    // One that brought facts at once says nothing that is not said already.
    let is_telling = every_attempt || row.attempts().len() > 1 || validation.is_none();
    let attempts = (is_telling && !row.attempts().is_empty()).then(|| row.attempts().iter().map(attempt).collect());
    Json {
        line: row.place.line,
        also_on_line: row.place.also_on_line,
        payment: row.payment.as_ref().map(payproof::PaymentId::as_str),
        tenant: row.intent.as_ref().map(payproof::PaymentIntent::tenant),
        order: row.intent.as_ref().and_then(payproof::PaymentIntent::order),
        verdict: verdict.map(Verdict::as_str),
        findings,
        reason,
        waits_for: waiting.map(|waiting| waiting.waits_for().as_str()),
        waits_until: waiting.and_then(payproof::Waiting::until),
        poll_after_ms: waiting.map(|waiting| millis(waiting.poll_after())),
        provenance: validation.map(|validation| validation.provenance().as_str()),
        degraded: validation.and_then(|validation| Some(validation.degraded()?.as_str())),
        age_ms: validation.map(|validation| millis(validation.age())),
        error: row.failure(),
        attempts,
    }
}

fn attempt(attempt: &Attempt) -> JsonAttempt<'_> {
    let rule = match attempt.outcome() {
        AttemptOutcome::Transient(rule) | AttemptOutcome::Permanent(rule) => Some(rule.to_string()),
        _ => None,
    };
    JsonAttempt {
        number: attempt.number(),
        offset_ms: millis(attempt.offset()),
        duration_ms: millis(attempt.duration()),
        reach: attempt.reach().as_str(),
        status: attempt.status(),
        request_id: attempt.request_id(),
        outcome: attempt.outcome().as_str(),
        rule,
        wait_ms: attempt.wait().map(|(wait, _)| millis(wait)),
        wait_reason: attempt.wait().map(|(_, reason)| reason.as_str()),
    }
}

fn csv(row: &Row, out: &mut Vec<u8>) -> Result<(), csv::Error> {
    let json = json(row, false);
    let findings = json.findings.unwrap_or_default();
    let findings: Vec<String> =
        findings.into_iter().map(|finding| format!("{}: {}", finding.code, finding.text)).collect();
    let (code, message) = json.error.map(|error| (error.code, error.message)).unzip();
    let message: Vec<String> = message.into_iter().chain(row.repetition()).collect();
    let mut writer = csv::Writer::from_writer(out);
    // In the order of the columns.
    writer.serialize((
        json.line,
        json.payment,
        json.tenant,
        json.order,
        json.verdict,
        findings.join("; "),
        code,
        message.join("; "),
        json.provenance,
        json.age_ms,
    ))?;
    writer.flush()?;
    Ok(())
}
