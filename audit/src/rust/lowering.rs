//! What is kept while a file is read: the facts so far, and what has to run before the statement that is being read.

use std::collections::BTreeSet;

use tree_sitter::{Language, Node};

use crate::model::{Block, Expr, FileFacts, Import, Imported, Pattern, Span, Step};
use crate::parse;

use super::modules::{InFile, Modules};

/// Past this, pieces are nested too deep to be read.
const DEEPEST: u32 = 300;

/// A file on its way to facts.
pub(super) struct Lowering<'t> {
    pub(super) text: &'t str,
    pub(super) grammar: Language,
    pub(super) facts: FileFacts,
    pub(super) modules: Modules,
    /// Which files there are.
    exists: &'t dyn Fn(&str) -> bool,
    /// The type whose `impl` is being read.
    pub(super) own_type: Option<String>,
    /// Whether the `use` that is being read is public.
    pub(super) public: bool,
    /// Whether the file uses payproof.
    pub(super) payproof: bool,
    /// What has to run before the statement that is being read.
    pub(super) pending: Block,
    pub(super) globs: Vec<InFile>,
    temporaries: u32,
    depth: u32,
    imported: BTreeSet<String>,
}

impl<'t> Lowering<'t> {
    pub(super) fn new(
        text: &'t str,
        grammar: Language,
        facts: FileFacts,
        modules: Modules,
        exists: &'t dyn Fn(&str) -> bool,
    ) -> Self {
        Self {
            text,
            grammar,
            facts,
            modules,
            exists,
            own_type: None,
            public: false,
            payproof: false,
            pending: Vec::new(),
            globs: Vec::new(),
            temporaries: 0,
            depth: 0,
            imported: BTreeSet::new(),
        }
    }

    /// The file that a path from the crate's root leads to.
    pub(super) fn found(&mut self, path: &[String]) -> Option<InFile> {
        self.modules.file(path, self.exists)
    }

    pub(super) fn text_of(&self, node: Node<'_>) -> &'t str {
        self.text.get(node.byte_range()).unwrap_or_default()
    }

    pub(super) fn span(&self, node: Node<'_>) -> Span {
        parse::span(node, self.text)
    }

    /// Reads a piece, if it is not nested too deep.
    pub(super) fn nested<T>(&mut self, node: Node<'_>, read: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.depth >= DEEPEST {
            let span = self.span(node);
            self.facts.not_read.get_or_insert((span.line, span.column));
            return None;
        }
        self.depth = self.depth.saturating_add(1);
        let value = read(self);
        self.depth = self.depth.saturating_sub(1);
        Some(value)
    }

    /// A name that the source cannot have.
    pub(super) fn temporary(&mut self) -> String {
        self.temporaries = self.temporaries.saturating_add(1);
        format!("#{}", self.temporaries)
    }

    /// Steps, each after what has to run before it, and nothing of what was pending outside.
    pub(super) fn apart(&mut self, read: impl FnOnce(&mut Self, &mut Block)) -> Block {
        let outer = std::mem::take(&mut self.pending);
        let mut steps = Vec::new();
        read(self, &mut steps);
        steps.append(&mut self.pending);
        self.pending = outer;
        steps
    }

    /// Adds a step after what has to run before it.
    pub(super) fn push(&mut self, steps: &mut Block, step: Step) {
        steps.append(&mut self.pending);
        steps.push(step);
    }

    /// Keeps a value under a name, so that it is evaluated once.
    pub(super) fn keep(&mut self, value: Expr, span: Span) -> Expr {
        let name = self.temporary();
        self.pending.push(Step::Let(Pattern::Name(name.clone(), span), Some(value), span));
        Expr::Name(name, span)
    }

    /// Binds a name to what stands in another file.
    pub(super) fn import(&mut self, local: String, found: &InFile, span: Span) {
        if !self.imported.insert(local.clone()) {
            return;
        }
        let what = found.rest.first().map_or(Imported::All, |name| Imported::Named(name.clone()));
        self.facts.imports.push(Import { local, what, from: format!("/{}", found.file), span });
    }
}

/// The parts of a node that are no comments.
pub(super) fn children(node: Node<'_>) -> Vec<Node<'_>> {
    let mut cursor = node.walk();
    node.named_children(&mut cursor).filter(|child| !child.is_extra()).collect()
}
