//! A document in YAML or JSON, each node with its place.
//!
//! Nodes lie in one list and name each other by their numbers: an alias costs nothing, however often it is used, and
//! however deep a document is nested, nothing here recurses into it.

use std::borrow::Cow;
use std::collections::HashMap;

use saphyr_parser::{Event, Parser, Span};

/// The most `$ref` that lead from one to the next.
const MOST_REFERENCES: usize = 32;

/// Which node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct NodeId(usize);

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    Scalar(String),
    List(Vec<NodeId>),
    /// Keys and values in their order.
    Map(Vec<(NodeId, NodeId)>),
}

#[derive(Clone, Debug)]
struct Node {
    content: Content,
    place: Place,
}

/// A line and a column, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: u32,
    pub(super) column: u32,
}

/// The first document of a file.
#[derive(Clone, Debug)]
pub(super) struct Document {
    nodes: Vec<Node>,
    root: NodeId,
}

impl Document {
    /// Reads the first document of a text.
    ///
    /// # Errors
    /// The place of what is neither YAML nor JSON.
    pub(super) fn parse(text: &str) -> Result<Self, Place> {
        let mut building = Building::default();
        for event in Parser::new_from_str(text) {
            match event {
                Ok((Event::DocumentEnd, _)) => break,
                Ok((event, span)) => building.add(event, span),
                Err(error) => return Err(Place::of(*error.marker())),
            }
        }
        let root = building.root.ok_or(Place { line: 1, column: 1 })?;
        Ok(Self { nodes: building.nodes, root })
    }

    pub(super) fn root(&self) -> NodeId {
        self.root
    }

    pub(super) fn place(&self, id: NodeId) -> Place {
        self.nodes.get(id.0).map_or(Place { line: 1, column: 1 }, |node| node.place)
    }

    /// The text of a scalar.
    pub(super) fn text(&self, id: NodeId) -> Option<&str> {
        match self.content(id) {
            Some(Content::Scalar(text)) => Some(text),
            _ => None,
        }
    }

    /// The elements of a list.
    pub(super) fn list(&self, id: NodeId) -> &[NodeId] {
        match self.content(id) {
            Some(Content::List(elements)) => elements,
            _ => &[],
        }
    }

    /// Keys and values of a map, each with the key's node.
    pub(super) fn fields(&self, id: NodeId) -> impl Iterator<Item = (&str, NodeId, NodeId)> {
        let fields: &[(NodeId, NodeId)] = match self.content(id) {
            Some(Content::Map(fields)) => fields,
            _ => &[],
        };
        fields.iter().filter_map(|(key, value)| Some((self.text(*key)?, *key, *value)))
    }

    /// What stands under a key, references followed.
    pub(super) fn get(&self, id: NodeId, key: &str) -> Option<NodeId> {
        self.raw(id, key).map(|value| self.resolved(value))
    }

    /// The text that stands under a key.
    pub(super) fn text_of(&self, id: NodeId, key: &str) -> Option<&str> {
        self.get(id, key).and_then(|value| self.text(value))
    }

    /// The node that a local `$ref` leads to, or the node itself.
    pub(super) fn resolved(&self, id: NodeId) -> NodeId {
        let mut at = id;
        for _ in 0..MOST_REFERENCES {
            let Some(pointer) = self.raw(at, "$ref").and_then(|target| self.text(target)) else { return at };
            match self.pointed(pointer) {
                Some(next) => at = next,
                // Of another document, or of nothing: it says nothing of itself.
                None => return at,
            }
        }
        at
    }

    fn pointed(&self, pointer: &str) -> Option<NodeId> {
        let path = pointer.strip_prefix("#/")?;
        path.split('/').try_fold(self.root, |at, part| {
            let part = decoded(part).replace("~1", "/").replace("~0", "~");
            match self.content(at)? {
                Content::List(elements) => elements.get(part.parse::<usize>().ok()?).copied(),
                _ => self.raw(at, &part),
            }
        })
    }

    fn raw(&self, id: NodeId, key: &str) -> Option<NodeId> {
        self.fields(id).find(|(name, ..)| *name == key).map(|(.., value)| value)
    }

    fn content(&self, id: NodeId) -> Option<&Content> {
        self.nodes.get(id.0).map(|node| &node.content)
    }
}

impl Place {
    fn of(marker: saphyr_parser::Marker) -> Self {
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Self { line: number(marker.line()).max(1), column: number(marker.col()).saturating_add(1) }
    }
}

/// Percent signs of a pointer in an address.
fn decoded(part: &str) -> Cow<'_, str> {
    if !part.contains('%') {
        return Cow::Borrowed(part);
    }
    let mut bytes = Vec::new();
    let mut rest = part.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = hex.filter(|_| *first == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

/// What was read so far.
#[derive(Debug, Default)]
struct Building {
    nodes: Vec<Node>,
    root: Option<NodeId>,
    /// The lists and maps that are open, each with the key that waits for its value.
    open: Vec<(NodeId, Option<NodeId>)>,
    anchors: HashMap<usize, NodeId>,
}

impl Building {
    fn add(&mut self, event: Event<'_>, span: Span) {
        let (content, anchor, opens) = match event {
            Event::Scalar(text, _, anchor, _) => (Content::Scalar(text.into_owned()), anchor, false),
            Event::SequenceStart(anchor, _) => (Content::List(Vec::new()), anchor, true),
            Event::MappingStart(anchor, _) => (Content::Map(Vec::new()), anchor, true),
            Event::SequenceEnd | Event::MappingEnd => {
                self.open.pop();
                return;
            }
            Event::Alias(anchor) => {
                // An alias inside of its own anchor would be a circle, which a `$ref` may be; it is nothing here.
                let target = self.anchors.get(&anchor).copied();
                if let Some(target) = target.filter(|target| !self.open.iter().any(|(open, _)| open == target)) {
                    self.put(target);
                } else {
                    let id = self.push(Content::Scalar(String::new()), span);
                    self.put(id);
                }
                return;
            }
            _ => return,
        };
        let id = self.push(content, span);
        self.put(id);
        if anchor > 0 {
            self.anchors.insert(anchor, id);
        }
        if opens {
            self.open.push((id, None));
        }
    }

    fn push(&mut self, content: Content, span: Span) -> NodeId {
        let id = NodeId(self.nodes.len());
        self.nodes.push(Node { content, place: Place::of(span.start) });
        id
    }

    /// Puts a node where it belongs: into the innermost list or map, or to the root.
    fn put(&mut self, id: NodeId) {
        let Some((parent, key)) = self.open.last_mut() else {
            self.root.get_or_insert(id);
            return;
        };
        match self.nodes.get_mut(parent.0).map(|node| &mut node.content) {
            Some(Content::List(elements)) => elements.push(id),
            Some(Content::Map(fields)) => match key.take() {
                Some(key) => fields.push((key, id)),
                None => *key = Some(id),
            },
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_have_places_and_references_are_followed() {
        let text = "openapi: 3.1.0\na/b:\n  c: &x\n    d: 1\nr: { $ref: '#/a~1b/c' }\ns: *x\n";
        let document = Document::parse(text).unwrap();
        let root = document.root();
        for key in ["r", "s"] {
            let node = document.get(root, key).unwrap();
            assert_eq!(document.text_of(node, "d"), Some("1"), "{key}");
        }
        let key = document.fields(root).find(|(name, ..)| *name == "a/b").unwrap().1;
        assert_eq!(document.place(key), Place { line: 2, column: 1 });
    }

    #[test]
    fn json_is_read_as_well_with_tabs() {
        let document =
            Document::parse("{\n\t\"openapi\": \"3.0.3\",\n\t\"paths\": {\"/x\": {\"get\": {}}}\n}").unwrap();
        let paths = document.get(document.root(), "paths").unwrap();
        assert_eq!(document.fields(paths).next().unwrap().0, "/x");
    }

    #[test]
    fn circles_end() {
        let document = Document::parse("a: { $ref: '#/b' }\nb: { $ref: '#/a' }\n").unwrap();
        assert!(document.get(document.root(), "a").is_some());
    }

    #[test]
    fn hostile_documents_end() {
        let mut laughs = "a0: &a0 [x]\n".to_owned();
        for level in 1..60 {
            let alias = format!("*a{},", level - 1).repeat(9);
            laughs.extend([format!("a{level}: &a{level} [{alias}]\n")]);
        }
        assert!(Document::parse(&laughs).is_ok());
        assert!(Document::parse(&"[".repeat(100_000)).is_err());
        let _ = Document::parse(&"- ".repeat(100_000));
        let _ = Document::parse(&"? ".repeat(100_000));
    }
}
