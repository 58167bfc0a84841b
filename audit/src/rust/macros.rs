//! Macros whose arguments are expressions. The grammar reads them as loose tokens, so that each argument is read once more, where
//! it stands.

use tree_sitter::{Node, Parser, Range};

use crate::model::{Argument, Block, CallExpr, Expr, Field, Literal, Step, Unary};
use crate::parse::{HasRoles, Role};

use super::lowering::{Lowering, children};

/// Macros that end what runs.
const ENDS: &[&str] = &["panic", "unreachable", "todo", "unimplemented", "bail"];

/// Macros that only tell.
const TELLS: &[&str] = &[
    "println",
    "eprintln",
    "print",
    "eprint",
    "dbg",
    "trace",
    "debug",
    "info",
    "warn",
    "error",
    "log",
    "span",
    "event",
    "assert",
    "assert_eq",
    "assert_ne",
    "debug_assert",
    "compile_error",
    "include_str",
    "env",
    "concat",
    "stringify",
];

impl Lowering<'_> {
    /// A macro in the place of a statement. Whether it was one that ends what runs, or asks for a condition.
    pub(super) fn macro_step(&mut self, node: Node<'_>, steps: &mut Block) -> bool {
        let span = self.span(node);
        let name = self.macro_name(node);
        if ENDS.contains(&name) {
            let mut given = self.macro_arguments(node);
            let value = if given.is_empty() { Expr::Literal(Literal::Nothing) } else { given.swap_remove(0) };
            self.push(steps, Step::Throw(value, span));
            return true;
        }
        if name == "ensure" {
            let mut given = self.macro_arguments(node).into_iter();
            let condition = given.next().unwrap_or(Expr::Opaque(span));
            let thrown = given.next().unwrap_or(Expr::Literal(Literal::Nothing));
            let missing = Expr::Unary(Unary::Not, Box::new(condition));
            self.push(steps, Step::If(missing, vec![Step::Throw(thrown, span)], Vec::new(), span));
            return true;
        }
        false
    }

    pub(super) fn macro_value(&mut self, node: Node<'_>) -> Expr {
        let span = self.span(node);
        let name = self.macro_name(node);
        match name {
            _ if ENDS.contains(&name) || name == "ensure" => self.hoisted(node),
            _ if TELLS.contains(&name) => Expr::Literal(Literal::Nothing),
            "json" => tokens(node).map_or(Expr::Opaque(span), |tree| match children_of_all(tree).as_slice() {
                [_, inner @ .., _] => self.json_value(inner),
                _ => Expr::Opaque(span),
            }),
            "format" | "format_args" | "concat_bytes" => Expr::Template(self.macro_arguments(node)),
            "vec" | "params" | "smallvec" => {
                Expr::Array(self.macro_arguments(node).into_iter().map(Argument::One).collect())
            }
            "matches" => {
                let groups = tokens(node).map(groups).unwrap_or_default();
                let value = groups.first().map_or(Expr::Opaque(span), |group| self.reread(group));
                let known = groups.get(1).map_or(Expr::Opaque(span), |group| self.reread(group));
                Expr::Binary(crate::model::Binary::Equal, Box::new(value), Box::new(known), span)
            }
            _ => {
                let arguments = self.macro_arguments(node).into_iter().map(Argument::One).collect();
                let name = node.child_as(Role::Macro);
                let callee = name.map_or(Expr::Opaque(span), |name| self.value(name));
                Expr::Call(Box::new(CallExpr { callee, arguments, constructs: false, tagged: false, span, at: span }))
            }
        }
    }

    fn macro_name(&self, node: Node<'_>) -> &str {
        let name = node.child_as(Role::Macro).map(|name| self.text_of(name)).unwrap_or_default();
        name.rsplit("::").next().unwrap_or_default()
    }

    fn macro_arguments(&mut self, node: Node<'_>) -> Vec<Expr> {
        let groups = tokens(node).map(groups).unwrap_or_default();
        groups.iter().map(|group| self.reread(group)).collect()
    }

    /// The tokens of one argument, read as an expression where they stand.
    fn reread(&mut self, group: &[Node<'_>]) -> Expr {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { return Expr::Literal(Literal::Nothing) };
        let span = self.span(*first);
        if let [only] = group
            && matches!(
                only.kind(),
                "string_literal" | "raw_string_literal" | "integer_literal" | "identifier" | "self"
            )
        {
            return self.value(*only);
        }
        let range = Range {
            start_byte: first.start_byte(),
            end_byte: last.end_byte(),
            start_point: first.start_position(),
            end_point: last.end_position(),
        };
        let mut parser = Parser::new();
        let ready = parser.set_language(&self.grammar).is_ok() && parser.set_included_ranges(&[range]).is_ok();
        let tree = if ready { parser.parse(self.text, None) } else { None };
        let Some(tree) = tree else { return Expr::Opaque(span) };
        let statement = children(tree.root_node()).into_iter().find(|child| !child.is_error());
        match statement {
            Some(statement) if statement.kind() == "expression_statement" => {
                children(statement).first().map_or(Expr::Opaque(span), |value| self.value(*value))
            }
            Some(value) => self.value(value),
            None => Expr::Opaque(span),
        }
    }

    /// A value in `json!`: an object, a list, or an expression.
    fn json_value(&mut self, tokens: &[Node<'_>]) -> Expr {
        if let [tree] = tokens
            && tree.kind() == "token_tree"
        {
            let tree = *tree;
            let span = self.span(tree);
            let read = |lowering: &mut Self| {
                let inner = children_of_all(tree);
                match inner.as_slice() {
                    [open, .., _] if open.kind() == "{" => lowering.json_object(tree),
                    [open, .., _] if open.kind() == "[" => {
                        let elements = groups(tree).into_iter().map(|group| Argument::One(lowering.json_value(&group)));
                        Expr::Array(elements.collect())
                    }
                    _ => lowering.reread(&[tree]),
                }
            };
            return self.nested(tree, read).unwrap_or(Expr::Opaque(span));
        }
        self.reread(tokens)
    }

    fn json_object(&mut self, tree: Node<'_>) -> Expr {
        let span = self.span(tree);
        let fields = groups(tree).into_iter().filter_map(|group| {
            let colon = group.iter().position(|token| token.kind() == ":")?;
            let (name, value) = group.split_at_checked(colon)?;
            let at = self.span(*name.first()?);
            let value = self.json_value(value.get(1..).unwrap_or_default());
            Some(match name {
                [text] if text.kind() == "string_literal" => Field::Named(self.literal_text(*text), value, at),
                name => Field::Computed(self.reread(name), value),
            })
        });
        Expr::Object(fields.collect(), span)
    }
}

fn tokens(node: Node<'_>) -> Option<Node<'_>> {
    children(node).into_iter().find(|child| child.kind() == "token_tree")
}

/// All tokens of a group, its brackets too.
fn children_of_all(tree: Node<'_>) -> Vec<Node<'_>> {
    let mut cursor = tree.walk();
    tree.children(&mut cursor).filter(|child| !child.is_extra()).collect()
}

/// The tokens between the brackets, parted by commas.
fn groups(tree: Node<'_>) -> Vec<Vec<Node<'_>>> {
    let tokens = children_of_all(tree);
    let inner = match tokens.as_slice() {
        [_, inner @ .., _] => inner,
        _ => &[],
    };
    let parts = inner.split(|token| matches!(token.kind(), "," | ";"));
    parts.filter(|part| !part.is_empty()).map(<[Node<'_>]>::to_vec).collect()
}
