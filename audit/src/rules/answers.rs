//! The shape of answers.

use super::Case;
use crate::model::{Answered, Event, EventKind, Rule, Severity};

/// Answers of this share or more have the envelope where it is the house's style.
const COMMON_PERCENT: usize = 80;
/// Fewer answers than this show no style.
const FEWEST: usize = 5;

/// How many answers there are, and how many of them have the envelope.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Shapes {
    all: usize,
    enveloped: usize,
}

impl Shapes {
    pub(super) fn of(events: &[Event]) -> Self {
        let answers = events.iter().filter_map(|event| match &event.kind {
            EventKind::Answer(answer) => Some(answer),
            _ => None,
        });
        answers.filter(|answer| answer.json && !answer.open).fold(Self::default(), |shapes, answer| {
            shapes.and(Self { all: 1, enveloped: usize::from(has_envelope(answer)) })
        })
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self { all: self.all.saturating_add(other.all), enveloped: self.enveloped.saturating_add(other.enveloped) }
    }

    pub(crate) fn is_common(&self) -> bool {
        self.all >= FEWEST && self.enveloped.saturating_mul(100) >= self.all.saturating_mul(COMMON_PERCENT)
    }
}

/// Whether a rule holds answers to the envelope, which is for trees only where it is the house's style.
pub(crate) fn is_of_style(rule: Rule) -> bool {
    matches!(rule, Rule::SuccessFlag | Rule::Envelope)
}

fn has_envelope(answer: &Answered) -> bool {
    answer.root.iter().any(|name| name == "data" || name == "error")
}

pub(super) fn judge(case: &mut Case<'_>) {
    if case.is_webhook {
        return;
    }
    for event in case.events {
        let EventKind::Answer(answer) = &event.kind else { continue };
        if !answer.json {
            continue;
        }
        if let Some(flag) = &answer.success {
            let what = format!("the answer has the flag `{flag}`, which its status says already");
            case.tell(Rule::SuccessFlag, Severity::Medium, event, what, None);
        }
        if !answer.open && !has_envelope(answer) {
            let what = "the answer has neither `data` nor `error` at its root".to_owned();
            case.tell(Rule::Envelope, Severity::Low, event, what, None);
        } else if answer.error_object == Some(false) {
            let what = "the answer's `error` is no object with a code and a message".to_owned();
            case.tell(Rule::Envelope, Severity::Low, event, what, None);
        }
        let succeeded = answer.status.is_some_and(|status| (200..300).contains(&status));
        if succeeded && answer.error && !answer.root.iter().any(|name| name == "data") {
            let status = answer.status.unwrap_or_default();
            case.tell(Rule::ErrorAs200, Severity::Medium, event, format!("an error is answered with {status}"), None);
        }
    }
}
