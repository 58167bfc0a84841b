//! The rules, each of which reads events.

mod answers;
mod keys;
mod maybe;
mod payments;
mod provider;
mod webhooks;

use crate::model::{Effect, Event, EventKind, Evidence, Finding, Judgment, Names, ProviderCall, Rule, Severity, Span};
use crate::routes::Followed;

pub(crate) use answers::{Shapes, is_of_style};

/// One route under the rules.
pub(crate) struct Case<'c> {
    pub(crate) followed: &'c Followed,
    pub(crate) events: &'c [Event],
    pub(crate) names: &'c Names,
    pub(crate) is_webhook: bool,
    pub(crate) findings: Vec<Finding>,
}

/// What is found in a route, whatever the tree's style of answers is; and what its answers say of that style.
pub(crate) fn judge(followed: &Followed, names: &Names) -> (Vec<Finding>, Shapes) {
    if followed.route.judgment != Judgment::Judged {
        return (Vec::new(), Shapes::default());
    }
    let events = &followed.run.events;
    let is_webhook = webhooks::is_webhook(followed);
    let mut case = Case { followed, events, names, is_webhook, findings: Vec::new() };
    keys::judge(&mut case);
    provider::judge(&mut case);
    payments::judge(&mut case);
    webhooks::judge(&mut case);
    answers::judge(&mut case);
    (case.findings, Shapes::of(events))
}

impl Case<'_> {
    /// Whether a repetition of the request is one of an effect.
    pub(crate) fn is_unsafe(&self) -> bool {
        match self.followed.route.method.as_str() {
            "POST" | "PUT" | "PATCH" | "ANY" => true,
            "DELETE" => self.names.delete,
            _ => false,
        }
    }

    /// Says something of an event.
    pub(crate) fn tell(
        &mut self,
        rule: Rule,
        severity: Severity,
        event: &Event,
        what: String,
        unfollowed: Option<String>,
    ) {
        let route = &self.followed.route;
        let mut places: Vec<(&str, Span)> = event.trail.iter().map(|(file, span)| (file.as_str(), *span)).collect();
        places.push((event.file.as_str(), event.span));
        // Shown where the handler itself goes there. What follows from its declaration alone is no place of its own.
        places.retain(|(_, span)| span.line > 0 && *span != route.span);
        let first = |home: &str| places.iter().find(|(file, _)| *file == home).copied();
        let place = first(&route.file).or_else(|| first(&self.followed.home)).or_else(|| places.last().copied());
        let (path, span) = place.unwrap_or((route.file.as_str(), route.span));
        let evidence = places
            .iter()
            .filter(|place| **place != (path, span))
            .map(|(file, span)| Evidence {
                path: (*file).to_owned(),
                line: span.line,
                column: span.column,
                what: if (*file, *span) == (event.file.as_str(), event.span) {
                    "it happens here".to_owned()
                } else {
                    "called here".to_owned()
                },
            })
            .collect();
        let finding = Finding {
            rule,
            severity,
            path: path.to_owned(),
            line: span.line,
            column: span.column,
            method: route.method.clone(),
            route: route.path.clone(),
            handler: route.handler.clone(),
            what,
            fix: rule.fix().to_owned(),
            statement: String::new(),
            evidence,
            unfollowed,
        };
        let same = |other: &Finding| {
            other.rule == rule
                && (&other.path, other.line, other.column) == (&finding.path, finding.line, finding.column)
        };
        match self.findings.iter_mut().find(|other| same(other)) {
            Some(other) if other.severity < finding.severity => *other = finding,
            Some(_) => {}
            None => self.findings.push(finding),
        }
    }

    /// "X is missing": low if a call that was not followed might be it, and then named.
    pub(crate) fn tell_missing(
        &mut self,
        rule: Rule,
        severity: Severity,
        event: &Event,
        what: &str,
        maybe: Option<String>,
    ) {
        match maybe {
            Some(name) => {
                let what = format!("{what}, unless `{name}`, which was not followed, sees to it");
                self.tell(rule, Severity::Low, event, what, Some(name));
            }
            None => self.tell(rule, severity, event, what.to_owned(), None),
        }
    }

    /// Whether something happens for sure before an event.
    pub(crate) fn before(&self, event: &Event, is: impl Fn(&EventKind) -> bool) -> bool {
        self.earlier(event).iter().any(|earlier| is(&earlier.kind) && earlier.dominates(event))
    }

    /// Whether something may happen before an event.
    pub(crate) fn perhaps_before(&self, event: &Event, is: impl Fn(&EventKind) -> bool) -> bool {
        self.earlier(event).iter().any(|earlier| is(&earlier.kind))
    }

    pub(crate) fn earlier(&self, event: &Event) -> &[Event] {
        let at = self.events.iter().position(|other| std::ptr::eq(other, event)).unwrap_or(self.events.len());
        self.events.get(..at).unwrap_or_default()
    }

    pub(crate) fn any(&self, is: impl Fn(&EventKind) -> bool) -> bool {
        self.events.iter().any(|event| is(&event.kind))
    }
}

/// The effect of an event, if it is a write.
pub(crate) fn written(event: &Event) -> Option<&Effect> {
    match &event.kind {
        EventKind::Write(effect) => Some(effect),
        _ => None,
    }
}

/// What the provider is told by an event.
pub(crate) fn told(event: &Event) -> Option<&ProviderCall> {
    match &event.kind {
        EventKind::ProviderWrite(call) => Some(call),
        _ => None,
    }
}
