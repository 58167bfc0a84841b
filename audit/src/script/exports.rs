//! What a file offers to others.

use tree_sitter::Node;

use super::patterns::names_of;
use super::{Reader, has_token, named};
use crate::model::{Block, Export, Expr, Field, Step};
use crate::parse::{HasRoles, Role};

impl<'t> Reader<'t> {
    pub(super) fn export(&mut self, node: Node<'t>, steps: &mut Block) {
        let default = has_token(node, "default");
        if let Some(source) = node.child_as(Role::Source) {
            let from = self.string(source);
            self.reexport(node, &from);
            return;
        }
        if let Some(declaration) = node.child_as(Role::Declaration) {
            let first = steps.len();
            self.step(declaration, steps);
            let names: Vec<String> = steps.get(first..).unwrap_or_default().iter().flat_map(declared).collect();
            for local in names {
                if default && local.is_empty() {
                    continue;
                }
                let name = if default { "default".to_owned() } else { local.clone() };
                self.facts.exports.push(Export::Local { name, local });
            }
            return;
        }
        if let Some(value) = node.child_as(Role::Value) {
            let value = self.named_value(value, "default");
            self.facts.exports.push(Export::Value { name: "default".to_owned(), value });
            return;
        }
        for clause in named(node).into_iter().filter(|child| child.kind() == "export_clause") {
            for (name, local) in self.specifiers(clause) {
                self.facts.exports.push(Export::Local { name, local });
            }
        }
        // `export = value`.
        if has_token(node, "=")
            && let Some(value) = named(node).first()
        {
            let value = self.expr(*value);
            self.facts.exports.push(Export::Value { name: "default".to_owned(), value });
        }
    }

    fn reexport(&mut self, node: Node<'t>, from: &str) {
        let mut all = true;
        for child in named(node) {
            match child.kind() {
                "export_clause" => {
                    all = false;
                    for (name, original) in self.specifiers(child) {
                        self.facts.exports.push(Export::From { name, original, from: from.to_owned() });
                    }
                }
                "namespace_export" => {
                    all = false;
                    if let Some(name) = named(child).first() {
                        let (name, original) = (self.key(*name), "*".to_owned());
                        self.facts.exports.push(Export::From { name, original, from: from.to_owned() });
                    }
                }
                _ => {}
            }
        }
        if all {
            self.facts.exports.push(Export::All { from: from.to_owned() });
        }
    }

    /// The name that others know, and the local one.
    fn specifiers(&self, clause: Node<'t>) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for item in named(clause).into_iter().filter(|item| item.kind() == "export_specifier") {
            let Some(local) = item.child_as(Role::Name) else { continue };
            let name = item.child_as(Role::Alias).unwrap_or(local);
            found.push((self.key(name), self.key(local)));
        }
        found
    }

    /// `module.exports = …`, `exports.name = …`.
    pub(super) fn common_export(&mut self, node: Node<'t>, value: &Expr) {
        let Some(left) = node.child_as(Role::Left).filter(|left| left.kind() == "member_expression") else {
            return;
        };
        let place: String = self.of(left).split_whitespace().collect();
        let name = match place.as_str() {
            "module.exports" => "default",
            _ => match place.strip_prefix("module.exports.").or_else(|| place.strip_prefix("exports.")) {
                Some(name) => name,
                None => return,
            },
        };
        if name == "default"
            && let Expr::Object(fields, _) = value
        {
            for field in fields {
                if let Field::Named(name, value, _) = field {
                    self.facts.exports.push(Export::Value { name: name.clone(), value: value.clone() });
                }
            }
        }
        self.facts.exports.push(Export::Value { name: name.to_owned(), value: value.clone() });
    }
}

/// The names that a step declares.
fn declared(step: &Step) -> Vec<String> {
    match step {
        Step::Let(into, ..) => names_of(into),
        Step::Function(name, _) | Step::Class(name, _) => vec![name.clone()],
        _ => Vec::new(),
    }
}
