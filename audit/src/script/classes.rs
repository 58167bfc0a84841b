//! Classes.

use tree_sitter::Node;

use super::controllers::class_decorators;
use super::{Reader, has_token, named};
use crate::model::{Class, ClassId, Expr, FunctionId};
use crate::parse::{HasRoles, Role};

impl<'t> Reader<'t> {
    pub(super) fn class(&mut self, node: Node<'t>) -> ClassId {
        let name = node.child_as(Role::Name).map(|name| self.of(name)).unwrap_or_default().to_owned();
        let id = self.facts.classes.len();
        self.facts.classes.push(Class { name: name.clone(), ..Class::default() });
        let top = std::mem::replace(&mut self.top, false);
        let mut class = Class { name, extends: self.heritage(node), ..Class::default() };
        let decorators = class_decorators(node);
        let controller = self.controller(&decorators);
        // A method's decorators stand before it.
        let mut own = Vec::new();
        for member in node.child_as(Role::Body).map(named).unwrap_or_default() {
            match member.kind() {
                "decorator" => {
                    own.push(member);
                    continue;
                }
                "method_definition" => {
                    let (name, id) = self.method(member, &mut class);
                    if let Some(prefix) = &controller {
                        self.controller_route((&class.name, prefix), &decorators, &own, (&name, member), id);
                    }
                }
                "public_field_definition" | "field_definition" => self.member_field(member, &mut class),
                _ => {}
            }
            own.clear();
        }
        self.top = top;
        if let Some(place) = self.facts.classes.get_mut(id) {
            *place = class;
        }
        id
    }

    fn heritage(&mut self, node: Node<'t>) -> Option<Expr> {
        let heritage = named(node).into_iter().find(|child| child.kind() == "class_heritage")?;
        let clause = *named(heritage).first()?;
        let value = clause.child_as(Role::Value).unwrap_or(clause);
        (clause.kind() != "implements_clause").then(|| self.expr(value))
    }

    fn method(&mut self, node: Node<'t>, class: &mut Class) -> (String, FunctionId) {
        let name = node.child_as(Role::Name).map(|name| self.key(name)).unwrap_or_default();
        let id = self.function(node, &name);
        if name == "constructor" {
            class.injected = self.injected(node);
        }
        if has_token(node, "static") {
            class.statics.push((name.clone(), Expr::Function(id)));
        } else {
            class.methods.push((name.clone(), id));
        }
        (name, id)
    }

    fn member_field(&mut self, node: Node<'t>, class: &mut Class) {
        let Some(key) = node.child_as(Role::Name).or_else(|| node.child_as(Role::Property)) else {
            return;
        };
        let name = self.key(key);
        let value = node.child_as(Role::Value).map(|value| self.named_value(value, &name));
        if value.is_none()
            && has_token(node, "decorator")
            && let Some(of) = self.type_of(node)
        {
            // A container fills it.
            class.injected.push((name, of));
            return;
        }
        match value {
            Some(value) if has_token(node, "static") => class.statics.push((name, value)),
            value => class.fields.push((name, value)),
        }
    }

    /// Parameters of a constructor that become fields, with their types.
    fn injected(&self, node: Node<'t>) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for param in node.child_as(Role::Parameters).map(named).unwrap_or_default() {
            let is_field = has_token(param, "readonly") || has_token(param, "accessibility_modifier");
            if is_field && let Some(name) = param.child_as(Role::Pattern) {
                found.push((self.of(name).to_owned(), self.type_of(param).unwrap_or_default()));
            }
        }
        found
    }
}
