//! The rules that a description can break.

use std::collections::BTreeMap;

use crate::model::{Evidence, Finding, Names, Rule, Severity};

use super::document::{Document, NodeId};
use super::operation::{Idempotency, Operation};
use super::schema::{SchemaShape, is_no_object, properties_named, shapes};

/// Words of paths behind which money, orders or stock change.
const VALUABLE: &[&str] = &[
    "order",
    "payment",
    "checkout",
    "charge",
    "refund",
    "capture",
    "payout",
    "transfer",
    "invoice",
    "subscription",
    "inventory",
    "stock",
    "purchase",
    "credit",
];

/// Last words of paths behind which nothing is written, though they are sent a body.
const READS: &[&str] = &["search", "query", "preview", "validate", "quote", "estimate"];

/// The share of a tree's answers, in percent, from which on their shape is a convention.
const CONVENTION: usize = 80;

/// What is wrong with the operations.
pub(super) fn findings(
    path: &str,
    text: &str,
    document: &Document,
    operations: &[Operation],
    names: &Names,
) -> Vec<Finding> {
    let lines: Vec<&str> = text.lines().collect();
    let mut told = Told { path, lines: &lines, document, found: BTreeMap::new() };
    let held = names.envelope.unwrap_or_else(|| is_convention(document, operations));
    for operation in operations {
        key(&mut told, operation, names.delete);
        if is_webhook(operation) {
            continue;
        }
        for answer in &operation.answers {
            let shapes = shapes(document, answer.schema);
            if held {
                for property in properties_named(document, answer.schema, "success") {
                    told.tell(
                        Rule::SuccessFlag,
                        Severity::Medium,
                        operation,
                        property,
                        "the answer has a property `success`",
                    );
                }
                if let Some(what) = shapes.iter().find_map(|shape| not_held(document, shape)) {
                    told.tell(Rule::Envelope, Severity::Low, operation, answer.key, what);
                }
            }
            if answer.is_success && shapes.iter().any(is_error) {
                told.tell(
                    Rule::ErrorAs200,
                    Severity::Medium,
                    operation,
                    answer.key,
                    "an error is answered with a status of success",
                );
            }
        }
    }
    told.found.into_values().collect()
}

fn key(told: &mut Told<'_>, operation: &Operation, delete: bool) {
    let unsafe_method =
        matches!(&*operation.method, "POST" | "PUT" | "PATCH") || (delete && operation.method == "DELETE");
    let last = operation.path.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    if !unsafe_method || is_webhook(operation) || READS.contains(&&*last) {
        return;
    }
    match operation.idempotency {
        Idempotency::Required => {}
        Idempotency::Optional(parameter) => {
            told.tell(
                Rule::KeyOptional,
                Severity::Low,
                operation,
                parameter,
                "the header with the idempotency key is not required",
            );
        }
        Idempotency::Unknown => {
            told.tell(
                Rule::KeyMissing,
                Severity::Low,
                operation,
                operation.key,
                "no header with an idempotency key is described; a parameter of another document may be it",
            );
        }
        Idempotency::Missing => {
            let path = operation.path.to_ascii_lowercase();
            let valuable = VALUABLE.iter().any(|word| path.contains(word));
            let severity = if valuable { Severity::Medium } else { Severity::Low };
            told.tell(
                Rule::KeyMissing,
                severity,
                operation,
                operation.key,
                "no header with an idempotency key is described",
            );
        }
    }
}

/// Whether most answers have `data` or `error` at their root.
fn is_convention(document: &Document, operations: &[Operation]) -> bool {
    let answers = operations.iter().filter(|operation| !is_webhook(operation)).flat_map(|operation| &operation.answers);
    let shapes: Vec<SchemaShape> = answers.flat_map(|answer| shapes(document, answer.schema)).collect();
    let known = shapes.iter().filter(|shape| !shape.is_unknown());
    let (mut all, mut held) = (0_usize, 0_usize);
    for shape in known {
        all = all.saturating_add(1);
        held = held.saturating_add(usize::from(shape.property("data").is_some() || shape.property("error").is_some()));
    }
    all > 0 && held.saturating_mul(100) >= all.saturating_mul(CONVENTION)
}

fn not_held(document: &Document, shape: &SchemaShape) -> Option<&'static str> {
    if shape.is_unknown() {
        return None;
    }
    match (shape.property("data"), shape.property("error")) {
        (None, None) => Some("the answer has neither `data` nor `error` at its root"),
        (_, Some((_, schema))) if is_no_object(document, schema) => Some("`error` is no object"),
        _ => None,
    }
}

/// An error, and not an answer that has room for one.
fn is_error(shape: &SchemaShape) -> bool {
    let required = shape.required.iter().any(|name| name == "error");
    let beside = |name: &str| matches!(name, "error" | "success" | "message" | "code" | "details" | "status");
    shape.property("error").is_some() && (required || shape.properties.iter().all(|(name, ..)| beside(name)))
}

fn is_webhook(operation: &Operation) -> bool {
    operation.path.to_ascii_lowercase().contains("webhook")
}

/// What was found, by place and rule. A schema that many operations share is told once.
struct Told<'d> {
    path: &'d str,
    lines: &'d [&'d str],
    document: &'d Document,
    found: BTreeMap<(u32, u32, Rule), Finding>,
}

impl Told<'_> {
    fn tell(&mut self, rule: Rule, severity: Severity, operation: &Operation, at: NodeId, what: &str) {
        let place = self.document.place(at);
        let from = self.document.place(operation.key);
        let route = format!("{} {}", operation.method, operation.path);
        let evidence = Evidence { path: self.path.to_owned(), line: from.line, column: from.column, what: route };
        let known = self.found.entry((place.line, place.column, rule));
        let finding = known.or_insert_with(|| Finding {
            severity,
            path: self.path.to_owned(),
            line: place.line,
            column: place.column,
            method: operation.method.clone(),
            route: operation.path.clone(),
            handler: operation.name.clone(),
            what: what.to_owned(),
            statement: statement(self.lines, place.line),
            ..Finding::of(rule)
        });
        if !finding.evidence.contains(&evidence) {
            finding.evidence.push(evidence);
        }
    }
}

fn statement(lines: &[&str], line: u32) -> String {
    let at = usize::try_from(line).unwrap_or(usize::MAX).saturating_sub(1);
    lines.get(at).map(|line| line.trim().to_owned()).unwrap_or_default()
}
