//! Patterns: what they bind, and what they ask.

use tree_sitter::Node;

use crate::model::{Binary, Expr, Pattern, PatternField, Unary};
use crate::parse::{HasRoles, Role};

use super::lowering::{Lowering, children};

impl Lowering<'_> {
    /// What a pattern binds. One that holds a single other one, as `Some(x)` and `Json(x)` do, is that one.
    pub(super) fn pattern(&mut self, node: Node<'_>) -> Pattern {
        self.nested(node, |lowering| lowering.pattern_here(node)).unwrap_or(Pattern::Ignored)
    }

    fn pattern_here(&mut self, node: Node<'_>) -> Pattern {
        match node.kind() {
            "identifier" | "shorthand_field_identifier" => {
                let name = self.text_of(node);
                let binds = name.chars().next().is_some_and(|first| first.is_lowercase() || first == '_');
                if binds { Pattern::Name(name.to_owned(), self.span(node)) } else { Pattern::Ignored }
            }
            "mut_pattern" | "ref_pattern" | "reference_pattern" | "match_pattern" => self.first(node),
            "captured_pattern" => children(node).first().map_or(Pattern::Ignored, |name| self.pattern(*name)),
            "or_pattern" => children(node).first().map_or(Pattern::Ignored, |first| self.pattern(*first)),
            "tuple_struct_pattern" => {
                let parts = children(node);
                let parts = parts.get(1..).unwrap_or_default();
                match parts {
                    [only] => self.pattern(*only),
                    several => Pattern::Array(several.iter().map(|part| self.pattern(*part)).collect()),
                }
            }
            "tuple_pattern" | "slice_pattern" => {
                Pattern::Array(children(node).into_iter().map(|part| self.pattern(part)).collect())
            }
            "struct_pattern" => {
                let fields = children(node).into_iter().filter(|field| field.kind() == "field_pattern");
                Pattern::Object(fields.map(|field| self.field_pattern(field)).collect())
            }
            _ => Pattern::Ignored,
        }
    }

    fn first(&mut self, node: Node<'_>) -> Pattern {
        let inner = children(node).into_iter().find(|child| child.kind() != "mutable_specifier");
        inner.map_or(Pattern::Ignored, |inner| self.pattern(inner))
    }

    fn field_pattern(&mut self, field: Node<'_>) -> PatternField {
        let name = field.child_as(Role::Name);
        let text = name.map(|name| self.text_of(name).to_owned()).unwrap_or_default();
        let into = match field.child_as(Role::Pattern) {
            Some(pattern) => self.pattern(pattern),
            None => Pattern::Name(text.clone(), self.span(field)),
        };
        PatternField { name: text, into }
    }

    /// What a pattern asks of a value. Nothing if it takes all.
    pub(super) fn test(&mut self, node: Node<'_>, value: &Expr) -> Option<Expr> {
        self.nested(node, |lowering| lowering.test_here(node, value)).flatten()
    }

    fn test_here(&mut self, node: Node<'_>, value: &Expr) -> Option<Expr> {
        let span = self.span(node);
        let not = |value: &Expr| Expr::Unary(Unary::Not, Box::new(value.clone()));
        let equal = |known: Expr| Expr::Binary(Binary::Equal, Box::new(value.clone()), Box::new(known), span);
        match node.kind() {
            "tuple_struct_pattern" | "struct_pattern" => {
                let of = node.child_as(Role::Type)?;
                let parts = children(node);
                let inner = parts.get(1..).unwrap_or_default().iter().filter_map(|part| self.test(*part, value));
                let inner = inner.reduce(|one, two| Expr::Binary(Binary::And, Box::new(one), Box::new(two), span));
                let own = match self.text_of(of) {
                    "Some" | "Ok" => value.clone(),
                    "Err" => not(value),
                    path if path.contains("::") => equal(self.value(of)),
                    _ => return inner,
                };
                Some(match inner {
                    Some(inner) => Expr::Binary(Binary::And, Box::new(own), Box::new(inner), span),
                    None => own,
                })
            }
            "identifier" => match self.text_of(node) {
                "None" => Some(not(value)),
                name if name.starts_with(char::is_uppercase) => Some(equal(self.value(node))),
                _ => None,
            },
            "scoped_identifier" | "boolean_literal" | "integer_literal" | "string_literal" | "raw_string_literal"
            | "negative_literal" | "char_literal" => Some(equal(self.value(node))),
            "or_pattern" | "tuple_pattern" | "slice_pattern" => {
                let sign = if node.kind() == "or_pattern" { Binary::Or } else { Binary::And };
                let tests = children(node).into_iter().filter_map(|part| self.test(part, value)).collect::<Vec<_>>();
                tests.into_iter().reduce(|one, two| Expr::Binary(sign, Box::new(one), Box::new(two), span))
            }
            "mut_pattern" | "ref_pattern" | "reference_pattern" | "captured_pattern" => {
                children(node).last().and_then(|inner| self.test(*inner, value))
            }
            "match_pattern" => {
                let own = children(node).first().and_then(|pattern| self.test(*pattern, value));
                let guard = node.child_as(Role::Condition).map(|condition| self.value(condition));
                match (own, guard) {
                    (Some(own), Some(guard)) => Some(Expr::Binary(Binary::And, Box::new(own), Box::new(guard), span)),
                    (own, guard) => own.or(guard),
                }
            }
            _ => None,
        }
    }
}
