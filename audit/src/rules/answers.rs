//! The shape of answers.

use super::Case;
use crate::model::{Answered, EventKind, Judgment, Rule, Severity};
use crate::routes::Followed;

/// Answers of this share or more have the envelope where it is the house's style.
const COMMON_PERCENT: usize = 80;
/// Fewer answers than this show no style.
const FEWEST: usize = 5;

/// How many answers there are, and how many of them have the envelope.
#[derive(Debug, Default)]
pub(crate) struct Shapes {
    all: usize,
    enveloped: usize,
}

impl Shapes {
    pub(crate) fn of(routes: &[Followed]) -> Self {
        let mut shapes = Self::default();
        let judged = routes.iter().filter(|followed| followed.route.judgment == Judgment::Judged);
        for answer in judged.flat_map(|followed| &followed.run.events).filter_map(|event| match &event.kind {
            EventKind::Answer(answer) => Some(answer),
            _ => None,
        }) {
            if answer.json && !answer.open {
                shapes.all = shapes.all.saturating_add(1);
                shapes.enveloped = shapes.enveloped.saturating_add(usize::from(has_envelope(answer)));
            }
        }
        shapes
    }

    pub(crate) fn is_common(&self) -> bool {
        self.all >= FEWEST && self.enveloped.saturating_mul(100) >= self.all.saturating_mul(COMMON_PERCENT)
    }
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
        if case.envelope {
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
        }
        let succeeded = answer.status.is_some_and(|status| (200..300).contains(&status));
        if succeeded && answer.error && !answer.root.iter().any(|name| name == "data") {
            let status = answer.status.unwrap_or_default();
            case.tell(Rule::ErrorAs200, Severity::Medium, event, format!("an error is answered with {status}"), None);
        }
    }
}
