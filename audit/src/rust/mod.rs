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

use crate::model::{FileFacts, Language};
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
    let mut facts = FileFacts { path: path.to_owned(), language: Language::Rust, ..FileFacts::default() };
    let grammar = tree_sitter_rust::LANGUAGE.into();
    let modules = Modules::of(path, exists);
    let Some(tree) = parse::tree(&grammar, text) else {
        facts.not_read = Some((1, 1));
        return ReadFile { facts, routers: Vec::new() };
    };
    let root = tree.root_node();
    facts.comments = parse::comments(root, text);
    facts.not_read = parse::first_error(root, text);
    let mut lowering = Lowering::new(text, grammar, facts, modules, exists);
    lowering.file(root);
    let facts = lowering.facts;
    let routers = routers::of(&facts);
    ReadFile { facts, routers }
}
