//! Syntax trees, and what is read off them whatever their grammar.

use std::ops::ControlFlow;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use tree_sitter::{Language, Node, ParseOptions, Parser, Tree};

use crate::allow::MARK;
use crate::model::{Comment, Span};

/// The longest that one file may take: grammars can be made to take very long. Real files take milliseconds.
const LONGEST: Duration = Duration::from_secs(2);

macro_rules! roles {
    ($($role:ident, $name:literal;)*) => {
        /// What a node is to the one that it is a child of.
        #[derive(Debug, Clone, Copy)]
        pub(crate) enum Role {
            $($role,)*
        }

        /// What the grammars call them.
        const ROLES: &[&str] = &[$($name,)*];
    };
}

roles! {
    Alias, "alias";
    Alternative, "alternative";
    Argument, "argument";
    Arguments, "arguments";
    Body, "body";
    Condition, "condition";
    Consequence, "consequence";
    Constructor, "constructor";
    Declaration, "declaration";
    Field, "field";
    Finalizer, "finalizer";
    Function, "function";
    Handler, "handler";
    Index, "index";
    Initializer, "initializer";
    Key, "key";
    Left, "left";
    List, "list";
    Macro, "macro";
    Name, "name";
    Object, "object";
    Operator, "operator";
    Parameter, "parameter";
    Parameters, "parameters";
    Path, "path";
    Pattern, "pattern";
    Property, "property";
    Right, "right";
    Source, "source";
    Type, "type";
    Value, "value";
}

/// The grammars by their own numbers of what they call roles, which are found once: by a name they would be at each node.
static GRAMMARS: LazyLock<[(Language, Vec<Option<u16>>); 3]> = LazyLock::new(|| {
    let grammars =
        [tree_sitter_typescript::LANGUAGE_TYPESCRIPT, tree_sitter_typescript::LANGUAGE_TSX, tree_sitter_rust::LANGUAGE];
    grammars.map(|grammar| {
        let grammar = Language::from(grammar);
        let numbers = ROLES.iter().map(|role| grammar.field_id_for_name(role).map(u16::from)).collect();
        (grammar, numbers)
    })
});

/// A node whose children have roles.
pub(crate) trait HasRoles: Sized {
    /// The child of that role.
    fn child_as(self, role: Role) -> Option<Self>;
}

impl HasRoles for Node<'_> {
    fn child_as(self, role: Role) -> Option<Self> {
        let (_, numbers) = GRAMMARS.iter().find(|(grammar, _)| *grammar == *self.language())?;
        self.child_by_field_id((*numbers.get(role as usize)?)?)
    }
}

/// The syntax tree of a text, or nothing if it is not there in time. Text that breaks the grammar has a tree as well, with errors
/// in it.
pub(crate) fn tree(grammar: &Language, text: &str) -> Option<Tree> {
    within(LONGEST, grammar, text)
}

#[allow(
    clippy::disallowed_methods,
    reason = "parsing holds a processor and waits for nothing, so its time is the real one"
)]
fn within(longest: Duration, grammar: &Language, text: &str) -> Option<Tree> {
    let mut parser = Parser::new();
    parser.set_language(grammar).ok()?;
    let begun = Instant::now();
    let mut in_time =
        |_: &_| if begun.elapsed() < longest { ControlFlow::Continue(()) } else { ControlFlow::Break(()) };
    let options = ParseOptions::new().progress_callback(&mut in_time);
    let mut read = |at: usize, _| text.as_bytes().get(at..).unwrap_or_default();
    parser.parse_with_options(&mut read, None, Some(options))
}

/// Where a node stands. The grammar counts columns in bytes.
pub(crate) fn span(node: Node<'_>, text: &str) -> Span {
    let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let (start, place) = (node.start_byte(), node.start_position());
    let before = text.get(start.saturating_sub(place.column)..start).unwrap_or_default();
    Span {
        line: number(place.row).saturating_add(1),
        column: number(before.chars().count()).saturating_add(1),
        start: number(start),
        end: number(node.end_byte()),
    }
}

/// Line and column of the first piece that the grammar did not understand.
pub(crate) fn first_error(root: Node<'_>, text: &str) -> Option<(u32, u32)> {
    let mut first = None;
    visit(root, |node| {
        if first.is_none() && (node.is_error() || node.is_missing()) {
            let span = span(node, text);
            first = Some((span.line, span.column));
        }
        first.is_none() && node.has_error()
    });
    first
}

/// Comments that may allow findings.
pub(crate) fn comments(root: Node<'_>, text: &str) -> Vec<Comment> {
    let mut found = Vec::new();
    if !text.contains(MARK) {
        return found;
    }
    visit(root, |node| {
        if matches!(node.kind(), "comment" | "line_comment" | "block_comment")
            && let Some(said) = text.get(node.byte_range()).filter(|said| said.contains(MARK))
        {
            found.push(Comment { line: span(node, text).line, text: said.trim_end().to_owned() });
        }
        true
    });
    found
}

/// Visits nodes by a cursor, however deep the tree is; `enter` says whether a node's children are visited.
fn visit<'t>(root: Node<'t>, mut enter: impl FnMut(Node<'t>) -> bool) {
    let mut cursor = root.walk();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_is_known_to_a_grammar() {
        for (at, role) in ROLES.iter().enumerate() {
            assert!(GRAMMARS.iter().any(|(_, numbers)| numbers[at].is_some()), "{role}");
        }
    }

    #[test]
    fn a_text_that_takes_too_long_is_given_up() {
        let grammar = tree_sitter_rust::LANGUAGE.into();
        let text = "fn f() { g(1, 2, 3); }\n".repeat(20_000);
        assert!(within(Duration::ZERO, &grammar, &text).is_none());
        assert!(tree(&grammar, "fn f() {").is_some());
    }
    #[test]
    fn a_comment_is_one_whatever_its_kind() {
        let text =
            "/// payproof-allow: a\nfn f() {\n    // payproof-allow: b\n    g(/* payproof-allow: c */);\n    h();\n}\n";
        let root = tree(&tree_sitter_rust::LANGUAGE.into(), text).unwrap();
        let found = comments(root.root_node(), text);
        let found: Vec<(u32, &str)> = found.iter().map(|comment| (comment.line, comment.text.as_str())).collect();
        assert_eq!(found, [(1, "/// payproof-allow: a"), (3, "// payproof-allow: b"), (4, "/* payproof-allow: c */")]);
    }
}
