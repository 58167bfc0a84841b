//! What a schema says of an answer: the names at its root, and whether one is anywhere in it.

use std::collections::HashSet;

use super::document::{Document, NodeId};

/// The most schemas that lie in one another.
const DEEPEST: usize = 24;

/// The most alternatives of one answer that are told apart.
const MOST_SHAPES: usize = 64;

/// One of the shapes that a schema allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SchemaShape {
    /// The properties at the root: the name, its key, its schema.
    pub(super) properties: Vec<(String, NodeId, NodeId)>,
    /// Which of them have to be there.
    pub(super) required: Vec<String>,
    /// Whether it is something else than an object.
    pub(super) is_other: bool,
}

impl SchemaShape {
    pub(super) fn property(&self, name: &str) -> Option<(NodeId, NodeId)> {
        self.properties.iter().find(|(known, ..)| known == name).map(|(_, key, schema)| (*key, *schema))
    }

    /// Whether nothing is said of it.
    pub(super) fn is_unknown(&self) -> bool {
        self.properties.is_empty() && !self.is_other
    }

    fn with(mut self, other: &Self) -> Self {
        self.properties.extend(other.properties.iter().cloned());
        self.required.extend(other.required.iter().cloned());
        self.is_other |= other.is_other;
        self
    }
}

/// The shapes that a schema allows.
pub(super) fn shapes(document: &Document, schema: NodeId) -> Vec<SchemaShape> {
    below(document, schema, DEEPEST)
}

fn below(document: &Document, schema: NodeId, left: usize) -> Vec<SchemaShape> {
    let schema = document.resolved(schema);
    let Some(left) = left.checked_sub(1) else { return vec![SchemaShape::default()] };
    let mut own = SchemaShape { is_other: is_other(document, schema), ..SchemaShape::default() };
    if let Some(properties) = document.get(schema, "properties") {
        own.properties.extend(document.fields(properties).map(|(name, key, value)| (name.to_owned(), key, value)));
    }
    if let Some(required) = document.get(schema, "required") {
        own.required.extend(document.list(required).iter().filter_map(|name| document.text(*name)).map(str::to_owned));
    }
    let mut found = vec![own];
    if let Some(parts) = document.get(schema, "allOf") {
        for part in document.list(parts) {
            found = product(&found, &below(document, *part, left));
        }
    }
    for either in ["oneOf", "anyOf"] {
        if let Some(parts) = document.get(schema, either) {
            let parts: Vec<SchemaShape> =
                document.list(parts).iter().flat_map(|part| below(document, *part, left)).collect();
            if !parts.is_empty() {
                found = product(&found, &parts);
            }
        }
    }
    found
}

fn product(ones: &[SchemaShape], others: &[SchemaShape]) -> Vec<SchemaShape> {
    let all = ones.iter().flat_map(|one| others.iter().map(|other| one.clone().with(other)));
    all.take(MOST_SHAPES).collect()
}

/// Arrays, texts, numbers. In 3.1 a type may be a list.
fn is_other(document: &Document, schema: NodeId) -> bool {
    let Some(kind) = document.get(schema, "type") else { return document.get(schema, "items").is_some() };
    match document.text(kind) {
        Some(kind) => kind != "object",
        None => !document.list(kind).iter().any(|kind| document.text(*kind) == Some("object")),
    }
}

/// Whether a schema is no object, where that is known.
pub(super) fn is_no_object(document: &Document, schema: NodeId) -> bool {
    shapes(document, schema).iter().all(|shape| shape.is_other)
}

/// The keys of properties of a name, at any depth. Circles are cut.
pub(super) fn properties_named(document: &Document, schema: NodeId, name: &str) -> Vec<NodeId> {
    let (mut found, mut seen, mut next) = (Vec::new(), HashSet::new(), vec![schema]);
    while let Some(schema) = next.pop() {
        let schema = document.resolved(schema);
        if !seen.insert(schema) {
            continue;
        }
        if let Some(properties) = document.get(schema, "properties") {
            for (property, key, value) in document.fields(properties) {
                if property == name {
                    found.push(key);
                }
                next.push(value);
            }
        }
        next.extend(["items", "additionalProperties"].iter().filter_map(|key| document.get(schema, key)));
        for several in ["allOf", "anyOf", "oneOf", "prefixItems"] {
            next.extend(document.get(schema, several).map(|list| document.list(list)).unwrap_or_default());
        }
    }
    found.sort_unstable();
    found
}
