//! What receives values.

use tree_sitter::Node;

use super::{Reader, named};
use crate::model::{Pattern, PatternField};
use crate::parse::{HasRoles, Role};

impl<'t> Reader<'t> {
    pub(super) fn pattern(&mut self, node: Node<'t>) -> Pattern {
        self.deeper(node, |reader| reader.pattern_here(node)).unwrap_or(Pattern::Ignored)
    }

    fn pattern_here(&mut self, node: Node<'t>) -> Pattern {
        match node.kind() {
            "identifier" | "shorthand_property_identifier_pattern" => {
                Pattern::Name(self.of(node).to_owned(), self.span(node))
            }
            "object_pattern" | "object" => Pattern::Object(self.fields(node)),
            "array_pattern" | "array" => Pattern::Array(self.elements(node)),
            "assignment_pattern" | "object_assignment_pattern" => {
                let into = node.child_as(Role::Left).map_or(Pattern::Ignored, |left| self.pattern(left));
                Pattern::Default(Box::new(into), Box::new(self.child_expr(node, Role::Right)))
            }
            "rest_pattern" | "spread_element" => {
                let into = named(node).first().map_or(Pattern::Ignored, |inner| self.pattern(*inner));
                Pattern::Rest(Box::new(into))
            }
            "member_expression" | "subscript_expression" => Pattern::Place(Box::new(self.expr(node))),
            "non_null_expression" | "parenthesized_expression" | "as_expression" => {
                named(node).first().map_or(Pattern::Ignored, |inner| self.pattern(*inner))
            }
            _ => Pattern::Ignored,
        }
    }

    fn fields(&mut self, node: Node<'t>) -> Vec<PatternField> {
        let mut fields = Vec::new();
        for child in named(node) {
            let (name, into) = match child.kind() {
                "pair_pattern" | "pair" => {
                    let name = child.child_as(Role::Key).map(|key| self.key(key)).unwrap_or_default();
                    let into = child.child_as(Role::Value).map_or(Pattern::Ignored, |value| self.pattern(value));
                    (name, into)
                }
                "object_assignment_pattern" => {
                    let name = child.child_as(Role::Left).map(|left| self.of(left)).unwrap_or_default();
                    (name.to_owned(), self.pattern(child))
                }
                "rest_pattern" | "spread_element" => (String::new(), self.pattern(child)),
                "shorthand_property_identifier" => {
                    (self.of(child).to_owned(), Pattern::Name(self.of(child).to_owned(), self.span(child)))
                }
                _ => (self.of(child).to_owned(), self.pattern(child)),
            };
            fields.push(PatternField { name, into });
        }
        fields
    }

    /// The elements in their places: an empty one is ignored, but counts.
    fn elements(&mut self, node: Node<'t>) -> Vec<Pattern> {
        let mut elements = Vec::new();
        let mut cursor = node.walk();
        let children: Vec<_> = node.children(&mut cursor).collect();
        let mut filled = false;
        for child in children {
            match child.kind() {
                "[" | "]" | "comment" => {}
                "," => {
                    if !filled {
                        elements.push(Pattern::Ignored);
                    }
                    filled = false;
                }
                _ => {
                    elements.push(self.pattern(child));
                    filled = true;
                }
            }
        }
        elements
    }
}

/// The names that a pattern gives.
pub(super) fn names_of(pattern: &Pattern) -> Vec<String> {
    match pattern {
        Pattern::Name(name, _) => vec![name.clone()],
        Pattern::Object(fields) => fields.iter().flat_map(|field| names_of(&field.into)).collect(),
        Pattern::Array(elements) => elements.iter().flat_map(names_of).collect(),
        Pattern::Default(into, _) | Pattern::Rest(into) => names_of(into),
        Pattern::Place(_) | Pattern::Ignored => Vec::new(),
    }
}
