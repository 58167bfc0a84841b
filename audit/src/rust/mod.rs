//! Reads Rust, and the routes that axum is given.

mod answers;
mod blocks;
mod chains;
mod compose;
mod extractors;
mod functions;
mod items;
mod lowering;
mod macros;
mod modules;
mod patterns;
mod routers;
mod values;

use tree_sitter::Node;

use crate::model::{Comment, FileFacts, Language};
use crate::parse;

pub(crate) use self::compose::compose;
use self::lowering::Lowering;
use self::modules::Modules;
use self::routers::RouterFunction;

/// A file that was read, and the routers that it builds.
#[derive(Debug, Clone)]
pub(crate) struct ReadFile {
    facts: FileFacts,
    routers: Vec<RouterFunction>,
}

impl ReadFile {
    pub(crate) fn into_facts(self) -> FileFacts {
        self.facts
    }
}

/// Reads a file. `exists` tells which files there are, for `mod` and `use`.
pub(crate) fn read(path: &str, text: &str, exists: &dyn Fn(&str) -> bool) -> ReadFile {
    let mut facts = FileFacts {
        path: path.to_owned(),
        language: Language::Rust,
        lines: text.lines().map(str::to_owned).collect(),
        ..FileFacts::default()
    };
    let grammar = tree_sitter_rust::LANGUAGE.into();
    let modules = Modules::of(path, exists);
    let Some(tree) = parse::tree(&grammar, text) else {
        facts.not_read = Some((1, 1));
        return ReadFile { facts, routers: Vec::new() };
    };
    let (comments, broken) = survey(tree.root_node(), text);
    facts.comments = comments;
    facts.not_read = broken;
    let mut lowering = Lowering::new(text, grammar, facts, modules, exists);
    lowering.file(tree.root_node());
    let facts = lowering.facts;
    let routers = routers::of(&facts);
    ReadFile { facts, routers }
}

/// Comments that may allow findings, and the first piece that breaks the grammar. It walks by a cursor, however deep the tree is.
fn survey(root: Node<'_>, text: &str) -> (Vec<Comment>, Option<(u32, u32)>) {
    let (mut comments, mut broken) = (Vec::new(), None);
    let mut cursor = root.walk();
    loop {
        let node = cursor.node();
        if broken.is_none() && (node.is_error() || node.is_missing()) {
            let span = lowering::span(node, text);
            broken = Some((span.line, span.column));
        }
        if node.kind().ends_with("_comment")
            && let Some(said) = text.get(node.byte_range()).filter(|said| said.contains("payproof-allow"))
        {
            comments.push(Comment { line: lowering::span(node, text).line, text: said.trim_end().to_owned() });
        }
        if cursor.goto_first_child() {
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return (comments, broken);
            }
        }
    }
}
