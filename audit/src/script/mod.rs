//! Reads TypeScript and JavaScript, with or without JSX.
//!
//! One recursion to at most `DEEPEST` levels makes code of a syntax tree; what lies deeper is opaque, and told.

mod classes;
mod exports;
mod expressions;
mod functions;
mod imports;
mod patterns;
mod steps;

use tree_sitter::{Node, Tree, TreeCursor};

use crate::model::{Comment, FileFacts, Language, Span};

/// Levels of nesting that are read. Sources that people write stay far below it.
const DEEPEST: u32 = 300;

/// Reads a file. What the grammar does not understand is left out, and [`FileFacts::not_read`] tells where it begins.
#[must_use]
pub fn read(path: &str, text: &str) -> FileFacts {
    let tree = parse(path, text);
    let mut reader = Reader::new(path, text);
    match &tree {
        Some(tree) => reader.file(tree),
        None => reader.facts.not_read = Some((1, 1)),
    }
    reader.facts
}

fn parse(path: &str, text: &str) -> Option<Tree> {
    // The grammar with JSX reads `<T>value` as an element; JavaScript has no such casts.
    let plain = [".ts", ".mts", ".cts"].iter().any(|ending| path.ends_with(ending));
    let grammar =
        if plain { tree_sitter_typescript::LANGUAGE_TYPESCRIPT } else { tree_sitter_typescript::LANGUAGE_TSX };
    crate::parse::tree(&grammar.into(), text)
}

struct Reader<'t> {
    text: &'t str,
    /// The first byte of each line.
    starts: Vec<usize>,
    facts: FileFacts,
    depth: u32,
    /// Whether the steps are the module's own, where `module.exports` may be assigned to.
    top: bool,
}

impl<'t> Reader<'t> {
    fn new(path: &str, text: &'t str) -> Self {
        let mut starts = vec![0];
        starts.extend(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at.saturating_add(1)));
        let facts = FileFacts {
            path: path.to_owned(),
            language: Language::Script,
            lines: text.lines().map(str::to_owned).collect(),
            ..FileFacts::default()
        };
        Self { text, starts, facts, depth: 0, top: true }
    }

    fn file(&mut self, tree: &'t Tree) {
        let root = tree.root_node();
        self.facts.not_read = first_error(root).map(|node| self.place(node));
        self.comments(root);
        self.facts.directives = self.directives(root);
        self.facts.body = self.steps_of(root);
    }

    fn comments(&mut self, root: Node<'t>) {
        let text = self.text;
        if !text.contains("payproof-allow") {
            return;
        }
        let mut found = Vec::new();
        walk(root, |node| {
            if node.kind() == "comment" {
                found.push(node);
            }
            true
        });
        for node in found {
            let text = self.of(node);
            if text.contains("payproof-allow") {
                self.facts.comments.push(Comment { line: self.place(node).0, text: text.to_owned() });
            }
        }
    }

    /// `'use server'` and the like, at the top of a file or body.
    fn directives(&self, body: Node<'t>) -> Vec<String> {
        let mut found = Vec::new();
        for child in named(body) {
            match child.kind() {
                "comment" => {}
                "expression_statement" if child.named_child(0).is_some_and(|inner| inner.kind() == "string") => {
                    found.push(
                        self.of(child)
                            .trim_end_matches(';')
                            .trim_matches(|sign| sign == '"' || sign == '\'')
                            .to_owned(),
                    );
                }
                _ => break,
            }
        }
        found
    }

    /// The source of a node.
    fn of(&self, node: Node<'_>) -> &'t str {
        self.text.get(node.byte_range()).unwrap_or_default()
    }

    fn span(&self, node: Node<'_>) -> Span {
        let (line, column) = self.place(node);
        let byte = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Span { line, column, start: byte(node.start_byte()), end: byte(node.end_byte()) }
    }

    /// Line and column in characters, from 1.
    fn place(&self, node: Node<'_>) -> (u32, u32) {
        let line = node.start_position().row;
        let start = self.starts.get(line).copied().unwrap_or_default();
        let before = self.text.get(start..node.start_byte()).unwrap_or_default();
        let number = |at: usize| u32::try_from(at).unwrap_or(u32::MAX).saturating_add(1);
        (number(line), number(before.chars().count()))
    }

    /// Goes one level deeper, unless that is too deep.
    fn deeper<T>(&mut self, node: Node<'t>, read: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.depth >= DEEPEST {
            let place = self.place(node);
            self.facts.not_read.get_or_insert(place);
            return None;
        }
        self.depth = self.depth.saturating_add(1);
        let done = read(self);
        self.depth = self.depth.saturating_sub(1);
        Some(done)
    }
}

/// The named children that are no comments.
fn named(node: Node<'_>) -> Vec<Node<'_>> {
    let mut cursor = node.walk();
    node.named_children(&mut cursor).filter(|child| child.kind() != "comment").collect()
}

/// A child that is such a word or sign.
fn has_token(node: Node<'_>, token: &str) -> bool {
    let mut cursor = node.walk();
    node.children(&mut cursor).any(|child| child.kind() == token)
}

/// Visits every node without recursion; `enter` says whether a node's children are visited.
fn walk<'t>(root: Node<'t>, mut enter: impl FnMut(Node<'t>) -> bool) {
    let mut cursor: TreeCursor<'t> = root.walk();
    loop {
        if enter(cursor.node()) && cursor.goto_first_child() {
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return;
            }
        }
    }
}

/// The first piece that the grammar did not understand.
fn first_error(root: Node<'_>) -> Option<Node<'_>> {
    let mut first = None;
    walk(root, |node| {
        if first.is_none() && (node.is_error() || node.is_missing()) {
            first = Some(node);
        }
        first.is_none() && node.has_error()
    });
    first
}
