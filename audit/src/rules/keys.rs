//! The idempotency key of a request, and the records under it.

use super::{Case, told, written};
use crate::model::{Event, EventKind, Rule, Severity};

pub(super) fn judge(case: &mut Case<'_>) {
    missing(case);
    optional(case);
    records(case);
}

/// How bad a repetition of an event is.
fn repetition(event: &Event) -> Option<(Severity, String)> {
    if let Some(effect) = written(event) {
        let severity = if effect.valuable { Severity::High } else { Severity::Medium };
        return Some((severity, effect.call.clone()));
    }
    let call = told(event)?;
    let severity = if call.money && call.repeats { Severity::High } else { Severity::Medium };
    Some((severity, call.call.clone()))
}

fn missing(case: &mut Case<'_>) {
    if case.is_webhook || !case.is_unsafe() {
        return;
    }
    if case.any(|kind| matches!(kind, EventKind::KeyRead | EventKind::Guarded)) {
        return;
    }
    let events = case.events;
    let mut worst: Option<(Severity, String, &Event)> = None;
    for event in events {
        if let Some((severity, call)) = repetition(event)
            && worst.as_ref().is_none_or(|(known, ..)| severity > *known)
        {
            worst = Some((severity, call, event));
        }
    }
    if let Some((severity, call, event)) = worst {
        let what = format!("a repeated request calls `{call}` again: no idempotency key is read");
        // A server action has no headers: its form may hold a key.
        let severity = if case.followed.action { severity.min(Severity::Medium) } else { severity };
        let maybe = case.maybe_key();
        case.tell_missing(Rule::KeyMissing, severity, event, &what, maybe);
        return;
    }
    if let Some(event) = case.maybe_write()
        && let EventKind::Unfollowed { name, .. } = &event.kind
    {
        let what = format!("no idempotency key is read, and `{name}`, which was not followed, may write");
        let (event, name) = (event.clone(), name.clone());
        case.tell(Rule::KeyMissing, Severity::Low, &event, what, Some(name));
    }
}

fn optional(case: &mut Case<'_>) {
    if case.is_webhook || !case.is_unsafe() || case.any(|kind| matches!(kind, EventKind::Guarded)) {
        return;
    }
    if !case.any(|kind| matches!(kind, EventKind::KeyRead)) {
        return;
    }
    let events = case.events;
    let effect = events.iter().find(|event| {
        repetition(event).is_some() && !case.before(event, |kind| matches!(kind, EventKind::KeyRequired))
    });
    if let Some(event) = effect {
        let (_, call) = repetition(event).unwrap_or_default_pair();
        case.tell(
            Rule::KeyOptional,
            Severity::Low,
            event,
            format!("`{call}` happens without an idempotency key too"),
            None,
        );
    }
}

/// What is recorded under the key.
fn records(case: &mut Case<'_>) {
    let events = case.events;
    let lookup = events.iter().position(|event| matches!(event.kind, EventKind::Lookup { .. }));
    replays(case);
    tenants(case);
    let effect = events.iter().position(|event| {
        repetition(event).is_some_and(|(severity, _)| severity >= Severity::Medium)
            && !matches!(written(event), Some(effect) if effect.mail)
    });
    let Some(at) = effect else { return };
    let Some(event) = events.get(at) else { return };
    let claims = |event: &&Event| matches!(event.kind, EventKind::Claim(claimed) if claimed.key);
    let before = events.get(..at).unwrap_or_default();
    let after = events.get(at..).unwrap_or_default();
    let claim = before.iter().filter(claims).find(|claim| claim.dominates(event));
    if let Some(claim) = claim {
        if let EventKind::Claim(claimed) = claim.kind
            && !claimed.proven
        {
            let what =
                "the key is inserted, but no unique column is in sight that would refuse a second one".to_owned();
            case.tell(Rule::ClaimNotAtomic, Severity::Low, claim, what, None);
        }
    } else {
        let recorded = after.iter().any(|event| matches!(event.kind, EventKind::Store { .. }) || claims(&event));
        if lookup.is_some_and(|lookup| lookup < at) && recorded {
            let what = "two requests with one key at once both find no record, and both act".to_owned();
            let maybe = case.maybe_claim(event);
            case.tell_missing(Rule::ClaimNotAtomic, Severity::High, event, &what, maybe);
        }
    }
}

fn replays(case: &mut Case<'_>) {
    let events = case.events;
    let Some(replay) = events.iter().find(|event| matches!(&event.kind, EventKind::Answer(answer) if answer.replayed))
    else {
        return;
    };
    let session = |kind: &EventKind| matches!(kind, EventKind::Session);
    if !case.before(replay, session) {
        let maybe = case.maybe_session(replay);
        let later = case.any(session);
        if later || maybe.is_some() {
            let what = "a recorded answer leaves before it is established who asks";
            case.tell_missing(Rule::ReplayBeforeAuth, Severity::High, replay, what, maybe);
        }
    }
    if !case.perhaps_before(replay, |kind| matches!(kind, EventKind::Fingerprint)) {
        let what = "a recorded answer is replayed without comparing the request with the recorded one".to_owned();
        case.tell(Rule::ReplayWithoutFingerprint, Severity::Medium, replay, what, None);
    }
}

fn tenants(case: &mut Case<'_>) {
    let events = case.events;
    let ahead = case.followed.ahead;
    let knows = |from: usize| events.iter().skip(from).any(|event| matches!(event.kind, EventKind::Session));
    if !knows(0) {
        return;
    }
    let bare = events.iter().enumerate().find(|(_, event)| match event.kind {
        EventKind::Lookup { tenant } | EventKind::Store { tenant } => !tenant,
        EventKind::Claim(claimed) => claimed.key && !claimed.tenant,
        _ => false,
    });
    let looks_up = events.iter().any(|event| {
        matches!(event.kind, EventKind::Lookup { .. }) || matches!(event.kind, EventKind::Claim(claimed) if claimed.key)
    });
    // Who is signed in is known to what checked it: the handler need not be told.
    if let Some((_, event)) = bare.filter(|(at, _)| looks_up && (*at < ahead || knows(ahead))) {
        let what = "the record's key holds neither the tenant nor the user".to_owned();
        case.tell(Rule::KeyWithoutTenant, Severity::High, event, what, None);
    }
}

/// A pair for an event that has no effect.
trait OrNothing {
    fn unwrap_or_default_pair(self) -> (Severity, String);
}

impl OrNothing for Option<(Severity, String)> {
    fn unwrap_or_default_pair(self) -> (Severity, String) {
        self.unwrap_or((Severity::Low, String::new()))
    }
}
