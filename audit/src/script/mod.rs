//! Reads TypeScript and JavaScript, with or without JSX.
//!
//! One recursion to at most `DEEPEST` levels makes code of a syntax tree; what lies deeper is opaque, and told.

mod classes;
mod controllers;
mod exports;
mod expressions;
mod functions;
mod imports;
mod patterns;
mod steps;

use tree_sitter::{Node, Tree};

use crate::model::{FileFacts, Language, Span};
use crate::parse;

/// Levels of nesting that are read. Sources that people write stay far below it.
const DEEPEST: u32 = 300;

/// Reads a file. What the grammar does not understand is left out, and [`FileFacts::not_read`] tells where it begins.
#[must_use]
pub fn read(path: &str, text: &str) -> FileFacts {
    let tree = tree(path, text);
    let mut reader = Reader::new(path, text);
    match &tree {
        Some(tree) => reader.file(tree),
        None => reader.facts.not_read = Some((1, 1)),
    }
    reader.facts
}

fn tree(path: &str, text: &str) -> Option<Tree> {
    // The grammar with JSX reads `<T>value` as an element; JavaScript has no such casts.
    let plain = [".ts", ".mts", ".cts"].iter().any(|ending| path.ends_with(ending));
    let grammar =
        if plain { tree_sitter_typescript::LANGUAGE_TYPESCRIPT } else { tree_sitter_typescript::LANGUAGE_TSX };
    parse::tree(&grammar.into(), text)
}

struct Reader<'t> {
    text: &'t str,
    facts: FileFacts,
    depth: u32,
    /// Whether the steps are the module's own, where `module.exports` may be assigned to.
    top: bool,
}

impl<'t> Reader<'t> {
    fn new(path: &str, text: &'t str) -> Self {
        let facts = FileFacts { path: path.to_owned(), language: Language::Script, ..FileFacts::default() };
        Self { text, facts, depth: 0, top: true }
    }

    fn file(&mut self, tree: &'t Tree) {
        let root = tree.root_node();
        self.facts.comments = parse::comments(root, self.text);
        self.facts.not_read = parse::first_error(root, self.text);
        self.facts.directives = self.directives(root);
        self.facts.body = self.steps_of(root);
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
        parse::span(node, self.text)
    }

    /// Goes one level deeper, unless that is too deep.
    fn deeper<T>(&mut self, node: Node<'t>, read: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.depth >= DEEPEST {
            let span = self.span(node);
            self.facts.not_read.get_or_insert((span.line, span.column));
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
