//! What became of one line.

use std::fmt::Write as _;
use std::time::Duration;

use payproof::provider::{Attempt, AttemptOutcome, Rule};
use payproof::{Capture, PaymentId, PaymentIntent, ValidateError, Validation, Verdict};
use serde::Serialize;

use crate::lines::LineError;
use crate::output::{millis, plain, shown, table};
use crate::status::Status;
use crate::trouble::chain;

/// Where a result's line stands in the input, where there is one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LinePlace {
    pub(crate) line: Option<u64>,
    /// The line before it that names the same payment.
    pub(crate) also_on_line: Option<u64>,
}

/// One result.
pub(crate) struct Row {
    pub(crate) place: LinePlace,
    pub(crate) payment: Option<PaymentId>,
    pub(crate) intent: Option<PaymentIntent>,
    pub(crate) outcome: RowOutcome,
}

pub(crate) enum RowOutcome {
    /// There is a verdict.
    Told {
        validation: Validation,
        /// It rests on what the provider said before this command began.
        is_older: bool,
    },
    /// There is none, for now.
    CouldNotTell(ValidateError),
    /// Nothing was asked, since the line makes no sense.
    Refused(LineError),
}

/// Why there is no verdict, for every format.
#[derive(Serialize)]
pub(crate) struct RowError {
    pub(crate) code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'static str>,
    pub(crate) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
}

impl Row {
    /// Asks about what a line claims, unless it makes no sense.
    pub(crate) async fn of(
        place: LinePlace,
        (payment, intent): (Option<PaymentId>, Result<PaymentIntent, LineError>),
        ask: impl AsyncFnOnce(&PaymentIntent) -> RowOutcome,
    ) -> Self {
        match intent {
            Ok(intent) => Self { place, payment, outcome: ask(&intent).await, intent: Some(intent) },
            Err(refusal) => Self { place, payment, intent: None, outcome: RowOutcome::Refused(refusal) },
        }
    }

    pub(crate) fn status(&self) -> Status {
        match &self.outcome {
            RowOutcome::Told { validation, .. } if validation.verdict().is_valid() => Status::Fine,
            RowOutcome::Told { .. } => Status::NotFine,
            RowOutcome::CouldNotTell(_) | RowOutcome::Refused(_) => Status::CouldNotTell,
        }
    }

    pub(crate) fn validation(&self) -> Option<&Validation> {
        match &self.outcome {
            RowOutcome::Told { validation, .. } => Some(validation),
            _ => None,
        }
    }

    /// Whether the verdict rests on what the provider said before this command began.
    pub(crate) fn is_older(&self) -> bool {
        matches!(self.outcome, RowOutcome::Told { is_older: true, .. })
    }

    pub(crate) fn verdict(&self) -> Option<&Verdict> {
        self.validation().map(Validation::verdict)
    }

    pub(crate) fn attempts(&self) -> &[Attempt] {
        match &self.outcome {
            RowOutcome::Told { validation, .. } => validation.attempts(),
            RowOutcome::CouldNotTell(error) => error.attempts(),
            RowOutcome::Refused(_) => &[],
        }
    }

    pub(crate) fn failure(&self) -> Option<RowError> {
        let refused = |refusal: &LineError| RowError {
            code: "invalid_intent",
            field: refusal.field,
            message: match refusal.field {
                Some(field) => format!("invalid {field}: {}", refusal.rule),
                None => refusal.rule.clone(),
            },
            retry_after_ms: None,
        };
        match &self.outcome {
            RowOutcome::Told { .. } => None,
            RowOutcome::Refused(refusal) => Some(refused(refusal)),
            RowOutcome::CouldNotTell(error) => Some(match error.invalid_intent() {
                Some(invalid) => refused(&LineError::from(invalid)),
                None => RowError {
                    code: error.code(),
                    field: None,
                    message: chain(error),
                    retry_after_ms: error.retry_after().map(millis),
                },
            }),
        }
    }

    /// For people: what was wrong with the line, or why there is no verdict.
    pub(crate) fn complaint(&self) -> Option<String> {
        let RowError { message, retry_after_ms, .. } = self.failure()?;
        let retry_after = retry_after_ms.map(Duration::from_millis);
        let wait = retry_after.map(|wait| format!(" (wait {})", shown(wait))).unwrap_or_default();
        Some(match self.place.line {
            Some(line) => format!("line {line}: {}{wait}", plain(&message)),
            None => format!("{}{wait}", plain(&message)),
        })
    }

    /// For people: that the payment stands on another line too. Two orders may have been shipped for it.
    pub(crate) fn repetition(&self) -> Option<String> {
        Some(format!("the same payment as on line {}", self.place.also_on_line?))
    }

    /// The verdict, every finding, and the attempts behind them, on several lines.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        if let (Some(validation), Some(payment)) = (self.validation(), &self.payment) {
            let _ = writeln!(text, "Payment: {payment}");
            let _ = writeln!(text, "Verdict: {}", in_words(validation.verdict()));
            if let Verdict::Invalid(findings) = validation.verdict() {
                for finding in findings {
                    let _ = writeln!(text, "  - {} ({})", plain(&finding.to_string()), finding.code());
                }
            }
            let (provenance, age) = (validation.provenance().as_str(), shown(validation.age()));
            let degraded = validation.degraded().map(|what| format!(" ({})", what.as_str())).unwrap_or_default();
            let loud = if self.is_older() { ": NOT ASKED NOW; without --max-age the provider is asked" } else { "" };
            let _ = writeln!(text, "Facts:   {provenance}{degraded}, {age} old{loud}");
        }
        if !self.attempts().is_empty() {
            let mut table = table(["attempt", "at", "took", "outcome", "request id", "then waited"]);
            for attempt in self.attempts() {
                table.add_row(cells(attempt));
            }
            let _ = writeln!(text, "{table}");
        }
        text
    }
}

/// A verdict as people say it.
pub(crate) fn in_words(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Valid(proof) => match proof.capture() {
            Capture::Captured => format!("valid; {}, captured", proof.money()),
            Capture::Authorized => format!("valid; {}, authorized and not yet captured", proof.money()),
        },
        Verdict::Pending(pending) => {
            let (waits_for, wait) = (pending.waiting().waits_for(), shown(pending.poll_after()));
            format!("pending; waits for {}, ask again in {wait}", waits_for.as_str().replace('_', " "))
        }
        Verdict::ActionRequired(action) => match action.reason() {
            Some(reason) => format!("action required; the shopper has something to do first ({})", plain(reason)),
            None => "action required; the shopper has something to do first".to_owned(),
        },
        Verdict::Invalid(_) => "invalid; do not ship".to_owned(),
    }
}

fn cells(attempt: &Attempt) -> [String; 6] {
    let outcome = match attempt.outcome() {
        AttemptOutcome::Transient(rule) => format!("transient by {rule}"),
        AttemptOutcome::Permanent(Rule::Unknown) => "unknown to every rule".to_owned(),
        AttemptOutcome::Permanent(rule) => format!("permanent by {rule}"),
        other => other.as_str().to_owned(),
    };
    let waited = match attempt.wait() {
        Some((wait, reason)) => format!("{} ({})", shown(wait), reason.as_str()),
        None => "-".to_owned(),
    };
    let request_id = attempt.request_id().unwrap_or("none").to_owned();
    let (at, took) = (shown(attempt.offset()), shown(attempt.duration()));
    [attempt.number().to_string(), at, took, outcome, request_id, waited]
}
