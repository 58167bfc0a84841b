//! The operations of a document: what is sent, whether with a key, and what is answered.

use super::document::{Document, NodeId};

/// Methods that OpenAPI knows.
const METHODS: &[&str] = &["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// One method of one path.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    /// In capitals.
    pub(super) method: String,
    pub(super) path: String,
    /// The node of the method's name.
    pub(super) key: NodeId,
    /// Its `operationId`, if it has one.
    pub(super) name: String,
    pub(super) idempotency: Idempotency,
    pub(super) answers: Vec<Answer>,
}

/// Whether an operation takes an idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Idempotency {
    Required,
    Optional(NodeId),
    Missing,
    /// A parameter stands in another document, and may be the key.
    Unknown,
}

/// What is answered in JSON with one status.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    /// The node of the status.
    pub(super) key: NodeId,
    pub(super) is_success: bool,
    pub(super) schema: NodeId,
}

/// Every operation of the document's paths, in their order.
pub(super) fn operations(document: &Document, key_headers: &[String]) -> Vec<Operation> {
    let mut found = Vec::new();
    let Some(paths) = document.get(document.root(), "paths") else { return found };
    for (path, _, item) in document.fields(paths) {
        let item = document.resolved(item);
        for (method, key, operation) in document.fields(item).filter(|(method, ..)| METHODS.contains(method)) {
            found.push(Operation {
                method: method.to_ascii_uppercase(),
                path: path.to_owned(),
                key,
                name: document.text_of(operation, "operationId").unwrap_or_default().to_owned(),
                idempotency: idempotency(document, &[operation, item], key_headers),
                answers: answers(document, operation),
            });
        }
    }
    found
}

/// An operation's own parameters come first, then those of its path.
fn idempotency(document: &Document, holders: &[NodeId], key_headers: &[String]) -> Idempotency {
    let mut unknown = false;
    for holder in holders {
        let Some(parameters) = document.get(*holder, "parameters") else { continue };
        for parameter in document.list(parameters) {
            let parameter = document.resolved(*parameter);
            let Some(name) = document.text_of(parameter, "name") else {
                unknown = true;
                continue;
            };
            let is_header = document.text_of(parameter, "in") == Some("header");
            if is_header && key_headers.iter().any(|header| header.eq_ignore_ascii_case(name)) {
                return match document.text_of(parameter, "required") {
                    Some("true") => Idempotency::Required,
                    _ => Idempotency::Optional(parameter),
                };
            }
        }
    }
    if unknown { Idempotency::Unknown } else { Idempotency::Missing }
}

fn answers(document: &Document, operation: NodeId) -> Vec<Answer> {
    let Some(responses) = document.get(operation, "responses") else { return Vec::new() };
    let mut found = Vec::new();
    for (status, key, response) in document.fields(responses) {
        let Some(content) = document.get(document.resolved(response), "content") else { continue };
        for (.., body) in document.fields(content).filter(|(media, ..)| is_json(media)) {
            if let Some(schema) = document.get(document.resolved(body), "schema") {
                found.push(Answer { key, is_success: status.starts_with('2'), schema });
            }
        }
    }
    found
}

/// Problem details have a shape of their own.
fn is_json(media: &str) -> bool {
    let media = media.split(';').next().unwrap_or_default().trim();
    media == "application/json" || (media.ends_with("+json") && media != "application/problem+json")
}
