//! Webhooks: signed, over the bytes as they came, and handled once.

use super::{Case, told, written};
use crate::model::{Event, EventKind, Rule, Severity};
use crate::routes::Followed;

/// Whether a route is what a provider calls.
pub(super) fn is_webhook(followed: &Followed) -> bool {
    let method = followed.route.method.as_str();
    if !matches!(method, "POST" | "ANY" | "PUT") || followed.action {
        return false;
    }
    if followed.run.signature_read {
        return true;
    }
    let path = followed.route.path.to_lowercase();
    let named = path.split('/').any(|part| {
        part.contains("webhook")
            || part == "ipn"
            || part == "hook"
            || part == "hooks"
            || part.ends_with("-hook")
            || part.ends_with("-ipn")
    });
    // Who is signed in manages webhooks, and is not called by them.
    named && !followed.run.events.iter().skip(followed.ahead).any(|event| matches!(event.kind, EventKind::Session))
}

pub(super) fn judge(case: &mut Case<'_>) {
    if !case.is_webhook {
        return;
    }
    unsigned(case);
    parsed(case);
    repeats(case);
}

fn is_effect(event: &Event) -> bool {
    written(event).is_some() || told(event).is_some()
}

fn unsigned(case: &mut Case<'_>) {
    let events = case.events;
    let verified = |kind: &EventKind| matches!(kind, EventKind::Verify { everywhere: true, .. });
    let asked = |kind: &EventKind| matches!(kind, EventKind::ProviderRead { .. } | EventKind::Guarded);
    let first = events.iter().filter(|event| is_effect(event)).find(|event| !case.before(event, verified));
    let Some(event) = first else { return };
    if case.perhaps_before(event, asked) {
        return;
    }
    let what = "the webhook acts on what it is sent before its signature is verified";
    if case.perhaps_before(event, verified) {
        let what = "the webhook's signature is verified only at times before it acts".to_owned();
        case.tell(Rule::WebhookUnsigned, Severity::Medium, event, what, None);
        return;
    }
    if case.perhaps_before(event, |kind| matches!(kind, EventKind::Verify { .. })) {
        let what = "the webhook's signature is verified in production only, and every caller is believed elsewhere";
        case.tell(Rule::WebhookUnsigned, Severity::Low, event, what.to_owned(), None);
        return;
    }
    let maybe = case.maybe_verification(event);
    case.tell_missing(Rule::WebhookUnsigned, Severity::High, event, what, maybe);
}

fn parsed(case: &mut Case<'_>) {
    let events = case.events;
    if let Some(event) = events.iter().find(|event| matches!(event.kind, EventKind::Verify { parsed: true, .. })) {
        let what = "the signature is verified over a body that was parsed, and not over its bytes".to_owned();
        case.tell(Rule::WebhookParsed, Severity::High, event, what, None);
    }
}

fn repeats(case: &mut Case<'_>) {
    let events = case.events;
    let claimed = |kind: &EventKind| {
        matches!(kind, EventKind::StoredGuard | EventKind::Guarded)
            || matches!(kind, EventKind::Claim(claimed) if claimed.event || claimed.key)
    };
    let first = events.iter().find(|event| {
        let again = written(event).is_some_and(|effect| effect.repeats)
            || told(event).is_some_and(|call| call.repeats && call.money);
        again && !case.perhaps_before(event, claimed)
    });
    if let Some(event) = first {
        let call = written(event)
            .map(|effect| effect.call.clone())
            .or_else(|| told(event).map(|call| call.call.clone()))
            .unwrap_or_default();
        let what = format!("an event that is delivered twice calls `{call}` twice");
        let maybe = case.maybe_claim(event);
        case.tell_missing(Rule::WebhookRepeats, Severity::Medium, event, &what, maybe);
    }
}
